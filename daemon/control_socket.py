"""The door for people and scripts: a Unix socket that answers from what the last cycle left, and queues the rest.

One line of JSON in, one out, closed. Nothing here waits for a cycle to answer a question, and nothing here changes
anything: a changing command lies in `take()` until the cycle has logged it and says `done` or `refuse`.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ..state.errors import BadConfig, BtswarmError, NoPermission, Stopped
from ..state.models.commands import FOLLOWING, READING
from ..state.socket_path import SOCKET_NAME, listen
from .doorway import MAX_LINE, Asked, answer, id_of, read_request, refusal
from .following import Follower, Tail

MAX_CONNECTIONS: Final = 32
MAX_FOLLOWERS: Final = 16  # so that however many watch, a command still finds a place
MAX_WAITING: Final = 256
MAX_ANSWER: Final = 16 * 1024 * 1024
REQUEST_S: Final = 2.0
ANSWER_S: Final = 30.0
"""For a reader to take its answer, and for the cycle to carry a command out."""
LINGER_S: Final = 1.0
PONG: Final = b"{}"

Page = bytes | Callable[[], bytes]


class ControlSocket:
    """`wake(reason)` is called when a changing command arrives; `screen` may raise BtswarmError to refuse it at once.

    All methods belong to the loop's thread.
    """

    def __init__(
        self,
        state_root: Path,
        wake: Callable[[str], None],
        *,
        own_uid: int | None = None,
        screen: Callable[[Asked], None] | None = None,
    ) -> None:
        self.path = state_root / SOCKET_NAME
        self.seq = 0
        self.connections: set[Connection] = set()
        self.tail = Tail(state_root)
        self._wake, self._screen = wake, screen
        self._uids = {0, os.geteuid() if own_uid is None else own_uid}
        self._pages: dict[str, Page] = {}
        self._asked: dict[str, Asked] = {}
        self._waiting: dict[str, list[Connection]] = {}
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def open(self) -> None:
        """Begin to listen. The caller holds daemon.lock. Raises OSError."""
        sock = listen(self.path, MAX_CONNECTIONS)
        self._inode = self.path.stat().st_ino
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Connection(self), sock=sock)

    def lost(self) -> bool:
        """Whether somebody removed or replaced the socket, so that nobody finds this daemon: to be opened anew."""
        try:
            return self.path.lstat().st_ino != self._inode
        except OSError:
            return True

    def close(self) -> None:
        """Stop listening and leave no socket behind. Answers under way are still sent by the loop."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        if not self.lost():
            self.path.unlink(missing_ok=True)
        for id_ in list(self._waiting):
            self.refuse(id_, Stopped("the daemon is leaving", fix="send the command again"))
        for connection in list(self.connections):
            connection.leave()

    def publish(self, seq: int, pages: Mapping[str, Page]) -> None:
        """At the end of a cycle: what status, query, workers and agents answer from now on, as JSON or how to make it
        from values that do not change; and `seq`, the newest event that is written."""
        self._pages.update(pages)
        if seq != self.seq:
            self.seq = seq
            self.tail.grew()

    def take(self) -> list[Asked]:
        """Changing commands that wait for a cycle, oldest first; each is answered by `done` or `refuse`."""
        taken, self._asked = list(self._asked.values()), {}
        return taken

    def done(self, id_: str, seq: int, result: bytes = b"{}") -> None:
        """The command was logged under `seq`: its sender may know. `result` is JSON."""
        self._tell(id_, answer(id_, seq, result))

    def refuse(self, id_: str, error: BtswarmError) -> None:
        self._tell(id_, refusal(id_, error))

    def _tell(self, id_: str, line: bytes) -> None:
        for connection in self._waiting.pop(id_, ()):
            connection.send(line)

    def unwelcome(self, connection: "Connection", peer: socket.socket) -> BtswarmError | None:
        """What a new peer will be told instead of an answer: it is another user, or one too many."""
        _pid, uid, _gid = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        self.connections.add(connection)
        if uid not in self._uids:
            return NoPermission(f"user {uid} may not command this swarm", fix="use the account the daemon runs under")
        if len(self.connections) > MAX_CONNECTIONS:
            return Stopped(f"{MAX_CONNECTIONS} connections are open already", fix="try again")
        return None

    def hear(self, connection: "Connection", line: bytes) -> None:
        """Answer, or queue for the next cycle. Raises BtswarmError, which is then the answer."""
        asked = read_request(line)
        if asked.cmd in READING:
            connection.send(answer(asked.id, self.seq, self._page(asked.cmd)))
        elif asked.cmd == FOLLOWING:
            if sum(one.follower is not None for one in self.connections) >= MAX_FOLLOWERS:
                raise Stopped(f"{MAX_FOLLOWERS} are following already", fix="read workflow_events.log itself")
            connection.follow(asked)
        else:
            self._queue(connection, asked)

    def _page(self, name: str) -> bytes:
        if name == "ping":
            return PONG
        page = self._pages.get(name)
        if page is None:
            raise Stopped("the first cycle is not over yet", fix="try again in a moment")
        if callable(page):
            page = self._pages[name] = page()
        if len(page) > MAX_ANSWER - 1024:
            raise BadConfig(f"the answer takes {len(page)} bytes, {MAX_ANSWER} is the most", fix="read the state files")
        return page

    def _queue(self, connection: "Connection", asked: Asked) -> None:
        if len(self._asked) >= MAX_WAITING:
            raise Stopped(f"{MAX_WAITING} commands are waiting already", fix="try again")
        if self._screen:
            self._screen(asked)
        known = self._asked.setdefault(asked.id, asked)
        if (known.cmd, known.args) != (asked.cmd, asked.args):
            raise BadConfig(f"the id {asked.id} is another command's", fix="use an id of its own for each command")
        self._waiting.setdefault(asked.id, []).append(connection)
        self._wake("command")

    def forget(self, connection: "Connection") -> None:
        """Its sender hung up. What it asked for is carried out all the same."""
        self.connections.discard(connection)
        for waiting in self._waiting.values():
            if connection in waiting:
                waiting.remove(connection)


