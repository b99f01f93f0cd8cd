"""What a start makes of the disk: the newest usable copies, the log mended, the events they lack folded in.

Nothing found is thrown away: unusable copies are moved aside, a torn line is told. A newer version is refused and left
untouched. Living processes outrank all of it; they are looked at next, by whoever adopts.
"""

from dataclasses import dataclass, field
from typing import Final

from .errors import StorageBroken
from .eventlog import EventLog
from .logread import LOG_NAME, Found
from .models.events import Draft
from .models.state_files import Control, Fleet, Queue
from .replay import SLICES, Slice, SwarmState, replay
from .store import Loaded, Store

TOLD: Final = 5
"""So many refused events and gaps are told one by one."""


@dataclass(frozen=True, slots=True)
class Begun:
    """`said`: what is to be recorded first, in order. `applied`: events that the files lacked. `fresh`: nothing was
    there at all. `refused`: numbers and reasons of events that could not be applied."""

    state: SwarmState
    said: list[Draft] = field(default_factory=list)
    applied: int = 0
    fresh: bool = True
    refused: tuple[tuple[int, str], ...] = ()


def begin(store: Store, log: EventLog) -> Begun:
    """Load, mend, replay. Raises StorageBroken for a newer version; OSError when the folder cannot be used at all."""
    loaded: dict[Slice, Loaded] = {one: store.load(file) for one, file in SLICES.items()}
    seqs: dict[Slice, int] = {one: file.log_seq for one, file in loaded.items()}
    said = [draft for file in loaded.values() for draft in told(file)]
    said += log.open(at_least=max(seqs.values()))
    slices = SwarmState(
        loaded["control"].payload or Control(),
        loaded["queue"].payload or Queue(),
        loaded["fleet"].payload or Fleet(),
        max(seqs.values()),
    )
    found = Found()
    done = replay(slices, seqs, log.replay(min(seqs.values()), found))
    if found.newer is not None:
        raise StorageBroken(
            f"{log.folder / LOG_NAME}: event {found.newer} is of a newer version", fix="use the build that wrote it"
        )
    said += _of_the_log(found, done.refused)
    fresh = log.next_seq == 1 and not any(file.payload or file.bad for file in loaded.values())
    return Begun(done.state, said, done.applied, fresh, tuple(done.refused))


def told(file: Loaded) -> list[Draft]:
    """What a loaded file gives to say: copies that were moved aside, and that the previous one was taken."""
    said = [
        Draft("state.quarantined", bad.name, {"fault": bad.fault, "why": bad.why, "moved": bad.moved})
        for bad in file.bad
    ]
    if file.bad and file.source:
        said.append(Draft("state.restored", file.name, {"from": file.source, "log_seq": file.log_seq}))
    return said


def _of_the_log(found: Found, refused: list[tuple[int, str]]) -> list[Draft]:
    said = [Draft("log.recovered", LOG_NAME, {"missing": list(gap)}, outcome="missing") for gap in found.gaps[:TOLD]]
    if found.bad_lines:
        said.append(Draft("log.recovered", LOG_NAME, {"bad_lines": found.bad_lines}, outcome="bad lines"))
    if refused:
        facts = {"events": len(refused), "why": [f"{seq}: {why}" for seq, why in refused[:TOLD]]}
        said.append(Draft("state.refused", LOG_NAME, facts, outcome="not replayed"))
    return said
