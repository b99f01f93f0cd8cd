"""What is measured of each worker between its start and its end: steps, silence, CPU, state of the process."""

import itertools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from ..agents.detectors.overdue import STOPPED_S, WHATEVER_FACTOR, ewma, quiet_limit_s
from ..state.models.facts import UNSEEN, Observation, ProgressView, WorkerView
from ..state.models.jobs import VERSION
from ..state.models.names import is_command
from ..state.models.readings import Known, Missing, Reading
from ..state.models.records import WorkerRecord
from .moment import Moment
from .ports import Identity, Sample
from .swarm import Swarm

PROGRESS: Final = "progress.json"
PART: Final = 12
"""Of all processes one in so many is looked at per tick, and at least LEAST."""
LEAST: Final = 64
RUNS: Final = Missing("it runs", 0.0)
CALM: Final = Missing("not suspected", 0.0)
JUST_AFTER_S: Final = 0.001
SAID: Final[Mapping[str, Any]] = {
    "phase": str, "step": int, "mono": int | float, "steps": int, "rate": int | float, "unit": str,
    "next_s": int | float, "checkpoint": int, "backend": str, "device": str, "seeds": dict, "gpu_mem_mb": int,
}  # fmt: skip
"""What is read of a progress file, by type; a whole model would cost a thousand workers too much."""
NEEDED: Final = frozenset(("phase", "step", "mono"))


@dataclass
class _Watch:
    """`since`: from when its silence counts (monotonic). `cpu_at_step`: of the main process when it last stepped."""

    identity: Identity
    since: float
    stamp: tuple[int, int] = (0, 0)
    progress: Reading[ProgressView] = UNSEEN
    interval_s: float | None = None
    stepped: bool = False
    sample: Reading[Sample] = UNSEEN
    cpu_counted: float = 0.0
    cpu_at_step: float | None = None
    stopped_at: float | None = None
    family: dict[tuple[int, int], float] = field(default_factory=dict)


