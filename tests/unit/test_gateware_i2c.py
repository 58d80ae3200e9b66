"""The I2C buses of the CPU, as chips see them: who acknowledges, what is written and when, what comes back."""

import pytest
from gateware_lab import NotingWorld, row

from sim.gateware import Gateware
from sim.gateware.i2c import PORTS

SWITCHES = {f"i2c_switch{i}": row("i2c.I2CSwitch", address=0xE0 + 2 * i) for i in range(2)}
CARDS = {port: row("kasli_i2c.KasliEEPROM", port=port) for port in PORTS}


class Hand:
    """Does transactions on a bus, and says what was acknowledged."""

    def __init__(self, device_db, busno=0):
        self.bus = Gateware(device_db, NotingWorld()).i2c[busno]

    def send(self, *words):
        self.bus.start()
        acks = [self.bus.write(word) for word in words]
        self.bus.stop()
        return acks

    def ask(self, address, register, n):
        self.bus.start()
        assert self.bus.write(address) and self.bus.write(register)
        self.bus.start()
        assert self.bus.write(address | 1)
        found = [self.bus.read() for _ in range(n)]
        self.bus.stop()
        return found


def test_nobody_acknowledges_on_an_empty_bus_and_its_line_is_high():
    hand = Hand({})
    assert hand.send(0xA0) == [False]
    assert hand.bus.read() == 0xFF


def test_each_port_has_an_eeprom_of_its_own_behind_the_switches():
    hand = Hand(SWITCHES | CARDS)
    assert hand.send(0xA0) == [False]  # no channel is connected yet
    for i in range(16):
        hand.send(0xE0, 1 << i & 0xFF), hand.send(0xE2, 1 << i >> 8)
        assert hand.ask(0xA0, 64, 2) == [0xFF, 0xFF]  # as delivered
        assert hand.send(0xA0, 64, i) == [True] * 3
    for i in range(16):
        hand.send(0xE0, 1 << i & 0xFF), hand.send(0xE2, 1 << i >> 8)
        assert hand.ask(0xA0, 64, 2) == [i, 0xFF]
    hand.send(0xE0, 0), hand.send(0xE2, 0)
    assert hand.send(0xA0) == [False]


def test_two_eeproms_that_talk_at_once_pull_the_line_low_together():
    hand = Hand(SWITCHES | CARDS)
    for channel, byte in ((1, 0b1100), (2, 0b1010)):
        hand.send(0xE0, channel), hand.send(0xA0, 0, byte)
    hand.send(0xE0, 3)
    assert hand.ask(0xA0, 0, 1) == [0b1000]


def test_an_eeprom_writes_within_its_page_at_the_stop_condition_and_reads_on():
    hand = Hand(SWITCHES | CARDS)
    hand.send(0xE0, 1)
    hand.send(0xA0, 14, 1, 2, 3)  # the page ends at 15
    assert hand.ask(0xA0, 14, 3) == [1, 2, 0xFF]
    assert hand.ask(0xA0, 8, 1) == [3]
    hand.bus.start(), hand.bus.write(0xA0), hand.bus.write(20), hand.bus.write(9)
    hand.bus.start(), hand.bus.write(0xA1), hand.bus.stop()
    assert hand.ask(0xA0, 20, 1) == [0xFF]  # no stop condition followed
    assert hand.ask(0xA0, 255, 2) == [0xFF, 0xFF]  # and round to 0


def test_a_switch_connects_at_the_stop_condition_and_says_what_it_connects():
    hand = Hand(SWITCHES | CARDS)
    hand.bus.start(), hand.bus.write(0xE0), hand.bus.write(0x81)
    hand.bus.start()
    assert not hand.bus.write(0xA0)
    hand.bus.stop()
    hand.bus.start()
    assert hand.bus.write(0xE1) and hand.bus.read() == 0x81


def test_an_expander_drives_its_outputs_and_its_inputs_are_high():
    hand = Hand({"tca": row("i2c.TCA6424A")})
    assert hand.ask(0x44, 0x80, 3) == [0xFF] * 3  # all are inputs
    hand.send(0x44, 0x8C, 0x00, 0x0F, 0xFF), hand.send(0x44, 0x84, 0x12, 0x34, 0x56)
    assert hand.ask(0x44, 0x84, 3) == [0x12, 0x34, 0x56]
    assert hand.ask(0x44, 0x80, 3) == [0x12, 0x3F, 0xFF]
    assert hand.ask(0x44, 0x05, 2) == [0x34, 0x34]  # without bit 7 it stays at the register


def test_weak_pins_read_as_they_are_set():
    hand = Hand({"pcf": row("i2c.PCF8574A")})
    assert hand.send(0x7C, 0x5A) == [True, True]
    hand.bus.start()
    assert hand.bus.write(0x7D) and hand.bus.read() == 0x5A


def test_a_satellite_has_a_bus_of_its_own():
    device_db = {"far": row("i2c.TCA6424A", busno=3 << 16), "near": row("i2c.PCF8574A")}
    assert Hand(device_db, 3 << 16).send(0x44) == [True] and Hand(device_db).send(0x44) == [False]


@pytest.mark.parametrize(
    ("faulty", "says"),
    [
        (row("kasli_i2c.KasliEEPROM", port="EEM12"), "`port` is 'EEM12'; it must be one of EEM0, EEM1"),
        (row("kasli_i2c.KasliEEPROM", port="EEM1", sw0_device="tca"), "`sw0_device` is 'tca'; it must be"),
        (row("kasli_i2c.KasliEEPROM", port="EEM1", sw0_device="no"), "`sw0_device` is 'no'; it must be"),
        (row("i2c.I2CSwitch", busno=1), "`busno` is 1; it must be a DRTIO destination << 16"),
        (row("i2c.I2CSwitch", address="0xe0"), "`address` is '0xe0'; it must be an integer from 0 to 255"),
    ],
)
def test_a_faulty_row_says_what_it_must_be(faulty, says):
    gateware = Gateware(SWITCHES | {"tca": row("i2c.TCA6424A"), "x": faulty}, NotingWorld())
    assert says in str(gateware.refused["x"])
