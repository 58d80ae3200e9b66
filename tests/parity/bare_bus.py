"""A bus without lanes, costs or underflow, and the devices of the kernel corpus on it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from sim.artiq_runtime import install
from sim.rtio.costs import Costs

install()

START_MU = 1_000_000


class BareBus:
    """Record output events in order of submission; inputs have nothing."""

    def __init__(self) -> None:
        self.now = START_MU
        self.counter = 0
        self.costs = Costs()
        self.event_mu = 0
        self.errors: dict[str, int] = {}
        self.events: list[list[Any]] = []
        self._recording: list[Any] | None = None

    def output(self, target: int, data: int | list[int]) -> None:
        """Record an event."""
        if self._recording is not None:
            self._recording.append((self.now, target, data))
        else:
            self.events.append([self.now, target, data if isinstance(data, list) else [data]])

    output_wide = output

    def note_busy(self) -> None:
        """Nothing is ever busy."""

    def input_timestamp(self, timeout_mu: int, channel: int) -> int:
        """Return no event."""
        return -1

    def input_data(self, channel: int) -> int:
        """Return zero."""
        return 0

    def input_timestamped_data(self, timeout_mu: int, channel: int) -> tuple[int, int]:
        """Return no event."""
        return -1, 0

    def wait_until(self, t_mu: int) -> None:
        """Wait for nothing."""

    def reset(self) -> None:
        """Clear nothing."""

    def catch_up(self) -> None:
        """Have nothing pending."""

    def spend(self, duration_mu: int) -> None:
        """Take no time."""

    def record(self, events: list[Any] | None) -> list[Any] | None:
        """Record into `events` from now on; return what was recorded before."""
        before, self._recording = self._recording, events
        return before

    def play(self, start_mu: int, events: list[Any]) -> None:
        """Submit recorded events."""
        now = self.now
        for offset, target, data in events:
            self.now = start_mu + offset
            self.output(target, data)
        self.now = now


class Devices:
    """A device manager with the corpus's devices: TTLOut on channels 0 to 2, TTLInOut on 3, DMA, cache."""

    def __init__(self) -> None:
        from artiq.coredevice.cache import CoreCache
        from artiq.coredevice.dma import CoreDMA
        from artiq.coredevice.ttl import TTLInOut, TTLOut

        from sim.rtio.core import Core
        from sim.rtio.engine import Engine

        self.bus = BareBus()
        core = Core(self)
        core._engine = Engine(self.bus, 1e-9)  # type: ignore[arg-type]
        self._devices: dict[str, Any] = {"core": core}
        for i in range(3):
            self._devices[f"ttl{i}"] = TTLOut(self, i)
        self._devices |= {"pmt": TTLInOut(self, 3), "core_dma": CoreDMA(self), "core_cache": CoreCache(self)}
        core.engine.cache.put("k", [4, 5, 6])

    def get(self, name: str) -> Any:
        """Return a device."""
        return self._devices[name]

    __getitem__ = get


def load_module(path: Path, source: str) -> ModuleType:
    """Write a module and import it."""
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(value: Any) -> Any:
    """Return a value as the data files hold it."""
    if hasattr(value, "dtype") and getattr(value, "ndim", 0):
        return ["arr", str(value.dtype), value.tolist()]
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return value.item() if hasattr(value, "item") else value
