"""A core device that is looked at, over the small laboratory of `rtio_lab`, and kernels whose lines the tests know."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from artiq.experiment import *
from rtio_lab import Devices

from sim.rtio.slack import Ledger, LineSlack, Place, Places, WatchedBus


class Watched:
    """Looks on: keeps the books, and every slack and event that it is told."""

    def __init__(self) -> None:
        here = Path(__file__)
        self.ledger = Ledger(Places(here, here.parent, ()))
        self.slacks: list[tuple[int, int]] = []
        self.events: list[tuple[int, int, Any]] = []

    def world(self, world: Any) -> Any:
        return world

    def bus(self, gateware: Any, costs: Any, ref_multiplier: int) -> WatchedBus:
        bus = WatchedBus(gateware, costs, ref_multiplier)
        bus.watch(self.ledger, lambda *slack: self.slacks.append(slack), lambda *event: self.events.append(event))
        return bus

    def line(self, text: str) -> LineSlack:
        """Return the books of the one line of this file that contains `text`."""
        sums = [slack for place, slack in self.ledger.lines.items() if text in source(place)]
        assert len(sums) == 1, f"{len(sums)} places at lines with {text!r}"
        return sums[0]

    def owned(self, text: str) -> int:
        """Return how much time lines that contain `text` own."""
        return sum(mu for (place, _), mu in self.ledger.owned.items() if text in source(place))

    def lost(self, text: str) -> int:
        """Return how much slack lines that contain `text` lost to the counter."""
        return sum(slack.lost_mu for place, slack in self.ledger.lines.items() if text in source(place))

    def waited(self) -> dict[str, int]:
        """Return the time by what was waited for."""
        sums: dict[str, int] = {}
        for (_, what), mu in self.ledger.owned.items():
            sums[what] = sums.get(what, 0) + mu
        return sums


def source(place: Place) -> str:
    """Return the text of a place in this file."""
    return Path(__file__).read_text().splitlines()[place.line - 1] if place.file == __file__ else ""


def watched(costs: str, clicks: list[int] | None = None) -> tuple[Watched, Kernels]:
    devices = Devices(costs, clicks)
    watch = Watched()
    devices.core.watch(watch)
    return watch, Kernels(devices)


class Kernels:
    """Kernels; the comment at a line is what tests look for."""

    def __init__(self, devices: Any) -> None:
        self.core = devices.core
        self.ttl0, self.ttl1, self.ttl2 = (devices.get(f"ttl{i}") for i in range(3))
        self.pmt, self.core_dma = devices.get("pmt"), devices.get("core_dma")

    @kernel
    def two_pulses(self):
        self.core.break_realtime()  # jump
        self.ttl0.pulse(1 * us)  # long pulse
        delay(3 * us)  # pause between
        self.ttl1.pulse(500 * ns)  # short pulse

    @kernel
    def tightening(self, n):
        at_mu(self.core.get_rtio_counter_mu() + 20000)
        for _ in range(n):
            self.ttl0.pulse_mu(104)  # pulses faster than the CPU
            delay_mu(200)  # too short a pause

    @kernel
    def both(self):
        self.core.break_realtime()
        with parallel:
            self.ttl0.pulse_mu(4000)  # shorter branch
            self.ttl1.pulse_mu(10000)  # longer branch

    @kernel
    def ask(self):
        self.core.break_realtime()
        self.host()  # remote call
        self.core.break_realtime()  # after the call
        self.ttl0.pulse_mu(1000)  # the end

    def host(self) -> None:
        pass

    @kernel
    def gate(self) -> TInt32:
        self.core.break_realtime()
        return self.pmt.count(self.pmt.gate_rising_mu(50000))  # gate and count

    @kernel
    def fill(self, n):
        self.core.break_realtime()
        for _ in range(n):
            self.ttl0.pulse_mu(20000)  # fills the lanes

    @kernel
    def recorded(self):
        with self.core_dma.record("long"):
            self.ttl0.pulse_mu(1000000)  # recorded pulse
        handle = self.core_dma.get_handle("long")
        self.core.break_realtime()  # before playback
        self.core_dma.playback_handle(handle)  # playback


def line_of(text: str) -> int:
    """Return the number of the line of this file that contains a comment."""
    lines, first = inspect.getsourcelines(Kernels)
    return first + next(i for i, line in enumerate(lines) if text in line)
