"""`btswarm launch`: submit the plan to the swarm, starting it first if need be.

With SWARM_ENABLED=false and no daemon the plan runs in the foreground.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...state.errors import ExitCode, InputGone
from ..lock import LOCK_NAME
from ..view import held

if TYPE_CHECKING:
    from ...state.config import Settings

EPILOG = """\
Options that are left out come from btswarm.toml. Exit codes: 0 accepted and logged; 64 refused; otherwise
those of `btswarm start`."""


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    from ...state.config import load

    settings = load(options.config)
    running = held(settings.roots.state / LOCK_NAME)
    if not settings.swarm_enabled and not running:
        print("SWARM_ENABLED=false and no daemon runs: the plan runs in the foreground", file=sys.stderr)
        return _foreground(options)
    _refuse_early(settings, plan_of(options, settings))
    if not running:
        from ..service import kind, start

        print(start(settings, options.via or kind()))
    return submit(options, settings)


def submit(options: argparse.Namespace, settings: "Settings") -> int:
    """Tell the daemon; it logs before it answers."""
    from ...state.control_client import CHANGE_S, ask

    plan = plan_of(options, settings)
    ask(settings.roots.state, "launch", plan, wait_s=CHANGE_S)
    if plan.get("plan", {}).get("data_path") == "synthetic":
        print("SYNTHETIC DATA: the swarm searches an invented market; --data-path names real candles")
    print(f"launched: {_words(plan)}; btswarm status shows how it goes")
    return ExitCode.OK


def plan_of(options: argparse.Namespace, settings: "Settings") -> dict[str, Any]:
    """The tables of the plan as this call sees them: the file it reads, and over it what the command line says."""
    config = settings.config.model_dump(mode="json", exclude_unset=True)
    tables = {name: config[name] for name in ("plan", "volume", "costs", "space", "command") if config.get(name)}
    plan, volume = dict(tables.get("plan", {})), dict(tables.get("volume", {}))
    if options.symbol:
        plan["symbols"] = _listed(options.symbol)
    if options.mode:
        plan["modes"] = _listed(options.mode)
    if options.rounds is not None:
        plan["rounds"] = options.rounds
    path = options.data_path or plan.get("data_path") or ("synthetic" if options.synthetic else "")
    if path:
        plan["data_path"] = path if path == "synthetic" else str(Path(path).expanduser().absolute())
    asked = {"combos": options.prescreen, "trials": options.trials, "paths": options.paths}
    volume |= {name: value for name, value in asked.items() if value is not None}
    return {**tables, **({"plan": plan} if plan else {}), **({"volume": volume} if volume else {})}


def _refuse_early(settings: "Settings", plan: dict[str, Any]) -> None:
    """Nothing is started for a plan that would be refused. Raises BadConfig, InputGone."""
    from ...state.plans import overlay, refuse_oversized

    refuse_oversized(plan)
    path = overlay(settings.config, plan).plan.data_path
    if path and path != "synthetic" and not Path(path).exists():
        raise InputGone(
            f"there are no candles at {path}", fix="let --data-path or plan.data_path name a file or folder"
        )


def _foreground(options: argparse.Namespace) -> int:
    """The same plan by `btswarm run`, in this process's place."""
    words = [("--symbol", options.symbol), ("--mode", options.mode), ("--data-path", options.data_path),
             ("--prescreen", options.prescreen), ("--trials", options.trials), ("--paths", options.paths),
             ("--config", options.config)]  # fmt: skip
    argv = [part for name, value in words if value is not None for part in (name, str(value))]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "btswarm", "run", *argv])


def _words(plan: dict[str, Any]) -> str:
    tables = plan.get("plan", {})
    symbols = ", ".join(tables.get("symbols", ())) or "the plan of the daemon's file"
    commands = f", {len(plan['command'])} commands" if plan.get("command") else ""
    return f"{symbols} x {', '.join(tables.get('modes', ('all modes',)))}{commands}"


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm launch", description=__doc__, epilog=EPILOG)
    parser.add_argument("--data-path", metavar="P", help="candle file, or a folder searched by symbol")
    parser.add_argument("--synthetic", action="store_true", help="an invented market, if no data path is named")
    parser.add_argument("--symbol", metavar="S", help="one or more, with commas")
    parser.add_argument("--mode", metavar="M", help="conservative, balanced, aggressive; several with commas")
    parser.add_argument("--prescreen", type=int, metavar="N", help="combos of each screen")
    parser.add_argument("--trials", type=int, metavar="N", help="Optuna trials")
    parser.add_argument("--paths", type=int, metavar="N", help="Monte Carlo paths")
    parser.add_argument("--rounds", type=int, metavar="N", help="0: no end")
    parser.add_argument("--via", choices=("systemd", "supervisord", "keep"), help="who keeps the daemon, if none runs")
    parser.add_argument("--config", type=Path, metavar="F", help="btswarm.toml; else searched in the usual places")
    return parser
