"""DAC cards: codes become volts when they are loaded."""

import pytest
from gateware_lab import CLOCK_PHASE, END, NotingWorld, SpiHand, row

from sim.gateware import Gateware

DB = {
    "spi": row("spi2.SPIMaster", channel=1),
    "ldac": row("ttl.TTLOut", channel=2),
    "clr": row("ttl.TTLOut", channel=3),
    "zotino": row("zotino.Zotino", spi_device="spi", ldac_device="ldac", clr_device="clr"),
}


class ZotinoHand(SpiHand):
    def __init__(self, init: bool = True) -> None:
        self.world = NotingWorld()
        self.gateware = Gateware(DB, self.world)
        super().__init__(self.gateware.channels[1])
        if init:
            self.gateware.channels[2].write(self.t_mu, 0, 1)
            self.gateware.channels[3].write(self.t_mu, 0, 1)
            self.word(2 << 16 | 0x2000)
            self.word(3 << 16 | 0x2000)

    def word(self, word: int) -> None:
        self.send(1, 24, word << 8, END | CLOCK_PHASE)

    def code(self, channel: int, code: int) -> None:
        self.word(3 << 22 | channel + 8 << 16 | code)

    def load(self) -> None:
        self.gateware.channels[2].write(self.t_mu, 0, 0)
        self.gateware.channels[2].write(self.t_mu + 16, 0, 1)

    def read(self, address: int) -> int:
        self.word(5 << 16 | address << 7)
        return self.ask(1, 24, 0, END | CLOCK_PHASE) & 0xFFFF

    def volts(self, channel: int) -> float:
        return self.world.signals[f"zotino/{channel}", "voltage"][-1][1]


@pytest.mark.parametrize(("code", "volts"), [(0x8000, 0.0), (0x8000 + 3277, 3277 * 20 / 65536), (0, -10.0)])
def test_code_is_a_voltage_after_ldac(code, volts):
    hand = ZotinoHand()
    hand.code(3, 0x9000)
    hand.load()
    hand.code(3, code)
    assert hand.volts(3) == 0x1000 * 20 / 65536
    hand.load()
    assert hand.volts(3) == volts
    assert hand.world.signals["zotino/3", "voltage"][-1][0] == hand.t_mu


def test_voltage_of_other_channels_does_not_move():
    hand = ZotinoHand()
    hand.code(3, 0x9000)
    hand.load()
    told = len(hand.world.signals["zotino/4", "voltage"])
    hand.code(3, 0xA000)
    hand.load()
    assert len(hand.world.signals["zotino/4", "voltage"]) == told


def test_outputs_are_grounded_until_clr_rises_and_when_it_falls():
    hand = ZotinoHand(init=False)
    hand.code(0, 0xFFFF)
    assert hand.world.signals["zotino/0", "voltage"] == []
    hand = ZotinoHand()
    hand.code(0, 0xFFFF)
    hand.load()
    hand.gateware.channels[3].write(hand.t_mu + 100, 0, 0)
    assert hand.volts(0) == 0.0


def test_gain_and_offset_change_the_code():
    hand = ZotinoHand()
    hand.code(1, 0xC000)
    hand.word(1 << 22 | 9 << 16 | 0x7FFF)  # gain one half
    hand.word(2 << 22 | 9 << 16 | 0x9000)  # offset + 0x1000
    hand.load()
    assert hand.volts(1) == (0x6000 + 0x1000 - 0x8000) * 20 / 65536


def test_registers_read_back():
    hand = ZotinoHand()
    hand.code(5, 0x1234)
    hand.word(1 << 16 | 2)
    assert hand.read(0x008 + 5) == 0x1234
    assert hand.read(0x101) == 2
    assert hand.read(0x102) == 0x2000
    assert (hand.read(0x088 + 5), hand.read(0x0C8 + 5)) == (0x8000, 0xFFFF)


def test_fastino_codes_are_volts_and_hold_waits_for_update():
    world = NotingWorld()
    card = Gateware({"fast": row("fastino.Fastino", channel=8)}, world).channels[8]
    card.write(100, 0, 0x8000 + 0x4000)
    card.write(200, 0x21, 1 << 1)
    card.write(300, 1, 0)
    assert world.signals["fast/0", "voltage"] == [(100, 5.0)]
    assert world.signals["fast/1", "voltage"] == []
    card.write(400, 0x20, 1 << 1)
    assert world.signals["fast/1", "voltage"] == [(400, -10.0)]


def test_the_monitor_shows_the_data_that_were_loaded_and_nothing_before_the_first():
    hand = ZotinoHand()
    hand.code(3, 0xABCD)
    assert [hand.bus.probe(channel) for channel in (3, 4)] == [0, 0]
    hand.load()
    assert [hand.bus.probe(channel) for channel in (3, 4, 32)] == [0xABCD, 0, 0]
