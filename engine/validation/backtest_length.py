"""How long a backtest must be so that the best of N worthless configurations is not expected to reach a given Sharpe.

Bailey, Borwein, Lopez de Prado and Zhu (2014), Pseudo-Mathematics and Financial Charlatanism, Notices of the AMS 61(5).
"""

import math

from .deflated_sharpe import expected_max_z

NULL_HYPOTHESIS = "none of N independent configurations has an edge"


def min_backtest_length_years(trials: float, target_sharpe: float) -> float:
    """Years in which the best of N worthless configurations is expected to show `target_sharpe`, annualised."""
    return (expected_max_z(trials) / target_sharpe) ** 2


def min_backtest_length_bound(trials: float, target_sharpe: float) -> float:
    """The simple upper bound 2 ln N / target^2, years."""
    return 2.0 * math.log(trials) / target_sharpe**2
