"""How many independent configurations would do what K correlated ones do.

Notation: corr float64 [K, K], the correlation of the configurations' daily returns; l its eigenvalues. The project uses
`pca95`; the others stand beside it because papers disagree. Participation: (sum l)^2 / sum l^2. Entropy: Roy and
Vetterli (2007). Galwey (2009). Nyholt (2004), after Cheverud. Li and Ji (2005). Average correlation: Bailey and Lopez
de Prado (2014), appendix.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..bars import Floats

NULL_HYPOTHESIS = "none: a description of how alike the configurations are; it assumes linear dependence only"
FLOOR = 50
"""Correlated returns hide independent luck in the tails, so fewer than this are never claimed."""
EXPLAINED = 0.95
TINY = 1e-10


@dataclass(frozen=True)
class EffectiveTrials:
    avg_corr_linear: float
    avg_corr_variance: float
    participation: float
    entropy: float
    galwey: float
    cheverud_nyholt: float
    li_ji: float
    kaiser: int
    pca95: int


def effective_trials(corr: Floats) -> EffectiveTrials:
    """All measures of one correlation matrix."""
    k = len(corr)
    values = np.clip(np.linalg.eigvalsh(corr)[::-1], 0.0, None)
    values[values < TINY * k] = 0.0
    share = values[values > 0] / values.sum()
    rho = (float(corr.sum()) - k) / (k * (k - 1)) if k > 1 else 0.0
    return EffectiveTrials(
        avg_corr_linear=rho + (1 - rho) * k,
        avg_corr_variance=k / (1 + (k - 1) * rho),
        participation=float(values.sum() ** 2 / np.sum(values**2)),
        entropy=math.exp(-float(np.sum(share * np.log(share)))),
        galwey=float(np.sum(np.sqrt(values)) ** 2 / values.sum()),
        cheverud_nyholt=1 + (k - 1) * (1 - float(np.var(values, ddof=1)) / k) if k > 1 else 1.0,
        li_ji=float(np.sum((values >= 1 - TINY * k) + (values - np.floor(values + TINY * k)).clip(0.0))),
        kaiser=int(np.count_nonzero(values > 1 + TINY * k)),
        pca95=_components(values),
    )


def pca95(returns: Floats) -> int:
    """Principal components that explain 95 % of the daily returns float64 [D, K], each column standardised.

    Columns that never vary are left out; 0 when none is left.
    """
    varying = returns[:, np.any(returns != returns[:1], axis=0)]
    if varying.shape[1] == 0:
        return 0
    away = varying - varying.mean(axis=0)
    away /= np.linalg.norm(away, axis=0)
    narrow = away @ away.T if away.shape[0] < away.shape[1] else away.T @ away
    return _components(np.clip(np.linalg.eigvalsh(narrow)[::-1], 0.0, None))


def _components(values: Floats) -> int:
    reached = np.cumsum(values) >= EXPLAINED * values.sum() * (1 - TINY)
    return int(np.argmax(reached)) + 1
