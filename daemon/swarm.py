"""What the parts of the loop share: the ports, the memory, and where things lie."""

from dataclasses import dataclass, field
from pathlib import Path

from ..state.errors import BadConfig
from ..state.models.config import Config
from ..state.models.events import Draft
from ..state.models.facts import FileView
from ..state.models.records import Desired
from ..state.paths import Roots
from ..state.plans import overlay
from ..state.scribe import Scribe
from .journal import Journal
from .ports import Identity, World

WORKERS = "workers"


@dataclass
class Swarm:
    """`file_config`: as `btswarm.toml` says; `config` has the launched plan laid over it."""

    world: World
    journal: Journal
    scribe: Scribe
    roots: Roots
    file_config: Config
    swarm_id: str
    epoch: str
    build: str
    inherited: dict[str, str] = field(default_factory=dict)
    """Environment of the daemon: workers get what the allow-list names."""
    started: dict[str, Identity] = field(default_factory=dict)
    """Processes of workers whose start nobody has looked at yet."""
    file_views: dict[str, FileView] = field(default_factory=dict)
    """State files as they were last read back."""
    saved: bool = False
    """Whether this daemon has written its state files at least once."""
    _overlaid: tuple[object, object, Config] | None = None

    @property
    def config(self) -> Config:
        """The configuration in force; a plan that contradicts a reloaded file is reported and left out."""
        plan = self.journal.state.control.desired.plan
        if self._overlaid is None or self._overlaid[0] is not self.file_config or self._overlaid[1] is not plan:
            try:
                config = overlay(self.file_config, plan)
            except BadConfig as error:
                self.journal.tell(Draft("command.refused", "launch", {"why": error.line()}, outcome="contradiction"))
                config = self.file_config
            self._overlaid = (self.file_config, plan, config)
        return self._overlaid[2]

    @property
    def desired(self) -> Desired:
        return self.journal.state.control.desired

    def folder(self, worker: str) -> Path:
        """Of one worker: job.json, progress.json, exit.json, lock."""
        return self.roots.state / WORKERS / worker

    def log(self, worker: str) -> Path:
        return self.roots.logs / f"{worker}.log"
