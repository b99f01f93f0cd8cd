"""What the swarm says about itself at a tick: heartbeat, summary of the minute, the end of a round, plan and gates.

Called in the cycle after the work is done, and never between an exit and its replacement.
"""

from collections import Counter
from typing import Any, Final

from ..state.models.events import Draft
from ..state.models.facts import Observation
from ..state.models.names import SWARM, is_command, parse_job
from ..state.models.state_files import HEARTBEAT_LIMIT_S, heartbeat_file
from ..state.models.transitions import ENDED_JOBS
from ..state.store import HEARTBEAT_BYTES
from ..state.wire import encode
from .account import CONTINUITY_AGENT, Continuity, throughput, utilisation, why_not_well
from .background import Errand
from .council import Council
from .housekeeping import Keep
from .moment import Moment
from .run_gates import finished, in_words, run_gates
from .swarm import Swarm

SUMMARY_S: Final = 60.0
HEARTBEAT_S: Final = 60.0
SWEEP_S: Final = 60.0
LOOK_S: Final = 4.0
"""After a job ended, the results are looked at no sooner than so long after the last time."""
PATIENCE_S: Final = 30.0
"""The end of a round waits so long for its results to be looked at."""
CLIPPED: Final = 160
MB: Final = 1 << 20


class Chronicle:
    """Its own times are monotonic and forgotten with the daemon: a new one begins with a heartbeat."""

    def __init__(self, swarm: Swarm, council: Council) -> None:
        self._swarm, self._council = swarm, council
        self._beaten: tuple[str, float] = ("", 0.0)
        self._summed: float | None = None
        self._cycle = 0
        self._samples: list[dict[str, float | None]] = []
        self._swept: float | None = None
        self._looked = 0.0
        self._ended = -1
        self._over: float | None = None

    def tick(self, observation: Observation, moment: Moment) -> None:
        """Everything that is due."""
        continuity: Continuity | None = self._council.memories.get(CONTINUITY_AGENT)
        steps = tuple(continuity.next_steps) if continuity else ()
        self._swarm.journal.live.note_plan(steps, run_gates(observation))
        self._end_of_round(observation, moment)
        self._summarise(observation, moment)
        self._beat(observation, continuity, moment)
        self._errand(observation, moment)

    # -- the round ------------------------------------------------------------------------------------------------

    def _end_of_round(self, observation: Observation, moment: Moment) -> None:
        """Told once, with the verdicts as soon as somebody has looked at them."""
        journal, round_ = self._swarm.journal, observation.swarm.round
        if not round_ or journal.state.queue.finished >= round_:
            self._over = None
            return
        data = finished(observation, self._swarm.findings.leaderboard)
        if data is None or journal.state.queue.round != round_:  # the next one began in this very cycle, and told it
            self._over = None
            return
        if self._over is None:
            self._over, self._ended = moment.mono, -1
            self._looked = moment.mono - LOOK_S  # its verdicts are wanted now
        if self._swarm.findings.mono >= self._over or moment.mono - self._over >= PATIENCE_S:
            journal.record(Draft("round.finished", f"r{round_}", data, outcome=in_words(data)))

    # -- the minute -----------------------------------------------------------------------------------------------

    def _summarise(self, observation: Observation, moment: Moment) -> None:
        rates, use = throughput(observation), utilisation(observation)
        self._samples.append({**rates, "cpu_pct": use["cpu"]["pct"], "gpu_pct": use["gpu"]["pct"]})
        if self._summed is None:
            self._summed, self._cycle = moment.mono, moment.cycle
        if moment.mono - self._summed < SUMMARY_S:
            return
        data = self._summary(observation, moment)
        cpu = f"CPU {data['cpu_pct']:.0f}" if data["cpu_pct"] is not None else "CPU unknown"
        said = f"{cpu} of {data['cpu_target_pct']} %, {data['workers']} workers"
        self._swarm.journal.tell(Draft("cycle.summary", SWARM, data, outcome=said, dur_ms=data["slowest_ms"]))
        self._summed, self._cycle, self._samples = moment.mono, moment.cycle, []

    def _summary(self, observation: Observation, moment: Moment) -> dict[str, Any]:
        """Rates and use are means of the minute, of what could be read."""
        means = {name: _mean([one[name] for one in self._samples]) for name in self._samples[0]}
        targets = observation.swarm.config.targets
        agent, slowest_ms = self._council.slowest_agent()
        data: dict[str, Any] = {
            **means,
            "cpu_target_pct": targets.cpu_pct,
            "gpu_target_pct": targets.gpu_pct,
            "jobs": dict(Counter(job.state for job in observation.jobs.values())),
            "workers": sum(view.record.living for view in observation.workers.values()),
            "incidents": len(observation.incidents),
            "holds": len(observation.holds),
            "cycles": moment.cycle - self._cycle,
            "slowest_agent": agent,
            "slowest_ms": round(slowest_ms, 1),
        }
        if swept := self._swarm.caretaker.swept():
            data["thrown_away"] = {"workers": swept.workers, "logs": swept.logs, "rounds": swept.rounds,
                                   "logs_cut": swept.cut[:10], "faults": swept.faults}  # fmt: skip
        return data

    # -- the heartbeat --------------------------------------------------------------------------------------------

    def _beat(self, observation: Observation, continuity: Continuity | None, moment: Moment) -> None:
        run = observation.swarm.run
        if not run or (self._beaten[0] == run and moment.mono - self._beaten[1] < HEARTBEAT_S):
            return
        self._beaten = (run, moment.mono)
        line = heartbeat(observation, continuity, self._swarm.journal.state.seq)
        self._swarm.scribe.beat(heartbeat_file(run), line, HEARTBEAT_LIMIT_S)

    # -- errands --------------------------------------------------------------------------------------------------

    def _errand(self, observation: Observation, moment: Moment) -> None:
        """Results are looked at when a job ended, and everything once a minute."""
        ended = sum(job.state in ENDED_JOBS for job in observation.jobs.values())
        sweep = self._swept is None or moment.mono - self._swept >= SWEEP_S
        if not sweep and (ended == self._ended or moment.mono - self._looked < LOOK_S):
            return
        self._ended, self._looked = ended, moment.mono
        self._swept = moment.mono if sweep else self._swept
        plan = self._swarm.desired.plan_file
        self._swarm.caretaker.ask(Errand(moment.now, moment.mono, keep_of(observation), sweep, plan))