class Connection(asyncio.Protocol):
    """One peer: reads a line within its limits of size and time, and is closed with the answer."""

    def __init__(self, door: ControlSocket) -> None:
        self.follower: Follower | None = None
        self._door = door
        self._transport: asyncio.Transport | None = None
        self._heard = bytearray()
        self._deaf = self._answered = False
        self._unwelcome: BtswarmError | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._within(REQUEST_S, self._too_slow)
        self._unwelcome = self._door.unwelcome(self, transport.get_extra_info("socket"))
        if len(self._door.connections) > 2 * MAX_CONNECTIONS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._heard += data
        line, newline, _rest = bytes(self._heard).partition(b"\n") if b"\n" in data else (b"", b"", b"")
        if len(line) + 1 > MAX_LINE or (not newline and len(self._heard) >= MAX_LINE):
            self._refuse(BadConfig(f"a command takes at most {MAX_LINE} bytes", fix="send less"))
        elif newline:
            self._hear(line)

    def eof_received(self) -> bool:
        """A peer may close its half once it has asked and wait for the answer; a follower's peer has left."""
        if not self._deaf:
            self._refuse(BadConfig("the command has no end", fix="end the line with a newline"))
        return self.follower is None and not self._answered

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._door.forget(self)
        if self.follower:
            self.follower.stop()

    def pause_writing(self) -> None:
        if self.follower:
            self.follower.pause()

    def resume_writing(self) -> None:
        if self.follower:
            self.follower.resume()

    def follow(self, asked: Asked) -> None:
        assert self._transport is not None
        self._clear_deadline()
        self.follower = Follower(self._door.tail, asked, self._transport)

    def send(self, line: bytes, *, unread: bool = False) -> None:
        """The answer, and the end. What is still `unread` of the peer is let run out first: closing on it would take
        the answer away from under the peer's eyes."""
        self._deaf = self._answered = True
        if self._transport is None or self._transport.is_closing():
            return
        self._within(LINGER_S if unread else ANSWER_S, self._transport.abort)
        self._transport.write(line)
        if unread:
            self._transport.write_eof()
        else:
            self._transport.close()

    def leave(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.close()

    def _hear(self, line: bytes) -> None:
        self._deaf = True
        self._within(ANSWER_S, self._not_yet)
        try:
            if self._unwelcome:
                raise self._unwelcome
            self._door.hear(self, line)
        except BtswarmError as error:
            self.send(refusal(id_of(line), error))

    def _refuse(self, error: BtswarmError) -> None:
        self.send(refusal(id_of(bytes(self._heard[:MAX_LINE])), self._unwelcome or error), unread=True)

    def _too_slow(self) -> None:
        self._refuse(BadConfig(f"no command came within {REQUEST_S:g} s", fix="send one line of JSON"))

    def _not_yet(self) -> None:
        self._refuse(Stopped("no cycle took the command in time; it may still do", fix="send it again, same id"))

    def _within(self, seconds: float, late: Callable[[], None]) -> None:
        self._clear_deadline()
        self._deadline = asyncio.get_running_loop().call_later(seconds, late)

    def _clear_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
