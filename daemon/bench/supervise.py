"""`btswarm bench supervise`: how fast and how surely workers are kept running, beside others doing the same.

Everything is measured from outside, in one run: the swarm with its shipped policies and all its agents, a supervisor of
thirty lines, bare spawns, and supervisord and circus where they are installed. Ratios count; times stand beside the
run's own floor and the CPU that others took meanwhile.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from ...state.errors import BadConfig, BtswarmError, ExitCode
from . import crash
from .contenders import scratch

CREDITS: Final = 5
"""Deaths of the same job that are answered at once, as shipped."""
Part = Callable[[Path, argparse.Namespace], dict[str, Any]]


def _one_by_one(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    return crash.one_by_one(folder, copies=told.copies, kills=told.kills, swarms=told.swarms, seed=told.seed)


def _at_once(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    return crash.at_once(folder, copies=told.copies, rounds=told.rounds, seed=told.seed)


def _others(folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    return crash.others(folder, copies=told.copies, seed=told.seed)


PARTS: Final[dict[str, tuple[Part, str]]] = {
    "crash": (_one_by_one, "crash to replacement, one worker at a time"),
    "burst": (_at_once, "all workers killed at once"),
    "others": (_others, "supervisord and circus on the same terms"),
}


def main(argv: list[str]) -> int:
    """Run the chosen parts. 1: a part did not come to its end, 64 refused."""
    parser = argparse.ArgumentParser(prog="btswarm bench supervise", description=__doc__)
    for name, default, what in (
        ("copies", 50, "workers of each supervisor"),
        ("kills", 1000, "workers killed one by one"),
        ("swarms", 5, "fresh swarms for these kills"),
        ("rounds", 12, "times that all workers are killed at once"),
        ("seed", 0, "of whom is killed when"),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{what} (%(default)s)")
    parts = "; ".join(f"{name}: {what}" for name, (_, what) in PARTS.items())
    parser.add_argument("--only", default=",".join(PARTS), metavar="A,B", help=parts)
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")
    told = parser.parse_args(argv)
    chosen = _checked(told)
    found: dict[str, Any] = {"copies": told.copies}
    with scratch() as folder:
        for name in chosen:
            try:
                found[name] = PARTS[name][0](folder, told)
            except BtswarmError as error:
                found[name] = {"failed": error.line()}
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    return ExitCode.CHECK_FAILED if any("failed" in found[name] for name in chosen) else ExitCode.OK


def _checked(told: argparse.Namespace) -> list[str]:
    """The parts asked for. Raises BadConfig."""
    chosen: list[str] = told.only.split(",")
    for name in chosen:
        if name not in PARTS:
            raise BadConfig(f"--only: there is no part {name!r}", fix=f"the parts are {', '.join(PARTS)}")
    for name in ("copies", "kills", "swarms", "rounds"):
        if getattr(told, name) < 1:
            raise BadConfig(f"--{name} is {getattr(told, name)}", fix="give at least 1")
    if told.kills > told.swarms * told.copies * CREDITS:
        most = told.swarms * told.copies * CREDITS
        raise BadConfig(f"--kills: {told.kills} are more than the credits of the jobs, {most}", fix="take more swarms")
    return chosen
