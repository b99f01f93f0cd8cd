"""`btswarm agents once NAME`: one agent, one cycle, by hand: what it would ask for now. Nobody carries it out."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...state.models.actions import Decision, Order, Proposal

EPILOG = "Exit codes: 0 it was asked, whatever it wants; 3 no swarm ever ran here; 64 no such agent; 74 unreadable."


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm agents once", description=__doc__, epilog=EPILOG)
    parser.add_argument("name", metavar="NAME", help="btswarm agents lists them")
    parser.add_argument("--dry-run", action="store_true", help="(it always is)")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    parser.add_argument("--config", type=Path, metavar="F", help="btswarm.toml; else searched in the usual places")
    options = parser.parse_args(argv)
    from ...state.config import load
    from ...state.wire import encode
    from ..rehearsal import rehearse

    observation, asked = rehearse(load(options.config), options.name)
    if options.json:
        sys.stdout.buffer.write(encode({"agent": options.name, "at": observation.now, "asked": asked}) + b"\n")
        return 0
    lines = list(_told(asked))
    run = observation.swarm.run or "no run"
    print(f"{options.name}, seeing {run} as it is now, asks for {'this:' if lines else 'nothing'}")
    for line in lines:
        print(f"  {line}")
    return 0


def _told(asked: Sequence[Proposal] | Decision | Sequence[Order]) -> list[str]:
    if isinstance(asked, Decision):
        accepted = [f"accepted  {_line(one)}" for one in asked.accepted]
        return [*accepted, *(f"refused   {_line(one.proposal)}: {one.why}" for one in asked.refused)]
    return [_line(one) for one in asked]


def _line(one: Any) -> str:
    if isinstance(one, Proposal):
        return f"{one.kind} {one.subject}: {one.reason}"
    return f"{one.n}. {type(one.action).__name__} {one.subject}: {one.reason}"
