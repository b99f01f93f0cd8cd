"""Hands for what agents write down: hypotheses in a ledger of the state, notes in files of the roots.

Each is read back from the disk before it counts; what cannot be written is an incident of that file.
"""

from pathlib import Path
from typing import Any, Final

import orjson

from ..state.disk import write_whole
from ..state.errors import BtswarmError
from ..state.models.actions import Order, RecordHypothesis, WriteNotes
from ..state.models.events import Draft
from . import incidents
from .deeds import Answers, Hand
from .swarm import Swarm

LEDGER: Final = "hypothesis_ledger.jsonl"
VERSION: Final = 1
MOST_BYTES: Final = 1 << 16
"""Of one block or entry: more is no note."""
FILE_BYTES: Final = 8 << 20
"""Of a file that a block is put into."""


class Notebook(Answers):
    """`hands` of two kinds of action."""

    def __init__(self, swarm: Swarm) -> None:
        super().__init__(swarm)

    def hands(self) -> dict[str, Hand]:
        return {"RecordHypothesis": self._record, "WriteNotes": self._write}

    def _record(self, order: Order) -> None:
        """One line at the end of the ledger; a torn one before it is ended first."""
        assert isinstance(order.action, RecordHypothesis)
        stamp = self._swarm.journal.stamp()
        said = {"v": VERSION, "at": stamp.ts, "run": stamp.run, "cycle": stamp.cycle, "agent": order.agent,
                "why": order.reason, "entry": dict(order.action.entry)}  # fmt: skip
        try:
            line = orjson.dumps(said)
        except TypeError as error:
            self._failed(order, LEDGER, f"the entry is no JSON: {error}")
            return
        self._do(order, self._swarm.roots.state / LEDGER, line, self._append)

    def _write(self, order: Order) -> None:
        """The agent's own block of the file, between its marks; what others wrote there stays."""
        assert isinstance(order.action, WriteNotes)
        path = self._allowed(order.action.file)
        if path is None:
            self._failed(order, order.action.file, "it does not lie under the roots")
            return
        begin, end = (f"<!-- btswarm {order.agent} {word} -->" for word in ("begins", "ends"))
        block = f"{begin}\n{order.action.block.rstrip()}\n{end}\n".encode()
        self._do(order, path, block, self._put)

    def _do(self, order: Order, path: Path, data: bytes, work: Any) -> None:
        if len(data) > MOST_BYTES:
            self._failed(order, str(path), f"{len(data)} bytes are no note: {MOST_BYTES} at most")
            return
        files = self._swarm.world.files
        try:
            files.make_folder(path.parent)
            work(path, data)
            found = files.read(path).find(data)
        except (OSError, BtswarmError) as error:
            self._failed(order, str(path), str(error))
            return
        if found < 0:
            self._failed(order, str(path), "what was written does not read back")
            return
        for incident in list(incidents.about(self._swarm.journal, str(path))):
            incidents.settle(self._swarm.journal, incident.incident, order.kind, {"reads_back": True})

    def _append(self, path: Path, line: bytes) -> None:
        files = self._swarm.world.files
        descriptor = files.open_append(path)
        try:
            size = files.stat_open(descriptor).size
            torn = size > 0 and files.read(path, size - 1, 1) != b"\n"
            write_whole(files, descriptor, (b"\n" if torn else b"") + line + b"\n")
        finally:
            files.close(descriptor)

    def _put(self, path: Path, block: bytes) -> None:
        files = self._swarm.world.files
        try:
            if files.stat(path).size > FILE_BYTES:
                raise OSError(0, f"{path} is larger than {FILE_BYTES} bytes")
            before = files.read(path)
        except FileNotFoundError:
            before = b""
        begin, end = block.split(b"\n", 1)[0], block.rstrip(b"\n").rsplit(b"\n", 1)[1]
        start = before.find(begin)
        stop = before.find(end, start) if start >= 0 else -1
        if stop >= 0:
            after = before[stop + len(end) :].removeprefix(b"\n")
            files.replace(path, before[:start] + block + after)
        else:
            gap = b"" if not before or before.endswith(b"\n\n") else b"\n" if before.endswith(b"\n") else b"\n\n"
            files.replace(path, before + gap + block)

    def _allowed(self, name: str) -> Path | None:
        """The file if it lies under a root where notes may lie, links followed; never a state file or a program."""
        roots = self._swarm.roots
        path = (roots.knowledge / name).resolve()
        under = [one for one in (roots.knowledge, roots.results, roots.logs) if path.is_relative_to(one.resolve())]
        inside = path.is_relative_to(roots.state.resolve()) or path.suffix not in (".md", ".txt")
        own = self._swarm.config.notify.markdown
        return path if (under and not inside) or (own and path == Path(own).resolve()) else None

    def _failed(self, order: Order, subject: str, why: str) -> None:
        journal = self._swarm.journal
        journal.tell(Draft("state.refused", subject, {"why": why, "action": order.kind}, agent=order.agent))
        incidents.detect(journal, "cannot_write", subject, why, agent=order.agent, severity="warning",
                         policy="asked again by its agent")  # fmt: skip
