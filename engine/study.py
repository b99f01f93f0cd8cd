"""One Optuna study shared by any number of workers, each of which may be killed at any instant.

Trials are claimed under a lock, so that none is run twice and no more are told than asked for. A claim names its
worker's own lock file; once the kernel has freed that, the trial is marked failed and its point is queued again. Where
a worker cannot be looked at (another host), its trial counts as abandoned after it was watched for `ABANDONED_S`.
"""

import contextlib
import secrets
import time
from collections.abc import Mapping
from enum import Enum, auto
from pathlib import Path
from types import TracebackType
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from ..state.files import locked, make_folder

ABANDONED_S = 60.0
MAX_RETRIES = 3  # a point that was in flight at so many deaths may be what kills: it is not tried again
OWNER, PART, RESULT, RETRY_OF, RETRIES = "owner", "part", "result", "retry_of", "retries"
FIXED = "fixed_params"  # where Optuna keeps the point of a queued trial

Point = dict[str, Any]
Attributes = dict[str, Any]


class Nothing(Enum):
    """Why there is no trial to claim: all are told, or the rest is in flight elsewhere."""

    DONE = auto()
    WAIT = auto()


class Workers:
    """The lock files by which the workers of one study see each other: one each, held for as long as it lives."""

    def __init__(self, folder: Path, part: int) -> None:
        self.part = part
        self.own = folder.absolute() / f"{part}-{secrets.token_hex(8)}"
        self._folder = folder
        self._held = contextlib.ExitStack()

    def __enter__(self) -> "Workers":
        make_folder(self._folder)
        self._held.enter_context(locked(self.own, blocking=False))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.own.unlink(missing_ok=True)
        self._held.close()

    def alone(self, what: str = "claim") -> contextlib.AbstractContextManager[int]:
        """Held by one worker at a time, while it takes a trial, looks for the dead, or exports."""
        return locked(self._folder / what)

    def is_dead(self, owner: str) -> bool | None:
        """Whether the worker whose lock file is `owner` has died; None when nobody here can tell."""
        path = Path(owner)
        if path == self.own:
            return False
        if not path.is_file():
            return None
        try:
            with locked(path, blocking=False):
                return True
        except BlockingIOError:
            return False
        except OSError:
            return None

    def sweep(self) -> None:
        """Remove the lock files of the dead, once nothing refers to them any more."""
        for path in self._folder.glob("*-*"):
            if self.is_dead(str(path)):
                path.unlink(missing_ok=True)


class Study:
    """An open study as one worker sees it.

    `distributions` are the parameters of a complete point. `shared`: workers on other hosts may claim too.
    """

    def __init__(
        self, study: optuna.Study, workers: Workers, distributions: Mapping[str, BaseDistribution], *, shared: bool
    ) -> None:
        self.optuna = study
        self.workers = workers
        self._distributions = dict(distributions)
        self._shared = shared
        self._watched: dict[int, float] = {}

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.optuna.get_trials(deepcopy=False, states=states or None)

    def told(self) -> int:
        """Complete trials, feasible or not."""
        return len(self.trials(TrialState.COMPLETE))

    def enqueue_once(self, mark: str, points: list[tuple[Point, Attributes]], facts: Attributes) -> None:
        """Queue points with their attributes, whoever comes first; the study's attribute `mark` then holds `facts`.

        A kill half-way is made good by the next worker.
        """
        with self.workers.alone():
            if self.optuna.user_attrs.get(mark):
                return
            queued = sum(mark in trial.user_attrs and RETRY_OF not in trial.user_attrs for trial in self.trials())
            for point, attributes in points[queued:]:
                self.optuna.enqueue_trial(point, {**attributes, mark: True})
            self.optuna.set_user_attr(mark, facts)

    def claim(self, total: int) -> optuna.Trial | Nothing:
        """Take the next trial unless `total` are told or in flight. Its parameters are still to be suggested."""
        with self.workers.alone():
            told = self.told()
            if told >= total:
                return Nothing.DONE
            running = self.trials(TrialState.RUNNING)
            abandoned = [trial for trial in running if self._is_abandoned(trial)]
            for trial in abandoned:
                self._requeue(trial)
            if told + len(running) - len(abandoned) >= total:
                return Nothing.WAIT
            claimed = self.optuna.ask()
            claimed.set_user_attr(OWNER, str(self.workers.own))
            claimed.set_user_attr(PART, self.workers.part)
            return claimed

    def suggest(self, trial: optuna.Trial) -> Point | None:
        """The point of a claimed trial: its queued one, else the sampler's proposal. None: see `tell`."""
        try:
            return {name: _suggest(trial, name, known) for name, known in self._distributions.items()}
        except UpdateFinishedTrialError:
            return None

    def tell(self, trial: optuna.Trial, value: float, result: Attributes, violations: Mapping[str, float]) -> bool:
        """Finish a trial with its result and constraints (violated above 0).

        False when others took it for abandoned meanwhile: they run it again, this result is dropped.
        """
        try:
            trial.set_user_attr(RESULT, result)
            for name, violation in violations.items():
                trial.set_constraint(name, violation)
            self.optuna.tell(trial, value)
        except (UpdateFinishedTrialError, ValueError):
            if self._now(trial).state is TrialState.FAIL:
                return False
            raise
        return True

    def release(self, trial: optuna.Trial) -> None:
        """Hand a claimed trial back untold; its point is queued again."""
        with self.workers.alone():
            found = self._now(trial)
            if not found.state.is_finished():
                self._requeue(found)

    def _now(self, trial: optuna.Trial) -> FrozenTrial:
        return next(one for one in self.trials() if one.number == trial.number)

    def _is_abandoned(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(OWNER)
        if not self._shared and (owner is None or not Path(owner).is_file()):
            return True  # claims are made under the lock we hold, and no worker gives up its lock file before its trial
        dead = None if owner is None else self.workers.is_dead(owner)
        if dead is not None:
            return dead
        now = time.monotonic()
        return now - self._watched.setdefault(trial.number, now) > ABANDONED_S

    def _requeue(self, trial: FrozenTrial) -> None:
        """Queue the point again, then mark the trial failed. Killed in between, the next worker does the latter."""
        point = trial.params if self._distributions.keys() <= trial.params.keys() else trial.system_attrs.get(FIXED)
        retries = trial.user_attrs.get(RETRIES, 0) + 1
        queued = any(one.user_attrs.get(RETRY_OF) == trial.number for one in self.trials())
        if point and not queued and retries <= MAX_RETRIES:
            kept = {name: value for name, value in trial.user_attrs.items() if name not in (OWNER, PART, RESULT)}
            self.optuna.enqueue_trial(point, {**kept, RETRY_OF: trial.number, RETRIES: retries})
        with contextlib.suppress(UpdateFinishedTrialError, ValueError):
            self.optuna.tell(trial.number, state=TrialState.FAIL)


def _suggest(trial: optuna.Trial, name: str, known: BaseDistribution) -> Any:
    if isinstance(known, CategoricalDistribution):
        return trial.suggest_categorical(name, known.choices)
    assert isinstance(known, FloatDistribution)
    return trial.suggest_float(name, known.low, known.high)
