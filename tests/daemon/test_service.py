"""The daemon kept by our own keeper, as in a container: started, killed, taken up again, stopped, swept up after."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from btswarm import cli
from btswarm.daemon.home import swarm_id
from btswarm.daemon.keeper import LOCK as KEEPER_LOCK
from btswarm.daemon.lock import LOCK_NAME, holder_pid, take, told
from btswarm.daemon.sweep import sweep
from btswarm.daemon.view import held
from btswarm.daemon.workers.identity import TOKEN
from btswarm.state.errors import NoPermission

from .census import carriers, kill_all, tokens
from .waiting import until

OWN = "7" * 32
CONFIG = """\
roots = { root = "ROOT" }
disk = { floor_mb = 1, ballast_mb = 1 }
[[command]]
name = "nap"
argv = ["sleep", "1000"]
copies = 2
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host of its own with a plan of two naps; whatever happens, nothing of it outlives the test."""
    for name in ("RESULTS", "STATE", "LOGS", "KNOWLEDGE"):
        monkeypatch.delenv(f"{name}_ROOT", raising=False)
    (tmp_path / "btswarm.toml").write_text(CONFIG.replace("ROOT", str(tmp_path / "root")))
    monkeypatch.setenv("BTSWARM_CONFIG", str(tmp_path / "btswarm.toml"))
    state = tmp_path / "root" / "state"
    yield state
    for lock in (KEEPER_LOCK, LOCK_NAME):
        pid = told(state / lock).partition(" ")[0]
        if held(state / lock) and pid.isdigit():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
    if own := swarm_id(state):
        kill_all(own)


def living(state: Path) -> set[int]:
    own = swarm_id(state)
    return {pid for pid, _ in carriers(own)} if own else set()


def fresh(state: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> int:
    """The exit code of query, once it can be asked about workers that all run."""
    capfdbinary.readouterr()
    code = cli.main(["query", "--json"])
    document = orjson.loads(capfdbinary.readouterr().out)
    return code if [one["state"] for one in document["workers"]] == ["running"] * 2 else -1


def test_a_whole_life_without_a_service_manager(state: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main(["query"]) == 3
    assert cli.main(["start", "--via", "keep"]) == 0
    until(lambda: len(living(state)) == 2, what="both naps are taken")
    workers, first = living(state), holder_pid(state)
    assert first
    assert cli.main(["ensure", "--via", "keep"]) == 0
    assert f"runs already (process {first}, version".encode() in capfdbinary.readouterr().out
    until(lambda: fresh(state, capfdbinary) == 0, what="query tells of both")

    os.kill(first, signal.SIGKILL)
    until(lambda: held(state / LOCK_NAME) and holder_pid(state) != first, what="another daemon has the lock")
    assert living(state) == workers

    assert cli.main(["daemon"]) == 77
    assert str(holder_pid(state)).encode() in capfdbinary.readouterr().err
    assert living(state) == workers

    assert cli.main(["stop", "--via", "keep"]) == 0
    assert not living(state)
    assert not held(state / KEEPER_LOCK)
    assert cli.main(["query"]) == 3
    assert cli.main(["stop", "--via", "keep"]) == 0


def test_a_stop_sweeps_up_after_a_daemon_and_a_keeper_that_were_killed(state: Path) -> None:
    assert cli.main(["start", "--via", "keep"]) == 0
    until(lambda: len(living(state)) == 2, what="both naps are taken")
    for lock in (KEEPER_LOCK, LOCK_NAME):
        os.kill(int(told(state / lock).partition(" ")[0]), signal.SIGKILL)
    until(lambda: not held(state / LOCK_NAME), what="the daemon is gone")
    assert len(living(state)) == 2
    assert cli.main(["stop", "--via", "keep"]) == 0
    assert not living(state)


def test_a_refused_configuration_starts_nothing(state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path(os.environ["BTSWARM_CONFIG"]).write_text("[targets]\ncpu_pct = 180\n")
    for command in ("start", "launch", "daemon"):
        assert cli.main([command]) == 64
    assert capfd.readouterr().err.count("targets.cpu_pct") == 3
    assert not state.exists()


def test_a_plan_that_would_be_refused_starts_nothing(state: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["launch", "--symbol", "no such name!", "--via", "keep"]) == 64
    assert "plan.symbols" in capfd.readouterr().err
    assert not state.exists()


def a_worker(own: str) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], TOKEN: f"{own}.{os.urandom(16).hex()}"}
    return subprocess.Popen(["sleep", "1000"], env=environment, start_new_session=True)


def test_a_sweep_kills_its_own_swarm_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "swarm_id").write_text(OWN)
    with a_worker(OWN) as ours, a_worker("8" * 32) as theirs:
        until(lambda: tokens(OWN) and tokens("8" * 32), what="both run")
        killed = sweep(tmp_path, wait_s=0.0)
        assert killed is not None
        assert [one.pid for one in killed] == [ours.pid]
        assert ours.wait(5) == -signal.SIGKILL
        assert theirs.poll() is None
        theirs.kill()


def test_a_sweep_touches_nothing_while_a_daemon_holds_the_folder(tmp_path: Path) -> None:
    (tmp_path / "swarm_id").write_text(OWN)
    lock = take(tmp_path, "1 2 v 3")
    with a_worker(OWN) as ours:
        assert sweep(tmp_path, wait_s=0.0) is None
        assert ours.poll() is None
        ours.kill()
    os.close(lock)


def test_a_sweep_has_patience_while_a_daemon_is_being_started(tmp_path: Path) -> None:
    (tmp_path / "swarm_id").write_text(OWN)
    looks: list[int] = []

    def coming() -> bool:
        looks.append(len(looks))
        if len(looks) == 3:
            looks.append(take(tmp_path, "1 2 v 3"))
        return True

    with a_worker(OWN) as ours:
        assert sweep(tmp_path, wait_s=0.0, coming=coming) is None
        assert ours.poll() is None
        ours.kill()
    os.close(looks[-1])


def test_where_no_swarm_ever_ran_there_is_nothing_to_sweep(tmp_path: Path) -> None:
    assert sweep(tmp_path / "nothing", wait_s=0.0) == ()
    assert not (tmp_path / "nothing").exists()


def test_the_second_daemon_is_told_who_the_first_is(tmp_path: Path) -> None:
    lock = take(tmp_path, f"{os.getpid()} 5 1.0 99")
    with pytest.raises(
        NoPermission, match=rf"process {os.getpid()}, version 1.0, since 1970-01-01 00:01:39Z is the daemon"
    ):
        take(tmp_path, "other", wait_s=0.05)
    os.close(lock)
    os.close(take(tmp_path, "other"))


@pytest.mark.parametrize(("code", "starts"), [(0, 1), (64, 1), (77, 1), (75, 2), (1, 2)])
def test_a_keeper_starts_again_what_may_be_started_again(tmp_path: Path, code: int, starts: int) -> None:
    counter = tmp_path / "starts"
    daemon = f"echo >> {counter}; [ $(wc -l < {counter}) = 1 ] && exit {code}; exit 0"
    script = f"from btswarm.daemon.keeper import keep; import sys; from pathlib import Path; sys.exit(keep(['/bin/sh', '-c', {daemon!r}], Path({str(tmp_path)!r})))"  # noqa: E501
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=30, capture_output=True)
    assert counter.read_text().count("\n") == starts
    assert done.returncode == (code if starts == 1 else 0)


HANGS = """
import os, signal, socket, sys
with open("starts", "a") as file:
    file.write(f"{os.getpid()}\\n")