def keep_of(observation: Observation) -> Keep:
    """What must stay, by the records."""
    config = observation.swarm.config
    open_ = {
        parse_job(job.job).round
        for job in observation.jobs.values()
        if job.state not in ENDED_JOBS and not is_command(job.job)
    }
    return Keep(
        gens={name: lane.gen for name, lane in observation.lanes.items()},
        living=frozenset(observation.workers),
        log_bytes=config.workers.log_max_mb * MB,
        rounds=config.results.keep_rounds,
        busy=frozenset({*open_, observation.swarm.round}),
    )


def heartbeat(observation: Observation, continuity: Continuity | None, seq: int) -> dict[str, Any]:
    """One line of at most 2 KB: how it is at this moment."""
    use, steps = utilisation(observation), tuple(continuity.next_steps) if continuity else ()
    line: dict[str, Any] = {
        "v": 1,
        "at": round(observation.now, 3),
        "mono": round(observation.mono, 3),
        "cycle": observation.cycle,
        "seq": seq,
        "run_id": observation.swarm.run,
        "round": observation.swarm.round,
        "stage": continuity.stage if continuity else "unknown",
        "health": continuity.health if continuity else "unknown",
        "health_why": why_not_well(observation)[:CLIPPED],
        "life": observation.swarm.desired.life,
        "utilisation": {name: {"pct": one["pct"], "target_pct": one["target_pct"]} for name, one in use.items()},
        "throughput": throughput(observation),
        "jobs": dict(Counter(job.state for job in observation.jobs.values())),
        "workers": sum(view.record.living for view in observation.workers.values()),
        "next_step": steps[0].action if steps else "",
        "next_steps": len(steps),
        "incidents": [f"{one.class_} {one.subject}"[:CLIPPED] for one in list(observation.incidents.values())[:5]],
        "incidents_open": len(observation.incidents),
        "holds": len(observation.holds),
        "agents_not_fresh": [name for name, one in observation.agents.items() if one.quarantine or one.failures][:10],
        "files_not_well": [name for name, one in observation.files.items() if not one.valid][:10],
    }
    for name in ("incidents", "files_not_well", "agents_not_fresh"):
        if len(encode(line)) < HEARTBEAT_BYTES:
            break
        line[name] = []
    return line


def _mean(values: list[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return round(sum(known) / len(known), 2) if known else None
