"""What a run is asked to do: markets, modes, volumes, costs, and where the results go."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from .. import __version__
from ..state.errors import BadConfig
from ..state.models.config import SYNTHETIC
from ..state.models.jobs import Claims, CostRates, Inputs, Job, Limits, Stage, Volume
from .backend import Backend
from .bars import Bars
from .costs import Costs
from .preflight import refuse_unknown
from .split import HOLDOUT_DAYS, TRAIN_DAYS
from .storage import place
from .strategies import mtf_ema
from .strategies.mtf_ema import Space


@dataclass(frozen=True)
class Plan:
    """`symbols` as a person wrote them; none means the one market of the file, or the synthetic one.

    `optimizers`: workers on one study, None for as many as pay. `space`: mode -> overrides. `allow`: preflight checks
    whose failure is accepted. `study`: storage URL or `auto`.
    """

    data: str
    symbols: tuple[str, ...]
    modes: tuple[str, ...]
    results: Path
    ledger: Path
    backend: Backend
    threads: int
    optimizers: int | None = None
    volume: Volume = field(default_factory=Volume)
    costs: CostRates = field(default_factory=CostRates)
    space: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    seed: int = 0
    train_days: int = TRAIN_DAYS
    holdout_days: int = HOLDOUT_DAYS
    min_trades: int = 30
    allow: tuple[str, ...] = ()
    last_days: float | None = None
    study: str = "auto"
    keep_rounds: int = 5
    limits: Limits = field(default_factory=Limits)

    @property
    def synthetic(self) -> bool:
        return self.data == SYNTHETIC

    def check(self) -> None:
        """Refuse what could not work before anything is read or written. Raises BadConfig."""
        if not self.modes:
            raise BadConfig("no mode is named", fix=f"choose among {', '.join(mtf_ema.MODES)}")
        for mode in self.modes:
            self.space_of(mode)
        Costs(**self.costs.model_dump())
        refuse_unknown(self.allow)
        place(self.study, self.results).need_driver()
        if self.last_days is not None and not self.last_days > 0:
            raise BadConfig(f"--last-days must be positive, not {self.last_days:g}", fix="leave it out to use all bars")

    def space_of(self, mode: str) -> Space:
        return mtf_ema.space_for(mode, dict(self.space.get(mode, {})))

    def identity(self, symbols: list[str]) -> dict[str, Any]:
        """All that decides a result, as JSON would read it back; the candles are compared apart from it."""
        body = {
            "version": __version__,
            "symbols": symbols,
            "modes": self.modes,
            "synthetic": self.synthetic,
            "volume": self.volume.model_dump(),
            "costs": self.costs.model_dump(),
            "space": {mode: self.space_of(mode).sha256 for mode in self.modes},
            "seed": self.seed,
            "train_days": self.train_days,
            "holdout_days": self.holdout_days,
            "min_trades": self.min_trades,
            "allow": sorted(self.allow),
            "last_days": self.last_days,
            "backend": self.backend.name,
        }
        read_back: dict[str, Any] = orjson.loads(orjson.dumps(body))
        return read_back

    def job(self, stage: Stage, bars: Bars, mode: str, number: int, seed: int, folder: Path) -> Job:
        """The job of one stage; its training bounds are still open."""
        return Job(
            job=f"r{number}/{bars.symbol}/{mode}/{stage}",
            worker="fg@1",
            stage=stage,
            symbol=bars.symbol,
            mode=mode,
            inputs=Inputs(data=SYNTHETIC if bars.synthetic else bars.source, data_sha256=bars.sha256),
            volume=self.volume,
            costs=self.costs,
            space=dict(self.space.get(mode, {})),
            study=self.study,
            ledger=str(self.ledger),
            certified=str(self.results / "certified"),
            min_trades=self.min_trades,
            seed=seed,
            gpu=self.backend.gpu if stage == "prescreen" else -1,
            out_dir=str(folder),
            limits=self.limits,
            claims=Claims(cpus=self.threads),
        )
