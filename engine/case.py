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
TRIALS_PER_WORKER = 25  # a worker that starts for fewer costs more than it brings, and TPE learns less


class Case:
    """`bars`: the candles of the plan; `whole`: the same before --last-days cut them. `times`: of each stage so far."""

    def __init__(self, plan: Plan, found: Round, folder: Path, bars: Bars, whole: Bars, mode: str) -> None:
        self.plan, self.round, self.folder = plan, found, folder
        self.bars, self.whole, self.mode = bars, whole, mode
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
            return split(self.bars, self.plan.holdout_days, self.plan.train_days)
        except BadData:
            if needed:
                raise
            return None  # the preflight says it better

    def _stage(self, stage: Stage, display: Display, stop: Stop, options: dict[str, Any]) -> None:
        stop.check()
        job = self.job(stage)
        self._key = key_of(self._key, stage, job.train_from, job.train_to, self._inputs(job))
        log = LogFile(self.folder / LOG)
        report = Relay(stop, log, display.begin(f"{self.label} · {stage}"))
        began = time.perf_counter()
        done = self._records.good(stage, self._key)
        try:
            if done is None:
                artifacts = self._work(job, report, log, options)
                done = self._records.enter(stage, self._key, round(time.perf_counter() - began, 3), artifacts)
                self.times.append(StageTime(stage=stage, seconds=done.seconds))
            else:
                self.times.append(StageTime(stage=stage, seconds=done.seconds, reused=True))
            text = pass_gate(job, self.plan.allow)
        except BtswarmError as error:
            if done is None:
                self.times.append(StageTime(stage=stage, seconds=round(time.perf_counter() - began, 3)))
            log.line(f"{stage}: {error.line()}")
            display.close()
            raise
        how = "done before" if self.times[-1].reused else duration(done.seconds)
        log.line(f"{stage}: {text} ({how})")
        display.end(f"{text} · {how}")

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
        parts = min(self.plan.threads, max(1, job.volume.trials // TRIALS_PER_WORKER))
        if STAGES[job.stage or "report"].searches and self.bars is not self.whole:
            self._expose(job)
        try:
            if job.stage == "optimize" and parts > 1:
                return self._fleet(job, parts, report, log) or [self.folder / STAGES["optimize"].leaves]
            return run_stage(job, self.bars, report, **options)
        except GateFailed:
            return [self.folder / STAGES[job.stage or "report"].leaves]  # it is there, and the gate will say so again

    def _fleet(self, job: Job, parts: int, report: Reporter, log: Reporter) -> list[Path]:
        report.phase("start")
        inputs = job.inputs
        if self.bars is not self.whole:
            inputs = inputs.model_copy(update={"data_sha256": self.whole.sha256})  # a worker reads the whole file
        claims = job.claims.model_copy(update={"cpus": max(1, self.plan.threads // parts)})
        return Fleet(job.model_copy(update={"inputs": inputs, "claims": claims}), parts, report, log).run()

    def _expose(self, job: Job) -> None:
        """With --last-days the training days may reach into the hold-out of all the candles: that is entered."""
        from .ledger import Ledger
        from .stages import ledger_path

        volume = job.volume.combos if job.stage == "prescreen" else job.volume.trials
        training = self.bars.slice(0, int((self.bars.time < job.train_to).sum()))
        whole = split(self.whole, self.plan.holdout_days, self.plan.train_days)
        Ledger(ledger_path(job)).enter_exposure(training, whole, stage=str(job.stage), volume=volume)
