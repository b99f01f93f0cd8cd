"""The unit files as `install` writes them: what must stand in them, what must not, and what systemd's tools say."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from btswarm.daemon.service import UNITS
from btswarm.daemon.units import Filling, fill
from btswarm.state.errors import BadConfig

REQUIRED = {
    *("Type=notify", "NotifyAccess=main", "KillMode=process", "Restart=always", "RestartSec=100ms"),
    *("StartLimitIntervalSec=0", "RestartKillSignal=SIGUSR2", "SuccessExitStatus=75"),
    *("RestartPreventExitStatus=64 74 77", "TimeoutStopSec=100", "WatchdogSec=30", "OOMPolicy=continue"),
    *("TasksMax=infinity", "LimitNOFILE=65536", "LimitCORE=0", "UMask=0077", "NoNewPrivileges=yes"),
    *("OnSuccess=btswarm-sweep.service", "OnFailure=btswarm-sweep.service", "ProtectSystem=strict"),
}
FORBIDDEN = {  # each of them costs workers, /proc, compiled kernels or CUDA
    *("PrivateTmp", "RuntimeDirectory", "DynamicUser", "PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock"),
    *("ProcSubset", "MemoryDenyWriteExecute", "PrivateUsers", "Delegate", "ExecStop", "ExecStopPost", "ProtectProc"),
}


def filling(root: Path, **more: str) -> Filling:
    return Filling("/usr/bin/python3", root / "btswarm.toml", root / "state", root / "logs", (root,), more)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    for name in UNITS:
        (tmp_path / name).write_text(fill(name, filling(Path("/srv/swarm"), STATE_ROOT="/srv/swarm/state"), "systemd"))
    return tmp_path


def settings(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and line[0] not in "#;["]


def test_the_service_says_what_keeps_workers_alive(units: Path) -> None:
    assert set(settings(units / "btswarm.service")) >= REQUIRED


def test_daemon_and_sweep_run_as_the_user_that_was_named(tmp_path: Path) -> None:
    whom = replace(filling(tmp_path), user="quant")
    for name in UNITS[:2]:
        assert "User=quant" in fill(name, whom, "systemd").splitlines()
        assert "User=" not in fill(name, filling(tmp_path), "systemd")
    assert "user=quant" in fill("supervisord.conf", whom, "supervisord").splitlines()


@pytest.mark.parametrize("name", UNITS)
def test_no_unit_says_what_would_cost_workers(units: Path, name: str) -> None:
    keys = {line.partition("=")[0] for line in settings(units / name)}
    assert not keys & FORBIDDEN
    assert "ProtectHome=yes" not in settings(units / name)
    assert not re.search(r"@[A-Z]+@", (units / name).read_text())


def test_the_sweep_may_do_what_the_daemon_may(units: Path) -> None:
    """A process may look at another's environment only with all of its capabilities."""
    caps = [[line for line in settings(units / name) if line.startswith("CapabilityBoundingSet")] for name in UNITS[:2]]
    assert caps[0] == caps[1] != []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_to_complain_about(units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(units / name) for name in UNITS)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", UNITS[:2])
def test_the_units_expose_little(units: Path, name: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(units / name)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    exposure = re.search(rf"exposure level for {name}: ([\d.]+)", done.stdout)
    assert exposure
    assert float(exposure[1]) <= 3.5


def test_paths_with_blanks_quotes_and_signs_keep_their_meaning() -> None:
    text = fill("btswarm.service", filling(Path('/srv/a b/50%$x"y')), "systemd")
    assert '--config "/srv/a b/50%%$$x\\"y/btswarm.toml"' in text
    assert 'WorkingDirectory=/srv/a b/50%%$x"y/state' in text


def test_a_path_that_could_smuggle_a_setting_in_is_refused() -> None:
    with pytest.raises(BadConfig, match="unit file"):
        fill("btswarm.service", filling(Path("/srv/a\nExecStop=/bin/false")), "systemd")


def test_supervisord_is_told_to_signal_the_daemon_alone() -> None:
    found = settings_of_program(fill("supervisord.conf", filling(Path("/srv/s")), "supervisord"))
    assert found >= {"startsecs=0", "autorestart=unexpected", "exitcodes=0,64,74,77", "stopwaitsecs=100"}
    assert found >= {"killasgroup=false", "stopasgroup=false"}


def settings_of_program(text: str) -> set[str]:
    return set(text.splitlines())