class Watching:
    """`engine_cpu_s`: CPU seconds that engine workers used in this daemon's life."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._watches: dict[str, _Watch] = {}
        self._turn = 0
        self._soon: dict[str, float] = {}
        self.engine_cpu_s = 0.0

    def sweep(self, moment: Moment) -> None:
        """At a tick: every progress file that changed, and the processes whose turn it is."""
        records = self._swarm.journal.workers
        names = list(records)
        part = max(LEAST, -(-len(names) // PART))
        turn = set(itertools.islice(itertools.cycle(names), self._turn, self._turn + part)) if names else set()
        self._turn = (self._turn + part) % max(1, len(names))
        for name, record in records.items():
            if record.pid:
                watch = self._watch(record, moment)
                self._read_progress(record, watch, moment)
                if name in turn or name in self._soon:
                    self._read_process(record, watch, moment)
        self._foresee(records, moment)

    @property
    def suspects(self) -> Collection[str]:
        """Workers whose view of the cycle before says nothing about now."""
        return self._soon

    def view(self, record: WorkerRecord, moment: Moment) -> WorkerView:
        """One worker as of now. A suspect, and one that only just started, is looked at right here."""
        if not record.pid:
            return WorkerView(record, alive=record.state != "intended", exit=RUNS)
        watch = self._watch(record, moment)
        if not moment.tick and (record.worker in self._soon or record.state == "starting"):
            self._read_progress(record, watch, moment)
            self._read_process(record, watch, moment)
        quiet_s = moment.mono - watch.since
        limit_s = self._limit_s(record, watch)
        sample = watch.sample
        missing = sample if isinstance(sample, Missing) else None
        seen = sample.known if isinstance(sample, Known) else None
        at = sample.at if isinstance(sample, Known) else 0.0
        return WorkerView(
            record,
            alive=True,
            exit=RUNS,
            progress=watch.progress,
            quiet_s=quiet_s,
            quiet_limit_s=limit_s,
            quiet_cpu_s=self._quiet_cpu(watch, quiet_s, limit_s, moment) if limit_s else CALM,
            cpu_s=Known(seen.cpu_s, at) if seen else missing or UNSEEN,
            proc_state=Known(seen.state, at) if seen else missing or UNSEEN,
            stopped_s=moment.mono - watch.stopped_at if watch.stopped_at is not None else 0.0,
            rss_mb=Known(seen.rss_mb, at) if seen else missing or UNSEEN,
        )

    def due(self, observation: Observation) -> float:
        """When the next of the deadlines that lie before long is reached (monotonic)."""
        later = (one for one in self._soon.values() if one > observation.mono)
        return min(later, default=float("inf")) + JUST_AFTER_S

    def begin_anew(self, mono: float) -> None:
        """All windows begin now: we were away, or time jumped."""
        for watch in self._watches.values():
            watch.since = mono
            watch.family = {}
            if watch.stopped_at is not None:
                watch.stopped_at = mono

    def forget(self, living: Mapping[str, WorkerRecord]) -> None:
        """Workers that are no more."""
        if not self._watches.keys() <= living.keys():
            self._watches = {name: one for name, one in self._watches.items() if name in living}
            self._soon = {name: one for name, one in self._soon.items() if name in living}

    def _watch(self, record: WorkerRecord, moment: Moment) -> _Watch:
        watch = self._watches.get(record.worker)
        if watch is None:
            identity = Identity(record.worker, record.token, record.pid, record.start_ticks)
            watch = self._watches[record.worker] = _Watch(identity, moment.mono)
        return watch

    def _limit_s(self, record: WorkerRecord, watch: _Watch) -> float:
        """0 for a command job: it has no steps, so it has no silence."""
        if is_command(record.job):
            return 0.0
        floors = self._swarm.config.workers.quiet_floor_s
        if not isinstance(watch.progress, Known):
            return quiet_limit_s(floors, "start", None, None)
        progress = watch.progress.known
        return quiet_limit_s(floors, progress.phase, watch.interval_s, progress.next_s)

    def _read_progress(self, record: WorkerRecord, watch: _Watch, moment: Moment) -> None:
        if is_command(record.job):
            return
        files, path = self._swarm.world.files, self._swarm.folder(record.worker) / PROGRESS
        try:
            stat = files.stat(path)
            if (stat.inode, stat.mtime) == watch.stamp:
                return
            said = orjson.loads(files.read(path))
            progress = _progress(said) if said.get("worker") == record.worker else None
        except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
            if isinstance(watch.progress, Missing):
                watch.progress = Missing(str(error) or type(error).__name__, moment.mono)
            return
        if progress is not None:
            watch.stamp = (stat.inode, stat.mtime)
            self._stepped(record, watch, progress, moment)

    def _stepped(self, record: WorkerRecord, watch: _Watch, progress: ProgressView, moment: Moment) -> None:
        """Take over what it says of itself; a step, or a new phase, ends its silence."""
        before = watch.progress.known if isinstance(watch.progress, Known) else None
        same_phase = before is not None and before.phase == progress.phase
        steps = progress.step - before.step if before is not None and same_phase else progress.step
        if steps > 0 or not same_phase:
            at = min(moment.mono, max(watch.since, progress.mono))
            if same_phase and steps > 0:
                watch.interval_s = ewma(watch.interval_s, (at - watch.since) / steps)
            elif not same_phase:
                watch.interval_s = None
            watch.since, watch.family = at, {}
            if isinstance(sample := self._swarm.world.processes.sample(watch.identity), Known):
                watch.cpu_at_step = sample.known.cpu_s
        watch.progress = Known(progress, moment.mono)
        if progress.step > 0 and record.state == "starting":
            self._swarm.journal.live.note_first_step(record.worker)

    def _read_process(self, record: WorkerRecord, watch: _Watch, moment: Moment) -> None:
        watch.sample = sample = self._swarm.world.processes.sample(watch.identity)
        if not isinstance(sample, Known):
            return
        if sample.known.state != "T":
            watch.stopped_at = None
        elif watch.stopped_at is None:
            watch.stopped_at = moment.mono
            self._soon[record.worker] = moment.mono + STOPPED_S
        if not is_command(record.job):
            self.engine_cpu_s += max(0.0, sample.known.cpu_s - watch.cpu_counted)
            watch.cpu_counted = sample.known.cpu_s

    def _foresee(self, records: Mapping[str, WorkerRecord], moment: Moment) -> None:
        """Who may run into a deadline before the next tick but one: looked at in every cycle from now on."""
        horizon = moment.mono + 2 * self._swarm.config.cycle.tick_s
        soon = {}
        for name, watch in self._watches.items():
            record = records.get(name)
            if record is None:
                continue
            times = [one for one in self._deadlines(record, watch, moment) if one <= horizon]
            if times or watch.stopped_at is not None:
                soon[name] = min((one for one in times if one > moment.mono), default=moment.mono)
        self._soon = soon

    def _deadlines(self, record: WorkerRecord, watch: _Watch, moment: Moment) -> Iterable[float]:
        if watch.stopped_at is not None:
            yield watch.stopped_at + STOPPED_S
        if limit_s := self._limit_s(record, watch):
            yield watch.since + limit_s
            yield watch.since + WHATEVER_FACTOR * limit_s
        if record.state == "starting":
            yield moment.mono + record.start_due - moment.now

    def _quiet_cpu(self, watch: _Watch, quiet_s: float, limit_s: float, moment: Moment) -> Reading[float]:
        """CPU seconds of all its processes in its silence. Others than the main one count from the first suspicion."""
        if quiet_s < limit_s / 2 or (not moment.tick and quiet_s < limit_s):
            return CALM
        family = self._swarm.world.processes.family_cpu(watch.identity)
        if not watch.family:
            watch.family = dict(family)
            if watch.cpu_at_step is not None:
                watch.family[watch.identity.pid, watch.identity.ticks] = watch.cpu_at_step
        used = sum(max(0.0, cpu - watch.family.get(one, 0.0)) for one, cpu in family.items())
        return Known(used, moment.mono)


def _progress(said: Mapping[str, Any]) -> ProgressView:
    """Raises TypeError for what no worker of ours writes, and ValueError for a newer version."""
    if said.get("v", VERSION) > VERSION:
        raise ValueError(f"version {said['v']}, this daemon reads {VERSION}")
    for name, kinds in SAID.items():
        value = said.get(name)
        if not isinstance(value, kinds) and (value is not None or name in NEEDED):
            raise TypeError(f"{name} is a {type(value).__name__}")
    seeds = said.get("seeds")
    return ProgressView(
        phase=said["phase"],
        step=said["step"],
        mono=float(said["mono"]),
        steps=said.get("steps"),
        rate=said.get("rate"),
        unit=said.get("unit") or "",
        next_s=said.get("next_s"),
        checkpoint=said.get("checkpoint"),
        backend=said.get("backend") or "",
        device=said.get("device") or "",
        seeds=seeds.get("n") if seeds else None,
        gpu_mem_mb=said.get("gpu_mem_mb") or 0,
    )
