"""One look at a process, through a descriptor that is kept: it can only ever speak of the process it was opened for."""

import os
from io import FileIO

from ...state.models.readings import Known, Missing, Reading
from ..ports import Sample
from ..workers.identity import parse_stat


class ProcessProbe:
    """`/proc/<pid>/stat` of one process. Open it while the pid is certain."""

    def __init__(self, pid: int) -> None:
        self._file: FileIO | None = None
        try:
            self._file = FileIO(f"/proc/{pid}/stat")
        except OSError as error:
            self._why = error.strerror or str(error)

    def read(self, mono: float) -> Reading[Sample]:
        """What it is doing now; missing once it is reaped."""
        if self._file is None:
            return Missing(self._why, mono)
        try:
            stat = parse_stat(os.pread(self._file.fileno(), 1024, 0))
        except (OSError, ValueError) as error:
            return Missing(str(error) or "no such process", mono)
        return Known(Sample(stat.state, stat.cpu_s, stat.rss_mb, stat.ticks), mono)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._why = "closed"
