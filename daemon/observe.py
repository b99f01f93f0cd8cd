"""The observation: what the records say, and what was measured of it.

Woken by an event, only what it touched is looked at again; at a tick everything is. A probe is never waited for.
"""

from collections.abc import Mapping
from dataclasses import replace

from ..agents.detectors.overdue import gap
from ..state.models.events import Draft
from ..state.models.facts import Command, HostView, Observation, SwarmView, WorkerView
from ..state.models.readings import HOST_LIMIT_S, fresh
from ..state.models.records import Hold, JobRecord, LaneRecord, WorkerRecord
from ..state.scribe import Unanswered
from .endings import Endings
from .moment import Moment
from .swarm import Swarm
from .usage import Usage
from .watching import Watching
from .wishing import Wishing
from .workers.adopt import Adoption

JUMP_S = 2.0
"""UTC may drift this much against monotonic time between two cycles before it is called a jump."""
STEP_S = 0.05
RETRY_S = 1.0
"""While the log cannot be written, this long until it is tried again."""


class Observer:
    """Makes the observation of a cycle, and says when the next one is due."""

    def __init__(self, swarm: Swarm, endings: Endings, adoption: Adoption, wishing: Wishing) -> None:
        self._swarm, self._endings, self._adoption, self._wishing = swarm, endings, adoption, wishing
        self.watching = Watching(swarm)
        self.usage = Usage()
        self._views: dict[str, WorkerView] = {}
        self._seen = -1  # the cycle of these views
        self._last: Moment | None = None

    def observe(self, moment: Moment) -> Observation:
        """All there is, as of now. Ends of workers are judged, commands of people taken on the way."""
        self._notice_gap(moment)
        self._swarm.look(tick=moment.tick)
        ended = [*self._adoption.settle(moment), *self._endings.judge(moment)]
        commands = self._wishing.take(moment)
        self._wishing.reconcile(moment)
        if moment.tick:
            self._swarm.world.host.refresh()
            self.watching.sweep(moment)
            self.usage.add(moment.mono, self._swarm.world.host.readings(), self.watching.engine_cpu_s)
            self._audit(moment)
        observation = self._compose(moment, commands)
        if ended:
            gone = {view.worker: view for view in ended}
            observation = replace(observation, workers={**gone, **observation.workers})
        return observation

    def glance(self, moment: Moment) -> Observation:
        """As of now; nothing is judged and no command taken."""
        self.watching.sweep(moment)
        return self._compose(moment, ())

    def again(self, observation: Observation, moment: Moment) -> Observation:
        """The same moment after the executor acted: records and whatever they touched are new."""
        return self._compose(moment, observation.commands)

    def due(self, observation: Observation, tick_due: float, *, unsettled: bool = False) -> float:
        """When the next cycle is due at the latest (monotonic): the next tick, or the first deadline before it.

        `unsettled`: this cycle changed what could be decided, so the next one follows at once.
        """
        if unsettled:
            return observation.mono
        now, mono = observation.now, observation.mono
        times = [job.not_before for job in observation.jobs.values() if job.state == "queued" and job.not_before > now]
        times += [hold.until for hold in observation.holds.values() if hold.until is not None and hold.until > now]
        times += self._bucket(observation)
        times += [now + RETRY_S] if observation.host.log_backlog else []
        times += [item.due for item in observation.verify if item.due > now]
        ladders = (view.record for view in observation.workers.values() if view.record.state == "stopping")
        times += [record.stop.due for record in ladders if record.stop]  # whom no signal ends is on no rung any more
        first = min(times, default=now + tick_due - mono)
        due = min(tick_due, mono + max(0.0, first - now), self.watching.due(observation))
        return max(mono + STEP_S, due) if due > mono and self._adoption.undecided else due

    def _bucket(self, observation: Observation) -> list[float]:
        """When the spawn bucket has a token again, if somebody waits for one."""
        bucket, limits = observation.buckets.spawn, observation.swarm.config.restart
        if bucket is None:
            return []
        level = bucket.at(observation.mono, limits.spawn_burst, limits.spawn_per_s)
        if level >= 1.0 or not any(job.startable(observation.now) for job in observation.jobs.values()):
            return []
        return [observation.now + (1.0 - level) / limits.spawn_per_s]

    def _compose(self, moment: Moment, commands: tuple[Command, ...]) -> Observation:
        swarm = self._swarm
        state = swarm.journal.state
        control, queue, fleet = state.control, state.queue, state.fleet
        return Observation(
            cycle=moment.cycle,
            now=moment.now,
            mono=moment.mono,
            gap_s=moment.gap_s,
            draw=moment.draw,
            woken_by=moment.woken_by,
            commands=commands,
            swarm=SwarmView(swarm.swarm_id, swarm.epoch, swarm.config, control.desired, queue.run, queue.round,
                            swarm.build, control.started, queue.first),
            host=self._host(moment),
            gpus=swarm.world.gpu.readings(),
            lanes=fleet.lanes,
            jobs=queue.jobs,
            workers=self._workers(fleet.workers, moment),
            files=swarm.file_views,
            probes=control.probes,
            agents=control.agents,
            incidents=control.incidents,
            holds=_holds(control.holds, fleet.lanes, queue.jobs),
            verify=fleet.verify,
            buckets=control.buckets,
            run_gates=queue.run_gates,
            artifacts=swarm.findings.artifacts,
            leaderboard=swarm.findings.leaderboard,
            searches=swarm.findings.searches,
            provider=swarm.world.provider.reading(),
        )  # fmt: skip

    def _workers(self, records: Mapping[str, WorkerRecord], moment: Moment) -> dict[str, WorkerView]:
        """Views by worker; one whose record and readings did not change is the one of the cycle before."""
        known, watching = self._views, self.watching
        suspects = records if moment.tick and moment.cycle != self._seen else watching.suspects
        self._seen = moment.cycle
        views = {}
        for name, record in records.items():
            view = known.get(name)
            if view is None or view.record is not record or name in suspects:
                view = watching.view(record, moment)
            views[name] = view
        self.watching.forget(records)
        self._views = views
        return views

    def _host(self, moment: Moment) -> HostView:
        readings = self._swarm.world.host.readings()
        ours, others = self.usage.shares(readings.cpus, moment.mono)
        return HostView(
            cpus=readings.cpus,
            mem_mb=readings.mem_mb,
            cpu_ours=fresh(ours, moment.mono, HOST_LIMIT_S),
            cpu_others=fresh(others, moment.mono, HOST_LIMIT_S),
            mem_free_mb=fresh(readings.mem_free_mb, moment.mono, HOST_LIMIT_S),
            oom_kills=fresh(readings.oom_kills, moment.mono, HOST_LIMIT_S),
            pids_max=readings.pids_max,
            pids_used=fresh(readings.pids_used, moment.mono, HOST_LIMIT_S),
            disk=readings.disk,
            ballast_mb=readings.ballast_mb,
            log_backlog=self._swarm.journal.blocked,
            disk_silent_s=self._swarm.scribe.silent_s(),
        )

    def _audit(self, moment: Moment) -> None:
        """Read back every state file; between ticks the views of repaired ones are the repairs'."""
        swarm = self._swarm
        if not swarm.saved:
            return  # what lies there was not written by this daemon yet
        try:
            swarm.file_views = dict(swarm.scribe.audit(moment.now))
        except Unanswered as error:
            silent = {"valid": False, "fault": "unanswered", "why": str(error)}
            swarm.file_views = {name: replace(view, **silent) for name, view in swarm.file_views.items()}  # type: ignore[arg-type]

    def _notice_gap(self, moment: Moment) -> None:
        """After an absence of our own, or a jump of the clock, no silence says anything yet."""
        last, self._last = self._last, moment
        if last is None:
            return
        jump = (moment.now - last.now) - (moment.mono - last.mono)
        if abs(jump) > JUMP_S:
            self._swarm.journal.tell(Draft("clock.jumped", "clock", {"by_s": round(jump, 3)}))
        if gap(moment.gap_s, self._swarm.config.cycle.tick_s):
            self._swarm.journal.tell(Draft("daemon.overslept", "daemon", {"gap_s": round(moment.gap_s, 3)}))
        elif abs(jump) <= JUMP_S:
            return
        self.watching.begin_anew(moment.mono)


def _holds(
    holds: Mapping[str, Hold], lanes: Mapping[str, LaneRecord], jobs: Mapping[str, JobRecord]
) -> dict[str, Hold]:
    """Those of the swarm and of GPUs, of lanes and of jobs, by hold name."""
    found = dict(holds)
    held = [(name, lane.hold) for name, lane in lanes.items() if lane.hold is not None]
    held += [(name, job.hold) for name, job in jobs.items() if job.hold is not None]
    found.update((hold.name(name), hold) for name, hold in held)
    return found
