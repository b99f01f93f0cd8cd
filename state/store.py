"""The state files: written whole, read back from disk, judged, moved aside when they are wrong, and restored.

A file is replaced by rename. Its last synced form stays beside it as `<name>.prev`, so that after a power loss one of
the two is whole. What lies under a file's name and was not written here is never overwritten: it is moved aside to
`<name>.bad-<n>`. One thread at a time; nothing here is on the path of a restart of a worker.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from .bad_copies import Bad, move_aside
from .disk import Disk, Stat, write_whole
from .errors import StorageBroken
from .eventlog import Stamp
from .judging import Moment, Rules, Written, fault_of, implausible, judged, unreadable
from .lines import append_lines
from .migrate import migrate
from .models.facts import FileFault, FileView
from .models.state_files import FileRule, Payload, lasting
from .peek import PREVIOUS, VERSION, Envelope, Unusable, unwrap, wrap
from .wire import Encoder, encode

_ADAPTERS: Final[dict[type[Any], TypeAdapter[Any]]] = {}
HEARTBEAT_BYTES: Final = 2048
LINES_BYTES: Final = 64 << 20
TEMPORARY: Final = ".tmp-"
MOVE_ASIDE: Final = "move it aside, or use the build that wrote it"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file as a start found it. `payload` is None when neither copy was usable. `source`: the copy that was."""

    name: str
    payload: Any = None
    log_seq: int = 0
    source: str = ""
    bad: tuple[Bad, ...] = ()


@dataclass
class Saved:
    """`failed`: files the disk refused, the old ones stand. `bad`: what was found under a name and moved aside."""

    failed: dict[str, OSError] = field(default_factory=dict)
    bad: list[Bad] = field(default_factory=list)
    synced: int = 0


@dataclass
class _Held:
    """What was written last under a name, and what the disk said of it. `core`: the durable part synced last."""

    payload: Payload
    encoded: bytes
    written: Written
    synced: bool
    core: Any


@dataclass
class _New:
    """A file on its way: its bytes lie under a temporary name."""

    name: str
    payload: Payload
    encoded: bytes
    data: bytes
    seq: int
    sync: bool
    temporary: Path
    stat: Stat


