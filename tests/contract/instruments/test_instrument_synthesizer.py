"""Synthesizers: the microwave source."""

import math

import pytest
from instrument_lab import Bench, Contract, Scripted, SetPoint

from atomlink.errors import DeviceError
from drivers.instruments.microwave import Driver
from sim.world.elements.microwave import NOMINAL_HZ, SETTLING_S


class TestMicrowave(Contract):
    ROWS = ("alice_microwave", "bob_microwave")
    SET_POINTS = (
        SetPoint("set_frequency", 6.9e9, (99e6, 12.76e9, -1.0), "frequency_hz", "Hz"),
        SetPoint("set_power", -3.25, (10.01, -120.1), "power_dbm", "dBm"),
    )

    def test_opening_it_changes_nothing_in_the_lab(self, bench: Bench) -> None:
        node = bench.row.removesuffix("_microwave")
        for path in (f"{node}.microwave.detuning_rad_s", f"{node}.microwave.rabi_rad_s"):
            assert bench.value(path) == bench.lab.world.quantities.base(path)
        assert bench.driver.frequency_hz() == pytest.approx(NOMINAL_HZ, abs=1e-3) and bench.driver.output()

    def test_a_higher_frequency_detunes_the_drive_by_the_difference(self, bench: Bench) -> None:
        bench.driver.set_frequency(NOMINAL_HZ + 10e3)
        node = bench.row.removesuffix("_microwave")
        assert bench.value(f"{node}.microwave.detuning_rad_s") == pytest.approx(-2 * math.pi * 10e3, rel=1e-6)

    def test_six_db_less_halve_the_rabi_frequency_once_it_has_settled(self, bench: Bench) -> None:
        path = f"{bench.row.removesuffix('_microwave')}.microwave.rabi_rad_s"
        bench.driver.set_power(bench.driver.power_dbm() - 20 * math.log10(2))
        assert bench.value(path) == 0.0 and not bench.driver.settled()
        bench.lab.wait(SETTLING_S)
        assert bench.driver.settled()
        assert bench.value(path) == pytest.approx(bench.lab.world.quantities.base(path) / 2, rel=1e-3)

    def test_the_output_switches_the_drive(self, bench: Bench) -> None:
        path = f"{bench.row.removesuffix('_microwave')}.microwave.rabi_rad_s"
        bench.driver.set_output(False)
        assert bench.value(path) == 0.0 and bench.driver.output() is False
        bench.driver.set_output(True)
        assert bench.value(path) == bench.lab.world.quantities.base(path)

    def test_what_is_neither_on_nor_off_is_refused(self, bench: Bench) -> None:
        for value in (1, "ON", None):
            with pytest.raises(DeviceError, match="must be one of True, False"):
                bench.driver.set_output(value)

    def test_the_source_itself_keeps_to_the_limit_of_the_amplifier(self, bench: Bench) -> None:
        assert bench.twin.handle("SOUR:POW 12;:SYST:ERR?").startswith("-222,")

    def test_the_instruments_own_error_is_raised_with_its_text(self, bench: Bench) -> None:
        bench.twin.error(-221, "synthesizer out of lock")
        with pytest.raises(DeviceError, match='refused `SOUR:FREQ 6900000000.000`: -221,"Settings conflict;synth'):
            bench.driver.set_frequency(6.9e9)

    def test_errors_left_over_at_open_are_drained_and_blamed_on_nobody(self, row: str) -> None:
        bench = Bench(row)
        bench.twin.error(-113)
        bench.twin.error(-222)
        bench.driver.open().set_power(-3.0)


def test_setting_the_frequency_is_exactly_these_bytes() -> None:
    wire = Scripted(
        ("*IDN?", "Rohde&Schwarz,SMB100A,1,2"), ("SYST:ERR?", '0,"No error"'),
        ("SOUR:POW:LIM 10.00", None), ("SYST:ERR?", '0,"No error"'), ("SOUR:POW:LIM?", "10"),
        ("SOUR:FREQ 6834682610.904", None), ("SYST:ERR?", '0,"No error"'), ("SOUR:FREQ?", "6834682610.904"),
        ("OUTP:STAT OFF", None), ("SYST:ERR?", '0,"No error"'), ("OUTP:STAT?", "0"),
    )  # fmt: skip
    with Driver("source", wire).open() as source:
        assert source.set_frequency(6834682610.904) == 6834682610.904
        source.set_output(False)


def test_a_frequency_that_reads_back_wrong_is_an_error() -> None:
    wire = Scripted(("SOUR:FREQ 7000000000.000", None), ("SYST:ERR?", '0,"No error"'), ("SOUR:FREQ?", "6.9E9"))
    with pytest.raises(DeviceError, match="was set to 7e.09 Hz but reads back 6.9e.09 Hz"):
        Driver("source", wire).set_frequency(7e9)
