"""The daemon with its handles on: control socket, service manager, journal. One supervisor inside does the work."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..state.config import Settings, load
from ..state.errors import BadConfig, BtswarmError
from ..state.models.config import Config
from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.names import SWARM
from ..state.wire import encode
from .account import CONTINUITY_AGENT, Continuity, account
from .control_socket import ControlSocket
from .doorway import Asked
from .notify import Notifier
from .startup import config_digest
from .supervisor import Supervisor
from .telling import headline

WARNING, NOTICE = "<4>", "<5>"
"""How the journal is told a line's level; anybody else reads on."""


def serve(settings: Settings) -> int:
    """Run the daemon until it is told to leave; its exit code. Raises BtswarmError when it may not run here."""
    supervisor = Supervisor(settings)
    serving = Serving(supervisor, Notifier.from_environment())
    supervisor.facts = serving.facts
    supervisor.make_door = lambda _: serving.door
    supervisor.after_cycle.append(serving.cycle_done)
    with supervisor:
        return asyncio.run(serving.run())


class Serving:
    """What is told to whom after each cycle."""

    def __init__(self, supervisor: Supervisor, notifier: Notifier) -> None:
        self._supervisor, self._notifier = supervisor, notifier
        self.root = supervisor.settings.roots.state
        self.door = ControlSocket(self.root, supervisor.wake, screen=self._screen)
        self._ready = False
        self._known: set[str] = set()
        self._reload = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        await self.door.open()
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        say(NOTICE, f"daemon {os.getpid()}, version {__version__}, state in {self.root}")
        minder = loop.create_task(self._mind_the_door())
        try:
            code = await self._supervisor.run()
        finally:
            minder.cancel()
            self._notifier.stopping("leaving")
            self.door.close()
            await asyncio.sleep(0)  # the last answers go out
        say(NOTICE, "stopped, no worker is left" if code == 0 else f"leaving with {code}; workers are left as they are")
        return code

    def facts(self, observation: Observation) -> Mapping[str, Any]:
        return account(observation, self._continuity())

    def _continuity(self) -> Continuity | None:
        return self._supervisor.parts.council.memories.get(CONTINUITY_AGENT)

    def cycle_done(self, observation: Observation) -> None:
        """Pages for readers, the watchdog fed, the journal told of what is new."""
        document = _Once(observation, self._continuity())
        self.door.publish(
            self._supervisor.parts.swarm.journal.log.written_seq,
            {
                "query": lambda: encode(document.made()),
                "status": lambda: encode(headline(document.made())),
                "workers": lambda: encode({name: document.made()[name] for name in ("workers", "lanes")}),
                "agents": lambda: encode(document.made()["agents"]),
            },
        )
        self._tell_incidents(observation)
        if any(command.cmd == "reload" for command in observation.commands) or self._reload:
            self._load_again()
        status = status_line(observation)
        if self._ready:
            self._notifier.alive(status)
        else:
            self._ready = True
            self._notifier.ready(status)

    def _tell_incidents(self, observation: Observation) -> None:
        for name, one in observation.incidents.items():
            if name not in self._known:
                say(WARNING, f"incident {name}: {one.class_} of {one.subject}: {one.why}")
        self._known = set(observation.incidents)

    async def _mind_the_door(self) -> None:
        """A socket that somebody removed is made anew."""
        while True:
            await asyncio.sleep(self._supervisor.parts.swarm.config.cycle.tick_s)
            if self.door.lost():
                say(WARNING, f"{self.door.path} was removed; listening again")
                self.door.close()
                await self.door.open()

    def _screen(self, asked: Asked) -> None:
        """A configuration that cannot be loaded is refused to the sender's face."""
        if asked.cmd == "reload":
            self._acceptable()

    def _hang_up(self) -> None:
        self._notifier.reloading()
        self._reload = True
        self._ready = False
        self._supervisor.wake("reload")

    def _load_again(self) -> None:
        self._reload = False
        swarm = self._supervisor.parts.swarm
        try:
            config = self._acceptable()
        except BtswarmError as error:
            say(WARNING, f"the configuration is kept as it was: {error.line()}")
            swarm.journal.tell(
                Draft("command.refused", SWARM, {"cmd": "reload", "why": error.line()}, outcome="refused")
            )
        else:
            changed = differences(swarm.file_config, config)
            swarm.file_config = config
            digest = config_digest(config)
            data = {"id": f"loaded-{digest}", "cmd": "reload", "args": {"changed": changed[:20]}, "config": digest}
            swarm.journal.record(Draft("command.accepted", SWARM, data, outcome="loaded"))
            say(NOTICE, f"configuration loaded again: {', '.join(changed) or 'nothing changed'}")
            self._supervisor.wake("reloaded")

    def _acceptable(self) -> Config:
        """The file as it is now. Raises BadConfig for one that a living daemon cannot take over."""
        settings, ours = load(self._file()), self._supervisor.settings.roots
        for name, root in settings.roots._asdict().items():
            if root != getattr(ours, name):
                raise BadConfig(
                    f"roots.{name} is {root} now, and roots cannot change in a living daemon, whose is "
                    f"{getattr(ours, name)}",
                    fix="stop the swarm, then start it",
                )
        self._supervisor.parts.swarm.overlaid(settings.config)
        return settings.config

    def _file(self) -> Path | None:
        return self._supervisor.settings.file


def differences(old: Config, new: Config) -> list[str]:
    """The keys that changed, as `table.key`."""
    before, after = old.model_dump(), new.model_dump()
    return [
        f"{table}.{key}" if key else table
        for table in after
        for key in (sorted({*before[table], *after[table]}) if isinstance(after[table], dict) else [""])
        if (before[table].get(key) != after[table].get(key) if key else before[table] != after[table])
    ]


class _Once:
    """The account of one observation, made when somebody asks."""

    def __init__(self, observation: Observation, continuity: Continuity | None) -> None:
        self._observation, self._continuity = observation, continuity
        self._document: dict[str, Any] | None = None

    def made(self) -> dict[str, Any]:
        if self._document is None:
            self._document = account(self._observation, self._continuity)
        return self._document


def status_line(observation: Observation) -> str:
    """What `systemctl status` shows."""
    living = sum(worker.record.living for worker in observation.workers.values())
    queued = sum(job.state == "queued" for job in observation.jobs.values())
    run = observation.swarm.run or "no run"
    incidents = f", {len(observation.incidents)} incidents" if observation.incidents else ""
    return f"{run} round {observation.swarm.round}: {living} workers, {queued} jobs queued{incidents}"


def say(level: str, line: str) -> None:
    """One line to the journal, or to whatever stderr is."""
    under_systemd = "JOURNAL_STREAM" in os.environ
    sys.stderr.write(f"{level if under_systemd else ''}btswarm: {line}\n")
    sys.stderr.flush()
