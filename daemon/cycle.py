"""One turn of the loop, top to bottom: the only place that knows the order.

Level-triggered, edge-woken: what woke us only says that it is time. Every decision is made from the whole observation.
"""

from dataclasses import dataclass

from ..state.models.facts import Observation
from .chronicle import Chronicle
from .council import Council
from .executor import Executor
from .moment import Moment
from .observe import Observer
from .probing import Probing
from .saving import Saver, remember
from .swarm import Swarm
from .verify import Verifier
from .wishing import Wishing


@dataclass
class Parts:
    """What one turn needs, in the order it is used."""

    swarm: Swarm
    wishing: Wishing
    probing: Probing
    observer: Observer
    council: Council
    executor: Executor
    verifier: Verifier
    chronicle: Chronicle
    saver: Saver


def run_cycle(parts: Parts, moment: Moment) -> tuple[Observation, bool]:
    """Observe, decide, act, look again, save: once. What is so afterwards, and whether more can be decided at once."""
    journal, scribe = parts.swarm.journal, parts.swarm.scribe
    journal.turn(moment)
    parts.saver.hear()
    parts.probing.notice(moment)
    observation = parts.observer.observe(moment)  # ends of workers are judged here, and people's commands taken
    proposals = parts.council.propose(observation)
    decision = parts.council.arbitrate(observation, proposals)
    orders = parts.council.dispatch(observation, decision)
    plan = parts.executor.intend(observation, orders, moment)
    may_spawn = journal.heard(scribe.flush())  # nothing is begun that the log does not know of
    parts.wishing.answer()
    parts.executor.act(plan, may_spawn=may_spawn)
    parts.council.wanting.tried(orders, plan.done, moment.mono)
    parts.verifier.verify(moment, observation)  # looks again at everything that is open
    remember(parts.council, plan, proposals, decision, orders)
    parts.saver.note_agents(moment)
    if moment.tick:
        parts.chronicle.tick(observation, moment)
    observation = parts.observer.again(observation, moment)
    journal.heard(scribe.flush())
    parts.saver.save(observation, moment)  # after the log, which it must not be ahead of
    return observation, plan.unsettled
