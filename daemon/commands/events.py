"""`btswarm events`: what happened and why, from the event log itself; with -f also what happens from now on."""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ...state.disk import RealDisk
from ...state.errors import ExitCode, InputGone
from ...state.logread import LOG_NAME, Found, events_after, tail
from ..view import add_config, now, state_root

LOOK_S = 0.2
SHOWN = 20


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    folder = Path(options.state_file).parent if options.state_file else state_root(options)
    if not (folder / LOG_NAME).exists():
        raise InputGone(f"there is no {folder / LOG_NAME}", fix="no swarm ever ran here; btswarm start starts one")
    chain = _chain(folder, options.why) if options.why else None
    wanted = chain if chain is not None else _wanted(folder, options)
    for event in wanted:
        _print(event, raw=options.json)
    return ExitCode.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm events", description=__doc__)
    parser.add_argument("-f", "--follow", action="store_true", help="stay, and print what happens")
    parser.add_argument("-n", type=int, metavar="N", help=f"the newest N events ({SHOWN}); 0: all of them")
    parser.add_argument("--since-seq", type=int, metavar="SEQ", help="only later ones")
    parser.add_argument("--kind", default="", help="a kind, or the part before its dot: worker, incident.detected")
    parser.add_argument("--subject", default="", help="a lane, worker, job, file or agent")
    parser.add_argument("--why", type=int, metavar="SEQ", help="the chain of causes that this event stands in")
    parser.add_argument("--state-file", metavar="F", help="read the log beside this file")
    parser.add_argument("--json", action="store_true", help="the lines as they stand in the log")
    add_config(parser)
    return parser


def _wanted(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    since = options.since_seq
    if since is None:
        since = 0 if options.n == 0 or options.kind or options.subject else _back(folder, options.n or SHOWN)
    matching = (event for event in _seen(folder, since, options.follow) if _matches(event, options))
    if options.n and (options.kind or options.subject) and not options.follow:
        return iter(list(matching)[-options.n :])
    return matching


def _back(folder: Path, count: int) -> int:
    disk, path = RealDisk(), folder / LOG_NAME
    newest = tail(disk, path, path.stat().st_size)[1]
    return max(0, newest - count)


def _seen(folder: Path, seq: int, follow: bool) -> Iterator[dict[str, Any]]:
    while True:
        before = _mark(folder / LOG_NAME)  # what is written from here on is noticed, if this pass misses it
        found = Found()
        try:
            for event in events_after(RealDisk(), folder, seq, found):
                seq = event["seq"]
                yield event
        except FileNotFoundError:
            pass  # just being rotated
        if not follow:
            return
        sys.stdout.flush()
        while _mark(folder / LOG_NAME) == before:
            time.sleep(LOOK_S)


def _mark(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_ino, found.st_size


def _matches(event: dict[str, Any], options: argparse.Namespace) -> bool:
    kind, subject = event["kind"], event.get("subject", "")
    if options.kind and options.kind not in (kind, kind.partition(".")[0]):
        return False
    wanted = options.subject
    return not wanted or subject == wanted or subject.startswith((f"{wanted}/", f"{wanted}@"))


def _chain(folder: Path, seq: int) -> list[dict[str, Any]]:
    """The event, what it followed from, and what followed from it, in order."""
    events = {event["seq"]: event for event in events_after(RealDisk(), folder, 0)}
    if seq not in events:
        raise InputGone(f"there is no event {seq} in {folder / LOG_NAME}", fix="btswarm events -n 0 lists all")
    first = seq
    while (cause := events[first].get("cause_seq") or 0) in events:
        first = cause
    kept = {first}
    for number in sorted(events):
        if events[number].get("cause_seq") in kept:
            kept.add(number)
    return [events[number] for number in sorted(kept)]


def _print(event: dict[str, Any], *, raw: bool) -> None:
    if raw:
        sys.stdout.buffer.write(orjson.dumps(event) + b"\n")
        sys.stdout.buffer.flush()
        return
    from ..telling import event_line

    print(event_line(event, now()))
