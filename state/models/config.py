"""`btswarm.toml`: one model per table, each with its defaults. Names end in their unit: `_s`, `_ms`, `_mb`, `_pct`.

The models are strict: an unknown key, a wrong type, a value out of range or limits that contradict each other are
refused. The description of a field is the comment that `btswarm init` writes beside it.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..engines import Engine
from ..errors import BadConfig
from ..symbols import canonical

MIN_TRADES = 30  # fewer trades say nothing about a strategy, so no setting goes below
SYNTHETIC = "synthetic"
MAX_ARGV = 2000  # a job and its command line are one line of the event log

Mode = Literal["conservative", "balanced", "aggressive"]
MODES: tuple[Mode, ...] = ("conservative", "balanced", "aggressive")
Restart = Literal["always", "on-failure", "never"]
Count = Annotated[int, Field(ge=0, le=10**9)]
AtLeastOne = Annotated[int, Field(ge=1, le=10**9)]
Seconds = Annotated[float, Field(gt=0, le=10**9)]
Amount = Annotated[float, Field(ge=0)]
Percent = Annotated[int, Field(ge=1, le=100)]
MOST_DAYS = 36_500
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")]


def _below(name: str, value: float, limit_name: str, limit: float) -> None:
    if value >= limit:
        raise ValueError(f"{name} = {value:g} must be less than {limit_name} = {limit:g}")


def _at_most(name: str, value: float, limit_name: str, limit: float) -> None:
    if value > limit:
        raise ValueError(f"{name} = {value:g} must not be more than {limit_name} = {limit:g}")


def _flat(name: str, value: Any) -> None:
    """An override is a number, a word or a list of numbers; its meaning is the strategy's to check."""
    values = value if isinstance(value, tuple) else (value,)
    if any(not isinstance(one, int | float | str) or isinstance(one, bool) for one in values):
        raise ValueError(f"{name} must be a number, a word or a list of numbers")
    if any(isinstance(one, float) and not math.isfinite(one) for one in values):
        raise ValueError(f"{name} must be finite")


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Roots(Table):
    """Where things lie. `{root}` stands for the root; a relative path starts at this file's folder.

    RESULTS_ROOT, STATE_ROOT, LOGS_ROOT, KNOWLEDGE_ROOT and VENV_PATH in the environment win over this table.
    """

    root: str = Field("auto", min_length=1, description="auto: the rented host's volume if it has one, else the home")
    results: str = Field("{root}", min_length=1, description="results of every round, and the published best")
    state: str = Field("{root}/state", min_length=1, description="state files, the ledger of searches")
    logs: str = Field("{root}/logs", min_length=1)
    knowledge: str = Field("{root}/docs/reference", min_length=1, description="what was learned, for people")
    venv: str = Field("", description="a virtual environment's folder or its bin/activate; empty: the one that runs")


class Plan(Table):
    """What is searched."""

    symbols: tuple[Word, ...] = Field((), description='such as ["SOLUSDT", "BTCUSDT"]')
    modes: tuple[Mode, ...] = Field(MODES, min_length=1)
    data_path: str = Field("", description=f'a file or folder of candles; "{SYNTHETIC}": an invented market')
    engine: Engine = Field("auto", description="what screens; auto: a GPU where there is one")
    train_days: int = Field(730, ge=1, le=MOST_DAYS, description="days of training before embargo and hold-out")
    holdout_days: int = Field(
        180, ge=1, le=MOST_DAYS, description="newest days, never searched; a fifth of the days if that is less"
    )
    rounds: Count = Field(0, description="0: no end")
    min_trades: int = Field(
        MIN_TRADES, ge=MIN_TRADES, le=1_000_000, description="a configuration with fewer is infeasible"
    )
    allow: tuple[Word, ...] = Field((), description="preflight checks whose failure is accepted, by name")

    @model_validator(mode="after")
    def _once_each(self) -> "Plan":
        for name in ("symbols", "modes", "allow"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"plan.{name} = {list(values)} must name each entry once")
        return self

    @model_validator(mode="after")
    def _markets(self) -> "Plan":
        try:
            markets = [canonical(symbol) for symbol in self.symbols]
        except BadConfig as error:
            raise ValueError(f"plan.symbols: {error.line()}") from error
        if len(set(markets)) < len(markets):
            raise ValueError(f"plan.symbols = {list(self.symbols)} names one market twice")
        return self


