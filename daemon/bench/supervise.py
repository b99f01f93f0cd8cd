"""`btswarm bench supervise`: how fast and how surely workers are kept running, beside others doing the same.

Everything is measured from outside, in one run: the swarm with its shipped policies and all its agents, a supervisor of
thirty lines, bare spawns, and supervisord and circus where they are installed. Ratios count; times stand beside the
run's own floor and the CPU that others took meanwhile.
"""

import argparse
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import orjson

from ...state.errors import BadConfig, BtswarmError, ExitCode
from . import cost, crash, hangs, survive
from .contenders import scratch
from .targets import targets

CREDITS: Final = 5
"""Deaths of the same job that are answered at once, as shipped."""
Part = Callable[[Path, argparse.Namespace], dict[str, Any]]

PARTS: Final[dict[str, tuple[Part, str]]] = {
    "crash": (
        lambda folder, told: crash.one_by_one(
            folder, copies=told.copies, kills=told.kills, swarms=told.swarms, seed=told.seed
        ),
        "crash to replacement, one worker at a time",
    ),
    "burst": (
        lambda folder, told: crash.at_once(folder, copies=told.copies, rounds=told.rounds, seed=told.seed),
        "all workers killed at once",
    ),
    "others": (
        lambda folder, told: crash.others(folder, copies=told.copies, seed=told.seed),
        "supervisord and circus on the same terms, where they are installed",
    ),
    "answers": (lambda folder, told: cost.answers(folder, copies=told.copies), "status and query with all workers"),
    "thousand": (
        lambda folder, told: cost.thousand(folder, span_s=told.thousand_s, seed=told.seed),
        "1000 workers, three of them killed every second",
    ),
    "daemon": (
        lambda folder, told: survive.daemon_kills(folder, kills=told.daemon_kills, seed=told.seed),
        "the daemon killed: duplicates and orphans",
    ),
    "leaks": (lambda folder, told: survive.leaks(folder), "what a killed worker had started"),
}
LASTING: Final[dict[str, tuple[Part, str]]] = {
    "stopped": (lambda folder, told: hangs.stopped(folder), "a worker that is stopped"),
    "silent": (lambda folder, told: hangs.hung(folder, "wait"), "an engine worker without steps"),
    "looping": (lambda folder, told: hangs.hung(folder, "spin"), "an engine worker without steps that burns CPU"),
    "crash_loop": (
        lambda folder, told: hangs.crash_loop(folder, minutes=told.loop_minutes, seed=told.seed),
        "a command that ends at once: starts against the policy's arithmetic",
    ),
    "idle": (
        lambda folder, told: cost.idle(folder, copies=told.copies, span_s=told.idle_s),
        "memory and CPU while nothing happens",
    ),
}
"""These wait most of their time, so they run beside each other."""
EVERY: Final = PARTS | LASTING
NUMBERS: Final = (
    ("copies", 50, "workers of each supervisor"),
    ("kills", 1000, "workers killed one by one"),
    ("swarms", 5, "fresh swarms for these kills"),
    ("rounds", 12, "times that all workers are killed at once"),
    ("daemon-kills", 200, "times that the daemon is killed"),
    ("thousand-s", 60, "seconds with 1000 workers"),
    ("idle-s", 600, "seconds over which the idle daemon is watched"),
    ("loop-minutes", 10, "how long commands crash at once"),
)


def main(argv: list[str]) -> int:
    """Run the chosen parts. 1: a part did not come to its end, 64 refused."""
    parser = argparse.ArgumentParser(prog="btswarm bench supervise", description=__doc__)
    for name, default, what in NUMBERS:
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{what} (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of whom is killed when (%(default)s)")
    parts = "; ".join(f"{name}: {what}" for name, (_, what) in EVERY.items())
    parser.add_argument("--only", default=",".join(EVERY), metavar="A,B", help=parts)
    parser.add_argument("--json", action="store_true", help="one JSON document, which is what it prints anyway")
    told = parser.parse_args(argv)
    chosen = _checked(told)
    with scratch() as folder:
        found = {name: _measured(name, folder, told) for name in chosen if name in PARTS}
        lasting = [name for name in chosen if name in LASTING]
        with ThreadPoolExecutor(max(1, len(lasting))) as pool:
            found |= zip(lasting, pool.map(lambda name: _measured(name, folder, told), lasting), strict=True)
    document = {"v": 1, "copies": told.copies, "seed": told.seed, "cpus": os.cpu_count(), "parts": found,
                "targets": targets(found)}  # fmt: skip
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return ExitCode.CHECK_FAILED if any("failed" in one for one in found.values()) else ExitCode.OK


def _measured(name: str, folder: Path, told: argparse.Namespace) -> dict[str, Any]:
    try:
        return EVERY[name][0](folder, told)
    except BtswarmError as error:
        return {"failed": error.line()}


def _checked(told: argparse.Namespace) -> list[str]:
    """The parts asked for. Raises BadConfig."""
    chosen: list[str] = told.only.split(",")
    for name in chosen:
        if name not in EVERY:
            raise BadConfig(f"--only: there is no part {name!r}", fix=f"the parts are {', '.join(EVERY)}")
    for name, _, _ in NUMBERS:
        if (value := getattr(told, name.replace("-", "_"))) < 1:
            raise BadConfig(f"--{name} is {value}", fix="give at least 1")
    if told.kills > (most := told.swarms * told.copies * CREDITS):
        raise BadConfig(f"--kills: {told.kills} are more than the credits of the jobs, {most}", fix="take more swarms")
    return chosen
