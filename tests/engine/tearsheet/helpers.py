"""What the tests of the tearsheet share: a best folder on a small market, and a reader of pages."""

import re
from html.parser import HTMLParser
from pathlib import Path

from btswarm.engine import validate
from btswarm.engine.artifacts import cost_facts, data_facts, write_model
from btswarm.engine.bars import Bars
from btswarm.engine.costs import Costs
from btswarm.engine.kernels.exact import simulate
from btswarm.engine.metrics import jsonable, metrics
from btswarm.engine.progress import Silent
from btswarm.engine.split import split
from btswarm.engine.strategies import mtf_ema
from btswarm.engine.strategies.api import Params
from btswarm.engine.tearsheet.sheet import Trade
from btswarm.engine.validation.selection import Effort
from btswarm.state.models.jobs import Job, Volume
from btswarm.state.models.trials import BestConfig, BestMetrics, SearchFacts

PARAMS = Params(15, 8, 60, 20, 0.02, 0.05, 0.0, "both")
DAY_MS = 86_400_000
FIRST_MS = 1_704_067_200_000  # 2024-01-01
VOID = {"meta", "link", "br", "img", "input", "hr", "path", "base"}


def best_folder(out: Path, name: str, bars: Bars, params: Params = PARAMS, *, synthetic: bool = False) -> Path:
    """A `best_*` folder as the optimize stage leaves it, chosen on the training bars of `bars`."""
    space, costs = mtf_ema.space_for("balanced"), Costs()
    training = split(bars).training(bars)
    data = data_facts(training).model_copy(update={"synthetic": synthetic, "source": "SOLUSDT-15m.parquet"})
    search = SearchFacts(
        symbol=bars.symbol,
        mode="balanced",
        strategy=mtf_ema.NAME,
        space=space.model_dump(mode="json"),
        space_sha256=space.sha256,
        data=data,
        costs=cost_facts(costs),
        leverage=space.leverage,
        max_drawdown=space.max_drawdown,
        min_trades=30,
        neighbours=64,
        folds=5,
        seed=7,
        versions={"btswarm": "0.1.0"},
    )
    folder = out / name
    folder.mkdir(parents=True)
    write_model(
        folder / "config.json", BestConfig(name=name, export="e", trial=3, params=params.as_dict(), search=search)
    )
    found = jsonable(metrics(simulate(training, params, costs, space.leverage)))
    write_model(
        folder / "metrics.json", BestMetrics(export="e", trial=3, score=1.0, fold_sharpes=[None], metrics=found)
    )
    return folder


def trade(entry_day: float, exit_day: float, net_return: float, side: int = 1, reason: str = "signal") -> Trade:
    """A trade that begins and ends so many days after 2024-01-01."""
    return Trade(
        FIRST_MS + round(entry_day * DAY_MS),
        FIRST_MS + round(exit_day * DAY_MS),
        side,
        100.0,
        100.0 * (1 + side * net_return),
        net_return,
        reason,
    )


class Page(HTMLParser):
    """Checks that tags are balanced; collects text, tags, and attributes."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.pieces: list[str] = []
        self.feed(content.decode())
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> without a beginning"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.pieces).replace("\N{NO-BREAK SPACE}", " "))


def validated(out: Path, bars: Bars) -> Path:
    """A folder with best_robust and its `validation.json`, as the validate stage leaves it on a small volume."""
    best_folder(out, "best_robust", bars)
    job = Job(
        job="r1/SOLUSDT/balanced/validate",
        stage="validate",
        symbol=bars.symbol,
        mode="balanced",
        out_dir=str(out),
        volume=Volume(combos=300, paths=20, permutations=2),
        seed=1,
    )
    validate.run(job, bars, Silent(), effort=Effort(pairs=20, exits=2, starts=2, rounds=1))
    return out
