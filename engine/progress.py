"""How a stage says what it is doing, whoever listens: a progress bar, a worker's progress file, or nobody."""

from typing import Protocol

from ..state.models.jobs import Phase


class Reporter(Protocol):
    """A stage calls these from its work loop; each is cheap enough to call per step."""

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        """A new phase begins, with `steps` steps of `unit` if that is known."""

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        """`done` steps of this phase are finished in all. Raises Stopped when the stage was asked to stop."""

    def fact(self, **facts: object) -> None:
        """Facts of the progress file: backend, device, seeds (a SeedsLoaded), gpu_mem_mb, batch."""

    def line(self, text: str) -> None:
        """One line for the log, such as `Batch 1/4` or `Loaded Phase0 seed: ...`."""


class Silent:
    """A reporter nobody listens to."""

    def phase(self, name: Phase, steps: int | None = None, unit: str = "") -> None:
        pass

    def step(self, done: int, *, checkpoint: int | None = None, next_s: float | None = None) -> None:
        pass

    def fact(self, **facts: object) -> None:
        pass

    def line(self, text: str) -> None:
        pass