class Store:
    """`rules`: every state file by name. `uid`: the owner they must have. `writer`: pid, start ticks and build."""

    def __init__(self, folder: Path, disk: Disk, rules: Mapping[str, FileRule], *, uid: int, writer: str) -> None:
        self.folder = folder
        self.rules = dict(rules)
        self._disk = disk
        self._uid = uid
        self._writer = writer
        self._held: dict[str, _Held] = {}
        self._seqs: dict[str, int] = {}
        self._known: dict[str, int] = {}
        self._watched: dict[str, float | None] = {}
        self._beats: dict[str, Mapping[str, Any]] = {}
        """The heartbeat written last, by its file: one that is lost begins again with it."""
        self._encoders: dict[str, Encoder] = {}

    def watch(self, name: str, limit_s: float | None = None) -> None:
        """Judge a file of lines too: there, ours, and touched within the limit."""
        self._watched[name] = limit_s

    def beat(self, name: str, line: Mapping[str, Any], limit_s: float) -> None:
        """Add a heartbeat to its file and judge that from now on, instead of the one of an earlier run.

        Raises what `append` does; then the file's age tells.
        """
        for old in [one for one in self._beats if one != name]:
            del self._beats[old]
            self._watched.pop(old, None)
        self._beats[name] = line
        self.append(name, line)
        self.watch(name, limit_s)

    # -- loading --------------------------------------------------------------------------------------------------

    def load(self, name: str) -> Loaded:
        """The newer usable one of the file and its previous copy; unusable ones are moved aside.

        Raises StorageBroken for a newer version, which is left where it is.
        """
        found: list[tuple[int, int, str, Any]] = []
        bad: list[Bad] = []
        for path in (self.folder / name, self.folder / f"{name}{PREVIOUS}"):
            try:
                if why := implausible(self._disk.stat(path)):
                    raise Unusable("edited", why)
                envelope = unwrap(self._disk.read(path))
                payload = self._validated(self.rules[name], envelope)
                found.append((envelope.log_seq, envelope.seq, path.name, payload))
            except FileNotFoundError:
                continue
            except Unusable as error:
                if error.fault == "newer":
                    raise StorageBroken(f"{path}: {error}", fix=MOVE_ASIDE) from error
                bad.append(self._aside(path.name, fault_of(error), str(error)))
            except OSError as error:
                bad.append(self._aside(path.name, "unreadable", error.strerror or str(error)))
        if not found:
            return Loaded(name, bad=tuple(bad))
        log_seq, _, source, payload = max(found, key=lambda one: one[:2])
        self._seqs[name] = max(one[1] for one in found)
        if any(one[2] == name for one in found):
            self._known[name] = self._disk.stat(self.folder / name).inode
        return Loaded(name, payload, log_seq, source, tuple(bad))

    def _validated(self, rule: FileRule, envelope: Envelope) -> Any:
        if envelope.schema != rule.schema:
            raise Unusable("edited", f"it is a file of kind {envelope.schema}, not {rule.schema}")
        content = orjson.loads(envelope.payload)
        if envelope.v != VERSION:
            content = migrate(rule.schema, envelope.v, content)
        if rule.payload is None:
            return content
        try:
            return _adapter(rule.payload).validate_python(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise Unusable("edited", f"{where}: {first['msg']}") from error

    # -- saving ---------------------------------------------------------------------------------------------------

    def save(self, payloads: Mapping[str, Payload], stamp: Stamp, log_seq: int) -> Saved:
        """Replace the given files. The log must have been synced up to `log_seq` before.

        What the disk refuses is reported by file, never raised: the others are written all the same.
        """
        saved = Saved()
        ready = [new for name, one in payloads.items() if (new := self._prepare(name, one, stamp, log_seq, saved))]
        for new in ready:
            try:
                self._swap(new, stamp, saved)
            except OSError as error:
                saved.failed[new.name] = error
                self._discard(new.temporary)
        if saved.synced:
            try:
                self._disk.sync_folder(self.folder)
            except OSError as error:
                saved.failed |= {new.name: error for new in ready if new.sync}
        return saved

    def _prepare(self, name: str, payload: Payload, stamp: Stamp, log_seq: int, saved: Saved) -> _New | None:
        """Write the new file beside the old one, synced if its durable part changed."""
        held = self._held.get(name)
        encoded = held.encoded if held is not None and held.payload is payload else self._encoder(name).encode(payload)
        seq = self._seqs.get(name, 0) + 1
        data = wrap(
            encoded,
            schema=self.rules[name].schema,
            seq=seq,
            log_seq=log_seq,
            written=stamp.ts,
            mono=stamp.mono,
            epoch=stamp.boot,
            writer=self._writer,
        )
        sync = self.rules[name].synced and (held is None or held.core is None or lasting(payload) != held.core)
        temporary = self.folder / f"{TEMPORARY}{name}"
        try:
            stat = self._write(temporary, data, sync=sync)
        except OSError as error:
            saved.failed[name] = error
            self._discard(temporary)
            return None
        saved.synced += sync
        return _New(name, payload, encoded, data, seq, sync, temporary, stat)

    def _write(self, path: Path, data: bytes, *, sync: bool) -> Stat:
        self._discard(path)
        descriptor = self._disk.create(path)
        try:
            write_whole(self._disk, descriptor, data)
            if sync:
                self._disk.sync(descriptor)
            return self._disk.stat_open(descriptor)
        finally:
            self._disk.close(descriptor)

    def _swap(self, new: _New, stamp: Stamp, saved: Saved) -> None:
        """Keep the old file as the previous copy, if it is worth it, and give the new one its name."""
        path = self.folder / new.name
        held = self._held.get(new.name)
        there = self._there(path)
        if there is not None and not self._ours(new.name, there):
            saved.bad.append(self._aside(new.name, "edited", "it was not written by this daemon"))
            there = None
        if there is not None and (held is None or held.synced):
            self._keep_previous(path, first=held is None)
        self._disk.rename(new.temporary, path)
        core = lasting(new.payload) if new.sync else held.core if held else None
        self._seqs[new.name] = new.seq
        written = Written(new.data, new.stat, stamp.mono)
        self._held[new.name] = _Held(new.payload, new.encoded, written, new.sync, core)

    def _keep_previous(self, path: Path, *, first: bool) -> None:
        """Only a form that was synced becomes the previous copy. Of the file that a start found (`first`) nobody knows
        whether it was, so it becomes one only where there is none."""
        previous = path.with_name(f"{path.name}{PREVIOUS}")
        if first and self._there(previous) is not None:
            return
        temporary = path.with_name(f"{TEMPORARY}{previous.name}")
        self._discard(temporary)
        try:
            self._disk.link(path, temporary)
        except OSError:
            self._disk.rename(path, previous)  # a file system without links: for a moment only the copy is there
            return
        self._disk.rename(temporary, previous)

    def _ours(self, name: str, there: Stat) -> bool:
        held = self._held.get(name)
        if held is None:
            return self._known.get(name) == there.inode
        ours = held.written.stat
        return (there.inode, there.size, there.mtime) == (ours.inode, ours.size, ours.mtime)

    def append(self, name: str, value: Mapping[str, Any]) -> None:
        """Add a heartbeat to a file of lines. Raises OSError, and ValueError for one of more than 2 KB."""
        line = encode(value) + b"\n"
        if len(line) > HEARTBEAT_BYTES:
            raise ValueError(f"a line of {name} takes at most {HEARTBEAT_BYTES} bytes, not {len(line)}")
        append_lines(self._disk, self.folder / name, line, LINES_BYTES)

    # -- judging --------------------------------------------------------------------------------------------------

    def audit(self, now: float, mono: float) -> dict[str, FileView]:
        """Every state file and every watched one, read back from disk."""
        return {name: self.judge(name, now, mono) for name in (*self.rules, *self._watched)}

    def judge(self, name: str, now: float, mono: float) -> FileView:
        """One file as it lies on the disk now. `now`: UTC seconds, `mono`: monotonic ones."""
        path = self.folder / name
        rule, held = self.rules.get(name), self._held.get(name)
        rules = Rules(self._uid, rule.limit_s if rule else self._watched[name])
        try:
            stat = self._disk.stat(path)
            if why := implausible(stat):
                return FileView(name, None, False, "edited", rules.limit_s, why)
            data = self._disk.read(path) if rule else None
        except OSError as error:
            return unreadable(name, error, rules)
        return judged(name, stat, data, held.written if held else None, rules, Moment(now, mono))

    # -- repairing ------------------------------------------------------------------------------------------------

    def rewrite(self, name: str, stamp: Stamp, log_seq: int) -> Saved:
        """Write the newest payload again; what lies there is moved aside unless it is whole."""
        if name in self._beats:
            return self._beat_again(name, stamp)
        held = self._held.get(name)
        if held is None:
            raise StorageBroken(f"{name} was not written yet", fix="it will be at the next tick")
        saved = Saved()
        view = self.judge(name, stamp.ts, stamp.mono)
        if not view.valid and view.fault not in ("deleted", "aged"):
            saved.bad.append(self._aside(name, view.fault, view.why))
        held.core = None  # whatever happened to the file, this one is synced
        again = self.save({name: held.payload}, stamp, log_seq)
        return Saved(again.failed, saved.bad + again.bad, again.synced)

    def _beat_again(self, name: str, stamp: Stamp) -> Saved:
        saved = Saved()
        view = self.judge(name, stamp.ts, stamp.mono)
        if not view.valid and view.fault not in ("deleted", "aged"):
            saved.bad.append(self._aside(name, view.fault, view.why))
        self.append(name, self._beats[name])
        return saved

    def restore(self, name: str, stamp: Stamp) -> Loaded:
        """Take the previous copy back under the file's name. Raises StorageBroken if that is not usable either."""
        previous = self.folder / f"{name}{PREVIOUS}"
        try:
            envelope = unwrap(self._disk.read(previous))
            payload = self._validated(self.rules[name], envelope)
        except (Unusable, OSError) as error:
            raise StorageBroken(f"{previous} is not usable: {error}", fix="start anew without it") from error
        bad: tuple[Bad, ...] = ()
        if self._there(self.folder / name) is not None:
            bad = (self._aside(name, "edited", "replaced by its previous copy"),)
        saved = self.save({name: payload}, stamp, envelope.log_seq)
        if name in saved.failed:
            raise StorageBroken(f"{name} cannot be restored: {saved.failed[name].strerror}") from saved.failed[name]
        return Loaded(name, payload, envelope.log_seq, previous.name, bad)

    def _aside(self, name: str, fault: FileFault, why: str) -> Bad:
        return move_aside(self._disk, self.folder, Bad(name, fault, why))

    def _encoder(self, name: str) -> Encoder:
        return self._encoders.setdefault(name, Encoder())

    def _there(self, path: Path) -> Stat | None:
        try:
            return self._disk.stat(path)
        except FileNotFoundError:
            return None

    def _discard(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            self._disk.unlink(path)


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """Building one costs ten times what validating with it does."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
