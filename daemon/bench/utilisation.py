"""`btswarm bench utilisation`: does a swarm with engine jobs in its queue hold its CPU target?

A real daemon with all its agents and shipped policies works on a plan without an end, in folders of its own. Measured
from outside once a second, by the definition the swarm goes by:

    CPU % = CPU time of our workers / (capacity x window - other processes - steal), over the last 60 s
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from ...state.disk import RealDisk
from ...state.errors import BadConfig, BtswarmError, ExitCode, InputGone
from ...state.files import make_folder, write_atomic
from ...state.logread import LOG_NAME, events_after
from ...state.models.config import Config
from ...state.symbols import canonical
from ..admission import capacity
from ..home import swarm_id
from . import outside
from .contenders import environment
from .picture import trace

CONFIG: Final = """\
roots = {{ root = "{root}" }}
disk = {{ floor_mb = 256, ballast_mb = 16 }}
targets = {{ cpu_pct = {target} }}
plan = {{ data_path = {data}, symbols = {symbols}, modes = {modes} }}
volume = {{ combos = {prescreen}, trials = {trials}, paths = {paths} }}
"""
WINDOW_S: Final = 60.0
LOOK_S: Final = 1.0
SHARE_PCT: Final = 95.0
"""Of the windows after the first minute, which must be at or above the target."""
UP_S: Final = 60.0
DOWN_S: Final = 120.0


class NoWork(BtswarmError):
    """The daemon did not start its first worker, or went away."""

    code = ExitCode.CHECK_FAILED


@dataclass(frozen=True)
class Sample:
    """CPU seconds since boot, but `at`: seconds since the first worker was seen. `workers`: how many live."""

    at: float
    ours_s: float
    others_s: float
    workers: int


def main(argv: list[str]) -> int:
    """0: at or above the target in enough windows and no more changes of scale than allowed; 1: not."""
    told = _parser().parse_args(argv)
    _refuse(told)
    folder = Path(tempfile.mkdtemp(prefix="btswarm-utilisation-"))
    try:
        samples, said = run(folder, told)
        found = figures(samples, told.target, capacity().cpus)
        found |= {"scale": scale(said), "rates": rates(said, found["seconds"], told.prescreen, told.trials)}
        picture = (told.svg or Path(tempfile.gettempdir()) / "btswarm-utilisation.svg").absolute()
        write_atomic(picture, trace(found.pop("trace"), told.target).encode())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found |= {"data": told.data_path or "synthetic", "picture": str(picture)}
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    return ExitCode.OK if found["held"] and found["scale"]["within"] else ExitCode.CHECK_FAILED


def run(folder: Path, told: argparse.Namespace) -> tuple[list[Sample], list[dict[str, Any]]]:
    """The daemon's life: what was seen each second, and its log. Nothing of it is left."""
    state = folder / "root" / "state"
    config = folder / "btswarm.toml"
    text = CONFIG.format(root=folder / "root", target=told.target, data=_text(told.data_path or "synthetic"),
                         symbols=_text(_listed(told.symbol)), modes=_text(_listed(told.mode)),
                         prescreen=told.prescreen, trials=told.trials, paths=told.paths)  # fmt: skip
    write_atomic(config, text.encode())
    argv = [sys.executable, "-P", "-m", "btswarm", "daemon", "--config", str(config)]
    output = RealDisk().open_append(make_folder(folder / "root") / "output.log")
    with subprocess.Popen(argv, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output) as daemon:
        try:
            samples = list(_watch(daemon, state, told.minutes * 60.0))
        finally:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(DOWN_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
            if own := swarm_id(state):
                outside.kill(pid for pid, _ in outside.carriers(own))
            os.close(output)
    return samples, list(events_after(RealDisk(), state, 0))


def _watch(daemon: "subprocess.Popen[bytes]", state: Path, span_s: float) -> Iterator[Sample]:
    begun: float | None = None
    patience = time.monotonic() + UP_S
    while begun is None or time.monotonic() - begun < span_s:
        if daemon.poll() is not None:
            raise NoWork(f"the daemon ended with {daemon.returncode}", fix="start it by hand on the same plan")
        own = swarm_id(state)
        workers = outside.carriers(own) if own and (state / LOG_NAME).exists() else []
        now = time.monotonic()
        if begun is None and workers:
            begun = now
        if begun is not None:
            yield _sample(daemon.pid, [pid for pid, _ in workers], now - begun)
        elif now > patience:
            raise NoWork(f"no worker was started within {UP_S:g} s", fix="is the data fit? btswarm validate tells")
        time.sleep(LOOK_S)


def _sample(daemon: int, workers: Sequence[int], at: float) -> Sample:
    """Workers that ended are in the account of the daemon, who buried them."""
    ours_s = outside.cpu_s(daemon, dead=True) - outside.cpu_s(daemon)
    ours_s += sum(outside.cpu_s(pid, dead=True) for pid in workers)
    used_s, steal_s = outside.machine_cpu_s()
    return Sample(at, ours_s, used_s - ours_s + steal_s, len(workers))


def figures(samples: Sequence[Sample], target: int, cpus: float) -> dict[str, Any]:
    """The result, and under `trace` what the picture shows."""
    windows = shares(samples, WINDOW_S, cpus)
    counted = [(at, pct) for at, pct in windows if at >= 2 * WINDOW_S]
    held = sum(pct >= target for _, pct in counted)
    span_s = samples[-1].at if samples else 0.0
    share = 100.0 * held / len(counted) if counted else 0.0
    return {
        "seconds": round(span_s, 1),
        "cpus": cpus,
        "target_pct": target,
        "windows": len(counted),
        "windows_held_pct": round(share, 1),
        "held": share >= SHARE_PCT,
        "mean_pct": round(sum(pct for _, pct in counted) / len(counted), 1) if counted else None,
        "lowest_pct": round(min(pct for _, pct in counted), 1) if counted else None,
        "trace": {
            "windows": windows,
            "seconds": shares(samples, 5.0, cpus),
            "workers": [(one.at, one.workers) for one in samples],
        },
    }


def scale(said: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Changes of the number of lanes, and the most in any hour, against what is allowed."""
    at = [one["ts"] for one in said if one["kind"] in ("scale.up", "scale.down")]
    most = max((sum(first <= other < first + 3600.0 for other in at) for first in at), default=0)
    allowed = Config().scale.flaps_per_hour
    return {"changes": len(at), "most_in_an_hour": most, "allowed_an_hour": allowed, "within": most <= allowed}


def shares(samples: Sequence[Sample], window_s: float, cpus: float) -> list[tuple[float, float]]:
    """For each sample with a whole window behind it: when, and percent of what others left that was ours."""
    found = []
    behind: deque[Sample] = deque()
    for one in samples:
        behind.append(one)
        while len(behind) > 1 and one.at - behind[1].at >= window_s:
            behind.popleft()
        span_s = one.at - behind[0].at
        if span_s >= window_s:
            room_s = cpus * span_s - max(0.0, one.others_s - behind[0].others_s)
            found.append((one.at, 100.0 * (one.ours_s - behind[0].ours_s) / max(room_s, 1e-6)))
    return found


def rates(said: Sequence[dict[str, Any]], span_s: float, combos: int, trials: int) -> dict[str, float | int]:
    """What finished jobs came to, by their volumes. Busy cores may spin; these tell what they did."""
    specs = {job["job"]: job["spec"] for one in said if one["kind"] == "job.queued"
             for job in one["data"].get("jobs", ())}  # fmt: skip
    done = [one["subject"] for one in said if one["kind"] == "job.finished" and one["data"]["state"] == "done"]
    screens = [specs[name] for name in done if name in specs and specs[name]["stage"] == "prescreen"]
    screened = sum((spec.get("volume") or {}).get("combos", combos) for spec in screens)
    studies = {name.partition("/optimize")[0] for name in done if "/optimize" in name}
    per_s = 1.0 / span_s if span_s else 0.0
    return {
        "jobs": len(done),
        "rounds": sum(one["kind"] == "round.started" for one in said),
        "combos_per_s": round(screened * per_s, 1),
        "trials_per_s": round(len(studies) * trials * per_s, 3),
    }


def _refuse(told: argparse.Namespace) -> None:
    """Raises BadConfig, InputGone."""
    for name in ("prescreen", "trials", "paths"):
        if getattr(told, name) < 1:
            raise BadConfig(f"--{name} is {getattr(told, name)}", fix="give at least 1")
    if not 2.5 <= told.minutes <= 24 * 60:
        raise BadConfig(f"--minutes {told.minutes:g}: must be from 2.5 to 1440", fix="the first two tell nothing")
    if not 1 <= told.target <= 100:
        raise BadConfig(f"--target {told.target}: must be from 1 to 100")
    for symbol in _listed(told.symbol):
        canonical(symbol)
    if told.data_path and not Path(told.data_path).exists():
        raise InputGone(f"there are no candles at {told.data_path}", fix="name a file or folder, or leave it out")
    if told.data_path:
        told.data_path = str(Path(told.data_path).absolute())


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _text(value: Any) -> str:
    """As TOML writes it, which for words and lists of words is as JSON does."""
    return orjson.dumps(value).decode()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="btswarm bench utilisation", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0, metavar="N", help="(%(default)s)")
    parser.add_argument("--data-path", metavar="P", help="candles; without them an invented market")
    parser.add_argument("--symbol", default="SOL,BTC", metavar="S", help="(%(default)s)")
    parser.add_argument("--mode", default="balanced,aggressive", metavar="M", help="(%(default)s)")
    parser.add_argument("--target", type=int, default=Config().targets.cpu_pct, metavar="PCT", help="(%(default)s)")
    shipped = Config().volume
    for name, value in (("prescreen", shipped.combos), ("trials", shipped.trials), ("paths", shipped.paths)):
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help="(%(default)s)")
    parser.add_argument("--svg", type=Path, metavar="F", help="where the picture goes, else the temporary folder")
    parser.add_argument("--json", action="store_true", help="(it always does)")
    return parser
