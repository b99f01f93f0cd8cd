"""A round: which symbols and modes it has, which of its jobs are open, and what keeps one from going on."""

from dataclasses import dataclass

from ...state.models.config import SYNTHETIC, Config
from ...state.models.facts import JobView, Observation
from ...state.models.transitions import ENDED_JOBS
from ...state.symbols import canonical, synthetic_name


@dataclass(frozen=True, slots=True)
class Chain:
    """One symbol and mode: its jobs follow each other from preflight to report."""

    symbol: str
    mode: str


def chains(config: Config) -> list[Chain]:
    """Of the plan in force, its markets in their one form."""
    symbols = [canonical(symbol) for symbol in config.plan.symbols]
    if config.plan.data_path == SYNTHETIC:
        symbols = [synthetic_name(symbol) for symbol in symbols] or [synthetic_name(None)]
    return [Chain(symbol, mode) for symbol in symbols for mode in config.plan.modes]


def jobs_of(observation: Observation, number: int) -> list[JobView]:
    """The jobs of a round, fill jobs too."""
    prefix = f"r{number}/"
    return [job for name, job in observation.jobs.items() if name.startswith(prefix)]


def next_round(observation: Observation) -> int:
    """The first of all begins after those that another swarm, or a run in the foreground, left in the results."""
    return (observation.swarm.round or observation.artifacts.newest) + 1


def chain_of(job: JobView) -> Chain:
    return Chain(job.spec.symbol, job.spec.mode)


def blocked(observation: Observation) -> set[Chain]:
    """Those that wait for a person: a job of theirs is held without an end."""
    return {chain_of(job) for job in observation.jobs.values() if job.hold is not None and job.hold.until is None} - {
        Chain("", "")
    }


def open_jobs(observation: Observation) -> list[JobView]:
    """Main jobs of the round that may still end by themselves."""
    waiting = blocked(observation)
    return [
        job
        for job in jobs_of(observation, observation.swarm.round)
        if job.state not in ENDED_JOBS and job.spec.lane_role == "main" and chain_of(job) not in waiting
    ]


def spent(observation: Observation, chain: Chain) -> bool:
    """Whether the hold-out of its newest search has been looked at too often. Searches stand in the order in which
    they were last entered; their keys begin with symbol and mode."""
    mine = [one for key, one in observation.searches.items() if key.startswith(f"{chain.symbol}/{chain.mode}/")]
    return bool(mine) and bool(mine[-1].spent_until)
