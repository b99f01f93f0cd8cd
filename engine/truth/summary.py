"""What a suite says: how many certificates in each family, how sure that is, and whether p-values are uniform."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.stats import kstest

from ..validation.failure_rate import max_failures, upper_bound

UNIFORM = ("gbm", "gbm_drift", "real_permuted")
"""Where the permutation p is exactly uniform; elsewhere clusters of volatility make it so only roughly."""
DEFLATED_SHARPE = "deflated_sharpe.probability"
DEFLATED = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
TIES = 0  # seed by which ties are broken


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts by family, the bound on the rate of certificates, KS of the permutation p."""
    families = sorted({row["family"] for row in rows})
    certified = sum(row["verdict"] == "CERTIFIED" for row in rows)
    return {
        "markets": len(rows),
        "certified": certified,
        "rate": round(certified / len(rows), 4) if rows else None,
        "rate_below_at_95_percent": round(upper_bound(certified, len(rows)), 4) if rows else None,
        "allowed_for_5_percent": max_failures(len(rows)) if rows else None,
        "families": {name: _counts([row for row in rows if row["family"] == name]) for name in families},
        "rules": {name: rules([row for row in rows if name in ("all", row["family"])]) for name in (*families, "all")},
        "ks_uniform": _ks([row for row in rows if row["family"] in UNIFORM], "two-sided"),
        "ks_not_too_small": _ks(rows, "greater"),
    }


def _counts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    p = [row["p_search"] for row in rows if row.get("p_search") is not None]
    vetoes = Counter(veto for row in rows for veto in row.get("vetoes", ()))
    return {
        "markets": len(rows),
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "p_search_at_most_0.05": sum(one <= 0.05 for one in p),
        "evidence_whatever_the_vetoes": sum(_evidence(row) for row in rows),
        "vetoes": dict(vetoes.most_common()),
        "seconds": round(float(np.mean([row["seconds"] for row in rows])), 1),
    }


def rules(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How many would be certified by other rules: the evidence alone, without one of the vetoes, and with another limit
    of the deflated Sharpe ratio."""
    proven = [row for row in rows if _evidence(row)]
    vetoes = sorted({veto for row in rows for veto in row.get("vetoes", ())})
    told = {"as it is": sum(not row["vetoes"] for row in proven), "the evidence alone": len(proven)}
    told |= {f"without {veto}": sum(set(row["vetoes"]) <= {veto} for row in proven) for veto in vetoes}
    for limit in DEFLATED:
        passed = [row for row in proven if (row["gates"].get(DEFLATED_SHARPE) or 0.0) >= limit]
        told[f"{DEFLATED_SHARPE} >= {limit:g}"] = sum(set(row["vetoes"]) <= {DEFLATED_SHARPE} for row in passed)
    return told


def _evidence(row: dict[str, Any]) -> bool:
    """Whether both p-values in one would do at a first look, whatever the vetoes."""
    combined = row.get("combined")
    return combined is not None and combined <= 0.04


def _ks(rows: list[dict[str, Any]], side: str) -> dict[str, float] | None:
    """Kolmogorov and Smirnov: the permutation p against the uniform law, ties broken at random.

    `greater`: only p-values that are too often small count against it.
    """
    rng = np.random.default_rng(TIES)
    found = [row for row in rows if row.get("nulls")]
    found.sort(key=lambda row: (row["family"], row["number"]))
    values = [randomised(row["nulls"]["permutation"], row["budget"], rng.random()) for row in found]
    if len(values) < 2:
        return None
    result = kstest(values, "uniform", alternative=side)
    return {"markets": len(values), "statistic": round(float(result.statistic), 4), "p": round(float(result.pvalue), 4)}


def randomised(null: dict[str, Any], budget: dict[str, Any], u: float) -> float:
    """A p-value spread over the step of its lattice, so that it is uniform where the null holds.

    Stopped after h of l: from h / (l + 1) to h / l; else k of B: from k / (B + 1) to (k + 1) / (B + 1).
    """
    h, b = budget["stop_after"], budget["permutations"]
    count = null["exceedances"]
    if count >= h:
        high, low = h / null["markets"], h / (null["markets"] + 1)
    else:
        high, low = (count + 1) / (b + 1), count / (b + 1)
    return float(low + u * (high - low))


def lines(told: dict[str, Any]) -> Iterable[str]:
    """The same as text."""
    yield f"{'family':<22}{'markets':>8}{'certified':>10}{'p<=0.05':>9}  verdicts"
    for name, one in told["families"].items():
        verdicts = ", ".join(f"{count} {word}" for word, count in one["verdicts"].items())
        certified = one["verdicts"].get("CERTIFIED", 0)
        yield f"{name:<22}{one['markets']:>8}{certified:>10}{one['p_search_at_most_0.05']:>9}  {verdicts}"
    for name, count in told["rules"]["all"].items():
        yield f"  {count:>4} by the rule: {name}"
    yield f"{told['certified']} of {told['markets']} certified; rate below {told['rate_below_at_95_percent']} at 95 %"
    for name in ("ks_uniform", "ks_not_too_small"):
        if told[name]:
            yield f"{name}: p {told[name]['p']} of {told[name]['markets']} markets"
