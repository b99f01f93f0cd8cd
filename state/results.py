"""Names under the results root: the folders of rounds, the published view, and what the stages leave.

`<results>/rounds/<n>/<lane root>/<SYMBOL>/<mode>/` holds the artifacts; `<results>/optimizations/<SYMBOL>/<mode>`
points at the best of them so far. Standard library only.
"""

import itertools
from pathlib import Path
from typing import Final

ROUNDS: Final = "rounds"
PUBLISHED: Final = "optimizations"
MAIN: Final = "main"
"""Lane root of the swarm's jobs; those that only fill idle lanes write to `fill-<part>`."""
FILL: Final = "fill-"
PREFLIGHT: Final = "preflight.json"
PHASE0: Final = "phase0_top500.json"
ALL_TRIALS: Final = "all_trials.json"
VALIDATION: Final = "validation.json"
TEARSHEET: Final = "tearsheet.html"
ROBUST: Final = "best_robust"
BEST: Final = ("best_sharpe", "best_returns", "lowest_drawdown", "best_winrate", ROBUST)


def published_rounds(results: Path) -> set[int]:
    """The numbers of the rounds that some view points into: none of them may be removed."""
    found = set()
    for link in (results / PUBLISHED).glob("*/*"):
        if link.is_symlink():
            steps = itertools.pairwise(link.resolve().parts)
            found |= {int(number) for folder, number in steps if folder == ROUNDS and number.isdecimal()}
    return found


def round_numbers(results: Path) -> list[int]:
    """Every round that has a folder, in order."""
    folder = results / ROUNDS
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []
