"""What systemd is told, on a real datagram socket."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from btswarm.daemon.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.settimeout(5)
        yield bound


def given(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), "PATH": "/bin", **more}


def test_the_variables_are_taken_so_that_no_worker_inherits_them(manager: socket.socket) -> None:
    environ = given(manager, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()), LISTEN_FDS="1")
    assert Notifier.from_environment(environ).watchdog_s == 30
    assert environ == {"PATH": "/bin"}


def test_a_watchdog_meant_for_another_process_is_not_ours(manager: socket.socket) -> None:
    assert Notifier.from_environment(given(manager, WATCHDOG_USEC="1", WATCHDOG_PID="1")).watchdog_s is None


def test_it_says_ready_with_a_status_and_repeats_no_status(manager: socket.socket) -> None:
    told = Notifier.from_environment(given(manager, WATCHDOG_USEC="2000000"))
    told.ready("2 workers\nrunning")
    assert manager.recv(999) == b"READY=1\nSTATUS=2 workers running"
    told.alive("2 workers running")
    assert manager.recv(999) == b"WATCHDOG=1"
    told.alive("3 workers")
    assert manager.recv(999) == b"WATCHDOG=1\nSTATUS=3 workers"
    told.stopping("draining", up_to_s=1.5)
    assert manager.recv(999) == b"STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=1500000"
    told.reloading()
    assert manager.recv(999).startswith(b"RELOADING=1\nMONOTONIC_USEC=")


def test_unwatched_and_unchanged_it_says_nothing(manager: socket.socket) -> None:
    told = Notifier.from_environment(given(manager))
    told.alive()
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(999)


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        name = f"btswarm-test-{os.getpid()}"
        bound.bind(f"\0{name}")
        Notifier(f"@{name}").ready("x")
        assert bound.recv(99) == b"READY=1\nSTATUS=x"


def test_without_a_manager_or_after_its_death_nothing_happens(tmp_path: Path) -> None:
    Notifier().ready("x")
    Notifier(str(tmp_path / "gone")).alive("y")
