"""A swarm under fire: `scripts/soak`. Starts one with the front door's own command, kills and stops its workers and its
daemon at random from a seed, watches it from outside, stops it, and says what came of it.

Only processes of this swarm are ever signalled: workers by the token in their environment, the daemon by its lock.
Exit codes: 0 nothing was doubled, orphaned, torn or left unrepaired; 1 something was (the table says what).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from btswarm.state.paths import VARIABLES

from . import tally
from .fire import Gun, crowd
from .watcher import Watcher, query

CHECKOUT = Path(__file__).resolve().parents[2]
CONFIG = """\
roots = {{ root = "{root}" }}
disk = {{ floor_mb = 512, ballast_mb = 64 }}
"""
SETTLE_S = 90.0
"""After the last fault: time in which what is broken is mended before the swarm is stopped."""
ASK_S = 60.0
QUERIES = ("before", "dead", "at_the_end", "after")


def main(argv: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    if options.minutes <= 0 or options.every <= 0:
        parser.error("--minutes and --every must be more than 0")
    if options.root and options.root.exists() and any(options.root.iterdir()):
        parser.error(f"{options.root} is not empty: a soak begins with a swarm of its own")
    root = (options.root or Path(tempfile.mkdtemp(prefix="btswarm-soak-"))).absolute()
    root.mkdir(parents=True, exist_ok=True)
    config = root / "btswarm.toml"
    config.write_text(CONFIG.format(root=root / "swarm"))
    state = root / "swarm" / "state"
    say(f"soak in {root}, seed {options.seed}, {options.minutes:g} minutes")
    try:
        _launch(config, options)
        report = soak(root, config, state, options)
    finally:
        _btswarm("stop", "--via", "keep", "--config", str(config), check=False)
    report["left"] = [f"{body.worker} ({body.pid})" for body in crowd(state).bodies]
    report["after"] = query(config, root / "query-after.json")
    _add_up(report, root, state)
    (root / "report.json").write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2))
    sys.stdout.write((orjson.dumps(report).decode() if options.json else table(report)) + "\n")
    say(f"kept in {root}: report.json, query-*.json, the swarm's state, logs and results")
    return 0 if not report["wrong"] else 1


def soak(root: Path, config: Path, state: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The part under fire; what was asked and shot."""
    watcher = Watcher(state)
    watcher.start()
    gun = Gun(state, options.seed)
    report: dict[str, Any] = {"seed": options.seed, "minutes": options.minutes, "asked": []}
    report["before"] = query(config, root / "query-before.json")
    begun = time.monotonic()
    end, asked_at = begun + 60 * options.minutes, begun
    settle_from = max(begun, end - SETTLE_S) if options.minutes >= 5 else end - 0.3 * (end - begun)
    next_shot = begun + gun.pause_s(options.every)
    while (now := time.monotonic()) < end:
        if now >= next_shot and now < settle_from:
            for fault in gun.shoot():
                say(f"{now - begun:6.1f} s  {fault.kind}  {fault.worker or fault.pid}  {fault.job}")
                if fault.kind == "daemon killed":
                    report["dead"] = query(config, root / "query-dead.json")
            next_shot = time.monotonic() + gun.pause_s(options.every)
        if now - asked_at >= ASK_S:
            report["asked"].append(query(config, root / f"query-during-{len(report['asked']):03}.json"))
            asked_at = now
        time.sleep(0.1)
    report["at_the_end"] = query(config, root / "query-end.json")
    watcher.end()
    report["watched"] = {"looks": watcher.looks, "workers": len(watcher.tokens), "twins": list(watcher.twins.values()),
                         "orphans": list(watcher.orphans.values()), "cpu_windows_pct": watcher.windows,
                         "cpu_told_pct": watcher.told}  # fmt: skip
    report["faults"] = [fault.plain() for fault in gun.shots]
    report["repairs"] = tally.repairs(tally.log_of(state), gun.shots)
    return report


def _add_up(report: dict[str, Any], root: Path, state: Path) -> None:
    """The figures of the table, and what of them is wrong."""
    events = tally.log_of(state)
    report |= tally.jobs(events)
    report["incidents"] = tally.incidents(events)
    report["log_gaps"] = tally.gaps(events)
    report["artifacts"] = tally.artifacts(root / "swarm", events)
    daemon_faults = [one for one in report["faults"] if one["kind"].startswith("daemon")]
    backs = {
        "worker killed": [one["back_s"] for one in report["repairs"] if one["kind"] == "worker killed"],
        "worker stopped": [one["back_s"] for one in report["repairs"] if one["kind"] == "worker stopped"],
        "daemon killed": [one["back_s"] for one in daemon_faults if one["kind"] == "daemon killed"],
        "daemon stopped": [one["back_s"] for one in daemon_faults if one["kind"] == "daemon stopped"],
    }
    report["back_s"] = {kind: tally.spread([one for one in found if one is not None]) for kind, found in backs.items()}
    lost = [one["lost_s"] for one in report["repairs"] if one["lost_s"] is not None and one["became"] != "done"]
    report["lost_s"] = {**tally.spread(lost), "all": round(sum(lost), 1)}
    watched = report["watched"]
    wrong = {
        "duplicates": watched["twins"], "orphans": watched["orphans"], "left after the stop": report["left"],
        "gaps in the log": report["log_gaps"], "torn artifacts": report["artifacts"]["torn"],
        "artifacts of finished jobs that are gone": report["artifacts"]["gone"],
        "incidents left open": report["incidents"]["open"],
        "daemons that did not come back": [one for one in daemon_faults if one["back_s"] is None],
    }  # fmt: skip
    report["wrong"] = {name: found for name, found in wrong.items() if found}


