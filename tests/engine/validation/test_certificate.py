"""The rule: what two p-values come to, and which verdict follows."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from scipy.stats import chi2

from btswarm.engine import validate
from btswarm.engine.artifacts import read_model
from btswarm.engine.backtest import TRADE, Backtest
from btswarm.engine.ledger import Ledger
from btswarm.engine.progress import Silent
from btswarm.engine.split import split
from btswarm.engine.validation import certificate, position_shift
from btswarm.engine.validation.certificate import judgement, verdict_of
from btswarm.engine.validation.deflated_sharpe import expected_max_z, trials_that_reach
from btswarm.engine.validation.search_null import CHECKPOINT
from btswarm.engine.validation.selection import Effort
from btswarm.engine.validation.thresholds import EVIDENCE, LOOK_ALPHA, TABLE, judge
from btswarm.state.errors import Stopped, StorageBroken
from btswarm.state.models.ledger import Entry
from btswarm.state.models.validation import Figure, Validation

from .case import best_of, job_for, leave_candidate, market

BARS = market()
CUT = split(BARS)
SMALL = Effort(pairs=15, exits=2, starts=2, rounds=1)
GOOD = {
    EVIDENCE: 0.01,
    "p_search": 0.01,
    "p_holdout": 0.1,
    "holdout.sharpe_at_twice_the_costs": 1.0,
    "concentration.training_trades": 200,
    "concentration.later_trades": 50,
    "concentration.best_five_share": 0.2,
    "plateau.median_ratio": 0.9,
    "plateau.share_positive": 1.0,
    "deflated_sharpe.probability": 0.97,
    "pbo.pbo": 0.2,
    "monte_carlo.max_drawdown_p95": 0.2,
}
VETOED = {
    "p_holdout": 0.26,
    "holdout.sharpe_at_twice_the_costs": 0.0,
    "concentration.training_trades": 29,
    "concentration.later_trades": 1,
    "concentration.best_five_share": 0.51,
    "plateau.median_ratio": 0.69,
    "plateau.share_positive": 0.89,
    "deflated_sharpe.probability": 0.89,
    "pbo.pbo": 0.61,
    "monte_carlo.max_drawdown_p95": 0.46,
}


def entry(kind: str, search: str, seq: int, **facts: Any) -> Entry:
    return Entry.model_validate(
        {"seq": seq, "prev_sha256": "0" * 64, "at": 0.0, "kind": kind, "search": search, "symbol": "SOLUSDT", **facts}
    )


def fisher(p: float, q: float) -> float:
    return float(chi2.sf(-2 * (math.log(p) + math.log(q)), 4))


def verdict(changes: dict[str, Any] | None = None, unseen: str = "", needed: float | None = 2000.0) -> tuple[str, str]:
    figures = {name: Figure(value=value) for name, value in (GOOD | (changes or {})).items()}
    gates = judge(figures, 0.45, LOOK_ALPHA[0])
    return verdict_of(gates, figures, unseen=unseen, needed_days=needed, had_days=730)


# both p-values, among all searches


def test_one_search_alone_is_judged_by_fisher() -> None:
    found = judgement([entry("search", "a", 1)], "a", 0.02, 0.1, 1)
    assert found.combined == pytest.approx(fisher(0.02, 0.1))
    assert found.adjusted == found.combined
    assert (found.alpha, found.searches, found.without_p) == (0.04, 1, 0)


def test_every_other_search_of_the_ledger_counts_and_one_never_judged_as_1() -> None:
    entries = [entry("search", name, at) for at, name in enumerate("abc", start=1)]
    found = judgement(entries, "a", 0.02, 0.1, 1)
    assert found.adjusted == pytest.approx(3 * fisher(0.02, 0.1))
    assert (found.searches, found.without_p) == (3, 2)


def test_a_search_that_was_judged_enters_with_its_latest_verdict() -> None:
    entries = [entry("search", name, at) for at, name in enumerate("abc", start=1)]
    entries.append(entry("verdict", "b", 4, p_search=0.9, p_holdout=0.9, k=1))
    entries.append(entry("verdict", "b", 5, p_search=0.001, p_holdout=0.001, k=2))
    found = judgement(entries, "a", 0.02, 0.1, 1)
    assert found.adjusted == pytest.approx(2 * fisher(0.02, 0.1)), "b is the smaller of the two and comes first"
    assert found.without_p == 1


def test_a_search_that_the_ledger_knew_before_does_not_count_twice() -> None:
    entries = [entry("search", "a", 1), entry("verdict", "a", 2, p_search=0.5, p_holdout=0.5, k=1)]
    assert judgement(entries, "a", 0.02, 0.1, 2).searches == 1


@pytest.mark.parametrize(("look", "alpha"), [(1, 0.04), (2, 0.0075), (3, 0.0025)])
def test_each_look_spends_its_own_share_and_all_together_one_in_twenty(look: int, alpha: float) -> None:
    assert judgement([], "a", 0.02, 0.1, look).alpha == alpha
    assert sum(LOOK_ALPHA) == pytest.approx(0.05)


@pytest.mark.parametrize(("p", "q"), [(math.nan, 0.1), (0.1, math.nan)])
def test_without_both_p_values_there_is_neither_a_combined_one(p: float, q: float) -> None:
    found = judgement([], "a", p, q, 1)
    assert math.isnan(found.combined)
    assert math.isnan(found.adjusted)


# the verdict


def test_evidence_without_a_veto_is_certified() -> None:
    assert verdict() == ("CERTIFIED", "p = 0.01, at most 0.04 was asked, and no veto")


@pytest.mark.parametrize("figure", VETOED)
def test_each_veto_alone_rejects_whatever_the_evidence(figure: str) -> None:
    said, why = verdict({figure: VETOED[figure]})
    assert said == "REJECTED"
    assert why.startswith("1 of 10 vetoes: ")


def test_every_gate_but_the_evidence_is_a_veto() -> None:
    assert {one.figure for one in TABLE} == VETOED.keys() | {EVIDENCE}


def test_an_undefined_figure_is_a_veto() -> None:
    figures = {name: Figure(value=value) for name, value in GOOD.items()}
    figures["plateau.median_ratio"] = Figure(value=None, reason="undefined")
    gates = judge(figures, 0.45, 0.04)
    assert verdict_of(gates, figures, unseen="", needed_days=None, had_days=730)[0] == "REJECTED"


def test_too_little_evidence_without_a_veto_says_how_long_a_track_record_would_do() -> None:
    said, why = verdict({EVIDENCE: 0.041})
    assert said == "INSUFFICIENT EVIDENCE"
    assert why.startswith("p = 0.041 where at most 0.04 is asked; ")
    assert why.endswith("to tell its Sharpe ratio from luck's takes 2,000 days; 730 were there")
    assert "no track record" in verdict({EVIDENCE: 0.041}, needed=None)[1]


def test_what_was_not_looked_at_is_not_judged() -> None:
    said, why = verdict(unseen="not looked at: the hold-out is spent")
    assert said == "UNCERTIFIED"
    assert why == "not judged: not looked at: the hold-out is spent"


# the timing of positions


def held(entry_bar: int, exit_bar: int, side: int, *, at_open: bool = True) -> tuple[Any, ...]:
    return (entry_bar, exit_bar, side, 1.0, 1.0, 0.0, 0.0, 0, at_open)


def backtest(*trades: tuple[Any, ...], bars: int) -> Backtest:
    return Backtest(np.array(list(trades), dtype=TRADE), np.arange(2), np.ones(2), 0.0, bars)


def test_a_position_is_held_from_its_open_and_the_bar_inside_which_it_ends_counts() -> None:
    run = backtest(held(1, 3, 1), held(3, 4, -1, at_open=False), bars=7)
    assert position_shift.positions(run, 7).tolist() == [0, 1, 1, -1, -1, 0, 0]


def test_positions_that_foresee_every_move_are_not_luck_and_none_at_all_are() -> None:
    bars = market(30)
    start = 24
    up = np.append(np.diff(bars.open), 0) > 0
    foreseen = [held(i, i + 1, 1) for i in range(start, len(bars) - 1) if up[i]]
    found = position_shift.timing(backtest(*foreseen, bars=len(bars)), bars, start)
    assert found.p == 1 / (1 + found.shifts)
    assert found.shifts == len(bars) - start - 1
    assert found.exposure == pytest.approx(len(foreseen) / (len(bars) - start))
    nothing = position_shift.timing(backtest(bars=len(bars)), bars, start)
    assert (nothing.p, nothing.better) == (1.0, nothing.shifts)


def test_of_a_long_hold_out_9999_shifts_are_drawn_the_same_every_time() -> None:
    bars = market(430)
    always = [held(i, i + 9, 1 if i % 20 else -1) for i in range(0, len(bars) - 10, 10)]
    first, again = (position_shift.timing(backtest(*always, bars=len(bars)), bars, 0) for _ in range(2))
    assert first == again
    assert first.shifts == 9_999
    assert 0 < first.p < 1


def test_a_shift_keeps_the_sum_of_all_returns_over_all_shifts() -> None:
    rng = np.random.default_rng(3)
    r, position = rng.normal(size=301), rng.integers(-1, 2, 301).astype(float)
    sums = position_shift.shifted_sums(r, position)
    assert sums == pytest.approx(np.array([np.roll(position, s) @ r for s in range(301)]), abs=1e-10)


# the stage


def run(folder: Path, permutations: int = 3) -> Validation:
    (path,) = validate.run(job_for(folder, BARS, paths=20, permutations=permutations), BARS, Silent(), effort=SMALL)
    return read_model(path, Validation)


def verdicts(folder: Path) -> list[Entry]:
    return [one for one in Ledger(folder / "search_ledger.jsonl").entries() if one.kind == "verdict"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Validation]:
    folder = tmp_path_factory.mktemp("done")
    return folder, run(folder)


def test_the_stage_judges_and_enters_its_verdict_once(done: tuple[Path, Validation]) -> None:
    folder, found = done
    assert found.verdict == "REJECTED", "a random walk"
    [entered] = verdicts(folder)
    assert (entered.verdict, entered.p_search, entered.p_holdout) == (
        "REJECTED",
        found.p_search.value,
        found.p_holdout.value,
    )
    assert entered.candidate == found.candidate.id
    assert run(folder) == found
    assert len(verdicts(folder)) == 1


def test_validation_json_holds_all_that_the_p_values_rest_on(done: tuple[Path, Validation]) -> None:
    _, found = done
    assert found.search_null is not None
    assert found.certificate is not None
    assert [one.kind for one in found.search_null.nulls] == ["permutation", "sign_flip"]
    for one in found.search_null.nulls:
        assert one.wanted == len(one.statistics) == 3
        observed = found.search_null.figures["observed_sharpe"].value
        assert observed is not None
        assert one.exceedances == sum(value >= observed for value in one.statistics if value is not None)
        assert one.p == (1 + one.exceedances) / 4
    assert found.p_search.value == max(one.p for one in found.search_null.nulls)
    assert found.search_null.effort == {"pairs": 15, "exits": 2, "starts": 2, "rounds": 1, "combos": 30}
    assert found.search_null.seeds.keys() == {"pairs", "exits", "markets"}
    p, q = found.p_search.value, found.p_holdout.value
    assert p is not None
    assert q is not None
    assert found.certificate.figures["combined"].value == pytest.approx(fisher(p, q))
    assert found.certificate.figures["alpha"].value == 0.04
    assert q == (1 + found.holdout.figures["shifts_as_good"].value) / (1 + found.holdout.figures["shifts"].value)  # type: ignore[operator]


def test_another_search_in_the_ledger_makes_the_same_p_values_weigh_less(
    done: tuple[Path, Validation], tmp_path: Path
) -> None:
    job = job_for(tmp_path, BARS, paths=20, permutations=3)
    other = market(310)
    ledger = Ledger(tmp_path / "search_ledger.jsonl")
    ledger.enter_search(other, split(other), case_space(), stage="prescreen", seed=1, volume=9)
    (path,) = validate.run(job, BARS, Silent(), effort=SMALL)
    found, before = read_model(path, Validation), done[1]
    assert found.certificate is not None
    assert before.certificate is not None
    assert found.certificate.figures["searches"].value == 2
    assert found.certificate.figures["combined"] == before.certificate.figures["combined"]
    combined = before.certificate.figures["combined"].value
    assert combined is not None
    assert found.certificate.figures["adjusted"].value == min(1.0, 2 * combined)


def case_space() -> Any:
    from .case import SPACE

    return SPACE.model_copy(update={"stop_loss": (100, 500)})


def test_the_second_candidate_is_judged_more_strictly(tmp_path: Path) -> None:
    run(tmp_path, permutations=1)
    leave_candidate(tmp_path, CUT.training(BARS), best_of(CUT.training(BARS), rank=1))
    found = run(tmp_path, permutations=1)
    assert next(gate for gate in found.gates if gate.figure == EVIDENCE).threshold == 0.0075
    assert [one.k for one in verdicts(tmp_path)] == [1, 2]


def test_a_spent_hold_out_leaves_the_fourth_unjudged_and_enters_nothing(tmp_path: Path) -> None:
    for rank in range(4):
        leave_candidate(tmp_path, CUT.training(BARS), best_of(CUT.training(BARS), rank=rank))
        found = run(tmp_path, permutations=1)
    assert found.verdict == "UNCERTIFIED"
    assert "the hold-out is spent" in found.why
    assert len(verdicts(tmp_path)) == 3


def test_the_rule_has_a_null_hypothesis() -> None:
    assert certificate.NULL_HYPOTHESIS


class StopsWhilePermuting(Silent):
    """Asks the stage to stop after some null markets."""

    def __init__(self, markets: int) -> None:
        self.phase_name, self.markets = "", markets

    def phase(self, name: str, steps: int | None = None, unit: str = "") -> None:
        self.phase_name = unit

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        if self.phase_name == "null markets" and done >= self.markets:
            raise Stopped("stopped")


def test_stopped_among_the_null_markets_it_has_not_looked_and_goes_on_from_there(
    done: tuple[Path, Validation], tmp_path: Path
) -> None:
    job = job_for(tmp_path, BARS, paths=20, permutations=3)
    with pytest.raises(Stopped):
        validate.run(job, BARS, StopsWhilePermuting(4), effort=SMALL)
    assert not any(one.kind == "look" for one in Ledger(tmp_path / "search_ledger.jsonl").entries())
    saved = orjson.loads((tmp_path / CHECKPOINT).read_bytes())
    assert [len(found) for found in saved["statistics"].values()] == [3, 1]
    again = run(tmp_path)
    assert again.model_dump(exclude={"holdout": {"look"}}) == done[1].model_dump(exclude={"holdout": {"look"}})


def test_constant_prices_are_rejected_with_p_values_of_one(tmp_path: Path) -> None:
    flat = np.full(len(BARS), 7.0)
    bars = replace(BARS, open=flat, high=flat, low=flat, close=flat)
    leave_candidate(tmp_path, split(bars).training(bars), best_of(CUT.training(BARS)))
    (path,) = validate.run(job_for(tmp_path, bars, paths=20, permutations=12), bars, Silent(), effort=SMALL)
    found = read_model(path, Validation)
    assert found.verdict == "REJECTED"
    assert (found.p_search.value, found.p_holdout.value) == (1.0, 1.0)
    assert found.search_null is not None
    assert found.search_null.figures["observed_sharpe"].value is None


def test_a_ledger_that_was_edited_stops_everything_before_a_verdict(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "validation.json").unlink()
    ledger = tmp_path / "search_ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"REJECTED"', b'"CERTIFIED"'))
    with pytest.raises(StorageBroken, match="edited"):
        run(tmp_path)
    assert not (tmp_path / "validation.json").exists()


def test_the_effective_trials_are_as_many_as_reach_what_luck_finds_on_null_markets(
    done: tuple[Path, Validation],
) -> None:
    found = done[1]
    assert found.search_null is not None
    means = [float(np.mean([x for x in one.statistics if x is not None])) for one in found.search_null.nulls]
    assert found.deflated_sharpe.figures["sharpe_to_beat"].value == pytest.approx(max(means), rel=1e-6)
    trials = found.deflated_sharpe.figures["effective_trials"].value
    assert trials is not None
    assert trials > 2


@pytest.mark.parametrize("trials", [2.0, 7.5, 50.0, 20_000.0, 1e9])
def test_the_trials_that_reach_an_expected_maximum_are_found_back(trials: float) -> None:
    assert trials_that_reach(expected_max_z(trials)) == pytest.approx(trials, rel=1e-6)
    assert trials_that_reach(-1.0) == pytest.approx(2.0)
