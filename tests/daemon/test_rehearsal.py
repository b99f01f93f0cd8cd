"""One agent asked by hand: over the state a daemon left, without a daemon, changing nothing."""

from pathlib import Path

import orjson
import pytest

from btswarm import cli

from .living import Daemon
from .waiting import until

AGENTS = ("auto_scheduler", "consensus", "hang_guard", "main_orchestrator", "session_state_manager",
          "util_controller", "watchdog", "worker_sentry")  # fmt: skip


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    """What a daemon leaves that was killed with one worker alive, which died too."""
    daemon = Daemon(tmp_path_factory.mktemp("left"), ["sleep", "1000"], full=True).start().up()
    until(lambda: (daemon.state / "worker_sentry_state.json").exists(), what="the agents' files")
    daemon.end()
    return daemon


@pytest.fixture(autouse=True)
def roots(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESULTS_ROOT", "STATE_ROOT", "LOGS_ROOT", "KNOWLEDGE_ROOT"):
        monkeypatch.delenv(name, raising=False)


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_can_be_asked_and_nothing_is_changed(
    left: Daemon, name: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    before = content(left.state)
    assert cli.main(["agents", "once", name, "--json", "--config", str(left.config)]) == 0
    said = orjson.loads(capfdbinary.readouterr().out)
    assert said["agent"] == name
    assert content(left.state) == before


def test_it_sees_the_files_as_they_lie_there(left: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    file, aside = left.state / "work_queue.json", left.root / "aside"
    file.rename(aside)
    assert cli.main(["agents", "once", "watchdog", "--config", str(left.config)]) == 0
    aside.rename(file)
    assert "work_queue.json" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "code"), [("nobody", 64), ("watchdog", 3)])
def test_an_agent_or_a_swarm_that_is_not_there_is_named(
    name: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_ROOT", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["agents", "once", name]) == code
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())
