"""When a daemon that is kept counts as lost, on a clock of the test's own."""

import os
import socket
from collections.abc import Iterator

import pytest

from btswarm.daemon.notify import Notifier
from btswarm.daemon.pulse import OVERSLEPT_S, START_S, Pulse

LOOK_S = 2.0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Iterator[Pulse]:
    made = Pulse(30.0, clock)
    made.began(os.getpid())
    yield made
    made.close()


def looked(pulse: Pulse, clock: Clock, seconds: float) -> bool:
    """Whether it is lost at the end of so many seconds of looking."""
    lost = False
    for _ in range(int(seconds / LOOK_S)):
        clock.now += LOOK_S
        lost = pulse.lost(LOOK_S)
    return lost


def alive(pulse: Pulse) -> None:
    Notifier.from_environment(pulse.environment()).alive("well")


def test_each_sign_of_life_gives_it_as_long_again(pulse: Pulse, clock: Clock) -> None:
    for _ in range(3):
        alive(pulse)
        assert not looked(pulse, clock, 30)
    assert looked(pulse, clock, 4)


def test_before_its_first_sign_it_may_take_long(pulse: Pulse, clock: Clock) -> None:
    assert not looked(pulse, clock, START_S)
    assert looked(pulse, clock, 4)


def test_a_successor_has_the_time_of_a_start(pulse: Pulse, clock: Clock) -> None:
    alive(pulse)
    assert looked(pulse, clock, 40)
    pulse.began(os.getpid())
    assert not looked(pulse, clock, 200)


def test_whoever_was_stopped_with_it_gives_it_its_time_again(pulse: Pulse, clock: Clock) -> None:
    alive(pulse)
    assert not looked(pulse, clock, 20)
    clock.now += LOOK_S + OVERSLEPT_S + 1000
    assert not pulse.lost(LOOK_S)
    assert looked(pulse, clock, 34)


def test_what_anybody_else_says_is_no_sign_of_life(pulse: Pulse, clock: Clock) -> None:
    alive(pulse)
    assert not looked(pulse, clock, 10)
    if (child := os.fork()) == 0:
        alive(pulse)
        os._exit(0)
    os.waitpid(child, 0)
    assert looked(pulse, clock, 24)


def test_a_message_of_nobody_s_is_read_away(pulse: Pulse, clock: Clock) -> None:
    name = "\0" + pulse.environment()["NOTIFY_SOCKET"][1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"", name)
    assert not looked(pulse, clock, 10)
