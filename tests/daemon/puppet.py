"""An engine worker that ends, hangs or works as a test says: `python -I -S puppet.py JOB.json`. Standard library only.

`<root>/puppet.json` holds `{stage: [act, ...]}`; the n-th worker of a stage plays the n-th act, later ones the last.
The stage of a job that fills an idle lane is `fill`.
Every worker adds a line to `<root>/deeds.jsonl`. An act is `{"do": ..., "code": .., "batch": .., ...}`.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

BETWEEN_STEPS_S = 0.05
FOLDER = Path(os.environ.get("BTSWARM_WORKER_DIR", "."))
ROOT = FOLDER.parents[2]


def progress(job: dict[str, Any], step: int, phase: str = "batch", **more: Any) -> None:
    said = {"v": 1, "worker": job["worker"], "phase": phase, "step": step, "mono": time.monotonic(), **more}
    temporary = FOLDER / ".progress"
    temporary.write_text(json.dumps(said))
    temporary.rename(FOLDER / "progress.json")


def leave(job: dict[str, Any], code: int, class_: str, act: dict[str, Any] | None = None) -> NoReturn:
    """The last word, and out."""
    names = ("message", "fix", "steps", "checkpoint", "batch", "artifacts")
    more = {name: act[name] for name in names if act and name in act}
    said = {"v": 1, "worker": job["worker"], "code": code, "class": class_, **more}
    (FOLDER / "exit.json").write_text(json.dumps(said))
    os._exit(code)


def exit_with(job: dict[str, Any], act: dict[str, Any]) -> None:
    """An exit code of the table, after as many steps as it says."""
    if act.get("steps"):
        progress(job, act["steps"])
    leave(job, act["code"], act.get("class", "crash"), act)


def tear(job: dict[str, Any], act: dict[str, Any]) -> None:
    """A study with damage in the middle, and the exit code of one who finds it so."""
    study = Path(job["study"].removeprefix("journal://"))
    study.parent.mkdir(parents=True, exist_ok=True)
    study.write_bytes(b'{"op_code":0,"crc":"00000000"}\n' * 3)
    leave(job, 74, "storage", act)


def work(job: dict[str, Any], act: dict[str, Any]) -> None:
    """Steps for ever, told with what the act says besides; TERM ends it with a checkpoint."""
    step = [0]

    def stop(_number: int, _frame: object) -> None:
        leave(job, 75, "stopped", {"steps": step[0], "checkpoint": step[0]})

    signal.signal(signal.SIGTERM, stop)
    while not act.get("steps") or step[0] < act["steps"]:
        step[0] += 1
        progress(job, step[0], **act.get("said", {}))
        time.sleep(act.get("between_s", BETWEEN_STEPS_S))
    leave(job, 0, "done", act)


def silent(job: dict[str, Any], act: dict[str, Any]) -> None:
    """One step, and then nothing at all."""
    if act.get("deaf"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    progress(job, 1)
    while True:
        signal.pause()


def loop(job: dict[str, Any], act: dict[str, Any]) -> None:
    """One step, and then an endless loop."""
    progress(job, 1)
    while True:
        pass


def eat(job: dict[str, Any], act: dict[str, Any]) -> None:
    """Memory without end; where a limit makes Python refuse, it says so with the exit code for that."""
    progress(job, 1)
    if act.get("limit_mb"):
        resource.setrlimit(resource.RLIMIT_AS, (act["limit_mb"] << 20, act["limit_mb"] << 20))
    eaten = []
    try:
        while True:
            eaten.append(bytearray(b"\1") * (16 << 20))
    except MemoryError:
        eaten.clear()
        leave(job, 71, "host_oom", {"message": "out of memory", "steps": 1})


ACTS: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "exit": exit_with,
    "work": work,
    "silent": silent,
    "loop": loop,
    "eat": eat,
    "tear": tear,
}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_bytes())
    deeds, script = ROOT / "deeds.jsonl", ROOT / "puppet.json"
    stage = "fill" if ".f" in job["job"] else job["stage"]
    with deeds.open("a") as file:
        file.write(json.dumps({"stage": stage, "job": job["job"], "volume": job["volume"],
                               "worker": job["worker"], "pid": os.getpid()}) + "\n")  # fmt: skip
    turn = [json.loads(line)["stage"] for line in deeds.read_text().splitlines()].count(stage)
    acts = json.loads(script.read_text()).get(stage, []) if script.exists() else []
    act = acts[min(turn, len(acts)) - 1] if acts else {"do": "exit", "code": 0, "class": "done", "steps": 1}
    ACTS[str(act["do"])](job, act)


if __name__ == "__main__":
    main()
