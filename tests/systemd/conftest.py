"""One booted systemd for all tests that need one."""

from collections.abc import Iterator

import pytest

from .box import Box, CannotBoot, boot, unable


@pytest.fixture(scope="package")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    if why := unable():
        pytest.skip(f"no systemd can be booted: {why}")
    booted = boot(tmp_path_factory.mktemp("box") / "box")
    try:
        found = booted.__enter__()
    except CannotBoot as error:
        pytest.skip(f"no systemd can be booted: {error}")
    yield found
    booted.__exit__(None, None, None)
