"""`drivers.progress`: rate and time left, rarely printed, never in the way."""

import io
import sys
import time

import pytest

from drivers.progress import PLAIN_PERIOD_S, Progress


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_plain_line_has_count_rate_and_time_left_every_few_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress(2000, "heralds", stream=stream, clock=clock) as progress:
        for done in range(1, 101):
            clock.now_s += 0.1
            progress.update(done, "fidelity 0.9")
        lines = stream.getvalue().splitlines()
        assert len(lines) == pytest.approx(10.0 / PLAIN_PERIOD_S, abs=1)  # and one more where it is long
        assert lines[-1].startswith("heralds: ") and "10/s" in lines[-1] and lines[-1].endswith("fidelity 0.9")
        assert "3 min 10 s left" in progress.line(clock.now_s)


def test_the_last_state_is_shown_once_with_the_time_taken() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(10, "shots", stream=stream, clock=clock)
    progress.advance(10)
    clock.now_s += 2.0
    progress.close()
    progress.close()
    assert stream.getvalue() == "shots: 10/10, 5/s, took 2.0 s\n"


def test_nothing_done_yet_has_no_time_left() -> None:
    clock = Clock()
    progress = Progress(10, "shots", stream=io.StringIO(), clock=clock)
    assert progress.line(clock.now_s + 60.0) == "shots: 0/10, 0/s, time left not known yet"


@pytest.mark.parametrize("first_s", [0.5, 6.0, 60.0])
def test_what_came_before_the_first_does_not_count_for_the_time_left(first_s: float) -> None:
    """The first herald comes after kernels are compiled and atoms loaded; the others 30 ms apart: a minute in all."""
    clock = Clock()
    progress = Progress(2000, "heralds", stream=io.StringIO(), clock=clock)
    clock.now_s += first_s
    for done in range(1, 201):
        progress.update(done)
        line = progress.line(clock.now_s)
        assert " h " not in line
        if done > 40:
            assert progress.left_s(clock.now_s) == pytest.approx((2000 - done) * 0.03, rel=0.05)
        clock.now_s += 0.03


def test_the_time_left_follows_a_rate_that_changes() -> None:
    """The points of a scan of waiting times take longer and longer."""
    clock = Clock()
    progress = Progress(100, "points", stream=io.StringIO(), clock=clock)
    for done in range(1, 81):
        clock.now_s += 0.5 if done <= 40 else 2.0
        progress.update(done)
    assert progress.left_s(clock.now_s) == pytest.approx(20 * 2.0, rel=0.05)


def test_a_few_steps_bear_few_digits() -> None:
    clock = Clock()
    progress = Progress(1000, "delays", stream=io.StringIO(), clock=clock)
    for done in range(1, 8):
        clock.now_s += 1.37
        progress.update(done)
    assert "about 25 min left" in progress.line(clock.now_s)  # 22 min 40 s


def test_a_long_run_says_so_as_soon_as_it_is_known() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(100_000, "attempts", stream=stream, clock=clock)
    for done in range(1, 30):
        clock.now_s += 0.1
        progress.update(10 * done)
    (line,) = stream.getvalue().splitlines()
    assert line.endswith("/100000, 100/s, about 15 min left")


def test_a_terminal_gets_a_live_bar() -> None:
    stream, clock = Terminal(), Clock()
    with Progress(100, "heralds", stream=stream, clock=clock) as progress:
        clock.now_s += 1.0
        progress.update(50)
    assert "50/100" in stream.getvalue() and "\x1b[" in stream.getvalue()


@pytest.mark.slow  # timed: for a machine that is idle
def test_an_update_between_two_lines_costs_microseconds() -> None:
    progress = Progress(10**6, "heralds", stream=io.StringIO())
    start_s = time.perf_counter()
    for done in range(100_000):
        progress.update(done)
    # Nothing beside a shot of milliseconds.
    assert (time.perf_counter() - start_s) / 100_000 < 6e-6


def test_a_total_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="`total` must be > 0, but is 0"):
        Progress(0, "x", stream=sys.stderr)
