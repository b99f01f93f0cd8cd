"""One turn of the loop, top to bottom: the only place that knows the order.

Level-triggered, edge-woken: what woke us only says that it is time. Every decision is made from the whole observation.
"""

from .council import Council
from .executor import Executor
from .journal import Journal
from .moment import Moment
from .observe import Observer
from .saving import Saver
from .verify import Verifier


class Parts:
    """What one turn needs, in the order it is used."""

    def __init__(self, journal: Journal, observer: Observer, council: Council, executor: Executor, verifier: Verifier,
                 saver: Saver) -> None:  # fmt: skip
        self.journal, self.observer, self.council = journal, observer, council
        self.executor, self.verifier, self.saver = executor, verifier, saver


def run_cycle(parts: Parts, moment: Moment) -> float:
    """Observe, decide, act, look again, save. Returns when the next cycle is due at the latest (monotonic seconds)."""
    parts.journal.turn(moment)
    observation = parts.observer.observe(moment)  # ends of workers are judged here, commands taken, commands' jobs kept
    proposals = parts.council.propose(observation)
    decision = parts.council.arbitrate(observation, proposals)
    orders = parts.council.dispatch(observation, decision)
    intents = parts.executor.intend(observation, orders)
    may_spawn = parts.journal.flush()  # nothing is begun that the log does not know of
    parts.executor.act(intents, may_spawn=may_spawn)
    observation = parts.observer.again(observation)
    parts.verifier.verify(observation)
    parts.saver.save(observation)
    parts.journal.flush()
    return parts.observer.due(observation)
