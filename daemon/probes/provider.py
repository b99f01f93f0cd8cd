"""Who rents the host out: Vast.ai by its own program, or nobody, with the price that the configuration names.

`vastai show instance $CONTAINER_ID --api-key $CONTAINER_API_KEY --raw` at most once a minute, as a helper that nobody
waits for.
"""

import math
import shutil
from collections.abc import Mapping
from typing import Any, Final

import orjson

from ...state.models.config import Budget
from ...state.models.facts import ProviderView
from ...state.models.readings import PROVIDER_LIMIT_S, Known, Missing, Reading, fresh
from ..ports import Clock, Provider, ToolEnd, Tools

EVERY_S: Final = 60.0
LIMIT_S: Final = 30.0
SHOW, STOP = "provider.show", "provider.stop"
STOPPED: Final = ("stopped", "exited", "offline")
PROGRAM: Final = "vastai"


class NoProvider:
    """The host is nobody's but ours, or somebody's whom we cannot ask: its price is the configuration's, if known."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self._budget, self._clock = budget, clock

    def ask(self) -> None: ...

    def reading(self) -> Reading[ProviderView]:
        if not self._budget.price_per_hour:
            return Missing("no provider, and budget.price_per_hour is not set", 0.0)
        return Known(ProviderView(price_per_hour=float(self._budget.price_per_hour)), self._clock.mono())

    def cannot_stop(self) -> str:
        return f"no provider here stops instances: CONTAINER_ID, CONTAINER_API_KEY and the program {PROGRAM} are needed"

    def stop_instance(self) -> None: ...


class VastProvider:
    """`instance`: its number; `key`: of the provider's API, shown to nobody but its program."""

    def __init__(self, tools: Tools, clock: Clock, instance: str, key: str) -> None:
        self._tools, self._clock = tools, clock
        self._instance, self._key = instance, key
        self._reading: Reading[ProviderView] = Missing("not asked yet", clock.mono())
        self._asked = -math.inf

    def ask(self) -> None:
        mono = self._clock.mono()
        if end := self._tools.ended(SHOW):
            self._reading = _understood(end, mono, self._reading)
        self._tools.ended(STOP)
        if mono - self._asked >= EVERY_S and not self._tools.running(SHOW):
            self._asked = mono
            self._start(SHOW, "show", "--raw")

    def reading(self) -> Reading[ProviderView]:
        return fresh(self._reading, self._clock.mono(), PROVIDER_LIMIT_S)

    def cannot_stop(self) -> str:
        return ""

    def stop_instance(self) -> None:
        if not self._tools.running(STOP):
            self._start(STOP, "stop")
        self._asked = -math.inf  # looked at again at once

    def _start(self, name: str, verb: str, *more: str) -> None:
        argv = (PROGRAM, verb, "instance", self._instance, "--api-key", self._key, *more)
        try:
            self._tools.start(name, argv, {}, LIMIT_S)
        except OSError as error:
            self._reading = Missing(f"{PROGRAM}: {error.strerror}", self._clock.mono())


def provider_of(environment: Mapping[str, str], tools: Tools, clock: Clock, budget: Budget) -> Provider:
    """Vast.ai where this is one of its instances and its program is installed."""
    instance, key = environment.get("CONTAINER_ID", ""), environment.get("CONTAINER_API_KEY", "")
    if instance.isdigit() and key and shutil.which(PROGRAM, path=environment.get("PATH")):
        return VastProvider(tools, clock, instance, key)
    return NoProvider(budget, clock)


def is_stopped(view: ProviderView) -> bool:
    return view.status in STOPPED


def _understood(end: ToolEnd, mono: float, before: Reading[ProviderView]) -> Reading[ProviderView]:
    """What the program said; the reading before stands, and ages, while it says nothing that can be understood."""
    try:
        said: Any = orjson.loads(end.output) if not end.code else None
    except orjson.JSONDecodeError:
        said = None
    if not isinstance(said, dict):
        why = "it did not end in time" if end.late else f"it ended with {end.code}"
        return before if isinstance(before, Known) else Missing(f"{PROGRAM}: {why}", mono)
    status = said.get("actual_status") or said.get("cur_state") or ""
    view = ProviderView(_number(said.get("dph_total")), said.get("is_bid") is True, _number(said.get("min_bid")),
                        _number(said.get("end_date")), str(status))  # fmt: skip
    return Known(view, mono)


def _number(value: object) -> float | None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) else None  # type: ignore[arg-type]
