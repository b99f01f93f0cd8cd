"""What a person's command changes about what is wanted. Pure: the cycle logs it, and thereby it is so.

for asked in socket.take():
    if (seq := known(control, asked.id)) is not None: socket.done(asked.id, seq)      # said before
    else: change = wish(state, config, asked); event = journal.record(accepted(asked, change)); ...
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import orjson

from ..state.errors import BadConfig, BtswarmError, InputGone
from ..state.models.config import SYNTHETIC, Config
from ..state.models.events import Draft
from ..state.models.names import SWARM, parse_hold
from ..state.models.state_files import Control, Fleet, Queue
from ..state.plans import identity, overlay, refuse_oversized
from .doorway import Asked

Change = Mapping[str, Any]
"""Fields of Desired, as they are from now on."""


class State(Protocol):
    """What of the swarm's memory a wish is checked against."""

    @property
    def control(self) -> Control: ...

    @property
    def queue(self) -> Queue: ...

    @property
    def fleet(self) -> Fleet: ...


def known(control: Control, id_: str) -> int | None:
    """The number a command of this id was logged under, None if it is new."""
    return control.desired.commands.get(id_)


def wish(state: State, config: Config, asked: Asked) -> Change:
    """What `asked` changes; `config` is the daemon's file. Raises BadConfig for what cannot be wished."""
    match asked.cmd:
        case "launch":
            return _launch(state, config, asked.args)
        case "pause":
            return {"paused": _with(state.control.desired.paused, _place(state, asked.args))}
        case "resume":
            return _resume(state, asked.args.get("subject", SWARM))
        case "drain":
            return _drain(state, asked.args)
        case "stop_job":
            return _stop(state, asked.args["job"])
        case "release":
            return _release(state, asked.args["subject"])
        case "restart":
            return {"life": "restart"}
        case "reload":
            return {}
    raise BadConfig(f"{asked.cmd} changes nothing")


def accepted(asked: Asked, change: Change) -> Draft:
    """The event by which it is so. A plan stands in it once, under what is wanted."""
    args = {} if asked.cmd == "launch" else dict(asked.args)
    data = {"id": asked.id, "cmd": asked.cmd, "args": args, **({"desired": dict(change)} if change else {})}
    return Draft("command.accepted", asked.args.get("subject") or asked.args.get("job") or SWARM, data)


def refused(asked: Asked, error: BtswarmError) -> Draft:
    return Draft("command.refused", SWARM, {"id": asked.id, "cmd": asked.cmd, "why": error.line()}, outcome="refused")


def _launch(state: State, config: Config, args: Mapping[str, Any]) -> Change:
    plan = orjson.loads(orjson.dumps({name: table for name, table in args.items() if table is not None}))
    refuse_oversized(plan)
    wanted = overlay(config, plan)
    refuse_incomplete(wanted)
    if not plan:  # what the daemon's own file says, written out so that a later edit does not change a running plan
        plan = {"plan": orjson.loads(wanted.plan.model_dump_json(exclude_unset=True))}
    desired = state.control.desired
    sha = identity(wanted)
    kept = () if SWARM in desired.paused else desired.paused
    change: dict[str, Any] = {"life": "run", "plan": plan, "plan_sha256": sha}
    if desired.plan_file:
        change["plan_file"] = ""
    if kept != desired.paused:
        change["paused"] = kept
    return change


def refuse_incomplete(wanted: Config) -> None:
    """Raises BadConfig for a plan that says too little to begin with. Command jobs alone need no candles."""
    plan = wanted.plan
    if wanted.command and not plan.symbols:
        return
    if not plan.data_path:
        raise BadConfig(
            "the plan names no data", fix='set plan.data_path to candles, or to "synthetic" for an invented market'
        )
    if not plan.symbols and plan.data_path != "synthetic":
        raise BadConfig("the plan names no symbols", fix='set plan.symbols, such as ["SOLUSDT"]')


def refuse_missing(wanted: Config) -> None:
    """Raises InputGone where the plan names candles that are not there."""
    path = wanted.plan.data_path
    if path and path != SYNTHETIC and not Path(path).exists():
        fix = "let --data-path or plan.data_path name a file or folder"
        raise InputGone(f"there are no candles at {path}", fix=fix)


def _place(state: State, args: Mapping[str, Any]) -> str:
    """A subject that can be paused or drained: the swarm, a lane or a job there is."""
    subject: str = args.get("subject", SWARM)
    if subject != SWARM and subject not in state.fleet.lanes and subject not in state.queue.jobs:
        raise BadConfig(f"there is no lane or job {subject!r}", fix="btswarm workers lists lanes, btswarm query jobs")
    return subject


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)


def _resume(state: State, subject: str) -> Change:
    """Ends pauses and drains; of the swarm, all of them."""
    desired = state.control.desired
    if subject == SWARM:
        calmed = {"paused": (), "draining": ()}
        life = "run" if desired.has_plan else "idle"
        return calmed if desired.life not in ("drain", "restart") else {**calmed, "life": life}
    if subject not in desired.paused and subject not in desired.draining:
        raise BadConfig(f"{subject} is not paused", fix="btswarm status shows what is")
    return {
        "paused": tuple(one for one in desired.paused if one != subject),
        "draining": tuple(one for one in desired.draining if one != subject),
    }


def _drain(state: State, args: Mapping[str, Any]) -> Change:
    subject = _place(state, args)
    if subject == SWARM:
        return {"life": "drain"}
    return {"draining": _with(state.control.desired.draining, subject)}


def _stop(state: State, job: str) -> Change:
    record = state.queue.jobs.get(job)
    if record is None:
        raise BadConfig(f"there is no job {job!r}", fix="btswarm query --json lists them under queue")
    if record.state in ("done", "cancelled", "replaced"):
        raise BadConfig(f"{job} is {record.state} already")
    return {"cancel": _with(state.control.desired.cancel, job)}


def _release(state: State, subject: str) -> Change:
    control, fleet, queue = state.control, state.fleet, state.queue
    agent, lane, job = control.agents.get(subject), fleet.lanes.get(subject), queue.jobs.get(subject)
    held = [record.hold for record in (lane, job) if record and record.hold]
    held += [hold for name, hold in control.holds.items() if parse_hold(name)[0] == subject]
    if not held and not (agent and agent.quarantine):
        raise BadConfig(f"{subject} is not held", fix="btswarm query lists what is")
    return {"release": _with(control.desired.release, subject)}
