"""Put off Ctrl-C and other requests to end while something is written that must be whole."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held(at_most_s: float = float("inf")) -> Iterator[None]:
    """Note signals instead of obeying them, and obey them after the block; may be nested.

    A signal that comes when the block has lasted `at_most_s` passes: what hangs can be interrupted. Handlers are
    changed, not the thread's mask: a signal that another thread takes runs its handler in the main thread all the same.
    Outside the main thread nothing needs to be held, because Python runs handlers in the main thread alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: dict[int, None] = {}
    until_s = time.monotonic() + at_most_s
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def note(number: int, frame: object) -> None:
        handler = before[signal.Signals(number)]
        if callable(handler) and time.monotonic() >= until_s:
            handler(number, frame)  # type: ignore[arg-type]
        else:
            noted[number] = None

    ours = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    try:
        for number in ours:
            signal.signal(number, note)
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
    for noted_number in noted:
        signal.raise_signal(noted_number)
