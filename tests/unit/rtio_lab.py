"""A small laboratory for tests of the bus and the engine: channels that note what happens to them."""

from __future__ import annotations

from typing import Any

from sim.artiq_runtime import install
from sim.gateware.peripheral import Peripheral

install()


class Noting(Peripheral):
    """Note every event that takes effect."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int, Any]] = []

    def write(self, t_mu: int, address: int, data: int) -> None:
        self.seen.append((t_mu, address, data))

    def write_wide(self, t_mu: int, address: int, data: list[int]) -> None:
        self.seen.append((t_mu, address, data))


class Counter(Noting):
    """An input with a gate (address 2) and clicks at given times; it notes to what times it was asked."""

    may_run = False

    def __init__(self, clicks: list[int]) -> None:
        super().__init__()
        self.clicks = clicks
        self.open = False
        self.polled_mu = 0
        self.asked: list[int] = []

    @property
    def due_mu(self) -> int | None:
        return self.polled_mu + 1_000_000 if self.open else None

    def write(self, t_mu: int, address: int, data: int) -> None:
        self.poll(t_mu)
        super().write(t_mu, address, data)
        self.open = bool(data)

    def poll(self, t_mu: int) -> None:
        if self.open:
            self.asked.append(t_mu)
            self.fifo.extend((t, 1) for t in self.clicks if self.polled_mu < t <= t_mu)
        self.polled_mu = max(self.polled_mu, t_mu)


class Gateware:
    """Channels by number; channel 3 is the input of the tests that have one."""

    def __init__(self, clicks: list[int] | None = None, n: int = 3) -> None:
        self.channels: dict[int, Any] = {i: Noting() for i in range(n)}
        self.channels[3] = Counter(clicks or [])
        self.names = {i: f"ttl{i}" for i in self.channels}


class Devices:
    """A device manager over `Gateware`."""

    def __init__(self, costs: str = "ideal", clicks: list[int] | None = None) -> None:
        from artiq.coredevice.cache import CoreCache
        from artiq.coredevice.dma import CoreDMA
        from artiq.coredevice.ttl import TTLInOut, TTLOut

        from sim.rtio.core import Core

        self.gateware = Gateware(clicks)
        self.core = Core(self, costs=costs, gateware=self.gateware)
        self.devices: dict[str, Any] = {"core": self.core}
        self.devices |= {f"ttl{i}": TTLOut(self, i) for i in range(3)}
        self.devices |= {"pmt": TTLInOut(self, 3), "core_dma": CoreDMA(self), "core_cache": CoreCache(self)}

    def get(self, name: str) -> Any:
        return self.devices[name]