class VolumeTable(Table):
    """How much of each stage."""

    combos: AtLeastOne = Field(250_000, description="screened combos for each symbol and mode")
    top_k: AtLeastOne = Field(500, description="of them evaluated exactly")
    trials: AtLeastOne = Field(200, description="Optuna trials")
    paths: Count = Field(1000, description="Monte Carlo paths")
    permutations: Count = Field(199, description="permuted markets")
    fill_combos_max: AtLeastOne = Field(100_000, description="largest job that fills an idle lane")


class CostsTable(Table):
    """What trading costs, as fractions: 0.0005 is 0.05 %."""

    fee: float = Field(0.0005, ge=0, lt=0.1, description="of the notional, per side")
    slippage: float = Field(0.0002, ge=0, lt=0.1, description="of the price, per market fill")
    funding: float = Field(0.0, gt=-0.1, lt=0.1, description="paid by longs every 8 hours")


class Storage(Table):
    """Where studies and knowledge live: auto (files under the roots) or a database URL."""

    study: str = Field("auto", description="or an Optuna storage URL")
    knowledge: str = Field("auto", description="or a PostgreSQL URL")

    @model_validator(mode="after")
    def _urls(self) -> "Storage":
        for name in ("study", "knowledge"):
            value = getattr(self, name)
            if value != "auto" and "://" not in value:
                # The value is not repeated here: a database URL may carry a password.
                raise ValueError(f'storage.{name} must be "auto" or a URL such as postgresql://host/name')
        return self


class Results(Table):
    """What is kept."""

    keep_rounds: AtLeastOne = Field(5, description="older rounds are removed")


class Targets(Table):
    """How busy the host is kept."""

    cpu_pct: Percent = 80
    gpu_pct: Percent = 80


class Lanes(Table):
    """Places where workers run."""

    gpu_per_device: AtLeastOne = 1
    cpu: Literal["auto"] | Count = Field("auto", description="auto: one per core; or a number")
    threads: AtLeastOne = Field(1, description="per CPU lane")
    keep_free_mb: Count = Field(1024, description="memory that no worker may claim")


class QuietFloor(Table):
    """A worker may be silent at least this long, by phase."""

    start: Seconds = 120
    load: Seconds = 120
    batch: Seconds = 60
    other: Seconds = 300


class Workers(Table):
    """Limits of one worker."""

    start_s: Seconds = Field(120, description="from its start to its first step")
    quiet_floor_s: QuietFloor = Field(QuietFloor(), description="no worker is stuck that was silent for less")
    stop_grace_s: Seconds = Field(20, description="from TERM to INT")
    budget_s: Seconds = Field(3600, description="a job that takes longer is replaced by a smaller one")
    log_max_mb: AtLeastOne = 64
    orphan_grace_s: Seconds = 600

    @model_validator(mode="after")
    def _ordered(self) -> "Workers":
        _below("workers.start_s", self.start_s, "workers.budget_s", self.budget_s)
        _below("workers.stop_grace_s", self.stop_grace_s, "workers.budget_s", self.budget_s)
        for phase, floor in self.quiet_floor_s.model_dump().items():
            _below(f"workers.quiet_floor_s.{phase}", floor, "workers.budget_s", self.budget_s)
        return self


class RestartTable(Table):
    """How often and how soon a job that died is started again."""

    credits: AtLeastOne = Field(5, description="immediate relaunches")
    refill_s: Seconds = Field(60, description="for one more credit")
    base_s: Seconds = Field(1, description="first wait without credit; it doubles")
    cap_s: Seconds = Field(300, description="longest wait")
    reset_s: Seconds = Field(300, description="of life after which the waits begin anew")
    poison: AtLeastOne = Field(3, description="deaths in a row without progress")
    poison_hold_s: Seconds = 3600
    spawn_burst: AtLeastOne = 100
    spawn_per_s: Annotated[float, Field(gt=0)] = 20

    @model_validator(mode="after")
    def _ordered(self) -> "RestartTable":
        _below("restart.base_s", self.base_s, "restart.cap_s", self.cap_s)
        return self


class Scale(Table):
    """How lanes follow the targets without flapping."""

    band_pct: Percent = Field(10, description="no action within this much of the target")
    up_step: AtLeastOne = 4
    up_factor: Annotated[float, Field(gt=1)] = 2
    up_period_s: Seconds = 15
    down_window_s: Seconds = 300
    residency_s: Seconds = Field(300, description="a lane that opened stays at least this long")
    flaps_per_hour: AtLeastOne = 30


