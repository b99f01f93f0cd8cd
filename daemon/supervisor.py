"""The daemon's life: start, a cycle whenever something happened or is due, a clean end.

Woken by the pidfds of workers, the control socket and timers; the first wake runs at once, later ones are gathered.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from ..agents import Roster, discover
from ..state.config import Settings
from ..state.errors import ExitCode
from ..state.models.events import Draft
from ..state.models.facts import GpuView, Observation
from ..state.models.names import SWARM
from ..state.models.records import Hold
from . import incidents
from .background import Background
from .build import own_build
from .chronicle import Chronicle
from .clock import SystemClock, SystemRandom
from .council import Council
from .cycle import Parts, run_cycle
from .endings import Endings
from .executor import Executor
from .files import RealFiles
from .home import swarm_identity
from .journal import Journal
from .meter import AlarmMeter, BlackBox
from .moment import Moment
from .notebook import Notebook
from .observe import Observer
from .ports import World
from .probes.gpu import GpuProbe
from .probes.host import HostProbe
from .probes.provider import provider_of
from .probing import Probing
from .renting import Renting
from .repairs import Repairs
from .saving import Facts, Saver
from .startup import assemble, begin, launch_own_plan, memories_of, owned_root, remember
from .study_repair import StudyRepair
from .swarm import Swarm
from .tools import RealTools
from .verify import Verifier
from .wishing import Door, Wishing
from .workers.adopt import Adoption
from .workers.identity import own_epoch
from .workers.reap import become_subreaper
from .workers.table import RealProcesses

GATHER_S: Final = 0.010
DRAW_BITS: Final = 64
LIVES: Final = {signal.SIGTERM: "drain", signal.SIGINT: "drain", signal.SIGUSR2: "restart"}
NICE: Final = -10
BEYOND: Final = ("lost", "exited")
"""States of workers whom no signal ends: a drain does not wait for them."""
DEATHS: Final = 2
"""Inside the same agent, after which the next start sets it aside."""
BLACK_BOX: Final = "agent.box"


class NoGpu:
    """No device is watched."""

    def readings(self) -> Mapping[str, GpuView]:
        return {}

    def restart(self) -> None: ...


class Supervisor:
    """One daemon. `door`: the control socket, set before `run`; `after_cycle`: told of every cycle that completed."""

    def __init__(self, settings: Settings, roster: Roster | None = None, *, build: str = "") -> None:
        self.settings = settings
        self.roster = roster or discover()
        self.build = build or own_build()
        self.after_cycle: list[Callable[[Observation], None]] = []
        self.facts: Facts | None = None
        self.make_door: Callable[[Supervisor], Door] | None = None
        self.observation: Observation | None = None
        self.parts: Parts
        self._stack = ExitStack()
        self._reasons: dict[str, None] = {}
        self._cycle = 0
        self._last_mono: float | None = None
        self._next_tick = self._due = 0.0
        self._exit: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[int]
        self._timer: asyncio.TimerHandle | None = None
        self._saving: asyncio.TimerHandle | None = None
        self._gathering = self._listening = False

    # -- start ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> "Supervisor":
        """Everything before the first cycle. Raises BtswarmError with nothing changed when it may not run here."""
        # A stop that comes before the loop is carried out by it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, LIVES)
        self._stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self._open()
            undo.pop_all()
        return self

    def _open(self) -> None:
        clock = SystemClock()
        state_root = self.settings.roots.state
        self._stack.enter_context(owned_root(state_root, self.build, clock.now()))
        become_subreaper()
        raise_limits()
        swarm_id = swarm_identity(state_root)
        memory = remember(state_root, self.settings, self.roster, f"{own_epoch()} {self.build}")
        self.processes = RealProcesses(swarm_id, clock)
        self._stack.callback(self.processes.close)
        self.box = BlackBox(state_root / BLACK_BOX)
        self._stack.callback(self.box.close)
        meter = self._stack.enter_context(AlarmMeter(self.box))
        self.host = HostProbe(clock, {"state": state_root, "results": self.settings.roots.results,
                                      "logs": self.settings.roots.logs})  # fmt: skip
        tools = RealTools(self.processes, clock, os.environ)
        self._stack.callback(tools.close)
        gpu = GpuProbe(self.processes, clock, self.settings.config.gpu, os.environ)
        self._stack.callback(gpu.close)
        gpu.start()
        provider = provider_of(os.environ, tools, clock, self.settings.config.budget)
        world = World(clock, SystemRandom(), meter, RealFiles(), self.processes, self.host, gpu, provider, tools)
        swarm = assemble(self.settings, world, memory, swarm_id, self.build)
        memories, said = memories_of(self.roster, memory)
        memory.said += said
        self.parts = parts_of(
            swarm, self.roster, memories, self.facts, self.make_door(self) if self.make_door else None
        )
        swarm.scribe.start()
        self._stack.callback(swarm.scribe.stop)
        self.host.start()
        self._stack.callback(self.host.stop)
        swarm.caretaker = caretaker = Background(self.settings.roots, swarm.plans)
        caretaker.start()
        self._stack.callback(caretaker.stop)
        swarm.journal.turn(self._moment(("start",)))
        begin(swarm, memory, self.roster)
        if self.settings.swarm_enabled:
            launch_own_plan(swarm)
        self._blame()
        gc.collect()
        gc.freeze()

    def __exit__(self, *_: object) -> None:
        """Let go of everything; workers stay as they are."""
        self._stack.close()

    def _blame(self) -> None:
        """An agent inside which the process died again and again does not get another chance by itself."""
        name, journal = self.box.last, self.parts.swarm.journal
        if self.box.deaths >= DEATHS and name in self.parts.council.memories:
            why = f"the daemon died {self.box.deaths} times while it ran"
            hold = Hold(
                why,
                "agent",
                self.parts.swarm.world.clock.now(),
                needs=f"mend or remove the agent {name}, then release it",
            )
            self.parts.council.quarantine(name, hold)
            self.box.forget()
        self._forgive(journal)
        for failed in self.roster.failed:
            incidents.detect(journal, "agent", failed.name, f"{failed.source}: {failed.why}", policy="go on without it")

    def _forgive(self, journal: Journal) -> None:
        """A stranger's agent that could not be loaded and is not announced any more is nobody's trouble."""
        announced = {*self.roster.sources, *(failed.name for failed in self.roster.failed)}
        for incident in list(journal.state.control.incidents.values()):
            if incident.class_ == "agent" and incident.subject not in announced:
                incidents.settle(journal, incident.incident, "none", {"announced": False})

    # -- the loop -------------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Cycles until it is told to end: the exit code. Workers live on after `restart`; `drain` leaves none."""
        self._loop = loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        loop.set_exception_handler(self._failed)
        for number, life in LIVES.items():
            loop.add_signal_handler(number, self.want, life, number.name)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, LIVES)
        try:
            self.wake("start")
            return await self._ended
        finally:
            self._rest()
            self._loop = None
            loop.set_exception_handler(None)
            for number in LIVES:
                loop.remove_signal_handler(number)

    def wake(self, reason: str) -> None:
        """A cycle soon, for this reason: at once, or when the last one is long enough ago."""
        self._reasons[reason] = None
        if self._loop is not None and not self._gathering:
            self._rest()
            self._gathering = True
            self._timer = self._loop.call_later(max(0.0, self._early_s()), self._run_cycle)

    def want(self, life: str, said_by: str) -> None:
        """What a signal asks for, as if a person had commanded it."""
        swarm = self.parts.swarm
        swarm.journal.turn(self._moment((said_by,)))
        name = f"{said_by}-{swarm.world.random.bits(32):08x}"
        data = {"id": name, "cmd": life, "args": {}, "desired": {"life": life}}
        swarm.journal.record(Draft("command.accepted", SWARM, data))
        self.wake(said_by)

    def _died(self) -> None:
        """Somebody we own has ended. Nothing may lie between that and the cycle that replaces it."""
        self._reasons["exit"] = None
        if self._gathering or self._early_s() > 0:
            assert self._loop is not None
            self._deafen()
            self.wake("exit")
        else:
            self._run_cycle()

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A cycle that raises is a bug, and a daemon without cycles is worse than none: `run` raises it."""
        error = context.get("exception")
        if error is None or self._ended.done():
            loop.default_exception_handler(context)
        else:
            self._ended.set_exception(error)

    def _rest(self) -> None:
        """Listen to nothing and wait for nothing."""
        self._wait_no_more()
        self._deafen()

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deafen(self) -> None:
        if self._listening and self._loop is not None:
            self._loop.remove_reader(self.processes.fileno())
            self._listening = False

    def _due_now(self) -> None:
        self._reasons["timer"] = None
        self._run_cycle()

    def _run_cycle(self) -> None:
        """One cycle, and then to whatever comes first: an exit, a wake, or what is due."""
        assert self._loop is not None
        self._gathering = False
        self._wait_no_more()
        self.turn()
        if self._exit is not None:
            self._ended.set_result(self._exit)
            return
        if not self._listening:
            self._loop.add_reader(self.processes.fileno(), self._died)
            self._listening = True
        self._save_soon(self._loop)
        if self._reasons:
            self.wake(next(iter(self._reasons)))
        else:
            wait_s = max(self._early_s(), self._due - SystemClock().mono(), 0.0)
            self._timer = self._loop.call_later(wait_s, self._due_now)

    def _save_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """What this cycle changed is saved before long, which takes no cycle of its own."""
        due = self.parts.saver.due(SystemClock().mono())
        if self._saving is None and due < self._next_tick:
            self._saving = loop.call_later(max(0.0, due - SystemClock().mono()), self._save)

    def _save(self) -> None:
        self._saving = None
        if self.observation is not None and self._exit is None:
            moment = self._moment(("save",))
            self.parts.saver.save(self.observation, replace(moment, tick=False))
            self.parts.executor.lay_out()

    def turn(self) -> Observation:
        """One cycle now."""
        reasons, self._reasons = tuple(self._reasons), {}
        self._cycle += 1
        moment = self._moment(reasons)
        self._last_mono = moment.mono
        if moment.tick:
            self._next_tick = moment.mono + self.parts.swarm.config.cycle.tick_s
        self.observation, unsettled = run_cycle(self.parts, moment)
        observation = self.observation
        self._due = self.parts.observer.due(observation, self._next_tick, unsettled=unsettled)
        for tell in self.after_cycle:
            tell(observation)
        life = observation.swarm.desired.life
        if life == "restart" or (life == "drain" and all(one.state in BEYOND for one in observation.workers.values())):
            self._leave(observation, moment, life)
        return observation

    def _leave(self, observation: Observation, moment: Moment, life: str) -> None:
        journal = self.parts.swarm.journal
        journal.record(Draft("daemon.stopped", "daemon", {"workers": len(observation.workers)}, outcome=life))
        self.parts.swarm.scribe.flush()
        self.parts.saver.save(observation, moment, force=True)
        self._exit = ExitCode.STOPPED if life == "restart" else ExitCode.OK

    def _moment(self, reasons: tuple[str, ...]) -> Moment:
        clock, random = SystemClock(), SystemRandom()
        mono = clock.mono()
        gap_s = mono - self._last_mono if self._last_mono is not None else 0.0
        tick = mono >= self._next_tick
        reasons += ("tick",) if tick else ()
        return Moment(self._cycle, clock.now(), mono, gap_s, random.bits(DRAW_BITS), reasons, tick, own_epoch_cached())

    def _early_s(self) -> float:
        """How much too early this wake is: the last cycle was only just."""
        return GATHER_S - (SystemClock().mono() - (self._last_mono or 0.0))


_EPOCH: list[str] = []


def own_epoch_cached() -> str:
    """It cannot change while we live."""
    if not _EPOCH:
        _EPOCH.append(own_epoch())
    return _EPOCH[0]


def parts_of(
    swarm: Swarm, roster: Roster, memories: Mapping[str, Any] | None = None, facts: Facts | None = None,
    door: Door | None = None,
) -> Parts:  # fmt: skip
    """All parts of the loop over one swarm, real or simulated."""
    endings = Endings(swarm)
    council = Council(swarm.journal, swarm.world.meter, roster.proposers, roster.arbiter, roster.dispatcher, memories)
    wishing = Wishing(swarm, door)
    probing = Probing(swarm, {"host": swarm.world.host})
    hands = Repairs(swarm), StudyRepair(swarm), probing, Notebook(swarm), Renting(swarm)
    return Parts(
        swarm=swarm,
        wishing=wishing,
        observer=Observer(swarm, endings, Adoption(swarm, endings), wishing),
        council=council,
        probing=probing,
        executor=Executor(swarm, endings, hands),
        verifier=Verifier(swarm, hands),
        chronicle=Chronicle(swarm, council),
        saver=Saver(swarm, council, facts),
    )


def raise_limits() -> None:
    """Every worker costs two descriptors: as many as the host allows. And before our own workers, who fill every core,
    comes whoever replaces them; where that is not allowed it is slower under load and nothing else."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
