"""A whole swarm under test, quick limits and all agents, and the story of an incident out of its log."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from btswarm.state.control_client import NoDaemon, ask

from . import census
from .living import Daemon, chain, environment
from .waiting import until

T = TypeVar("T")
LIFE = ("detected", "classified", "executed", "verified", "closed")
QUICK: dict[str, str] = {
    "cycle": "tick_s = 0.5, agent_hard_s = 0.4, save_min_s = 0.1",
    "workers": "start_s = 20, stop_grace_s = 0.5, "
    "quiet_floor_s = { start = 20, load = 20, batch = 20, other = 20 }, budget_s = 600",
    "disk": "floor_mb = 0, ballast_mb = 0",
    "lanes": "cpu = 1, keep_free_mb = 16",
    "restart": "base_s = 0.5, cap_s = 300",
}
PLAN = 'data_path = "synthetic", modes = ["balanced"], rounds = 1'
CHAIN = "r1/SYNTH/balanced/"
SLEEPER = {"name": "fill", "argv": ["sleep", "600"], "copies": 1}


class Healing(Daemon):
    """`acts`: what the engine's workers do, by stage; without any there is no plan. `commands`: rows of [[command]].
    `tables`: in place of those of QUICK, by name."""

    def __init__(
        self, folder: Path, acts: dict[str, list[dict[str, Any]]] | None = None,
        commands: tuple[dict[str, Any], ...] = (), **tables: str,
    ) -> None:  # fmt: skip
        self.root, self.config = folder / "root", folder / "btswarm.toml"
        self.state = self.root / "state"
        self.copies = sum(one.get("copies", 1) for one in commands)
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix: tuple[str, ...] = ()
        """Of the command line that starts it."""
        self.variables: dict[str, str] = {}
        self.said = folder / "daemon.txt"
        self.root.mkdir(parents=True)
        lines = [f'roots = {{ root = "{self.root}" }}']
        lines += [f"{name} = {{ {text} }}" for name, text in {**QUICK, **tables}.items()]
        lines += [f"plan = {{ {PLAN} }}"] if acts is not None and "plan" not in tables else []
        for one in commands:
            lines += ["[[command]]", *(f"{name} = {orjson.dumps(value).decode()}" for name, value in one.items())]
        self.config.write_text("\n".join(lines) + "\n")
        (self.root / "puppet.json").write_bytes(orjson.dumps(acts or {}))

    def start(self) -> "Healing":
        argv = [sys.executable, "-P", "-m", "btswarm.tests.daemon.healing_daemon", str(self.config)]
        with self.said.open("ab") as said:
            self.process = subprocess.Popen([*self.prefix, *argv], env={**environment(), **self.variables}, stderr=said)
        return self

    def end(self) -> None:
        """As always; its state may lie where only the living daemon sees it."""
        path = self.state / "swarm_id"
        swarm_id = path.read_text().strip() if path.exists() else ""
        super().end()
        if swarm_id:
            census.kill_all(swarm_id)

    def query(self) -> dict[str, Any]:
        """What `btswarm query --json` prints."""

        def answered() -> dict[str, Any] | None:
            try:
                found: dict[str, Any] = ask(self.state, "query")
            except NoDaemon:  # it is only just starting, or its socket is gone for a moment
                return None
            return found

        return until(answered, what="an answer") or {}

    def wait(self, condition: Callable[[], T], what: str) -> T:
        """As `until`; when it never happens, with what the log said last."""

        def look() -> T:
            value = condition()
            assert value or (self.process and self.process.poll() is None), f"the daemon is gone: {what}"
            return value

        try:
            return until(look, what=what, limit_s=40)
        except AssertionError as error:
            told = [f"{one['seq']} {one['kind']} {one['subject']} {one['data']}" for one in self.events()[-25:]]
            said = self.said.read_text().splitlines()[-25:]
            raise AssertionError("\n".join([f"{error}; its log and its words:", *told, *said])) from None

    def deeds(self, stage: str) -> list[dict[str, Any]]:
        """What the engine's workers of a stage were told, in order."""
        path = self.root / "deeds.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [one for one in map(orjson.loads, lines) if one["stage"] == stage]

    def worker_of(self, stage: str, turn: int = 1) -> int:
        """The pid of the stage's n-th worker, once it is known to have taken a step."""
        deed = self.wait(lambda: self.deeds(stage)[turn - 1 : turn], f"worker {turn} of {stage}")[0]
        path = self.state / "workers" / deed["worker"] / "progress.json"
        until(path.exists, what="its first step")
        until(lambda: deed["worker"] in self.running(), what="the line about its start")
        pid: int = deed["pid"]
        return pid

    def done(self, stage: str) -> dict[str, Any]:
        """The line that says that a stage of round 1 is done."""
        return self.event("job.finished", lambda one: one["subject"].startswith(CHAIN + stage))

    def event(self, kind: str, which: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The first such line of the log, once it is there."""
        return self.wait(lambda: [one for one in self.events(kind) if which(one)], kind)[0]

    def ends(self, job: str) -> list[dict[str, Any]]:
        """What the log says of the ends of a job's workers."""
        return [one["data"] for one in self.events("worker.exited") if one["data"]["job"] == job]

    def incidents(self, class_: str, subject: str = "") -> list[dict[str, Any]]:
        """The lines that began one."""
        found = self.events("incident.detected")
        return [one for one in found if one["data"]["class"] == class_ and one["subject"].startswith(subject)]

    def healed(self, class_: str, subject: str = "") -> list[dict[str, Any]]:
        """The story of the first incident of a class, as `life` tells it."""
        begun = self.wait(lambda: self.incidents(class_, subject), f"an incident of class {class_}")[0]
        return self.life(f"i{begun['seq']}")

    def life(self, name: str) -> list[dict[str, Any]]:
        """The five lines of an incident, once it is closed, each caused by the one before."""
        end = self.event("incident.closed", lambda one: one["data"]["incident"] == name)
        events = self.events()
        seqs = causes(events, end["seq"])
        life = [one for one in events if one["seq"] in seqs and one["kind"].startswith("incident.")]
        assert [one["kind"].removeprefix("incident.") for one in life] == list(LIFE), chain(events, end["seq"])
        return life

    def well(self) -> None:
        """It says of itself that all is well."""
        self.wait(lambda: self.query()["health"] == "ok", "health")


def causes(events: list[dict[str, Any]], seq: int) -> set[int]:
    """The numbers of all events that led to `seq`, itself among them."""
    by_seq = {one["seq"]: one for one in events}
    found: set[int] = set()
    at: int | None = seq
    while at is not None:
        found.add(at)
        at = by_seq[at]["cause_seq"]
    return found


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Callable[..., Healing]]:
    """Makes swarms that leave nothing behind. Takes what Healing takes after the folder."""
    made: list[Healing] = []

    def make(*args: Any, **tables: Any) -> Healing:
        made.append(Healing(tmp_path / f"{len(made)}", *args, **tables))
        return made[-1]

    yield make
    for one in made:
        one.end()