class Cycle(Table):
    """The control loop."""

    tick_s: Seconds = 5
    agent_soft_ms: Seconds = Field(20, description="an agent that takes longer is noted")
    agent_hard_s: Seconds = Field(1, description="an agent that takes longer is stopped")
    quarantine_after: AtLeastOne = Field(3, description="failures of an agent")
    save_min_s: Seconds = 1
    save_max_s: Seconds = 60

    @model_validator(mode="after")
    def _ordered(self) -> "Cycle":
        _below("cycle.agent_soft_ms / 1000", self.agent_soft_ms / 1000, "cycle.agent_hard_s", self.agent_hard_s)
        _below("cycle.agent_hard_s", self.agent_hard_s, "cycle.tick_s", self.tick_s)
        _below("cycle.save_min_s", self.save_min_s, "cycle.save_max_s", self.save_max_s)
        return self


class Gpu(Table):
    """How the GPUs are watched."""

    probe_s: Seconds = 1
    probe_deadline_s: Seconds = 5
    retry_s: Seconds = Field(600, description="before a lost GPU is tried again")
    slow_prescreen_s: Seconds = Field(30, description="250,000 combos over 730 days taking longer are a regression")

    @model_validator(mode="after")
    def _ordered(self) -> "Gpu":
        _below("gpu.probe_deadline_s", self.probe_deadline_s, "gpu.retry_s", self.retry_s)
        return self


class Disk(Table):
    """What is kept free."""

    floor_mb: Count = Field(2048, description="no job starts with less free space")
    ballast_mb: Count = Field(256, description="released when the disk is full")


class Events(Table):
    """The event log."""

    rotate_mb: AtLeastOne = 64
    keep: AtLeastOne = 16


class Budget(Table):
    """Money, in the currency of your provider; 0 is not known or no limit."""

    price_per_hour: Amount = 0
    per_hour: Amount = 0
    per_run: Amount = 0
    per_month: Amount = 0

    @model_validator(mode="after")
    def _affordable(self) -> "Budget":
        if self.per_hour:
            _at_most("budget.price_per_hour", self.price_per_hour, "budget.per_hour", self.per_hour)
        if self.per_month:
            _at_most("budget.per_run", self.per_run, "budget.per_month", self.per_month)
        return self


class Notify(Table):
    """Where people are told."""

    markdown: str = Field("", description="a Markdown file of yours that gets a block of workflow notes")


class CommandJob(Table):
    """Your own program, run in the swarm's spare room."""

    name: Word
    argv: tuple[str, ...] = Field(min_length=1)
    copies: AtLeastOne = 1
    lane: Literal["cpu", "gpu"] = "cpu"
    restart: Restart = "always"
    cpus: Amount = 0.0
    mem_mb: AtLeastOne = 16
    pids: AtLeastOne = 8

    @field_validator("argv")
    @classmethod
    def _short(cls, argv: tuple[str, ...]) -> tuple[str, ...]:
        if (size := sum(len(one.encode()) for one in argv)) > MAX_ARGV:
            raise ValueError(f"command.argv takes {size} bytes, {MAX_ARGV} is the most: put it into a script")
        if not argv[0] or any("\0" in one for one in argv):
            raise ValueError("command.argv begins with a program, and no part of it holds a NUL")
        return argv


class Config(Table):
    """The whole file."""

    roots: Roots = Roots()
    plan: Plan = Plan()
    volume: VolumeTable = VolumeTable()
    costs: CostsTable = CostsTable()
    storage: Storage = Storage()
    results: Results = Results()
    targets: Targets = Targets()
    lanes: Lanes = Lanes()
    workers: Workers = Workers()
    restart: RestartTable = RestartTable()
    scale: Scale = Scale()
    cycle: Cycle = Cycle()
    gpu: Gpu = Gpu()
    disk: Disk = Disk()
    events: Events = Events()
    budget: Budget = Budget()
    notify: Notify = Notify()
    space: dict[Mode, dict[str, Any]] = Field(default_factory=dict)
    command: tuple[CommandJob, ...] = ()

    @model_validator(mode="after")
    def _agree(self) -> "Config":
        names = [command.name for command in self.command]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"command.name = {name!r} must be given to one command only")
        for mode, overrides in self.space.items():
            for key, value in overrides.items():
                _flat(f"space.{mode}.{key}", value)
        return self
