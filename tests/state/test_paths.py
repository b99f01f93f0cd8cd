"""Where things lie when nobody says otherwise."""

from pathlib import Path

import pytest

from btswarm.state.errors import BadConfig
from btswarm.state.models.config import Roots
from btswarm.state.paths import default_root, existing_logs_root, resolve_roots, venv_folder


def test_a_rented_host_keeps_its_root_on_its_volume(tmp_path: Path) -> None:
    assert default_root(tmp_path) == tmp_path / "backtests_new"


def test_elsewhere_the_root_is_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root(tmp_path / "nothing") == tmp_path / ".local" / "state" / "btswarm"


def test_the_default_folders_lie_under_the_root(tmp_path: Path) -> None:
    roots = resolve_roots({**Roots().model_dump(), "root": str(tmp_path)}, {}, Path("/"), Path("/"))
    assert roots.results == tmp_path
    assert roots.state == tmp_path / "state"
    assert roots.logs == tmp_path / "logs"
    assert roots.knowledge == tmp_path / "docs" / "reference"
    assert roots.venv is None


@pytest.mark.parametrize("written", [{"state": "{home}/x"}, {"root": "{root}/x"}, {"logs": "{root"}, {"venv": "{x}"}])
def test_a_placeholder_that_does_not_exist_is_refused(written: dict[str, str]) -> None:
    with pytest.raises(BadConfig, match=f"roots.{next(iter(written))}"):
        resolve_roots({**Roots().model_dump(), **written}, {}, Path("/"), Path("/"))


def test_a_root_whose_name_has_braces_is_only_a_name(tmp_path: Path) -> None:
    written = {**Roots().model_dump(), "root": "auto"}
    roots = resolve_roots(written, {"RESULTS_ROOT": str(tmp_path / "{x}")}, Path("/"), Path("/"))
    assert roots.results == tmp_path / "{x}"


@pytest.mark.parametrize("named", ["/v", "/v/bin/activate", "/v/bin/activate.fish"])
def test_a_virtual_environment_is_named_by_its_folder_or_its_activate(named: str) -> None:
    assert venv_folder(Path(named)) == Path("/v")


def test_the_logs_root_is_known_without_a_configuration_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("btswarm.state.paths.default_root", lambda: tmp_path)
    assert existing_logs_root({"LOGS_ROOT": "/l"}) == Path("/l")
    assert existing_logs_root({}) is None
    (tmp_path / "logs").mkdir()
    assert existing_logs_root({}) == tmp_path / "logs"
