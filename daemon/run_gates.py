"""What a round has come to: the gates of the whole run with their evidence, and what became of each symbol and mode."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from ..agents.detectors.rounds import Chain, chains
from ..state.models.facts import JobView, LeaderView, Observation
from ..state.models.readings import Known
from ..state.models.records import RunGate
from ..state.models.transitions import ENDED_JOBS
from ..state.results import ALL_TRIALS, PHASE0, VALIDATION

STAGES: Final = (("phase0_artifacts", "prescreen", PHASE0), ("trials", "optimize", ALL_TRIALS),
                 ("verdicts", "validate", VALIDATION))  # fmt: skip
"""Gate, the stage that meets it, what that leaves."""
NAMED: Final = 12
"""So many symbols and modes stand in one line of the log."""
State = Literal["met", "open", "failed"]
Outcome = Literal["validated", "closed", "held", "open"]


def run_gates(observation: Observation) -> tuple[RunGate, ...]:
    """One for each thing that every expected symbol and mode of the round must have, and those of the run itself."""
    if not observation.swarm.run:
        return ()
    jobs = by_chain(observation)
    stages = (_stage_gate(jobs, *one) for one in STAGES) if jobs else ()
    return (*stages, _hand_over(observation), _knowledge(observation))


def by_chain(observation: Observation) -> dict[Chain, list[JobView]]:
    """Main jobs of the present round by symbol and mode, those of the plan first. A job that was replaced is none."""
    jobs: dict[Chain, list[JobView]] = {one: [] for one in chains(observation.swarm.config)}
    for job in main_jobs(observation):
        if job.state != "replaced":
            jobs.setdefault(Chain(job.spec.symbol, job.spec.mode), []).append(job)
    return jobs


def main_jobs(observation: Observation) -> list[JobView]:
    prefix = f"r{observation.swarm.round}/"
    return [job for name, job in observation.jobs.items() if name.startswith(prefix) and job.spec.lane_role == "main"]


def outcome_of(jobs: Iterable[JobView]) -> Outcome:
    """Of one symbol and mode. `closed`: by a gate that failed for good, or by a person."""
    states = [job.state for job in jobs]
    if any(job.hold is not None and job.hold.until is None for job in jobs):
        return "held"
    if any(state not in ENDED_JOBS for state in states):
        return "open"
    return "closed" if "cancelled" in states or not states else "validated"


def finished(
    observation: Observation, leaderboard: Sequence[LeaderView], *, by_force: bool = False
) -> dict[str, Any] | None:
    """The `data` of round.finished; None while something of the round can go on by itself, or it has no jobs.

    `by_force`: another begins whatever is open; that is `dropped`.
    """
    number, jobs = observation.swarm.round, main_jobs(observation)
    outcomes: dict[Chain, str] = {chain: outcome_of(own) for chain, own in by_chain(observation).items() if own}
    if not jobs or ("open" in outcomes.values() and not by_force):
        return None
    outcomes = {chain: "dropped" if outcome == "open" else outcome for chain, outcome in outcomes.items()}
    names: dict[str, list[str]] = {}
    for chain, outcome in outcomes.items():
        names.setdefault(outcome, []).append(f"{chain.symbol}/{chain.mode}")
    data: dict[str, Any] = {
        "round": number,
        "jobs": dict(Counter(job.state for job in jobs)),
        "counts": dict(Counter(outcomes.values())),
        "outcomes": {outcome: found[:NAMED] for outcome, found in names.items()},
    }
    if verdicts := Counter(row.verdict for row in leaderboard if row.round == number):
        data["verdicts"] = dict(verdicts)
    return data


def in_words(data: Mapping[str, Any]) -> str:
    """`3 validated, 1 closed; verdicts: 3 UNCERTIFIED`."""
    said = ", ".join(f"{count} {outcome}" for outcome, count in data["counts"].items())
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in data.get("verdicts", {}).items())
    return f"{said}; verdicts: {verdicts}" if verdicts else said


def _stage_gate(jobs: Mapping[Chain, Sequence[JobView]], gate: str, stage: str, leaves: str) -> RunGate:
    states = {chain: _stage(own, stage) for chain, own in jobs.items()}
    met = [chain for chain, state in states.items() if state == "met"]
    worst: State = "met"
    if "open" in states.values():
        worst = "open"
    elif "failed" in states.values():
        worst = "failed"
    evidence = f"{len(met)} of {len(states)}"
    lacking = [f"{chain.symbol}/{chain.mode}" for chain, state in states.items() if state == worst]
    if worst == "met":
        paths = (path for job in jobs[met[0]] for path in job.artifacts if path.endswith(leaves))
        evidence = next(paths, evidence) if len(met) == 1 else f"{evidence}, such as {next(paths, leaves)}"
    else:
        why = next((_why(jobs[chain]) for chain, state in states.items() if state == worst), "")
        evidence += f"; {worst}: {', '.join(lacking[:NAMED])}{f' ({why})' if why else ''}"
    return RunGate(gate, worst, evidence)


def _stage(jobs: Sequence[JobView], stage: str) -> State:
    mine = [job for job in jobs if job.spec.stage == stage]
    if mine and all(job.state == "done" for job in mine):
        return "met"
    return "open" if outcome_of(jobs) == "open" or not jobs else "failed"


def _why(jobs: Sequence[JobView]) -> str:
    """What holds or closed them, as far as the records say."""
    for job in jobs:
        if job.hold is not None:
            return f"{job.spec.stage} held: {job.hold.reason}"
    done = [job.spec.stage for job in jobs if job.state == "done"]
    if any(job.state == "cancelled" for job in jobs):
        return f"closed after {done[-1]}" if done else "cancelled"
    return ""


def _hand_over(observation: Observation) -> RunGate:
    knowledge = observation.knowledge.known if isinstance(observation.knowledge, Known) else {}
    if "handoff" not in knowledge:
        return RunGate("latest_handoff_recent", "waived", "this build writes no hand-over")
    return RunGate("latest_handoff_recent", "met" if knowledge["handoff"] else "open", str(knowledge["handoff"]))


def _knowledge(observation: Observation) -> RunGate:
    if not isinstance(observation.knowledge, Known):
        return RunGate("knowledge_plane_ready", "waived", "this build keeps no knowledge store")
    ready = bool(observation.knowledge.known.get("ready", True))
    return RunGate("knowledge_plane_ready", "met" if ready else "open", "the knowledge store answers" * ready)
