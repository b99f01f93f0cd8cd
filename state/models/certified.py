"""`certified/NAME/certificate.json`: what a certified configuration is, and the hash of every file beside it."""

from pydantic import BaseModel, ConfigDict

VERSION = 1


class Manifest(BaseModel):
    """`files`: sha256 by path inside the folder. `effort`, `stop_after`: of the permutation test."""

    model_config = ConfigDict(extra="forbid")

    v: int = VERSION
    symbol: str
    mode: str
    candidate: str
    base_ms: int
    synthetic: bool
    source: str
    data_sha256: str
    effort: dict[str, int]
    stop_after: int
    files: dict[str, str]
