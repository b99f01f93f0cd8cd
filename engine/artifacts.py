"""Reading and writing the artifacts that one stage leaves for the next."""

from importlib import metadata
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from ..state.errors import BadData, InputGone, StorageBroken
from ..state.files import write_atomic
from ..state.models.artifacts import CostFacts, DataFacts, Phase0
from ..state.results import ALL_TRIALS as ALL_TRIALS
from ..state.results import BEST as BEST
from ..state.results import PHASE0 as PHASE0
from ..state.results import PREFLIGHT as PREFLIGHT
from ..state.results import TEARSHEET as TEARSHEET
from ..state.results import VALIDATION as VALIDATION
from .bars import Bars
from .costs import Costs

PACKAGES = ("btswarm", "numpy", "numba", "optuna")

M = TypeVar("M", bound=BaseModel)


def data_facts(bars: Bars) -> DataFacts:
    """What identifies the candles; the source is named without its folder, which means nothing elsewhere."""
    return DataFacts(
        symbol=bars.symbol,
        sha256=bars.sha256,
        rows=len(bars),
        first=int(bars.time[0]),
        last=int(bars.time[-1]),
        base_minutes=bars.base_minutes,
        source=Path(bars.source).name if bars.source else "",
        synthetic=bars.synthetic,
    )


def cost_facts(costs: Costs) -> CostFacts:
    return CostFacts(fee=costs.fee, slippage=costs.slippage, funding=costs.funding)


def versions() -> dict[str, str]:
    """The versions that decide a number."""
    return {name: metadata.version(name) for name in PACKAGES}


def write_model(path: Path, model: BaseModel) -> Path:
    """Write a model as JSON, atomically and synced."""
    write_atomic(path, orjson.dumps(model.model_dump(mode="json"), option=orjson.OPT_INDENT_2) + b"\n")
    return path


def read_model(path: Path, kind: type[M]) -> M:
    """Read a model written by `write_model`.

    Raises InputGone when the file is missing, StorageBroken when it is of a newer version, BadData when it is damaged.
    """
    try:
        raw = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputGone(f"{path} is missing", fix="run the stage that writes it first") from error
    except (OSError, orjson.JSONDecodeError) as error:
        raise BadData(f"{path} cannot be read ({error})", fix="delete it and run its stage again") from error
    newest = kind.model_fields["v"].default if "v" in kind.model_fields else 1
    if isinstance(raw, dict) and isinstance(raw.get("v"), int) and raw["v"] > newest:
        raise StorageBroken(f"{path} has version {raw['v']}, this program knows {newest}", fix="upgrade btswarm")
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadData(
            f"{path} is damaged at {where}: {first['msg']}", fix="delete it and run its stage again"
        ) from error


def read_phase0(path: Path) -> Phase0:
    """A prescreen's artifact, checked. Raises as `read_model`."""
    return read_model(path, Phase0)
