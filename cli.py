"""The front door: looks at the command's name, imports only that command, and turns errors into one line and a code."""

import errno
import importlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from . import __version__
from .state.errors import BadConfig, BtswarmError, CannotWrite, ExitCode, NoPermission

if TYPE_CHECKING:
    pass

SHOW_TRACEBACK = "BTSWARM_TRACEBACK"
READER_LEFT = 141  # what a shell reports of a program that SIGPIPE ended

Main = Callable[[list[str]], int]


class Command(NamedTuple):
    """`module` is imported, and its `main(argv) -> int` called, when the command is asked for and not before."""

    module: str
    help: str


GROUPS: dict[str, dict[str, Command]] = {
    "the whole pipeline": {
        "run": Command("engine.commands.run", "candles to ranked, validated configurations, in the foreground"),
    },
    "the swarm": {
        "launch": Command("daemon.commands.launch", "submit the plan to the swarm, starting it first if need be"),
        "query": Command("daemon.commands.query", "the state of the run and its next steps; works without a daemon"),
        "status": Command("daemon.commands.status", "how the swarm is, on one screen"),
        "top": Command("daemon.commands.top", "the same, live"),
        "events": Command("daemon.commands.events", "what happened and why; -f follows"),
        "workers": Command("daemon.commands.workers", "who runs what, where"),
        "agents": Command("daemon.commands.agents", "the decision makers: last run, health, quarantine"),
        "monitors": Command("daemon.commands.monitors", "the same in tmux, with events and logs"),
        "pause": Command("daemon.commands.pause", "let a lane, a job or the swarm rest"),
        "resume": Command("daemon.commands.resume", "end a pause or a drain"),
        "drain": Command("daemon.commands.drain", "let work come to its end; the whole swarm then stops"),
    },
    "the swarm as a service": {
        "start": Command("daemon.commands.start", "start it: systemd, else supervisord, else a detached process"),
        "stop": Command("daemon.commands.stop", "stop it and every worker, at a checkpoint"),
        "ensure": Command("daemon.commands.ensure", "start it unless it runs"),
        "install": Command("daemon.commands.install", "write the unit files, or the supervisord program"),
        "daemon": Command("daemon.commands.daemon", "the supervisor in the foreground: what a service starts"),
        "keep": Command("daemon.commands.keep", "a tiny restarter of the daemon, for containers"),
        "sweep": Command("daemon.commands.sweep", "kill what a swarm without a daemon left running"),
    },
    "one piece alone": {
        "validate": Command("engine.commands.validate", "check candles: is this data fit to be backtested?"),
        "prescreen": Command("engine.commands.prescreen", "screen random combos and evaluate the best of them exactly"),
        "optimize": Command("engine.commands.optimize", "refine the prescreened combos with Optuna"),
        "certify": Command("engine.commands.certify", "walk-forward, hold-out and Monte Carlo of the optimized"),
        "reproduce": Command("engine.commands.reproduce", "compute a certified configuration again and compare"),
        "tearsheet": Command("engine.commands.tearsheet", "one self-contained HTML page from any list of trades"),
        "backtest": Command("engine.commands.backtest", "simulate given configurations exactly"),
    },
    "data and host": {
        "data": Command("engine.commands.data", "list, check and convert candles"),
        "init": Command("engine.commands.init", "write a commented btswarm.toml with every default"),
        "bench": Command("engine.commands.bench", "measure this machine, as JSON"),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
SWARM_BENCHES = {
    "supervise": Command("daemon.bench.supervise", "how fast and how surely the supervisor repairs, beside others"),
    "utilisation": Command("daemon.bench.utilisation", "does the swarm hold its CPU target while work is queued?"),
}
"""`btswarm bench NAME` of another room than the engine, which does not know them."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code. Never raises but SystemExit (usage)."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except BtswarmError as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("btswarm: interrupted; run the same command again to go on", file=sys.stderr)
        return ExitCode.STOPPED
    except BrokenPipeError:
        # The interpreter flushes stdout once more on its way out and would complain there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_LEFT
    except MemoryError:
        print("btswarm: out of memory; use fewer combos, a shorter period or fewer threads", file=sys.stderr)
        return ExitCode.HOST_OOM
    except Exception as error:  # noqa: BLE001  the one boundary of the front door
        return _refuse(refusal) if (refusal := _of_the_system(error)) else _bug(error, arguments)


def _dispatch(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name == "help" and rest and rest[0] in COMMANDS:
        name, rest = rest[0], ["--help"]
    if name in ("-h", "--help", "help"):
        print(usage())
        return ExitCode.OK
    if name in ("-V", "--version"):
        print(f"btswarm {__version__}")
        return ExitCode.OK
    if name not in COMMANDS:
        return _unknown(name)
    _refuse_empty(rest)
    chosen = COMMANDS[name]
    if name == "bench" and rest and rest[0] in SWARM_BENCHES:
        chosen, rest = SWARM_BENCHES[rest[0]], rest[1:]
    module = importlib.import_module(f".{chosen.module}", __package__)
    command: Main = module.main
    return int(command(rest))


def _refuse_empty(arguments: list[str]) -> None:
    """An empty argument is a variable that was not set: no default may take its place unseen. Raises BadConfig."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, value = argument.partition("=")
        if not argument.strip() or (name.startswith("--") and equals and not value.strip()):
            what = name.strip() or (before if before.startswith("-") else "") or "an argument"
            raise BadConfig(f"{what} is empty", fix="give it a value or leave it out; is a variable not set?")


def usage() -> str:
    """The text of `btswarm --help`."""
    width = max(map(len, COMMANDS))
    lines = ["usage: btswarm COMMAND [ARGS]", ""]
    for title, group in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<{width}}  {command.help}" for name, command in group.items()), ""]
    lines += ["btswarm COMMAND --help shows a command's options; btswarm --version the version."]
    return "\n".join(lines)


def _unknown(name: str) -> int:
    if not name:
        print(usage(), file=sys.stderr)
        return ExitCode.USAGE
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    advice = f"did you mean {near[0]}?" if near else "btswarm --help lists the commands"
    print(f"btswarm: unknown command {name!r}; {advice}", file=sys.stderr)
    return ExitCode.USAGE


def _refuse(error: BtswarmError) -> int:
    if os.environ.get(SHOW_TRACEBACK):
        import traceback

        traceback.print_exception(error)
    print(f"btswarm: {error.line()}", file=sys.stderr)
    return error.code


def _of_the_system(error: Exception) -> BtswarmError | None:
    """A full disk or a forbidden file is the machine's state and no bug, wherever it was met."""
    if not isinstance(error, OSError):
        return None
    where = error.filename or "an output"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CannotWrite(f"no space left writing {where}", fix="free some space and run the same command again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return NoPermission(f"{where}: {error.strerror}", fix="choose a file or folder you may use")
    return None


def _bug(error: Exception, arguments: list[str]) -> int:
    import traceback

    text = "".join(traceback.format_exception(error))
    if os.environ.get(SHOW_TRACEBACK):
        print(text, file=sys.stderr, end="")
    said = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"btswarm: a bug, sorry: {said}; {_keep(text, arguments)}", file=sys.stderr)
    return ExitCode.BUG


def _keep(text: str, arguments: list[str]) -> str:
    """Write the traceback where a person finds it; return the advice that names the file."""
    import tempfile
    import time
    from pathlib import Path

    from .state.files import make_folder, write_atomic
    from .state.paths import existing_logs_root

    head = f"btswarm {__version__}, Python {sys.version.split()[0]}, arguments {arguments}\n\n"
    name = f"btswarm-bug-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.log"
    for folder in (existing_logs_root(os.environ), Path(tempfile.gettempdir())):
        if folder is None:
            continue
        try:
            write_atomic(make_folder(folder) / name, (head + text).encode(errors="backslashreplace"))
        except BtswarmError:
            continue
        return f"please report the traceback in {folder / name}"
    return f"{SHOW_TRACEBACK}=1 shows the traceback"
