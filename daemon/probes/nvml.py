"""The helper that asks NVML, in a process of its own: `python -m btswarm.daemon.probes.nvml FD PERIOD_S [UUID]`.

A driver can keep a caller for ever, or crash it; here it keeps or crashes nobody else. What is read goes into the
shared memory FD, replaced at each reading, so that the daemon looks at the newest one whenever it likes and waits for
nobody. With a UUID only that device is touched.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pynvml

from .board import Board

STATES: Final = {
    pynvml.NVML_ERROR_GPU_IS_LOST: "lost",
    pynvml.NVML_ERROR_RESET_REQUIRED: "lost",
    pynvml.NVML_ERROR_TIMEOUT: "hung",
    pynvml.NVML_ERROR_NOT_FOUND: "detached",
}
ABSENT: Final = (
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_NO_PERMISSION,
)
THROTTLE: Final = {
    0x4: "sw_power_cap", 0x8: "hw_slowdown", 0x10: "sync_boost", 0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown", 0x80: "hw_power_brake_slowdown", 0x100: "display_clock_setting",
}  # fmt: skip
"""Bits of the clocks' event reasons that slow a device down; idle and user settings are none."""

PR_SET_PDEATHSIG: Final = 1
MB: Final = 1 << 20


@dataclass
class Device:
    """`events`: the set its Xid errors come from, None where it tells none."""

    index: int
    handle: Any
    uuid: str
    events: Any
    xid: int = 0


def main(argv: list[str]) -> int:
    """Look for ever, until the daemon ends. 0 when there is nothing to look at, which is told."""
    board, period_s = Board(int(argv[0])), float(argv[1])
    only = argv[2] if len(argv) > 2 else ""
    _end_with_parent()
    devices: dict[str, Device] = {}
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value in ABSENT:
            board.put({"mono": time.monotonic(), "absent": str(error), "gpus": []})
            return 0
        raise
    pause = threading.Event()
    while True:
        board.put(look(devices, only))
        pause.wait(period_s)


def look(devices: dict[str, Device], only: str = "") -> dict[str, Any]:
    """Every device as it is now. `devices`: those seen so far, by UUID; a new one is added."""
    gpus = []
    if only:
        gpus.append(_by_uuid(only, devices))
    else:
        gpus += [one for index in range(pynvml.nvmlDeviceGetCount()) if (one := _by_index(index, devices)) is not None]
    return {"mono": time.monotonic(), "gpus": gpus}


def _by_index(index: int, devices: dict[str, Device]) -> dict[str, Any] | None:
    """None for a device that never said its UUID."""
    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        uuid = str(pynvml.nvmlDeviceGetUUID(handle))
    except pynvml.NVMLError as error:
        known = [device.uuid for device in devices.values() if device.index == index]
        return _without(known[0], index, error) if known else None
    return _read(_known(handle, uuid, index, devices))


def _without(uuid: str, index: int | None, error: pynvml.NVMLError) -> dict[str, Any]:
    """A device that does not even give a handle."""
    return {"uuid": uuid, "index": index, "state": STATES.get(error.value, {"missing": str(error)})}


def _by_uuid(uuid: str, devices: dict[str, Device]) -> dict[str, Any]:
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        index = pynvml.nvmlDeviceGetIndex(handle)
    except pynvml.NVMLError as error:
        return _without(uuid, None, error)
    return _read(_known(handle, uuid, index, devices))


def _known(handle: Any, uuid: str, index: int, devices: dict[str, Device]) -> Device:
    device = devices.get(uuid)
    if device is None:
        device = devices[uuid] = Device(index, handle, uuid, _xid_events(handle))
    device.index, device.handle = index, handle
    return device


def _xid_events(handle: Any) -> Any:
    try:
        events = pynvml.nvmlEventSetCreate()
        pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, events)
    except pynvml.NVMLError:
        return None
    return events


def _read(device: Device) -> dict[str, Any]:
    """A state is told by the first call that the device does not survive; what it cannot tell is missing."""
    reading: dict[str, Any] = {"uuid": device.uuid, "index": device.index, "state": "ok"}
    handle = device.handle
    figures: dict[str, Callable[[], Any]] = {
        "util_pct": lambda: float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        "mem_used_mb": lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used / MB,
        "mem_total_mb": lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).total / MB,
        "temp_c": lambda: float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
        "power_w": lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
        "throttle": lambda: _throttle(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        "xid": lambda: _xid(device),
    }
    for name, figure in figures.items():
        try:
            reading[name] = figure()
        except pynvml.NVMLError as error:
            reading[name] = {"missing": str(error)}
            if error.value in STATES:
                reading["state"] = STATES[error.value]
                break
    return reading


def _throttle(bits: int) -> list[str]:
    return [name for bit, name in THROTTLE.items() if bits & bit]


def _xid(device: Device) -> int:
    """The newest error since this helper began, 0 for none. Raises NVMLError where the device tells none."""
    if device.events is None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    while True:
        try:
            device.xid = int(pynvml.nvmlEventSetWait_v2(device.events, 0).eventData)
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_TIMEOUT:  # which only says that nothing happened
                raise
            return device.xid


def _end_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == 1:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
