"""One symbol and mode of a round: its stages in order, each done once, each behind its gate."""

import time
from pathlib import Path
from typing import Any

from ..state.errors import BadData, BtswarmError, GateFailed
from ..state.files import make_folder
from ..state.models.jobs import Job, Stage
from ..state.models.rounds import Round, StageTime
from .bars import Bars
from .fleet import Fleet
from .gates import pass_gate
from .plan import Plan
from .progress import Reporter
from .records import Records, key_of
from .reporters import Display, LogFile, Relay, duration
from .split import Split, split
from .stages import STAGES, run_stage
from .stopping import Stop

LOG = "run.log"
TRIALS_PER_WORKER = 300  # a worker starts in some 3 s, in which another one finishes about as many trials


class Case:
    """`bars`: all candles of the market; `excerpt`: the days of them the plan is about. `times`: by stage so far."""

    def __init__(self, plan: Plan, found: Round, folder: Path, bars: Bars, excerpt: Bars, mode: str) -> None:
        self.plan, self.round, self.folder = plan, found, folder
        self.bars, self.excerpt, self.mode = bars, excerpt, mode
        self.times: list[StageTime] = []
        self._records = Records(make_folder(folder))
        self._key = ""

    @property
    def label(self) -> str:
        return f"{self.bars.symbol} {self.mode}"

    def run(self, display: Display, stop: Stop, preflight: dict[str, Any]) -> None:
        """All stages. Raises what ends them: GateFailed when a gate closes, Stopped, or a stage's own error."""
        for stage in STAGES:
            self._stage(stage, display, stop, preflight if stage == "preflight" else {})

    def job(self, stage: Stage) -> Job:
        """The job of a stage, its training days as the split gives them."""
        job = self.plan.job(stage, self.bars, self.mode, self.round.number, self.round.seed, self.folder)
        job.inputs.seed_dirs = [str(self.folder)]
        if cut := self._cut(needed=stage != "preflight"):
            job.train_from, job.train_to = cut.train_from, cut.train_to
        return job

    def _cut(self, *, needed: bool) -> Split | None:
        try:
            return split(self.excerpt, self.plan.holdout_days, self.plan.train_days)
        except BadData:
            if needed:
                raise
            return None  # the preflight says it better

    def _stage(self, stage: Stage, display: Display, stop: Stop, options: dict[str, Any]) -> None:
        stop.check()
        job, log = self.job(stage), LogFile(self.folder / LOG)
        self._key = key_of(self._key, stage, job.train_from, job.train_to, self._inputs(job))
        done = self._records.good(stage, self._key)
        try:
            if done:
                self.times.append(StageTime(stage=stage, seconds=done.seconds, reused=True))
                display.say(f"{self.label} · {stage}: {pass_gate(job, self.plan.allow)} · done before")
            else:
                seconds = self._fresh(job, display, stop, log, options)
                text = f"{pass_gate(job, self.plan.allow)} · {duration(seconds)}"
                log.line(f"{stage}: {text}")
                display.end(text)
        except BtswarmError as error:
            log.line(f"{stage}: {error.line()}")
            display.close()
            raise

    def _fresh(self, job: Job, display: Display, stop: Stop, log: Reporter, options: dict[str, Any]) -> float:
        """Do the stage and enter that it is done. Returns the seconds it took, which also count when it fails."""
        took = StageTime(stage=str(job.stage), seconds=0.0)
        self.times.append(took)
        began = time.perf_counter()
        self._records.forget(took.stage)
        try:
            report = Relay(stop, log, display.begin(f"{self.label} · {job.stage}"))
            artifacts = self._work(job, report, log, options)
        finally:
            took.seconds = round(time.perf_counter() - began, 3)
        self._records.enter(took.stage, self._key, took.seconds, artifacts)
        return took.seconds

    def _inputs(self, job: Job) -> dict[str, Any]:
        """All that decides what a stage leaves, but for what its predecessors had: their key is part of its own."""
        plan, volume = self.plan, job.volume
        mine: dict[str, dict[str, Any]] = {
            "preflight": {"allow": sorted(plan.allow)},
            "prescreen": {"combos": volume.combos, "top_k": volume.top_k, "backend": plan.backend.name},
            "optimize": {"trials": volume.trials, "folds": volume.folds, "study": plan.study},
            "validate": {"paths": volume.paths, "permutations": volume.permutations},
            "report": {},
        }
        shared: dict[str, Any] = {
            "market": [self.bars.symbol, self.bars.sha256],
            "space": plan.space_of(self.mode).sha256,
            "costs": job.costs.model_dump(),
            "rules": [job.seed, job.min_trades],
        }
        return shared | mine[str(job.stage)]

    def _work(self, job: Job, report: Reporter, log: Reporter, options: dict[str, Any]) -> list[Path]:
        paying = min(self.plan.threads, max(1, job.volume.trials // TRIALS_PER_WORKER))
        parts = self.plan.optimizers or paying
        try:
            if job.stage == "optimize" and parts > 1:
                return self._fleet(job, parts, report, log) or [self.folder / STAGES["optimize"].leaves]
            return run_stage(job, self.excerpt if job.stage == "preflight" else self.bars, report, **options)
        except GateFailed:
            return [self.folder / STAGES[job.stage or "report"].leaves]  # it is there, and the gate will say so again

    def _fleet(self, job: Job, parts: int, report: Reporter, log: Reporter) -> list[Path]:
        report.phase("start")
        claims = job.claims.model_copy(update={"cpus": max(1, self.plan.threads // parts)})
        return Fleet(job.model_copy(update={"claims": claims}), parts, report, log).run()
