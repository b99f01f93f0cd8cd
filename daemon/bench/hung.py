"""An engine worker that hangs, for a benchmark: `python -m btswarm.daemon.bench.hung JOB.json`.

`<root>/hung` holds what it does after its one step (`wait` or `spin`), and where it says that it runs.
"""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import orjson

from ...state.files import write_atomic


def main(job_file: Path) -> None:
    folder = job_file.parent
    job = orjson.loads(job_file.read_bytes())
    what, board = (folder.parents[2] / "hung").read_text().split()
    said = {"v": 1, "worker": job["worker"], "phase": "batch", "step": 1, "mono": time.monotonic()}
    write_atomic(folder / "progress.json", orjson.dumps(said), sync=False)
    subprocess.run(["sh", "-c", 'echo "$1" >"$0"', board, str(os.getpid())], check=True)
    while what == "spin":
        pass
    select.select((), (), ())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
