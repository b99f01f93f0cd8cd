"""An engine worker that hangs: `python -I -S hung.py JOB.json`. Standard library only; nothing of the engine.

`<root>/hung` holds two lines: what it does after its one step (`wait` or `spin`), and where it says that it runs.
"""

import json
import os
import select
import sys
import time
from pathlib import Path


def main(job_file: Path) -> None:
    folder = job_file.parent
    job = json.loads(job_file.read_bytes())
    what, board = (folder.parents[2] / "hung").read_text().split()
    said = {"v": 1, "worker": job["worker"], "phase": "batch", "step": 1, "mono": time.monotonic()}
    with open(folder / "progress.json", "x") as file:
        json.dump(said, file)
    with open(board, "w") as file:
        file.write(f"{os.getpid()}\n")
    while what == "spin":
        pass
    select.select((), (), ())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
