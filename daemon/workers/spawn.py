"""Starting a worker: its lock taken, its program running, or nothing at all.

posix_spawn does not copy this process, so a start costs the same however large the daemon is. The child holds its lock
from the fork on; nobody else keeps a descriptor of it, so it is free once the last of its holders is gone.
"""

import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ...state.files import open_lock, write_kernel_file
from ..ports import CannotSpawn, Launch

LOCK_FD: Final = 3
OOM_SCORE: Final = b"500"
"""Before the daemon, which must live to clean up."""
ABOVE_STDIO: Final = 10
IGNORED_BY_PYTHON: Final = (signal.SIGPIPE, signal.SIGXFSZ)
KEPT: Final = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
    "SSL_CERT_FILE", "BTSWARM_CONFIG", "RESULTS_ROOT", "STATE_ROOT", "LOGS_ROOT", "KNOWLEDGE_ROOT", "VENV_PATH",
)  # fmt: skip
THREADS: Final = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS", "RAYON_NUM_THREADS",
)  # fmt: skip
CACHES: Final = {"NUMBA_CACHE_DIR": "numba", "CUPY_CACHE_DIR": "cupy", "CUDA_CACHE_PATH": "cuda", "TMPDIR": "tmp"}


def environment(
    inherited: Mapping[str, str], *, token: str, folder: Path, caches: Path, threads: int, gpu_uuid: str = ""
) -> dict[str, str]:
    """All a worker gets to know: nothing is inherited but what is listed. `caches`: a folder under the roots."""
    return {
        **{name: inherited[name] for name in KEPT if name in inherited},
        **dict.fromkeys(THREADS, str(threads)),
        **_caches(caches),
        "BTSWARM_TOKEN": token,
        "BTSWARM_WORKER_DIR": str(folder),
        "BTSWARM_LOCK_FD": str(LOCK_FD),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": gpu_uuid,
        "PYTHONUNBUFFERED": "1",
    }


@lru_cache(maxsize=4)
def _caches(folder: Path) -> Mapping[str, str]:
    return {name: str(folder / below) for name, below in CACHES.items()}


def spawn(launch: Launch) -> int:
    """The pid of the new process, whose program runs. Raises CannotSpawn, and then there is no process."""
    try:
        with _held(launch.lock) as lock:
            pid = _start(
                launch.argv,
                launch.environment,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, lock, LOCK_FD),
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, str(launch.log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=IGNORED_BY_PYTHON,
            )
    except BlockingIOError as error:
        raise CannotSpawn(f"{launch.worker}: somebody holds {launch.lock}") from error
    except OSError as error:
        raise CannotSpawn(f"{launch.worker}: {launch.argv[0]}: {error.strerror}", error.errno or 0) from error
    except ValueError as error:  # an argument or a variable that no kernel takes
        raise CannotSpawn(f"{launch.worker}: {launch.argv[0]!r}: {error}") from error
    _place(pid)
    return pid


def _start(argv: tuple[str, ...], environment: Mapping[str, str], **how: Any) -> int:
    """The program where it was found before: a search of PATH in the child costs it a look into every folder. If it is
    there no more, it is searched. Raises OSError."""
    try:
        return os.posix_spawn(_program(argv[0], environment.get("PATH", os.defpath)), argv, environment, **how)
    except (FileNotFoundError, PermissionError):
        return os.posix_spawnp(argv[0], argv, environment, **how)


@lru_cache(maxsize=64)
def _program(name: str, path: str) -> str:
    return shutil.which(name, path=path) or name


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock. A lock nobody ever made is not held. Raises OSError."""
    try:
        descriptor = open_lock(path, create=False)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def _held(path: Path) -> Iterator[int]:
    """The lock, above the descriptors that the child gets. Raises BlockingIOError when somebody has it."""
    lock = open_lock(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if lock < ABOVE_STDIO:
            low, lock = lock, fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, ABOVE_STDIO)
            os.close(low)
        yield lock
    finally:
        os.close(lock)


def _place(pid: int) -> None:
    """Behind the daemon for the processor, before it for the OOM killer."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, 0)
    with contextlib.suppress(OSError):
        write_kernel_file(Path(f"/proc/{pid}/oom_score_adj"), OOM_SCORE)
