"""`btswarm.toml`: what is not understood exactly is refused, with the key, the value and what is allowed."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from btswarm.state.config import Settings, load, parse
from btswarm.state.errors import BadConfig, ExitCode, NoPermission
from btswarm.state.models.config import MIN_TRADES, MODES, Config

REFUSED = [
    ("[plna]", "unknown table plna; did you mean plan?"),
    ("[plan]\nsymbol = []", "unknown key plan.symbol; did you mean symbols?"),
    ("[workers.quiet_floor_s]\nstrat = 1", "unknown key workers.quiet_floor_s.strat; did you mean start?"),
    ('[[command]]\nname = "a"\nargv = ["x"]\nagrv = 1', "unknown key command[1].agrv; did you mean argv?"),
    ("zorg = 1", "unknown table zorg; known here: roots, plan,"),
    ("[plan]\nmin_trades = 29", "plan.min_trades = 29: must be at least 30"),
    ("[plan]\nmin_trades = 1000000000000000000000000", "must be at most 1000000"),
    ("[plan]\ntrain_days = 1000000000000000000000000", "must be at most 36500"),
    ('[plan]\nmodes = ["fast"]', "plan.modes[1] = \"fast\": must be 'conservative', 'balanced' or 'aggressive'"),
    ("[plan]\nmodes = []", "plan.modes = []: must be a list of at least 1"),
    ('[plan]\nsymbols = "SOL"', 'plan.symbols = "SOL": must be a list'),
    ('[plan]\nsymbols = [""]', 'plan.symbols[1] = "": must be text that is not empty'),
    ('[plan]\nsymbols = ["../x"]', "must be made of letters, digits"),
    ('[plan]\nsymbols = ["A", "A"]', "plan.symbols = ['A', 'A'] must name each entry once"),
    ("plan = 3", "plan = 3: must be a table"),
    ("[volume]\ncombos = 2.5", "volume.combos = 2.5: must be a whole number"),
    ("[volume]\ncombos = 0", "volume.combos = 0: must be at least 1"),
    ("[volume]\ncombos = true", "volume.combos = true: must be a whole number"),
    ('[volume]\ntrials = "200"', 'volume.trials = "200": must be a whole number'),
    ("[costs]\nfee = nan", "costs.fee = NaN: must be a finite number"),
    ("[costs]\nfee = inf", "must be a finite number"),
    ("[costs]\nfee = -0.1", "costs.fee = -0.1: must be at least 0"),
    ("[costs]\nslippage = 0.1", "costs.slippage = 0.1: must be less than 0.1"),
    ('[storage]\nstudy = "memory"', 'storage.study must be "auto" or a URL'),
    ("[targets]\ncpu_pct = 101", "targets.cpu_pct = 101: must be at most 100"),
    ("[lanes]\ncpu = -1", "lanes.cpu = -1: must be 'auto' or at least 0"),
    ('[lanes]\ncpu = "all"', "lanes.cpu = \"all\": must be 'auto' or a whole number"),
    ("[workers]\nstop_grace_s = 0", "workers.stop_grace_s = 0: must be more than 0"),
    ("[workers]\nbudget_s = 100", "workers.start_s = 120 must be less than workers.budget_s = 100"),
    ("[workers.quiet_floor_s]\nother = 4000", "workers.quiet_floor_s.other = 4000 must be less than workers.budget_s"),
    ("[restart]\nbase_s = 300", "restart.base_s = 300 must be less than restart.cap_s = 300"),
    ("[scale]\nup_factor = 1", "scale.up_factor = 1: must be more than 1"),
    ("[cycle]\nagent_soft_ms = 2000", "cycle.agent_soft_ms / 1000 = 2 must be less than cycle.agent_hard_s = 1"),
    ("[cycle]\ntick_s = 1", "cycle.agent_hard_s = 1 must be less than cycle.tick_s = 1"),
    ("[cycle]\nsave_max_s = 0.5", "cycle.save_min_s = 1 must be less than cycle.save_max_s = 0.5"),
    ("[gpu]\nretry_s = 5", "gpu.probe_deadline_s = 5 must be less than gpu.retry_s = 5"),
    (
        "[budget]\nprice_per_hour = 3\nper_hour = 2",
        "budget.price_per_hour = 3 must not be more than budget.per_hour = 2",
    ),
    ("[budget]\nper_run = 30\nper_month = 20", "budget.per_run = 30 must not be more than budget.per_month = 20"),
    ("[space.fast]\nleverage = 1", "space.fast: the table's name must be 'conservative', 'balanced' or 'aggressive'"),
    ("[space.balanced]\nleverage = true", "space.balanced.leverage must be a number, a word or a list of numbers"),
    ("[space.balanced]\nleverage = inf", "space.balanced.leverage must be finite"),
    ('[[command]]\nname = "a"', "command[1].argv is missing"),
    ('[[command]]\nname = "a"\nargv = [""]', "command.argv begins with a program"),
    ('[[command]]\nname = "a"\nargv = ["x", "\\u0000"]', "no part of it holds a NUL"),
    ('[[command]]\nname = "a"\nargv = []', "command[1].argv = []: must be a list of at least 1"),
    (
        '[[command]]\nname = "a"\nargv = ["x"]\n[[command]]\nname = "a"\nargv = ["y"]',
        "command.name = 'a' must be given",
    ),
    ("[plan", "is not TOML"),
    ("[plan]\nrounds = 1\nrounds = 2", "is not TOML"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[text.replace("\n", " ") for text, _ in REFUSED])
def test_what_is_not_understood_is_refused_with_key_value_and_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(BadConfig) as refused:
        parse(text, "some.toml")
    assert refused.value.code == ExitCode.BAD_CONFIG
    assert said in refused.value.line()
    assert refused.value.line().startswith("some.toml")
    assert refused.value.fix


def test_a_refusal_says_how_much_else_is_wrong() -> None:
    with pytest.raises(BadConfig, match=r"\(and 2 more\)"):
        parse("[volume]\ncombos = 0\ntrials = 0\n[plna]")


def test_a_database_url_is_never_repeated_in_a_refusal() -> None:
    with pytest.raises(BadConfig) as refused:
        parse('[storage]\nstudy = "user:secret@host"')
    assert "secret" not in refused.value.line()


def test_an_empty_file_is_the_defaults() -> None:
    assert parse("") == Config()
    assert Config().plan.modes == MODES
    assert Config().plan.min_trades == MIN_TRADES
    assert Config().volume.combos == 250_000
    assert Config().workers.quiet_floor_s.batch == 60
    assert Config().command == ()


def test_what_is_given_is_taken_and_the_rest_stays_default() -> None:
    text = '[plan]\nsymbols = ["SOLUSDT"]\n[space.aggressive]\nfast_tf = [15, 30]\nleverage = 2\n[lanes]\ncpu = 3\n'
    config = parse(text + '[[command]]\nname = "fill"\nargv = ["sleep", "60"]')
    assert config.plan.symbols == ("SOLUSDT",)
    assert config.plan.modes == MODES
    assert config.space["aggressive"] == {"fast_tf": (15, 30), "leverage": 2}
    assert config.lanes.cpu == 3
    assert config.command[0].restart == "always"


def test_a_configuration_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        parse("").volume.combos = 1  # type: ignore[misc]


@given(text=st.text())
def test_any_text_is_either_a_configuration_or_one_refusal(text: str) -> None:
    try:
        outcome: Config | str = parse(text)
    except BadConfig as refused:
        outcome = refused.line()
    assert isinstance(outcome, Config) or "\n" not in outcome


def loaded(tmp_path: Path, named: Path | None = None, **environ: str) -> Settings:
    return load(named, {"RESULTS_ROOT": str(tmp_path / "results"), **environ}, tmp_path / "here")


def write(path: Path, combos: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[volume]\ncombos = {combos}\n")
    return path


def test_the_first_file_of_the_search_order_counts(tmp_path: Path) -> None:
    assert loaded(tmp_path).file is None
    in_results = write(tmp_path / "results" / "btswarm.toml", 1)
    assert loaded(tmp_path).file == in_results
    in_working = write(tmp_path / "here" / "btswarm.toml", 2)
    assert loaded(tmp_path).file == in_working
    of_environment = write(tmp_path / "env.toml", 3)
    assert loaded(tmp_path, BTSWARM_CONFIG=str(of_environment)).config.volume.combos == 3
    named = write(tmp_path / "named.toml", 4)
    assert loaded(tmp_path, named, BTSWARM_CONFIG=str(of_environment)).config.volume.combos == 4


def test_a_file_that_is_named_and_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"there is no configuration file .*nowhere\.toml"):
        loaded(tmp_path, tmp_path / "nowhere.toml")
    with pytest.raises(BadConfig, match="there is no configuration file"):
        loaded(tmp_path, BTSWARM_CONFIG=str(tmp_path / "nowhere.toml"))


def test_a_refusal_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"[plan]\nsymbols = ['\xff']")
    with pytest.raises(BadConfig, match="not UTF-8") as refused:
        loaded(tmp_path, path)
    assert str(path) in refused.value.line()


def test_a_file_that_may_not_be_read_is_no_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_path: Path, encoding: str) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    path = write(tmp_path / "x.toml", 1)
    monkeypatch.setattr(Path, "read_text", forbidden)
    with pytest.raises(NoPermission):
        loaded(tmp_path, path)


def test_paths_in_the_file_start_at_its_folder_and_those_of_the_environment_where_one_stands(tmp_path: Path) -> None:
    path = tmp_path / "host" / "btswarm.toml"
    path.parent.mkdir()
    path.write_text(
        '[roots]\nroot = "swarm"\nlogs = "{root}/log"\nknowledge = "notes"\n[plan]\ndata_path = "candles"\n'
        '[notify]\nmarkdown = "NOTES.md"\n'
    )
    settings = load(path, {"STATE_ROOT": "my-state"}, tmp_path / "here")
    assert settings.roots.root == tmp_path / "host" / "swarm"
    assert settings.roots.results == tmp_path / "host" / "swarm"
    assert settings.roots.logs == tmp_path / "host" / "swarm" / "log"
    assert settings.roots.knowledge == tmp_path / "host" / "notes"
    assert settings.roots.state == tmp_path / "here" / "my-state"
    assert settings.roots.ledger == tmp_path / "here" / "my-state" / "search_ledger.jsonl"
    assert settings.config.plan.data_path == str(tmp_path / "host" / "candles")
    assert settings.config.notify.markdown == str(tmp_path / "host" / "NOTES.md")


def test_the_synthetic_market_is_no_path(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[plan]\ndata_path = "synthetic"')
    assert loaded(tmp_path, path).config.plan.data_path == "synthetic"


def test_the_environment_moves_every_root(tmp_path: Path) -> None:
    environ = {name: f"/somewhere/{name}" for name in ("RESULTS_ROOT", "STATE_ROOT", "LOGS_ROOT", "KNOWLEDGE_ROOT")}
    roots = load(None, {**environ, "VENV_PATH": "/v/bin/activate"}, tmp_path).roots
    assert [roots.results, roots.state, roots.logs, roots.knowledge] == [Path(path) for path in environ.values()]
    assert roots.venv == Path("/v")


@pytest.mark.parametrize(
    ("value", "enabled"), [("", True), ("true", True), ("1", True), ("False", False), ("off", False)]
)
def test_swarm_enabled_is_a_switch(tmp_path: Path, value: str, enabled: bool) -> None:
    assert loaded(tmp_path, SWARM_ENABLED=value).swarm_enabled is enabled


def test_swarm_enabled_is_never_guessed(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="SWARM_ENABLED='maybe'"):
        loaded(tmp_path, SWARM_ENABLED="maybe")
