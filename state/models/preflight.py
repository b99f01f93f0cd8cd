"""`preflight.json`: whether these candles and this host are fit for the search. Described in docs/DATA.md."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION = 1

Status = Literal["pass", "warn", "fail", "skip"]
Number = int | float


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PreflightData(_Model):
    """`path`: the file, or `synthetic`. `sha256`: of the rows, as everywhere. `first`, `last`: open times, ms UTC."""

    path: str
    sha256: str
    rows: int
    first: int
    last: int
    base_minutes: int
    synthetic: bool


class Check(_Model):
    """`figure` was measured, `limit` is what it was held against, both in `unit`; `detail` holds further figures.

    `allowed`: it failed, and the plan accepts that.
    """

    name: str
    status: Status
    figure: Number | None = None
    limit: Number | None = None
    unit: str = ""
    message: str
    fix: str = ""
    allowed: bool = False
    detail: dict[str, Number | str | list[int]] = Field(default_factory=dict)


class PreflightReport(_Model):
    """`mode` is empty when all modes were meant."""

    v: int = VERSION
    symbol: str
    mode: str
    data: PreflightData
    checks: list[Check]
    passed: bool

    def failures(self) -> list[Check]:
        """The checks that failed and are not allowed to."""
        return [check for check in self.checks if check.status == "fail" and not check.allowed]
