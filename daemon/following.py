"""`events` over the control socket: the log as a stream, read from disk in a thread so that no cycle waits for it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from ..state.disk import RealDisk
from ..state.logread import events_after
from ..state.models.commands import Events
from .doorway import Asked

BATCH: Final = 256
PAUSE_S: Final = 0.2  # between looks, however many cycles there were


class Tail:
    """Where the log lies, and the news that it grew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._news = asyncio.Event()

    def grew(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def news(self) -> None:
        await self._news.wait()


class Follower:
    """Sends matching events to one transport, as fast as its peer reads; closes it at the end unless it follows."""

    def __init__(self, tail: Tail, asked: Asked, transport: asyncio.Transport) -> None:
        assert isinstance(asked.checked, Events)
        self._tail, self._wanted, self._transport = tail, asked.checked, transport
        self._seq = asked.checked.since_seq
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        self._task.cancel()

    def pause(self) -> None:
        self._may_write.clear()

    def resume(self) -> None:
        self._may_write.set()

    async def _run(self) -> None:
        while not self._transport.is_closing():
            grown = asyncio.ensure_future(self._tail.news())
            try:
                await self._catch_up()
                if not self._wanted.follow:
                    self._transport.close()
                    return
                await grown
            finally:
                grown.cancel()
            await asyncio.sleep(PAUSE_S)

    async def _catch_up(self) -> None:
        while batch := await asyncio.to_thread(self._read):
            lines = b"".join(orjson.dumps(event) + b"\n" for event in batch if matches(event, self._wanted))
            if lines:
                self._transport.write(lines)
            await self._may_write.wait()

    def _read(self) -> list[dict[str, Any]]:
        batch = []
        try:
            for event in events_after(RealDisk(), self._tail.folder, self._seq):
                batch.append(event)
                if len(batch) == BATCH:
                    break
        except OSError:
            return []  # being rotated, or gone: the next look tells
        if batch:
            self._seq = batch[-1]["seq"]
        return batch


def matches(event: Mapping[str, Any], wanted: Events) -> bool:
    """`kind`: a kind, or the part before its dot. `subject`: a subject, or its part before a / or an @."""
    kind, subject = event.get("kind", ""), event.get("subject", "")
    if wanted.kind and kind != wanted.kind and kind.partition(".")[0] != wanted.kind:
        return False
    if not wanted.subject or subject == wanted.subject:
        return True
    return bool(subject.startswith((f"{wanted.subject}/", f"{wanted.subject}@")))
