"""The cache of compiled kernels belongs to exactly these sources."""

from pathlib import Path

import numba
import pytest

from btswarm.engine import compiled
from btswarm.engine.kernels import cpu, events


def test_kernels_are_cached_under_the_fingerprint_of_all_their_sources() -> None:
    assert Path(numba.config.CACHE_DIR).name == compiled.fingerprint()
    assert {"indicators.py", "events.py", "orders.py", "simd.py"} <= {path.name for path in compiled.SOURCES}
    assert Path(cpu.__file__) in compiled.SOURCES
    assert Path(events.__file__) in compiled.SOURCES


def test_an_edit_of_any_kernel_names_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compiled.fingerprint()
    edited = tmp_path / "events.py"
    edited.write_bytes(Path(events.__file__).read_bytes() + b"\n# another\n")
    sources = [edited if path.name == "events.py" else path for path in compiled.SOURCES]
    monkeypatch.setattr(compiled, "SOURCES", sources)
    assert compiled.fingerprint() != before


def test_the_cache_lies_where_the_user_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert compiled.cache_folder() == tmp_path / compiled.fingerprint()
