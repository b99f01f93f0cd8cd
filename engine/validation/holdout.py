"""The one door to the sealed days: a look is entered in the ledger, synced, and only then is anything evaluated.

Series use every bar up to the end of the hold-out; trading starts flat at its first bar and takes only crosses that act
inside it. At twice the costs it is the same look: the same candidate on the same days.
"""

from dataclasses import dataclass

from ..backtest import Backtest
from ..bars import Bars
from ..costs import Costs
from ..kernels.exact import simulate
from ..ledger import Ledger, Look, candidate_of
from ..split import Split
from ..strategies.api import Params
from .position_shift import Timing, timing

NULL_HYPOTHESIS = (
    "the candidate has no edge; it was chosen without these days, and they were looked at as often as stated"
)
TWICE = 2.0


@dataclass(frozen=True)
class Seen:
    """What a look showed; all None when the hold-out was spent. `timing`: its positions against themselves, shifted."""

    look: Look
    run: Backtest | None = None
    at_twice_the_costs: Backtest | None = None
    timing: Timing | None = None


def look_at_holdout(
    ledger: Ledger, search: str, bars: Bars, cut: Split, params: Params, costs: Costs, leverage: float
) -> Seen:
    """Enter the look and evaluate. `bars` are all the market's candles. Raises what the ledger raises, unseen."""
    look = ledger.enter_look(search, cut, candidate_of(params.as_dict(), leverage))
    if look.entry is None:
        return Seen(look)
    start, stop = cut.holdout_range(bars)
    known = bars.slice(0, stop)
    run, stressed = (
        simulate(known, params, rates, leverage, trade_from=start) for rates in (costs, costs.times(TWICE))
    )
    return Seen(look, run, stressed, timing(run, known, start))
