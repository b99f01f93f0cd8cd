"""`btswarm launch`: submit the plan to the swarm, starting it first if need be.

With SWARM_ENABLED=false and no daemon the plan runs in the foreground.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...state.engines import ENGINES, gpu_missing, wanted
from ...state.errors import ExitCode, GpuUnavailable
from ..lock import LOCK_NAME
from ..view import held

if TYPE_CHECKING:
    from ...state.config import Settings

SYNTHETIC = "synthetic"

EPILOG = """\
Options that are left out come from btswarm.toml. Exit codes: 0 accepted and logged; 64 refused; 66 no candles
there; 69 a GPU was asked for that cannot be used; otherwise those of `btswarm start`. It follows nothing."""
LOOK = """\
btswarm query     the state of the run and its next steps
btswarm status    how the swarm is; btswarm top shows it live
btswarm events -f what happens and why, as it happens
btswarm stop      ends it, each worker at a checkpoint"""


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    from ...state.config import load

    settings = load(options.config)
    running = held(settings.roots.state / LOCK_NAME)
    if not settings.swarm_enabled and not running:
        print("SWARM_ENABLED=false and no daemon runs: the plan runs in the foreground", file=sys.stderr)
        return _foreground(options)
    plan = plan_of(options, settings)
    _refuse_early(settings, plan, running=running)
    if not running:
        from ..service import kind, start

        print(start(settings, options.via or kind()))
    return submit(plan, settings)


def submit(plan: dict[str, Any], settings: "Settings") -> int:
    """Tell the daemon; it logs before it answers."""
    from ...state.control_client import CHANGE_S, ask
    from ...state.plans import overlay

    ask(settings.roots.state, "launch", plan, wait_s=CHANGE_S)
    if overlay(settings.config, plan).plan.data_path == SYNTHETIC:
        print("SYNTHETIC DATA: the swarm searches an invented market; --data-path names real candles")
    print(f"launched: {_words(plan)}\nstate in {settings.roots.state}, results in {settings.roots.results}\n\n{LOOK}")
    return ExitCode.OK


def plan_of(options: argparse.Namespace, settings: "Settings") -> dict[str, Any]:
    """The tables of the plan as this call sees them: the file it reads, and over it what the command line says."""
    from ...state.plans import tables_of

    tables = tables_of(settings.config)
    plan, volume = dict(tables.get("plan", {})), dict(tables.get("volume", {}))
    said = {"symbols": _listed(options.symbol), "modes": _listed(options.mode), "rounds": options.rounds,
            "engine": _engine(options)}  # fmt: skip
    plan |= {name: value for name, value in said.items() if value not in (None, [])}
    if options.allow:
        plan["allow"] = list(dict.fromkeys([*plan.get("allow", ()), *options.allow]))
    path = options.data_path or plan.get("data_path") or (SYNTHETIC if options.synthetic else "")
    if path:
        plan["data_path"] = path if path == SYNTHETIC else str(Path(path).expanduser().absolute())
    volume |= _given(combos=options.prescreen, trials=options.trials, paths=options.paths)
    costs = {**tables.get("costs", {}), **_given(fee=options.fee, slippage=options.slippage, funding=options.funding)}
    made = {"plan": plan, "volume": volume, "costs": costs}
    return {**tables, **{name: table for name, table in made.items() if table}}


def _engine(options: argparse.Namespace) -> str | None:
    """What the plan asks for. Raises BadConfig for a contradiction, GpuUnavailable where no GPU can be used."""
    if options.engine is None and options.gpu is None:
        return None
    engine = wanted(options.engine or "auto", options.gpu)
    if engine == "gpu" and (why := gpu_missing(options.gpu or 0)):
        raise GpuUnavailable(f"GPU {options.gpu or 0} cannot be used: {why}", fix="use --engine cpu, or --gpu -1")
    return engine


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _refuse_early(settings: "Settings", plan: dict[str, Any], *, running: bool) -> None:
    """Nothing is started for a plan that would be refused. Raises BadConfig, InputGone."""
    from ...state.plans import overlay, refuse_oversized
    from ..wishes import refuse_incomplete, refuse_missing

    refuse_oversized(plan)
    wanted = overlay(settings.config, plan)
    if not running:  # one that runs has a file of its own, which may say the rest
        refuse_incomplete(wanted)
    refuse_missing(wanted)


def _foreground(options: argparse.Namespace) -> int:
    """The same plan by `btswarm run`, in this process's place."""
    names = ("data_path", "prescreen", "trials", "paths", "fee", "slippage", "funding", "engine", "gpu", "config")
    several = {"--symbol": options.symbol, "--mode": options.mode, "--allow": options.allow}
    words = [(f"--{name.replace('_', '-')}", getattr(options, name)) for name in names]
    words += [(name, value) for name, values in several.items() for value in values]
    argv = [f"{name}={value}" for name, value in words if value is not None]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "btswarm", "run", *argv])


def _words(plan: dict[str, Any]) -> str:
    tables = plan.get("plan", {})
    symbols = ", ".join(tables.get("symbols", ())) or "all symbols"
    commands = f", {len(plan['command'])} commands" if plan.get("command") else ""
    return f"{symbols} x {', '.join(tables.get('modes', ('all modes',)))}{commands}"


def _listed(values: list[str]) -> list[str]:
    """`["SOL,BTC", "SOL"]` -> SOL, BTC: each once, in the order given."""
    words = [word.strip() for value in values for word in value.split(",")]
    return list(dict.fromkeys(word for word in words if word))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm launch", description=__doc__, epilog=EPILOG)
    plan = parser.add_argument_group("what")
    plan.add_argument("--data-path", metavar="P", help="candle file, or a folder searched by symbol")
    plan.add_argument("--synthetic", action="store_true", help="an invented market, if no data path is named")
    _repeatable(plan, "--symbol", "S", "comma separated or repeated: SOL,BTC")
    _repeatable(plan, "--mode", "M", "conservative, balanced, aggressive; the same")
    _repeatable(plan, "--allow", "NAME", "accept this preflight failure: days, gaps...")
    plan.add_argument("--rounds", type=int, metavar="N", help="0: no end")
    volume = parser.add_argument_group("how much")
    volume.add_argument("--prescreen", type=int, metavar="N", help="combos of each screen")
    volume.add_argument("--trials", type=int, metavar="N", help="Optuna trials")
    volume.add_argument("--paths", type=int, metavar="N", help="Monte Carlo paths")
    costs = parser.add_argument_group("costs, as fractions")
    costs.add_argument("--fee", type=float, metavar="F", help="of traded notional, per side")
    costs.add_argument("--slippage", type=float, metavar="F", help="of the price, per market fill")
    costs.add_argument("--funding", type=float, metavar="F", help="per 8 hours, paid by longs")
    where = parser.add_argument_group("where")
    where.add_argument("--engine", choices=ENGINES, help="what screens; auto: a GPU where there is one")
    where.add_argument("--gpu", type=int, metavar="N", help="-1: the CPU; else that device")
    where.add_argument("--via", choices=("systemd", "supervisord", "keep"), help="who keeps the daemon, if none runs")
    where.add_argument("--config", type=Path, metavar="F", help="btswarm.toml; else searched in the usual places")
    return parser


def _repeatable(group: "argparse._ArgumentGroup", name: str, metavar: str, about: str) -> None:
    group.add_argument(name, metavar=metavar, action="append", default=[], help=about)
