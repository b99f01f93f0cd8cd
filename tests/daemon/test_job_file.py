"""What a worker is told is what the plan in force says."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from btswarm.daemon.work import job_file
from btswarm.state.config import parse
from btswarm.state.models.jobs import Job
from btswarm.state.models.records import ClaimsRecord, JobRecord, JobSpec
from btswarm.state.paths import Roots

FILE = """\
[plan]
symbols = ["SOL"]
data_path = "/candles"
train_days = 300
holdout_days = 60
min_trades = 40
allow = ["gaps"]
[volume]
combos = 900
trials = 70
[costs]
fee = 0.001
[workers]
budget_s = 900
start_s = 60
[space.balanced]
leverage = 2
"""


def swarm(root: Path) -> Any:
    """As much of one as the file is made from."""
    roots = Roots(root, root, root / "state", root / "logs", root / "docs", None)
    journal = SimpleNamespace(jobs={}, state=SimpleNamespace(queue=SimpleNamespace(run="bt-1")))
    return SimpleNamespace(swarm_id="7" * 32, config=parse(FILE), journal=journal, roots=roots,
                           folder=lambda worker: root / "state" / "workers" / worker)  # fmt: skip


def told(root: Path, **spec: Any) -> Job:
    spec = {
        "stage": "prescreen",
        "symbol": "SOLUSDT",
        "mode": "balanced",
        "seed": 5,
        "claims": ClaimsRecord(1.0),
        **spec,
    }
    record = JobRecord("r3/SOLUSDT/balanced/prescreen", JobSpec(**spec), "queued", 0.0)
    return Job.model_validate_json(job_file(swarm(root), record, "cpu000@4"))


def test_a_worker_is_told_what_the_plan_says(tmp_path: Path) -> None:
    job = told(tmp_path)
    assert (job.inputs.data, job.symbol, job.mode, job.seed, job.gpu) == ("/candles", "SOLUSDT", "balanced", 5, -1)
    assert (job.train_days, job.holdout_days, job.min_trades, job.allow) == (300, 60, 40, ["gaps"])
    assert (job.volume.combos, job.volume.trials, job.volume.top_k) == (900, 70, 500)
    assert (job.costs.fee, job.space, job.limits.budget_s) == (0.001, {"leverage": 2}, 900)
    assert job.out_dir == str(tmp_path / "rounds" / "3" / "main" / "SOLUSDT" / "balanced")
    assert job.ledger == str(tmp_path / "state" / "search_ledger.jsonl")


def test_a_job_s_own_volume_and_budget_win(tmp_path: Path) -> None:
    job = told(tmp_path, volume={"combos": 100}, budget_s=60.0)
    assert (job.volume.combos, job.volume.trials, job.limits.budget_s) == (100, 70, 60.0)
