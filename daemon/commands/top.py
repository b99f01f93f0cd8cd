"""`btswarm top`: the status screen, live; q or ctrl-c leaves."""

import argparse
import contextlib
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator

from ...state.errors import BtswarmError, ExitCode
from ..telling import status
from ..view import View, add_config, view

HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="btswarm top", description=__doc__)
    parser.add_argument("--every", type=float, default=1.0, metavar="S", help="between looks (%(default)s)")
    parser.add_argument("--once", action="store_true", help="one look, as plain text")
    add_config(parser)
    parser.set_defaults(state_file=None)
    options = parser.parse_args(argv)
    if options.once or not sys.stdout.isatty():
        text, code = screen(options)
        print(text)
        return code
    with _terminal():
        while True:
            _paint(screen(options)[0])
            if _asked_to_leave(max(0.1, options.every)):
                return ExitCode.OK


def screen(options: argparse.Namespace) -> tuple[str, int]:
    """What is shown now, the status or why there is none, and the exit code of that."""
    stamp = time.strftime("%H:%M:%SZ", time.gmtime())
    try:
        seen: View = view(options)
    except BtswarmError as error:
        return f"btswarm top  {stamp}\n\n{error.line()}", error.code
    remarks = "".join(f"! {remark}\n" for remark in seen.remarks)
    return f"btswarm top  {stamp}  (q leaves)\n{remarks}\n{status(seen.document())}", seen.code


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """Another screen, keys as they are pressed; both given back whatever happens."""
    keys = termios.tcgetattr(sys.stdin) if sys.stdin.isatty() else None
    sys.stdout.write(ENTER)
    try:
        if keys:
            tty.setcbreak(sys.stdin.fileno())
        yield
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write(LEAVE)
        sys.stdout.flush()
        if keys:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, keys)


def _paint(text: str) -> None:
    width, height = shutil.get_terminal_size()
    lines = [line[: width - 1] for line in text.splitlines()[: height - 1]]
    sys.stdout.write(HOME + "".join(f"{line}{CLEAR_LINE}\r\n" for line in lines) + CLEAR_REST)
    sys.stdout.flush()


def _asked_to_leave(wait_s: float) -> bool:
    if not sys.stdin.isatty():
        time.sleep(wait_s)
        return False
    ready, _, _ = select.select([sys.stdin], [], [], wait_s)
    return bool(ready) and sys.stdin.read(1) in ("q", "Q", "\x03", "")
