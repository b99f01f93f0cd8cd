"""The view in tmux: a real tmux with its windows, and nothing of the swarm changed when it is closed or killed."""

import builtins
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from btswarm import cli
from btswarm.daemon import monitors

from .waiting import until

NAME = "btswarm-test"
needs_tmux = pytest.mark.skipif(not shutil.which("tmux"), reason="tmux is not installed")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A root with a log, and a tmux server of the test's own."""
    monkeypatch.setenv("TMUX_TMPDIR", str(tmp_path))
    monkeypatch.setenv("STATE_ROOT", str(tmp_path / "state"))
    monkeypatch.setenv("LOGS_ROOT", str(tmp_path / "logs"))
    monkeypatch.delenv("TMUX", raising=False)
    for name in ("state", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "logs" / "cpu000@1.log").write_text("first\n\x1b[31mBatch 1/2\n")
    yield tmp_path
    if shutil.which("tmux"):
        pytest.importorskip("libtmux").Server(socket_name=NAME).kill()


@needs_tmux
def test_the_view_has_the_windows_that_scripts_look_for_and_is_built_once(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    libtmux = pytest.importorskip("libtmux")
    assert cli.main(["monitors", "--detached", "--socket", NAME]) == 0
    assert "is built" in capsys.readouterr().out
    assert cli.main(["monitors", "--detached", "--socket", NAME]) == 0
    assert "stands already" in capsys.readouterr().out
    session = libtmux.Server(socket_name=NAME).sessions.get(session_name="btswarm")
    assert tuple(window.window_name for window in session.windows) == monitors.WINDOWS
    panes = session.windows.get(window_name=monitors.PROGRESS).panes
    until(lambda: "btswarm top" in "".join(panes[0].capture_pane()), what="the live status")
    logs = session.windows.get(window_name=monitors.LOGS).panes[0]
    until(lambda: "cpu000@1.log" in "".join(logs.capture_pane()), what="the index of logs")
    assert cli.main(["monitors", "--close", "--socket", NAME]) == 0
    assert cli.main(["monitors", "--close", "--socket", NAME]) == 0
    assert not list((host / "state").iterdir())


def test_the_index_shows_each_log_with_its_last_line_without_control_characters(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "logs" / "cpu001@1.log").touch()
    assert cli.main(["monitors", "--logs"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 logs in")
    assert "[31mBatch 1/2" in out
    assert "\x1b" not in out


@pytest.mark.usefixtures("host")
def test_without_tmux_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert cli.main(["monitors"]) == 69
    assert capsys.readouterr().err == (
        "btswarm: tmux is not installed; install tmux, or use btswarm top and btswarm events -f\n"
    )


@pytest.mark.usefixtures("host")
def test_without_libtmux_one_line_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name.startswith("libtmux"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/tmux")
    monkeypatch.setattr(builtins, "__import__", without)
    assert cli.main(["monitors"]) == 69
    assert "pip install libtmux" in capsys.readouterr().err
