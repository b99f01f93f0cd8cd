"""What linters and import contracts cannot show. Each message names what to use instead."""

import ast
import configparser
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

from .checkout import CHECKOUT, files, modules

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60

WRITERS = ("state/files.py", "state/disk.py")  # whole files; the log and the state files of the daemon
# An entry of the ledger is dated, its clock is an argument; the loop's clock; what people see is said to be so old.
CLOCKS = ("state/ledger_file.py", "daemon/clock.py", "daemon/view.py")
# One broad except each: the last thing that can still tell a person, or hand a thread's error to who asked for it.
BOUNDARIES = ("cli.py", "engine/worker.py", "state/scribe.py", "agents/__init__.py", "daemon/meter.py")
SPEAKERS = ("cli.py", "engine/commands/", "daemon/commands/")

CALLS = {
    "os.system": ("subprocess.run with a list", ()),
    "os.popen": ("subprocess.run with a list", ()),
    "time.time": ("an argument that carries the time", CLOCKS),
    "datetime.now": ("an argument that carries the time", CLOCKS),
    "datetime.utcnow": ("an argument that carries the time", CLOCKS),
    "datetime.today": ("an argument that carries the time", CLOCKS),
    "date.today": ("an argument that carries the time", CLOCKS),
    "os.open": ("state/files.py, or Path.read_bytes to read", (*WRITERS, "cli.py")),
    "os.write": ("state/files.py", WRITERS),
    "os.rename": ("write_atomic of state/files.py", WRITERS),
    "os.replace": ("write_atomic of state/files.py", WRITERS),
    "os.makedirs": ("make_folder of state/files.py", WRITERS),
    "shutil.move": ("write_atomic of state/files.py", WRITERS),
    "print": ("a Reporter, or the command's own output", SPEAKERS),
}
METHODS = {
    "write_text": ("write_atomic of state/files.py", WRITERS),
    "write_bytes": ("write_atomic of state/files.py", WRITERS),
    "mkdir": ("make_folder of state/files.py", WRITERS),
}
PICKLERS = ("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib")

Rule = Callable[[ast.AST, str], str | None]


