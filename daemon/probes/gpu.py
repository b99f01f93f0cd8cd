"""The GPUs, as a helper process reads them: never waited for, and left behind when it hangs.

One helper reads all devices. When it hangs it is killed and each device gets a helper of its own, so that the one that
hangs is told from those that do not. A helper that cannot be killed sits in the kernel; two of those, and no more are
started.
"""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ...state.models.config import Gpu as GpuSettings
from ...state.models.facts import GpuState, GpuView
from ...state.models.readings import Known, Missing, Reading
from ..ports import Clock
from ..tools import Nursery
from ..workers.spawn import KEPT
from .board import Board

HELPER: Final = "btswarm.daemon.probes.nvml"
TRACES: Final = (Path("/dev/nvidiactl"), Path("/proc/driver/nvidia"), Path("/dev/dxg"))
LIBRARY: Final = "libnvidia-ml.so.1"
FIGURES: Final = ("util_pct", "mem_used_mb", "mem_total_mb", "temp_c", "power_w", "throttle", "xid")
HANDED_ON: Final = (*KEPT, "CUDA_VISIBLE_DEVICES")
UNKILLABLE: Final = 2
DYING_S: Final = 2.0
"""After this long a killed helper counts as one that cannot be killed."""

START_S: Final = 30.0
"""A new helper may take so long: the driver initialises devices that nobody uses."""

AGAIN_S: Final = 60.0
"""At most this long is waited before a helper that ended by itself is started again."""


@dataclass
class Helper:
    """One process. `board`: where it puts its readings. `due`: when it hangs, if nothing new comes before."""

    process: "subprocess.Popen[bytes]"
    board: Board
    due: float
    newest: float = float("-inf")
    killed: float | None = None


@dataclass
class Post:
    """A place for a helper: for all devices, or for the one `uuid`. `failures`: ends in a row; `again`: not before."""

    uuid: str
    helper: Helper | None = None
    failures: int = 0
    again: float = float("-inf")


