"""A view of the swarm in tmux: windows with commands that only look. Closing or killing tmux changes nothing."""

import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..state.errors import BtswarmError, ExitCode
from .view import now

if TYPE_CHECKING:
    import libtmux

SESSION: Final = "btswarm"
PROGRESS, CPU, GPU, LOGS = "bt-worker-progress", "bt-worker-cpu-mon", "bt-worker-gpu-mon", "bt-worker-log-index"
WINDOWS: Final = (PROGRESS, CPU, GPU, LOGS)
SHOWN: Final = 40
TAIL_BYTES: Final = 4096


class NoTmux(BtswarmError):
    """What the view is made with is not on this host."""

    code = ExitCode.GPU_LOST


def server(socket: str | None = None) -> "libtmux.Server":
    """The tmux server of this user, or the one of a socket's name. Raises NoTmux."""
    if not shutil.which("tmux"):
        raise NoTmux("tmux is not installed", fix="install tmux, or use btswarm top and btswarm events -f")
    try:
        import libtmux
    except ImportError as error:
        raise NoTmux("libtmux is not installed", fix="pip install libtmux, or use btswarm top") from error
    return libtmux.Server(socket_name=socket)


def build(tmux: "libtmux.Server", name: str, config: str | None) -> bool:
    """The session `name` with its windows; False when it stands already."""
    if tmux.has_session(name):
        return False
    session = tmux.new_session(session_name=name, window_name=PROGRESS, window_command=told("top", config), x=200, y=50)
    events = told("events", config, "-f")
    session.active_window.cmd("split-window", "-v", "-l", "40%", events)
    logs = told("monitors", config, "--logs")
    for window, command in ((CPU, cpu_command(config)), (GPU, gpu_command()), (LOGS, logs)):
        session.new_window(window_name=window, window_shell=command, attach=False)
    return True


def told(command: str, config: str | None, *more: str) -> str:
    """A command of ours as a shell takes it. When it ends, its last words stay on the screen."""
    argv = [sys.executable, "-P", "-m", "btswarm", command, *more, *(["--config", config] if config else [])]
    return f"{shlex.join(argv)}; {WAIT}"


WAIT: Final = "printf '\\n(ended; enter closes this pane)'; read _"


def cpu_command(config: str | None) -> str:
    return "top -d 5" if shutil.which("top") else told("top", config, "--every", "5")


def gpu_command() -> str:
    return "nvidia-smi -l 5" if shutil.which("nvidia-smi") else f"echo 'no nvidia-smi on this host'; {WAIT}"


def index(folder: Path) -> Iterator[str]:
    """Logs of workers, the newest first: size, age, last line."""
    logs = sorted(folder.glob("*.log"), key=_changed, reverse=True)
    yield f"{len(logs)} logs in {folder}"
    for path in logs[:SHOWN]:
        try:
            found, text = path.stat(), _last_line(path)
        except OSError:
            continue  # removed meanwhile
        age_s = max(0.0, now() - found.st_mtime)
        yield f"{path.name:<24} {found.st_size / 1024:>9.1f} KB {age_s:>7.0f} s ago  {text}"


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines: Sequence[bytes] = file.read().splitlines()
    text = lines[-1].decode(errors="replace") if lines else ""
    return "".join(character for character in text if character.isprintable())[:120]