def dotted(node: ast.expr) -> str:
    """`datetime.now` for datetime.now, datetime.datetime.now and dt.datetime.now; `print` for print."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = node.value
        last = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
        return f"{last}.{node.attr}"
    return ""


def excused(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in places)


def forbidden_call(node: ast.AST, name: str) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    called = dotted(node.func)
    instead, places = CALLS.get(called, ("", ()))
    if not instead and isinstance(node.func, ast.Attribute):
        instead, places = METHODS.get(node.func.attr, ("", ()))
    return f"{called}: use {instead}" if instead and not excused(name, places) else None


def opening_to_write(node: ast.AST, name: str) -> str | None:
    if not isinstance(node, ast.Call) or excused(name, WRITERS):
        return None
    builtin = dotted(node.func) == "open"
    if not builtin and not (isinstance(node.func, ast.Attribute) and node.func.attr == "open"):
        return None
    modes = [*node.args[int(builtin) : 2], *(word.value for word in node.keywords if word.arg == "mode")]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    writes = any(re.fullmatch(r"[rwaxbt+]{1,3}", text) and set(text) & set("wax+") for text in texts)
    return "open to write: use write_atomic or locked of state/files.py" if writes else None


def broad_except(node: ast.AST, name: str) -> str | None:
    if not isinstance(node, ast.ExceptHandler) or excused(name, BOUNDARIES):
        return None
    if isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None:
        return None  # it tidies up and lets the error go on
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    names = [dotted(one) if one else "everything" for one in caught]
    broad = [one for one in names if one in ("Exception", "BaseException", "everything")]
    return f"except {broad[0]}: name the errors that are expected here" if broad else None


def shell(node: ast.AST, _name: str) -> str | None:
    if isinstance(node, ast.keyword) and node.arg == "shell" and getattr(node.value, "value", True) is not False:
        return "shell=True: give the command as a list"
    return None


def pickling(node: ast.AST, _name: str) -> str | None:
    named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    named += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    found = [one for one in named if one.split(".")[0] in PICKLERS]
    allowed = isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", 1) is True
    return "pickle: use orjson, or numpy arrays without objects" if found or allowed else None


def absolute_import(node: ast.AST, _name: str) -> str | None:
    named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    named += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
    found = [one for one in named if one.split(".")[0] == "btswarm"]
    return f"import {found[0]}: use a relative import between the rooms" if found else None


def long_function(node: ast.AST, _name: str) -> str | None:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    return (
        f"{node.name} has {lines} lines: split it, {MAX_FUNCTION_LINES} is the most"
        if lines > MAX_FUNCTION_LINES
        else None
    )


RULES: tuple[Rule, ...] = (forbidden_call, opening_to_write, broad_except, shell, pickling, absolute_import)


def offences(rules: tuple[Rule, ...], name: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        for rule in rules:
            if said := rule(node, name):
                yield f"{name}:{getattr(node, 'lineno', 0)}: {said}"


def read(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_room_does_what_has_its_own_place(rule: Rule) -> None:
    found = [offence for name in modules() for offence in offences((rule,), name, read(name))]
    assert not found, "\n".join(found)


def test_functions_and_files_stay_short_enough_to_read() -> None:
    found = [offence for name in modules(tests=True) for offence in offences((long_function,), name, read(name))]
    lines = {name: read(name).count("\n") for name in modules(tests=True)}
    found += [
        f"{name} has {n} lines: split it, {MAX_FILE_LINES} is the most"
        for name, n in lines.items()
        if n > MAX_FILE_LINES
    ]
    assert not found, "\n".join(found)


def test_only_the_front_door_stands_at_the_root() -> None:
    assert [name for name in modules() if "/" not in name] == ["__init__.py", "__main__.py", "cli.py"]


def test_no_file_tells_where_it_was_written() -> None:
    words = {re.escape(str(CHECKOUT.parent)): "this checkout's folder", r"\.\./shared\b": "a folder beside a checkout"}
    words |= {re.escape(host): "a package index" for host in package_hosts()}
    found = []
    for name in files():
        try:
            text = read(name)
        except UnicodeDecodeError:
            continue
        found += [f"{name}: names {what}" for word, what in words.items() if re.search(rf"{word}(?![\w-])", text)]
    assert not found, "\n".join(found)


def package_hosts() -> set[str]:
    """Where this machine installs packages from: none of the project's business."""
    urls = [os.environ.get(name, "") for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")]
    for path in (
        Path("/etc/pip.conf"),
        Path("~/.config/pip/pip.conf").expanduser(),
        Path("~/.pip/pip.conf").expanduser(),
    ):
        settings = configparser.ConfigParser()
        settings.read(path)
        urls += [value for section in settings.values() for value in section.values()]
    places = {urlparse(url).netloc or urlparse(url).path for text in urls for url in text.split()}
    return {place for place in places if re.search(r"[./]", place) and not place.endswith(("pypi.org", ".crt"))}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("open('x', 'w')", "open to write"),
        ("path.open('ab')", "open to write"),
        ("path.open(mode='r+')", "open to write"),
        ("path.write_text('x')", "write_atomic"),
        ("import os\nos.replace(a, b)", "write_atomic"),
        ("time.time()", "time"),
        ("datetime.datetime.now(UTC)", "time"),
        ("try:\n    f()\nexcept Exception:\n    pass", "name the errors"),
        ("try:\n    f()\nexcept:\n    pass", "name the errors"),
        ("try:\n    f()\nexcept (ValueError, BaseException):\n    pass", "name the errors"),
        ("subprocess.run('ls', shell=True)", "as a list"),
        ("os.system('ls')", "with a list"),
        ("import pickle", "orjson"),
        ("from marshal import dumps", "orjson"),
        ("np.load(p, allow_pickle=True)", "orjson"),
        ("print(1)", "Reporter"),
        ("from btswarm.state import files", "relative import"),
    ],
)
def test_each_rule_catches_what_it_is_for(text: str, said: str) -> None:
    found = list(offences(RULES, "engine/somewhere.py", text))
    assert len(found) == 1
    assert said in found[0]


@pytest.mark.parametrize(
    "text",
    [
        "open('w.txt')",
        "path.open('rb')",
        "path.read_bytes()",
        "time.perf_counter()",
        "datetime.fromtimestamp(0, UTC)",
        "try:\n    f()\nexcept OSError:\n    pass",
        "try:\n    f()\nexcept BaseException:\n    g()\n    raise",
        "subprocess.run(['ls'])",
        "np.load(p, allow_pickle=False)",
        "from ..state import files",
        "account.at_open('wax')",
    ],
)
def test_the_rules_let_the_usual_through(text: str) -> None:
    assert not list(offences(RULES, "engine/somewhere.py", text))
