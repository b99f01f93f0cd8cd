"""`btswarm init`: a commented file that says what would have been the case anyway."""

import re
from pathlib import Path

import pytest

from btswarm.engine.commands import init
from btswarm.engine.strategies.mtf_ema import space_for
from btswarm.state.config import parse, read
from btswarm.state.config_text import EXAMPLES, template
from btswarm.state.errors import BadConfig
from btswarm.state.models.config import Config


def test_the_written_file_is_the_defaults() -> None:
    assert parse(template()) == Config()


def test_every_table_and_key_is_in_it() -> None:
    text = template()
    for name, field in Config.model_fields.items():
        assert re.search(rf"^(# )?\[+{name}\b", text, re.MULTILINE), name
        for key in getattr(field.annotation, "model_fields", {}):
            assert re.search(rf"^{key} = ", text, re.MULTILINE), f"{name}.{key}"


def test_its_examples_are_valid_when_their_comment_marks_are_taken_away() -> None:
    lines = [line.removeprefix("# ") for line in EXAMPLES.splitlines() if re.match(r"# (\[|\w+ = )", line)]
    config = parse("\n".join(lines))
    assert config.command[0].name == "fill"
    assert space_for("aggressive", config.space["aggressive"]).leverage == 2


def test_init_writes_the_file_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "host" / "btswarm.toml"
    assert init.main([str(path)]) == 0
    assert read(path) == Config()
    assert str(path) in capsys.readouterr().out
    path.write_text("mine")
    with pytest.raises(BadConfig, match="exists already"):
        init.main([str(path)])
    assert path.read_text() == "mine"
    assert init.main(["--force", str(path.parent)]) == 0
    assert read(path) == Config()


def test_init_can_only_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert init.main(["--print"]) == 0
    assert capsys.readouterr().out == template()
    assert list(tmp_path.iterdir()) == []
