"""Progress of a run with rate and time left: a live line on a terminal, a plain line every few seconds elsewhere.

An experiment makes one in `run` and updates it from an asynchronous RPC; between two lines an update costs one reading
of the clock.

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
        self._closed = False

    def update(self, done: int, note: str = "") -> None:
        """Say how many are done, and what else the line should tell."""
        self.done = done
        self.note = note
        now_s = self._clock()
        if now_s - self._shown_s >= self._period_s:
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
            end = f"{_span((self.total - self.done) / rate)} left" if rate > 0 else "time left unknown"
        note = f", {self.note}" if self.note else ""
        return f"{self.label}: {self.done}/{self.total}, {rate:.3g}/s, {end}{note}"

    def _show(self, now_s: float) -> None:
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


def _span(seconds: float) -> str:
    """Return a time in the two largest units that say something."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
