"""What stands in `certified/`: one folder for each certified configuration, with all that its verdict rests on.

Candles, the job, the configuration, the ledger as it stood, and the validation: `btswarm reproduce` needs nothing else,
and computes every figure again. A folder is written aside and renamed: it is whole or not there.
"""

import gzip
import hashlib
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ..state.errors import BadData, InputGone
from ..state.files import TEMP_PREFIX, make_folder, replace_folder, sync_folder, write_atomic
from ..state.models.certified import Manifest
from ..state.models.jobs import Inputs, Job
from ..state.models.trials import BestConfig
from ..state.models.validation import Validation
from . import export
from .artifacts import VALIDATION, read_model, write_model
from .bars import ROW, Bars
from .costs import Costs
from .kernels.exact import simulate
from .ledger import NAME as LEDGER
from .progress import Reporter
from .strategies.api import Params
from .validation.selection import Effort

FOLDER = "certified"
MANIFEST, CANDLES, JOB = "certificate.json", "candles.bin.gz", "job.json"
CONFIG = Path("best_robust") / export.CONFIG
TRADES = Path("best_robust") / export.TRADES
COMPRESSION = 6


@dataclass(frozen=True)
class Reproduction:
    """`differences`: the places of `validation.json`, or the files, in which the second computation is another."""

    found: Validation
    differences: list[str]


def folder_for(job: Job) -> Path:
    """Where the certified configurations of a job are kept; one that names no place keeps them beside the ledger."""
    return Path(job.certified) if job.certified else Path(job.ledger or job.out_dir).parent / FOLDER


def keep(
    job: Job,
    bars: Bars,
    found: Validation,
    ledger: bytes,
    artifacts: dict[Path, bytes],
    options: tuple[Effort, int],
) -> Path:
    """Write the folder of a certified configuration and return its path.

    `ledger`: its lines as they stood when it was judged. `artifacts`: what the stage read, by its name in the folder.
    `options`: of the permutation test.
    """
    root = make_folder(folder_for(job))
    name = f"{found.symbol}-{found.mode}-{found.candidate.id}"
    files: dict[Path, bytes] = {
        **artifacts,
        Path(CANDLES): gzip.compress(bars.rows(), COMPRESSION, mtime=0),
        Path(JOB): orjson.dumps(_portable(job).model_dump(), option=orjson.OPT_INDENT_2),
        Path(LEDGER): ledger,
        Path(VALIDATION): (Path(job.out_dir) / VALIDATION).read_bytes(),
        TRADES: _trades(found, bars, artifacts),
    }
    manifest = Manifest(
        symbol=found.symbol,
        mode=found.mode,
        candidate=found.candidate.id,
        base_ms=bars.base_ms,
        synthetic=bars.synthetic,
        source=Path(bars.source).name if bars.source else "",
        data_sha256=bars.sha256,
        effort=vars(options[0]),
        stop_after=options[1],
        files={str(path): _sha256(body) for path, body in sorted(files.items())},
    )
    aside = make_folder(root / f"{TEMP_PREFIX}{name}-{secrets.token_hex(4)}")
    for path, body in files.items():
        write_atomic(make_folder((aside / path).parent) / path.name, body)
    write_model(aside / MANIFEST, manifest)
    old = root / f"{TEMP_PREFIX}old-{name}-{secrets.token_hex(4)}"
    replace_folder(root / name, aside, old)
    sync_folder(root)
    shutil.rmtree(old, ignore_errors=True)
    return root / name


def reproduce(folder: Path, report: Reporter, threads: int = 1) -> Reproduction:
    """Compute the validation of a certified configuration again, from its folder alone, and compare every figure.

    Nothing is entered in any ledger but a copy. Raises InputGone without the folder, BadData for a file that is not the
    one the certificate was given for.
    """
    from .validate import run

    manifest = read_model(folder / MANIFEST, Manifest)
    bodies = {name: _checked(folder / name, sha256) for name, sha256 in manifest.files.items()}
    bars = _bars(manifest, bodies[CANDLES])
    with tempfile.TemporaryDirectory(prefix="btswarm-reproduce-") as scratch:
        place = Path(scratch)
        for name, body in bodies.items():
            if name != VALIDATION:
                write_atomic(make_folder((place / name).parent) / Path(name).name, body, sync=False)
        job = Job.model_validate(orjson.loads(bodies[JOB]))
        job.out_dir, job.ledger, job.certified = str(place), str(place / LEDGER), str(place / FOLDER)
        job.claims.cpus = threads
        [path] = run(job, bars, report, effort=Effort(**manifest.effort), stop_after=manifest.stop_after)
        found = read_model(path, Validation)
        again = orjson.loads(path.read_bytes())
    differences = list(_differing(orjson.loads(bodies[VALIDATION]), again, ""))
    if _trades(found, bars, {CONFIG: bodies[str(CONFIG)]}) != bodies[str(TRADES)]:
        differences.append(str(TRADES))
    return Reproduction(found, differences)


def _portable(job: Job) -> Job:
    """The job without the paths of the machine it ran on."""
    nowhere = dict.fromkeys(("out_dir", "ledger", "certified", "checkpoint"), "")
    return job.model_copy(update={**nowhere, "inputs": Inputs(data=""), "study": "auto"})


def _trades(found: Validation, bars: Bars, artifacts: dict[Path, bytes]) -> bytes:
    """The trades of the training days, as the export writes them."""
    config = BestConfig.model_validate(orjson.loads(artifacts[CONFIG]))
    start, stop = bars.time.searchsorted((found.split.train_from, found.split.train_to))
    training = bars.slice(int(start), int(stop))
    costs = Costs(**config.search.costs.model_dump())
    return export.trades_csv(simulate(training, Params.parse(config.params), costs, found.candidate.leverage), training)


def _bars(manifest: Manifest, packed: bytes) -> Bars:
    rows = np.frombuffer(gzip.decompress(packed), dtype=ROW)
    o, h, low, c, v = (np.ascontiguousarray(rows[name], dtype=np.float64) for name in "ohlcv")
    time = np.ascontiguousarray(rows["t"], dtype=np.int64)
    bars = Bars(manifest.symbol, manifest.base_ms, time, o, h, low, c, v, manifest.source, manifest.synthetic)
    if bars.sha256 != manifest.data_sha256:
        raise BadData(f"{CANDLES} holds other candles than those of the certificate")
    return bars


def _checked(path: Path, sha256: str) -> bytes:
    try:
        body = path.read_bytes()
    except OSError as error:
        raise InputGone(f"{path} cannot be read ({error.strerror})", fix="copy the whole folder again") from error
    if _sha256(body) != sha256:
        raise BadData(f"{path} is not the file the certificate was given for", fix="copy the whole folder again")
    return body


def _differing(a: Any, b: Any, where: str) -> list[str]:
    """The places at which two documents differ, as `section.figure.value`."""
    if isinstance(a, dict) and isinstance(b, dict):
        names = sorted(a.keys() | b.keys())
        return [one for name in names for one in _differing(a.get(name), b.get(name), f"{where}.{name}".lstrip("."))]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return [one for number, (x, y) in pairs for one in _differing(x, y, f"{where}[{number}]")]
    return [] if a == b else [where]


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
