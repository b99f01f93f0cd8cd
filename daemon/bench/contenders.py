"""Who keeps the workers of a benchmark running: this swarm, the yardstick, and other supervisors where installed.

All run the same command the same number of times, as processes of their own, and are stopped with all they started.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import orjson

from ...state.disk import RealDisk
from ...state.files import make_folder, write_atomic
from ...state.paths import VARIABLES
from ..home import swarm_id
from . import outside
from .board import LIMIT_S, Board, NotBack

CONFIG: Final = """\
roots = {{ root = "{root}" }}
{tables}
[[command]]
name = "w"
argv = {argv}
copies = {copies}
restart = "always"
cpus = 0.0
mem_mb = 1
pids = 1
"""
END_S: Final = 20.0
SETTLE_S: Final = 1.5
"""After the last worker runs, until its supervisor has written all that it wants to write about that."""


class Contender:
    """`copies` of `argv`, run and replaced by the process that `command` names. `folder`: its own, empty."""

    name = ""

    def __init__(self, folder: Path, argv: Sequence[str], copies: int) -> None:
        self.folder, self.argv, self.copies = make_folder(folder), list(argv), copies
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        output = RealDisk().open_append(self.folder / "output.log")
        try:
            self.process = subprocess.Popen(
                self.command(), env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                cwd=self.folder, start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(output)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def up(self, board: Board, limit_s: float = LIMIT_S) -> list[int]:
        """The pids of all its workers, once they run. Raises NotBack with the last that it said."""
        try:
            return board.wait(self.copies, limit_s)[0]
        except NotBack as error:
            said = (self.folder / "output.log").read_text(errors="replace").strip().splitlines()
            raise NotBack(error.message, fix=f"{self.name} said last: {said[-1] if said else 'nothing'}") from error

    def kill(self) -> None:
        """The supervisor itself, at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """The supervisor and every process it started."""
        assert self.process is not None
        below = outside.below(self.pid)
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(END_S)
        if self.process.poll() is None:
            self.kill()
        outside.kill(below)


class Ours(Contender):
    """This swarm with all its agents and its shipped policies. `tables`: of btswarm.toml, where a part differs."""

    name = "btswarm"

    def __init__(self, folder: Path, argv: Sequence[str], copies: int, tables: str = "") -> None:
        super().__init__(folder, argv, copies)
        self.root = folder / "root"
        self.config = folder / "btswarm.toml"
        text = CONFIG.format(root=self.root, argv=orjson.dumps(self.argv).decode(), copies=copies, tables=tables)
        write_atomic(self.config, text.encode())

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def swarm_id(self) -> str:
        """Empty as long as it has none."""
        return swarm_id(self.state) or ""

    def command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "btswarm", "daemon", "--config", str(self.config)]

    def stop(self) -> None:
        """Without the grace that a drain would give to workers which have nothing to save."""
        assert self.process is not None
        if self.process.poll() is None:
            self.kill()
        while self.swarm_id and (left := [pid for pid, _ in outside.carriers(self.swarm_id)]):
            outside.kill(left)


class Reference(Contender):
    """A supervisor without agents, by pidfd."""

    name = "reference"

    def command(self) -> list[str]:
        script = str(Path(__file__).with_name("reference.py"))
        return [sys.executable, "-S", "-E", script, str(self.copies), *self.argv]


class Supervisord(Contender):
    """supervisord: every restart at once, as fast as it can."""

    name = "supervisord"
    program = "supervisord"

    def command(self) -> list[str]:
        quoted = shlex.join(self.argv)
        text = f"""\
[supervisord]
nodaemon = true
logfile = {self.folder}/supervisord.log
pidfile = {self.folder}/supervisord.pid
childlogdir = {self.folder}
[unix_http_server]
file = {self.folder}/s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:w]
command = {quoted.replace("%", "%%")}
process_name = %(process_num)04d
numprocs = {self.copies}
startsecs = 0
autorestart = true
stopasgroup = true
killasgroup = true
"""
        write_atomic(self.folder / "supervisord.conf", text.encode())
        return [self.program, "-c", str(self.folder / "supervisord.conf")]


class Circus(Contender):
    """circus as it comes; `poll_s`: how often it looks at its processes."""

    name = "circus"
    program = "circusd"
    poll_s = 5.0

    def command(self) -> list[str]:
        text = f"""\
[circus]
check_delay = {self.poll_s}
endpoint = ipc://{self.folder}/e
pubsub_endpoint = ipc://{self.folder}/p
statsd = false
[watcher:w]
cmd = {self.argv[0]}
args = {shlex.join(self.argv[1:])}
numprocesses = {self.copies}
shell = false
max_retry = -1
warmup_delay = 0
"""
        write_atomic(self.folder / "circus.ini", text.encode())
        return [self.program, str(self.folder / "circus.ini")]


class TunedCircus(Circus):
    """circus that looks ten times a second."""

    name = "circus_tuned"
    poll_s = 0.1


OTHERS: Final = (Supervisord, Circus, TunedCircus)


def installed() -> list[type[Supervisord] | type[Circus]]:
    return [one for one in OTHERS if shutil.which(one.program)]


def environment() -> Mapping[str, str]:
    """Ours without the roots, which the configuration names."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES.values()}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="btswarm-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextlib.contextmanager
def running(contender: Contender, board: Board) -> Iterator[list[int]]:
    """The pids of all its workers, once they run and it has come to rest."""
    contender.start()
    try:
        pids = contender.up(board)
        time.sleep(SETTLE_S)
        yield pids
    finally:
        contender.stop()


def bare(argv: Sequence[str]) -> int:
    """One process of the command, with nothing around it."""
    return os.posix_spawnp(argv[0], list(argv), os.environ, setsid=True)


def bury(pids: Sequence[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
