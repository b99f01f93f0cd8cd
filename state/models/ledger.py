"""One line of `search_ledger.jsonl`: a search, an exposure of the hold-out, a look at it, or a verdict."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION = 1
GENESIS = "0" * 64
"""`prev_sha256` of the first line."""
LOOKS = 3
"""Looks that one hold-out bears."""
RENEWED_AFTER_DAYS = 30
"""A look no longer counts once the hold-out begins this many days later."""

Kind = Literal["search", "exposure", "look", "verdict"]


class Entry(BaseModel):
    """`seq` counts from 1 without a hole; `prev_sha256` is over the bytes of the line before, its newline excluded.

    Days are UTC dates, the last one included. What does not apply to a kind is null.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    v: Literal[1] = 1
    seq: int = Field(ge=1)
    prev_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    at: float = Field(description="UTC seconds since 1970 when the entry was made")
    kind: Kind
    search: str = Field("", description="symbol/mode/strategy:space/first training day; empty for an exposure")
    symbol: str
    mode: str = ""
    holdout_from: str | None = None
    holdout_to: str | None = None
    data_from: int | None = Field(None, description="open of the first training bar, ms UTC")
    data_rows: int | None = Field(None, description="training bars")
    data_sha256: str | None = Field(None, description="of those rows: a later search on them plus newer bars continues")
    seed: int | None = None
    volume: int | None = Field(None, description="combos, trials or configurations")
    stage: str | None = None
    candidate: str | None = Field(None, description="hash of the configuration that was looked at or judged")
    k: int | None = Field(None, description="which candidate of this search on this hold-out: 1, 2 or 3")
    p_search: float | None = None
    p_holdout: float | None = None
    verdict: str | None = None