class GpuProbe:
    """The newest readings are always at hand. Helpers are started and buried by whoever asks for readings."""

    def __init__(self, nursery: Nursery, clock: Clock, settings: GpuSettings, inherited: Mapping[str, str]) -> None:
        self._nursery, self._clock, self._settings = nursery, clock, settings
        self._environment = {name: inherited[name] for name in HANDED_ON if name in inherited}
        self._visible = inherited.get("CUDA_VISIBLE_DEVICES")
        self._views: dict[str, GpuView] = {}
        self._posts: list[Post] = [Post("")] if importlib.util.find_spec("pynvml") else []
        self._dying: list[Helper] = []

    def start(self) -> None:
        """Wait for the first reading, at most as long as a reading may take: the first decisions need it."""
        end = self._clock.mono() + self._settings.probe_deadline_s
        self.readings()
        post = self._posts[0] if self._posts else None
        while post and post.helper and post.helper.newest < 0 and self._clock.mono() < end:
            with contextlib.suppress(subprocess.TimeoutExpired):
                post.helper.process.wait(0.02)
            self.readings()

    def close(self) -> None:
        for helper in [*self._dying, *(post.helper for post in self._posts if post.helper)]:
            helper.process.kill()
            try:
                helper.process.wait(DYING_S)
            except subprocess.TimeoutExpired:
                continue  # it sits in the kernel, and ends when that lets it go
            self._forget(helper)
        self._dying, self._posts = [], []

    def restart(self) -> None:
        """Leave every helper and begin anew."""
        for post in self._posts:
            self._kill(post, self._clock.mono())
            post.failures, post.again = 0, float("-inf")

    def readings(self) -> Mapping[str, GpuView]:
        """Look at what the helpers left, and at how they are. Waits for nothing."""
        mono = self._clock.mono()
        self._dying = [helper for helper in self._dying if not self._buried(helper)]
        stuck = sum(helper.killed is not None and mono - helper.killed > DYING_S for helper in self._dying)
        for post in list(self._posts):
            if post.helper is None and stuck < UNKILLABLE and mono >= post.again:
                if self._driver():
                    self._staff(post, mono)
                else:
                    post.again = mono + self._settings.retry_s
            if post.helper:
                self._attend(post, post.helper, mono)
        if stuck >= UNKILLABLE:
            self._blind("two helpers that ask NVML cannot be killed: no more are started", mono)
        return dict(self._views)

    def _driver(self) -> bool:
        """Whether there is any trace of one: without, no helper is worth its start."""
        folders = self._environment.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        named = [Path(folder, LIBRARY) for folder in folders if folder]
        return any(path.exists() for path in (*TRACES, *named))

    def _staff(self, post: Post, mono: float) -> None:
        board = Board(os.memfd_create("btswarm-gpu"))
        argv = [sys.executable, "-P", "-m", HELPER, str(board.descriptor), str(self._settings.probe_s)]
        process = subprocess.Popen(
            [*argv, post.uuid] if post.uuid else argv,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            pass_fds=(board.descriptor,), env=self._environment,
        )  # fmt: skip
        self._nursery.helper(process.pid)
        post.helper = Helper(process, board, mono + max(START_S, self._patience()))

    def _patience(self) -> float:
        return self._settings.probe_s + self._settings.probe_deadline_s

    def _attend(self, post: Post, helper: Helper, mono: float) -> None:
        ended = helper.process.poll()
        if found := helper.board.take():
            helper.newest, helper.due = found["mono"], found["mono"] + self._patience()
            self._believe(post, found)
            post.failures = 0 if ended is None else post.failures
        if ended is not None:
            self._ended(post, helper, mono)
        elif mono > helper.due:
            self._hangs(post, mono)

    def _believe(self, post: Post, found: Mapping[str, Any]) -> None:
        at = float(found["mono"])
        seen = {one["uuid"]: one for one in found["gpus"] if self._shown(one)}
        for uuid, one in seen.items():
            self._views[uuid] = _view(one, self._views.get(uuid), at)
        for uuid in [post.uuid] if post.uuid else list(self._views):
            if uuid not in seen:
                self._views[uuid] = _without(self._views[uuid], Known("detached", at), "the device is gone", at)

    def _shown(self, one: Mapping[str, Any]) -> bool:
        """Whether the daemon's own CUDA_VISIBLE_DEVICES, if there is one, names the device."""
        if self._visible is None:
            return True
        names = [name.strip() for name in self._visible.split(",")]
        return any(name == str(one["index"]) or (name and one["uuid"].startswith(name)) for name in names)

    def _ended(self, post: Post, helper: Helper, mono: float) -> None:
        """It ended by itself: with 0 when there is nothing to look at, else NVML took it along."""
        absent = helper.process.returncode == 0
        self._forget(helper)
        post.helper = None
        post.failures += 1
        post.again = mono + (self._settings.retry_s if absent else min(AGAIN_S, 2.0 ** min(post.failures, 16)))
        why = f"the helper that asks NVML ended with {helper.process.returncode}"
        for uuid in self._of(post):
            view = self._views[uuid]
            self._views[uuid] = _without(view, Known("detached", mono) if absent else Missing(why, mono), why, mono)

    def _hangs(self, post: Post, mono: float) -> None:
        """A hung device when it was asked alone, else not known which: each gets a helper of its own."""
        self._kill(post, mono)
        why = f"NVML did not answer for {self._settings.probe_deadline_s:g} s"
        post.again = mono + self._settings.retry_s
        for uuid in self._of(post):
            state: Reading[GpuState] = Known("hung", mono) if post.uuid or len(self._views) == 1 else Missing(why, mono)
            self._views[uuid] = _without(self._views[uuid], state, why, mono)
        if not post.uuid and self._views:
            self._posts = [Post(uuid) for uuid in self._views]

    def _of(self, post: Post) -> list[str]:
        return [uuid for uuid in self._views if post.uuid in ("", uuid)]

    def _kill(self, post: Post, mono: float) -> None:
        if post.helper:
            post.helper.killed = mono
            post.helper.process.send_signal(signal.SIGKILL)
            self._dying.append(post.helper)
            post.helper = None

    def _buried(self, helper: Helper) -> bool:
        if helper.process.poll() is None:
            return False
        self._forget(helper)
        return True

    def _forget(self, helper: Helper) -> None:
        self._nursery.helper_gone(helper.process.pid)
        helper.board.close()

    def _blind(self, why: str, mono: float) -> None:
        for uuid, view in self._views.items():
            if not isinstance(view.state, Missing) or view.state.missing != why:
                self._views[uuid] = _without(view, Missing(why, mono), why, mono)


def _view(one: Mapping[str, Any], before: GpuView | None, at: float) -> GpuView:
    index = one["index"] if one["index"] is not None else before.index if before else -1
    view = GpuView(one["uuid"], index, state=_reading(one["state"], at))
    figures: dict[str, Any] = {name: _reading(one[name], at) for name in FIGURES if name in one}
    if isinstance(figures.get("throttle"), Known):
        figures["throttle"] = Known(tuple(figures["throttle"].known), at)
    absent = Missing("the device does not answer", at)
    return replace(view, **dict.fromkeys(FIGURES, absent) | figures)


def _reading(value: Any, at: float) -> Reading[Any]:
    return Missing(str(value["missing"]), at) if isinstance(value, dict) else Known(value, at)


def _without(view: GpuView, state: Reading[GpuState], why: str, since: float) -> GpuView:
    """The device in this state, with nothing known of its figures."""
    missing: dict[str, Any] = {name: Missing(why, since) for name in FIGURES}
    if isinstance(view.state, Known) and view.state == state:
        return view
    return replace(view, state=state, **missing)
