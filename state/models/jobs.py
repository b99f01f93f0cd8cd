"""A worker's files: `job.json` (what to do), `progress.json` (how far it is), `exit.json` (how it ended)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

VERSION = 1

Stage = Literal["preflight", "prescreen", "optimize", "validate", "report"]
Phase = Literal["start", "load", "batch", "exact", "trial", "fold", "permute", "write"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Inputs(_Model):
    """`data`: a path or `synthetic`. `artifacts`: of earlier stages.

    `seed_dirs`: folders searched for phase-0 artifacts; empty: the siblings of `out_dir`; only `none`: begin at random.
    """

    data: str
    data_sha256: str = ""
    seed_dirs: list[str] = Field(default_factory=list)
    artifacts: list[str] = Field(default_factory=list)


class Volume(_Model):
    combos: int = Field(250_000, ge=1)
    trials: int = Field(200, ge=1)
    paths: int = Field(1000, ge=0)
    permutations: int = Field(199, ge=0)
    top_k: int = Field(500, ge=1)
    batch: int = Field(0, ge=0, description="combos per batch; 0 lets the backend choose")
    folds: int = Field(5, ge=2)


class CostRates(_Model):
    fee: float = 0.0005
    slippage: float = 0.0002
    funding: float = 0.0


class Limits(_Model):
    start_s: float = 120
    quiet_floor_s: dict[str, float] = Field(
        default_factory=lambda: {"start": 120.0, "load": 120.0, "batch": 60.0, "other": 300.0}
    )
    stop_grace_s: float = 20
    budget_s: float = 3600


class Claims(_Model):
    """What the worker may use; `cpus` is also its number of threads."""

    cpus: float = 1
    mem_mb: int = 1024
    pids: int = 64
    gpu_mem_mb: int = 0


class Job(_Model):
    """One stage for one symbol and mode (`engine`), or somebody's own program (`command`)."""

    v: int = VERSION
    swarm_id: str = ""
    run: str = ""
    job: str
    worker: str = ""
    kind: Literal["engine", "command"] = "engine"
    stage: Stage | None = None
    symbol: str = ""
    mode: str = ""
    argv: list[str] = Field(default_factory=list)
    inputs: Inputs = Field(default_factory=lambda: Inputs(data="synthetic"))
    volume: Volume = Field(default_factory=Volume)
    costs: CostRates = Field(default_factory=CostRates)
    space: dict[str, Any] = Field(default_factory=dict, description="overrides of the mode's default space")
    train_from: int = Field(0, description="open of the first training bar, ms UTC; 0: the split decides")
    train_to: int = Field(0, description="training bars open before this, ms UTC; 0: the split decides")
    train_days: int = Field(730, ge=1, description="of the split, where train_from and train_to are 0")
    holdout_days: int = Field(180, ge=1, description="of the split, where train_from and train_to are 0")
    allow: list[str] = Field(default_factory=list, description="preflight checks whose failure is accepted, by name")
    study: str = Field("auto", description="Optuna storage URL, or auto: a file in out_dir")
    ledger: str = Field("", description="path of search_ledger.jsonl; empty: beside the results")
    certified: str = Field("", description="folder of certified configurations; empty: certified/ beside the ledger")
    min_trades: int = Field(30, ge=30)
    seed: int = Field(0, ge=0)
    gpu: int = Field(-1, ge=-1, description="-1 CPU; else the index inside CUDA_VISIBLE_DEVICES")
    out_dir: str
    checkpoint: str = ""
    limits: Limits = Field(default_factory=Limits)
    claims: Claims = Field(default_factory=Claims)
    restart: Literal["always", "on-failure", "never"] = "on-failure"


class SeedsLoaded(_Model):
    n: int
    source: str
    sha256: str


class Progress(_Model):
    """Replaced at most once a second. `step` counts work, never time; `next_s` is the longest silence to expect."""

    v: int = VERSION
    worker: str
    phase: Phase
    step: int
    steps: int | None = None
    rate: float | None = None
    unit: str = ""
    next_s: float | None = None
    checkpoint: int | None = None
    backend: str = ""
    device: str = ""
    seeds: SeedsLoaded | None = None
    gpu_mem_mb: int = 0
    mono: float


class Exit(_Model):
    """A worker's last word. `class_` is written as `class`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    v: int = VERSION
    worker: str
    code: int
    class_: str = Field(alias="class")
    message: str = ""
    fix: str = ""
    steps: int = 0
    checkpoint: int | None = None
    artifacts: list[str] = Field(default_factory=list)
    peak_mem_mb: int = 0
    peak_gpu_mb: int = 0
    batch: int | None = None