def table(report: dict[str, Any]) -> str:
    """For people."""
    shot: dict[str, int] = {}
    for one in report["faults"]:
        shot[one["kind"]] = shot.get(one["kind"], 0) + 1
    counts, watched = report["incidents"]["counts"], report["watched"]
    windows, told = watched["cpu_windows_pct"], watched["cpu_told_pct"]
    rows = [
        ("faults injected", f"{sum(shot.values())}: {_listed(shot)}"),
        ("incidents", f"{_listed(counts)}; by class: {_listed(report['incidents']['classes'])}"),
        ("detected to verified", _span(report["incidents"]["verified_s"])),
        *((f"{kind}, back at work", _span(found)) for kind, found in report["back_s"].items() if found["n"]),
        ("work lost since checkpoints", f"{report['lost_s']['all']} s in all; {_span(report['lost_s'])}"),
        ("duplicates, orphans, left", f"{len(watched['twins'])} / {len(watched['orphans'])} / {len(report['left'])}"),
        ("census", f"{watched['looks']} looks, {watched['workers']} workers seen"),
        ("jobs", _listed(report["jobs"])),
        ("ends of workers", _listed(report["exits"])),
        ("events", _listed(report["events"])),
        ("artifacts", _listed(report["artifacts"]["counts"])),
        ("published", ", ".join(report["artifacts"]["published"]) or "nothing"),
        ("CPU, seen from outside", f"% in each minute: {', '.join(f'{one:.0f}' for one in windows) or 'too short'}"),
        ("CPU, as query tells it", f"mean {sum(told) / len(told):.0f} %" if told else "never told"),
    ]
    rows += [(f"query {name.replace('_', ' ')}", _asked(report[name])) for name in QUERIES if report.get(name)]
    rows += [("WRONG", f"{name}: {found}") for name, found in report["wrong"].items()] or [("wrong", "nothing")]
    return "\n".join(f"{name:<28} {text}" for name, text in rows)


def _asked(one: dict[str, Any]) -> str:
    found = f"{one['health']}, {one['workers']} workers, {one['incidents']} incidents"
    return f"exit {one['code']}, {one['stage']}, round {one['round']}, {found}"


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _span(found: dict[str, Any]) -> str:
    return f"median {found['median']} s, worst {found['worst']} s, of {found['n']}" if found["n"] else "none"


def _launch(config: Path, options: argparse.Namespace) -> None:
    """By the one command, kept by a keeper of its own whatever this host has."""
    argv = [str(CHECKOUT / "scripts" / "backtest-optimize"), "--parallel", "--via", "keep", "--config", str(config)]
    for name in ("data_path", "symbol", "mode", "prescreen", "trials", "paths"):
        if (value := getattr(options, name)) is not None:
            argv += [f"--{name.replace('_', '-')}", str(value)]
    subprocess.run(argv, env=environment(), check=True, stdout=sys.stderr)


def _btswarm(*argv: str, check: bool) -> None:
    subprocess.run([sys.executable, "-P", "-m", "btswarm", *argv], env=environment(), check=check, stdout=sys.stderr)


def environment() -> dict[str, str]:
    """Ours without the roots, which the configuration names, and with the interpreter that runs this."""
    kept = {name: value for name, value in os.environ.items() if name not in (*VARIABLES.values(), "BTSWARM_CONFIG")}
    return {**kept, "VENV_PATH": sys.prefix, "SWARM_ENABLED": "true"}


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--data-path", metavar="P", help="candles; without them an invented market")
    parser.add_argument("--symbol", default="SOL,BTC", metavar="S", help="(%(default)s)")
    parser.add_argument("--mode", default="balanced,aggressive", metavar="M", help="(%(default)s)")
    parser.add_argument("--prescreen", type=int, metavar="N", help="combos of each screen, else the shipped volume")
    parser.add_argument("--trials", type=int, metavar="N", help="Optuna trials, else the shipped volume")
    parser.add_argument("--paths", type=int, metavar="N", help="Monte Carlo paths, else the shipped volume")
    parser.add_argument("--minutes", type=float, default=30.0, metavar="N", help="(%(default)s)")
    parser.add_argument(
        "--every", type=float, default=30.0, metavar="S", help="mean seconds between faults (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of all chance (%(default)s)")
    parser.add_argument("--root", type=Path, metavar="DIR", help="an empty folder for everything; else a temporary one")
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of the table")
    return parser


if __name__ == "__main__":
    sys.exit(main())