if len(open("starts").readlines()) > 1:
    sys.exit(0)
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.sendto(b"READY=1", "\\0" + os.environ["NOTIFY_SOCKET"][1:])
os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_keeper_kills_a_daemon_that_gives_no_sign_of_life_and_starts_another(tmp_path: Path) -> None:
    daemon = [sys.executable, "-c", HANGS]
    script = "import sys; from pathlib import Path; from btswarm.daemon.keeper import keep; " + (
        f"sys.exit(keep({daemon!r}, Path({str(tmp_path)!r}), limit_s=0.3, look_s=0.05))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, check=False, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "starts").read_text().split()) == 2
    assert "no sign of life" in done.stderr
    assert "ended with -9" in done.stderr


@pytest.mark.parametrize(
    ("way", "names"),
    [("systemd", {"btswarm.service", "btswarm-sweep.service", "btswarm.slice"}), ("supervisord", {"btswarm.conf"})],
)
def test_the_files_of_a_service_manager_can_be_had_in_a_folder_of_one_s_own(
    state: Path, tmp_path: Path, way: str, names: set[str]
) -> None:
    folder = tmp_path / "new" / "deep"
    assert cli.main(["install", "--via", way, "--into", str(folder)]) == 0
    assert {path.name for path in folder.iterdir()} == names
    assert not state.exists()


def test_a_daemon_that_is_refused_for_good_is_told_of_at_once_in_its_own_words(
    state: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    state.mkdir(parents=True)
    (state / "swarm_id").write_text("torn")
    assert cli.main(["start", "--via", "keep"]) == 74
    assert b"holds no swarm id" in capfdbinary.readouterr().err
    assert not held(state / KEEPER_LOCK)


def test_two_starts_at_once_end_with_one_daemon(state: Path) -> None:
    start = [sys.executable, "-P", "-m", "btswarm", "start", "--via", "keep"]
    both = [subprocess.Popen(start, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    until(lambda: len(living(state)) == 2, what="both naps are taken, once")
    assert cli.main(["stop", "--via", "keep"]) == 0
    assert not living(state)


def test_a_user_there_is_not_gets_no_service(
    state: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    into = ["--into", str(tmp_path / "new"), "--via", "systemd"]
    assert cli.main(["install", "--user", "no-such-user", *into]) == 64
    assert b"no-such-user" in capfdbinary.readouterr().err
    assert not (tmp_path / "new").exists()
    assert cli.main(["install", "--user", "nobody", *into]) == 0
    assert "User=nobody" in (tmp_path / "new" / "btswarm.service").read_text()
    assert not state.exists()
