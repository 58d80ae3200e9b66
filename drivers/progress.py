"""Progress of a run with rate and time left: a live line on a terminal, a plain line every few seconds elsewhere.

An experiment makes one in `run` and updates it from an asynchronous RPC; between two lines an update costs one reading
of the clock.

The time left rests on what came lately, from the first that came: what it took to get there (kernels compiled, atoms
loaded) is paid once. Nothing is said of it before a few have come, and no digits that so few do not bear.

    with Progress(n_shots, "heralds") as progress:
        ...
        progress.update(n_done)
"""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

LIVE_PERIOD_S = 0.1     # as fast as an eye follows
PLAIN_PERIOD_S = 5.0    # a log should stay short
FEWEST_S, FEWEST = 1.0, 4  # an estimate needs so many steps, and so long a time: two lucky ones are no rate
WINDOW = 0.5            # share of the time since the first that counts as lately: rates change as a scan goes on
SAMPLES = 256           # kept of the past; then every other one
SURE_STEPS = 30         # from so many on the time left is shown to two units
LONG_S = 60.0           # a run that takes longer says so as soon as it is known


class Progress:
    """Show how far a count has come, its rate and the time left."""

    def __init__(self, total: int, label: str, *, stream: TextIO | None = None,
                 clock: Callable[[], float] = time.monotonic) -> None:
        if total <= 0:
            raise ValueError(f"Argument `total` must be > 0, but is {total}.")
        self.total = total
        self.label = label
        self.done = 0
        self.note = ""
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._live = _live_bar(self._stream, total, label) if self._stream.isatty() else None
        self._period_s = PLAIN_PERIOD_S if self._live is None else LIVE_PERIOD_S
        self._start_s = self._shown_s = clock()
        self._shown_done = -1  # none yet
        self._samples: list[tuple[float, int, int]] = []  # time, how many were done, how often that had risen
        self._steps = 0
        self._told = False  # the time left is known
        self._closed = False

    def update(self, done: int, note: str = "") -> None:
        """Say how many are done, and what else the line should tell."""
        now_s = self._clock()
        if done > self.done:
            self._steps += 1
            self._samples.append((now_s, done, self._steps))
            if len(self._samples) > SAMPLES:
                self._samples = self._samples[:1] + self._samples[2::2]
        self.done = done
        self.note = note
        if now_s - self._shown_s >= self._period_s or self._long_is_new(now_s):
            self._shown_s = now_s
            self._show(now_s)

    def advance(self, more: int = 1) -> None:
        """Say how many more are done."""
        self.update(self.done + more, self.note)

    def close(self) -> None:
        """Show the last state and leave the terminal as it was; calling it again changes nothing."""
        if self._closed:
            return
        self._closed = True
        if self._live is not None or self._shown_done < self.total or self.done < self.total:
            self._show(self._clock())
        if self._live is not None:
            self._live[0].stop()

    def line(self, now_s: float) -> str:
        """Return the state in one line: label, count, rate, time left or taken."""
        elapsed_s = max(now_s - self._start_s, 1e-9)
        rate = self.done / elapsed_s
        if self.done >= self.total:
            end = f"took {_span(elapsed_s)}"
        else:
            lately, steps = self._lately(now_s)
            rate = lately or rate
            left_s = self.left_s(now_s)
            end = f"{estimate(left_s, steps)} left" if left_s >= 0 else "time left not known yet"
        note = f", {self.note}" if self.note else ""
        return f"{self.label}: {self.done}/{self.total}, {rate:.3g}/s, {end}{note}"

    def _long_is_new(self, now_s: float) -> bool:
        """Return once whether the run takes long, as soon as that is known."""
        left_s = -1.0 if self._told else self.left_s(now_s)
        self._told = self._told or left_s >= 0
        return left_s > LONG_S

    def left_s(self, now_s: float) -> float:
        """Return the seconds left by the latest rate, -1 where that is not known yet."""
        rate, _ = self._lately(now_s)
        return (self.total - self.done) / rate if rate else -1.0

    def _lately(self, now_s: float) -> tuple[float, int]:
        """Return how many a second came lately, and in how many steps; (0, 0) before a few have come."""
        if not self._samples:
            return 0.0, 0
        first_s = self._samples[0][0]
        earliest_s = now_s - WINDOW * (now_s - first_s)
        # The last one before the window, else the first of all; what is since then must be enough for a rate.
        for since_s, done, steps in ([s for s in self._samples if s[0] <= earliest_s][-1:] + self._samples[:1]):
            if self._steps - steps >= FEWEST and now_s - since_s >= FEWEST_S:
                return (self.done - done) / (now_s - since_s), self._steps - steps
        return 0.0, 0

    def _show(self, now_s: float) -> None:
        self._shown_done = self.done
        if self._live is None:
            print(self.line(now_s), file=self._stream, flush=True)
            return
        bar, task = self._live
        bar.update(task, completed=self.done, state=self.line(now_s))
        bar.refresh()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _live_bar(stream: TextIO, total: int, label: str) -> tuple[Any, Any]:
    # A slow import, and only a terminal needs it. No refresh thread: it would race with the kernel for the interpreter.
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(file=stream)
    bar = Bar(BarColumn(bar_width=24), TextColumn("{task.fields[state]}"), console=console, auto_refresh=False)
    task = bar.add_task(label, total=total, state=label)
    bar.start()
    return bar, task


def estimate(seconds: float, steps: int) -> str:
    """Return a time left with the digits that so many steps bear: a few count to one part in two or so."""
    if steps >= SURE_STEPS or seconds < 1:
        return _span(seconds)
    unit = next(size for size in (3600, 60, 1) if seconds >= size)
    count = seconds / unit
    rounded = round(count) if count < 10 else round(count / 5) * 5 if count < 30 else round(count / 10) * 10
    return f"about {_span(rounded * unit)}"


def _span(seconds: float) -> str:
    """Return a time in the two largest units that say something."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    size, unit, part, small = (60, "min", 1, "s") if whole < 3600 else (3600, "h", 60, "min")
    rest = whole % size // part
    return f"{whole // size} {unit}" + (f" {rest:02} {small}" if rest else "")
