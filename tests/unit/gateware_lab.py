"""A world that only takes notes, and hands that write registers: what the gateware tests share."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from atomlink.signals import Tone
from sim.gateware import Gateware
from sim.gateware.spi import END, INPUT, SpiBus

CS_POLARITY, CLOCK_PHASE = 0x08, 0x20


def row(path: str, **arguments: Any) -> dict[str, Any]:
    """Return a device_db row."""
    module, class_name = path.rsplit(".", 1)
    return {"type": "local", "module": f"artiq.coredevice.{module}", "class": class_name, "arguments": arguments}


class NotingWorld:
    """Notes every signal by (port, kind); `edges` are the clicks of each input port."""

    def __init__(self, edges: dict[str, list[int]] | None = None) -> None:
        self.signals: dict[tuple[str, str], list[tuple[int, Any]]] = defaultdict(list)
        self.edges = edges or {}
        self.asked: dict[str, list[tuple[int, int]]] = defaultdict(list)

    def output(self, port: str, kind: str) -> Any:
        return lambda t_mu, value: self.signals[port, kind].append((t_mu, value))

    def clicks(self, port: str) -> Any:
        def between(t0_mu: int, t1_mu: int) -> list[int]:
            self.asked[port].append((t0_mu, t1_mu))
            return [t for t in self.edges.get(port, []) if t0_mu < t <= t1_mu]

        return between


class SpiHand:
    """Writes an SPI bus as a driver does, one event after the other."""

    def __init__(self, bus: Any) -> None:
        assert isinstance(bus, SpiBus)
        self.bus = bus
        self.t_mu = 1_000_000

    def send(self, select: int, length: int, word: int, flags: int = END | CS_POLARITY, divider: int = 2) -> None:
        """Configure, transfer, and wait for the end."""
        self.bus.write(self.t_mu, 1, flags | (length - 1) << 8 | (divider - 2) << 16 | select << 24)
        self.bus.write(self.t_mu + 8, 0, word)
        self.t_mu += 8 + ((length + 1) * divider + 1) * 8
        self.bus.poll(self.t_mu)

    def ask(self, select: int, length: int, word: int = 0, flags: int = END | CS_POLARITY) -> int:
        """Transfer and return the bits that came back, unsigned."""
        self.send(select, length, word, flags | INPUT, 16)
        return self.bus.fifo.popleft()[1] & 0xFFFFFFFF


URUKUL_DB = {
    "spi": row("spi2.SPIMaster", channel=1),
    "io_update": row("ttl.TTLOut", channel=2),
    "sw0": row("ttl.TTLOut", channel=3),
    "cpld": row("urukul.CPLD", spi_device="spi", io_update_device="io_update", refclk=125e6, clk_sel=2),
    "dds0": row("ad9910.AD9910", cpld_device="cpld", chip_select=4, sw_device="sw0", pll_n=32),
    "dds1": row("ad9910.AD9910", cpld_device="cpld", chip_select=5, pll_n=32),
}


class UrukulHand(SpiHand):
    """Writes the registers of an Urukul with two AD9910 at 1 GHz."""

    def __init__(self) -> None:
        self.world = NotingWorld()
        self.gateware = Gateware(URUKUL_DB, self.world)
        super().__init__(self.gateware.channels[1])
        self.io_update = self.gateware.channels[2]

    def config(self, word: int) -> None:
        """Write the CPLD's configuration register."""
        self.send(1, 24, word << 8)

    def write32(self, chip_select: int, address: int, word: int) -> None:
        """Write a 32-bit register of a DDS."""
        self.send(chip_select, 8, address << 24, CS_POLARITY)
        self.send(chip_select, 32, word)

    def profile(self, chip_select: int, ftw: int, pow_: int, asf: int, profile: int = 7) -> None:
        """Write a single-tone profile."""
        self.send(chip_select, 8, 0x0E + profile << 24, CS_POLARITY)
        self.send(chip_select, 32, asf << 16 | pow_, CS_POLARITY)
        self.send(chip_select, 32, ftw)

    def read32(self, chip_select: int, address: int) -> int:
        """Read a 32-bit register of a DDS."""
        self.send(chip_select, 8, (address | 0x80) << 24, CS_POLARITY)
        return self.ask(chip_select, 32)

    def update(self) -> int:
        """Pulse IO_UPDATE; return the time of its edge."""
        t_mu = self.t_mu
        self.io_update.write(t_mu, 0, 1)
        self.io_update.write(t_mu + 8, 0, 0)
        self.t_mu += 16
        return t_mu

    def start(self, chip_select: int = 4) -> None:
        """Bring a DDS to 1 GHz with profile 7 selected and amplitudes from profiles."""
        self.config(7 << 8)
        self.write32(chip_select, 1, 1 << 24)
        self.write32(chip_select, 2, 0x0807C000 | 1 << 8 | 32 << 1)
        self.update()

    def tones(self, key: str = "dds0") -> list[tuple[int, Tone]]:
        """Return the tones that the world was told."""
        return self.world.signals[key, "tone"]
