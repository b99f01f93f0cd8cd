"""Listeners to progress: what they say, how often, and that none of them can fail a stage."""

import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from btswarm.engine.progress import Reporter
from btswarm.engine.reporters import JsonLines, LogFile, Meter, Plain, ProgressFile, Relay, duration, progress_text
from btswarm.engine.stopping import Stop, listening
from btswarm.engine.terminal import Bars
from btswarm.state.errors import Stopped
from btswarm.state.models.jobs import Progress, SeedsLoaded


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_relay_passes_everything_on_and_raises_only_at_a_step() -> None:
    stop, seen = Stop(), io.StringIO()
    relay = Relay(stop, JsonLines(seen), Plain(seen))
    stop.raise_flag("SIGTERM")
    relay.phase("write")
    relay.line("a line")
    relay.fact(backend="cpu")
    with pytest.raises(Stopped, match="SIGTERM"):
        relay.step(1)
    assert seen.getvalue().count("a line") == 2


def test_rate_and_time_left_leave_out_what_was_done_before(clock: Clock) -> None:
    meter = Meter(clock)
    meter.begin("batch", 1000, "combos")
    assert (meter.rate, meter.left_s) == (None, None)
    meter.at(400)
    clock.now += 10
    meter.at(500)
    assert meter.rate == pytest.approx(10)
    assert meter.left_s == pytest.approx(50)
    assert progress_text(meter) == "batch 500 of 1,000 combos, 10/s, 50 s left"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_progress_file_is_written_at_each_phase_and_at_most_once_a_second(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "progress.json"
    file = ProgressFile(path, "cpu000@1", clock)

    def read() -> Progress:
        return Progress.model_validate_json(path.read_bytes())

    file.phase("batch", 100, "combos")
    file.step(10, checkpoint=10)
    assert read().step == 0
    clock.now += 1
    file.fact(backend="cpu", seeds=SeedsLoaded(n=3, source="x", sha256="y"), unknown=1)
    file.step(20, next_s=5)
    found = read()
    assert (found.step, found.steps, found.checkpoint, found.next_s, found.rate) == (20, 100, 10, 5, 10)
    assert (found.backend, found.seeds and found.seeds.n, found.mono) == ("cpu", 3, 101)
    file.step(30)
    assert read().step == 20
    file.phase("exact", 5, "combos")
    assert (read().phase, read().step) == ("exact", 0)
    assert file.steps == 30


def test_no_listener_fails_when_what_it_writes_to_is_gone(tmp_path: Path) -> None:
    listeners: list[Reporter] = [
        ProgressFile(tmp_path / "gone" / "progress.json", "w"),
        LogFile(tmp_path / "gone" / "run.log"),
        Plain(Broken()),
        JsonLines(Broken()),
    ]
    relay = Relay(Stop(), *listeners)
    relay.phase("batch", 2, "combos")
    relay.step(1)
    relay.line("nobody hears this")


def test_plain_lines_say_where_a_stage_is_every_ten_seconds(clock: Clock) -> None:
    out = io.StringIO()
    plain = Plain(out, clock)
    report = plain.begin("SOLUSDT balanced · optimize")
    report.phase("trial", 200, "trials")
    for done in range(0, 100, 5):
        report.step(done)
        clock.now += 1
    plain.end("200 trials · 20 s")
    lines = out.getvalue().splitlines()
    assert lines == [
        "SOLUSDT balanced · optimize: trial 50 of 200 trials, 5/s, 30 s left",
        "SOLUSDT balanced · optimize: 200 trials · 20 s",
    ]


def test_json_lines_are_one_object_each(clock: Clock) -> None:
    out = io.StringIO()
    display = JsonLines(out, clock)
    report = display.begin("stage")
    report.phase("batch", 10, "combos")
    report.step(1)
    report.step(2)
    clock.now += 1
    report.step(3)
    report.fact(seeds=SeedsLoaded(n=1, source="x", sha256="y"))
    display.end("done")
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["begin", "phase", "step", "step", "fact", "end"]
    assert [event["done"] for event in events if event["event"] == "step"] == [1, 3]


def test_bars_show_the_phase_in_words_and_take_markup_for_text() -> None:
    out = io.StringIO()
    bars = Bars(Console(file=out, force_terminal=True, width=120))
    report = bars.begin("SOL [x] · prescreen")
    report.phase("batch", 100, "combos")
    report.step(50)
    report.line("Batch [1/2]")
    bars.end("all [done]")
    bars.close()
    text = out.getvalue()
    assert "screening" in text
    assert "Batch [1/2]" in text
    assert "all [done]" in text


def test_the_log_has_a_utc_time_before_each_line(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "run.log")
    log.line("Batch 1/4")
    log.line("Batch 2/4")
    first, second = (tmp_path / "run.log").read_text().splitlines()
    assert first.endswith("Z Batch 1/4")
    assert first[:2] == "20"
    assert second.endswith("Batch 2/4")


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (7500, "2 h 05 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.fixture
def heard() -> Iterator[None]:
    """Signals are not ignored, also where the tests were started with nohup or in the background of a script."""
    before = {one: signal.signal(one, signal.default_int_handler) for one in (signal.SIGINT, signal.SIGHUP)}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def test_signals_that_whoever_started_us_had_blocked_are_heard_and_blocked_again_at_the_end(heard: None) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    try:
        with listening(Stop()) as stop:
            signal.raise_signal(signal.SIGTERM)
            assert stop.by == "SIGTERM"
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_raises_the_flag_and_the_second_one_calls(number: signal.Signals, heard: None) -> None:
    before, firsts, seconds = signal.getsignal(number), [], []  # type: ignore[var-annotated]
    with listening(Stop(), seconds.append, firsts.append) as stop:
        assert not stop
        signal.raise_signal(number)
        assert (stop.by, firsts, seconds) == (number.name, [number.name], [])
        signal.raise_signal(number)
        assert (firsts, seconds) == ([number.name], [number])
    assert signal.getsignal(number) == before
