"""What `validation.json` says about a configuration, and the one hold-out that a page may draw."""

from dataclasses import dataclass
from pathlib import Path

from ...state.models.validation import Figure, Section, Validation
from ..artifacts import read_model
from ..bars import Bars
from ..ledger import candidate_of
from ..strategies.api import Params


@dataclass(frozen=True)
class HoldOut:
    """Bar indexes of the hold-out that was looked at: start..stop-1."""

    start: int
    stop: int


def read_validation(path: Path) -> Validation | None:
    """None when there is none. Raises BadData when it is damaged, StorageBroken when it is newer."""
    return read_model(path, Validation) if path.exists() else None


def is_about(validation: Validation, params: Params, leverage: float) -> bool:
    """Whether this very configuration was validated, and not one that stood in its place before."""
    return validation.candidate.id == candidate_of(params.as_dict(), leverage)


def hold_out_of(validation: Validation, bars: Bars) -> HoldOut | None:
    """Where the entered look was; None when there was none, or when `bars` do not reach there.

    To draw it again is the look it already was: the ledger holds it, and nothing is chosen by it.
    """
    if validation.holdout.look is None or validation.holdout.metrics is None:
        return None
    cut = validation.split
    start, stop = (int(one) for one in bars.time.searchsorted((cut.holdout_from, cut.holdout_to)))
    covered = stop > start and bars.time[-1] + bars.base_ms >= cut.holdout_to
    return HoldOut(start, stop) if covered else None


def find(validation: Validation, figure: str) -> Figure | None:
    """The figure that a gate names: `p_holdout`, or `section.name`."""
    place, _, name = figure.rpartition(".")
    holder = getattr(validation, place or name, None)
    return holder.figures.get(name) if isinstance(holder, Section) else holder if isinstance(holder, Figure) else None


def reason_of(validation: Validation, figure: str) -> str:
    """Why it is null; empty when it is not."""
    found = find(validation, figure)
    return found.reason if found else "not computed"
