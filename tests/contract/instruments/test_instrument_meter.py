"""Meters: the power meter behind the excitation beam's AOM."""

import statistics

import pytest
from instrument_lab import Bench, Contract, Scripted, SetPoint

from atomlink.errors import DeviceError
from atomlink.signals import Tone
from drivers.instruments.pm100d import Driver
from sim.world.elements.pickup import FULL_W, STRAY_W, WAVELENGTH_M

D2_NM = 780.241


def light_on(bench: Bench, on: bool = True) -> None:
    node = bench.row.removesuffix("_power_meter")
    world, now = bench.lab.world, bench.lab.world.now_mu
    world.output(f"{node}_shutter", "level")(now, 1)
    world.output(f"{node}_dds_excitation", "tone")(now, Tone(80e6, 1.0, 0.0, 0.0, False))
    world.output(f"{node}_sw_excitation", "level")(now, int(on))
    bench.lab.wait(10e-3)


class TestPm100d(Contract):
    ROWS = ("alice_power_meter", "bob_power_meter")
    SET_POINTS = (
        SetPoint("set_wavelength", D2_NM, (399.0, 1101.0), "wavelength_nm", "nm"),
        SetPoint("set_averages", 10, (0, 3001), "averages", "samples"),
    )

    def test_it_sees_the_excitation_light_when_and_only_when_it_is_on(self, bench: Bench) -> None:
        bench.driver.set_wavelength(D2_NM)
        dark = bench.driver.power_w()
        light_on(bench)
        assert bench.driver.power_w() == pytest.approx(FULL_W, rel=0.01)  # noise 0.1 % of the reading: 10 sigma
        light_on(bench, False)
        assert bench.driver.power_w() < 0.01 * FULL_W and dark < 0.01 * FULL_W

    def test_a_weaker_laser_dims_the_reading_as_the_square_of_the_rabi_frequency(self, bench: Bench) -> None:
        node = bench.row.removesuffix("_power_meter")
        bench.lab.world.quantities.attach(f"{node}.excitation.rabi_rad_s", lambda value, _t: value / 2)
        bench.lab.world.quantities.touch()
        bench.driver.set_wavelength(D2_NM)
        light_on(bench)
        assert bench.driver.power_w() == pytest.approx(FULL_W / 4, rel=0.01)

    def test_turning_the_laser_current_down_dims_the_light_behind_the_aom(self, bench: Bench) -> None:
        node = bench.row.removesuffix("_power_meter")
        bench.driver.set_wavelength(D2_NM)
        light_on(bench)
        full = bench.driver.power_w()
        laser = Bench(f"{node}_laser", bench.lab)
        with laser.driver.open() as driver:
            driver.set_current_ma(driver.current_ma() - 5.0)
            left = bench.lab.world.element(f"{node}_laser").relative_power
            assert 0 < left < 0.97
            assert bench.driver.power_w() / full == pytest.approx(left, abs=0.01)  # noise 0.1 % each: 7 sigma
            driver.set_emission(False)
            assert bench.driver.power_w() < 0.01 * full

    def test_the_wrong_wavelength_reads_wrong_in_proportion(self, bench: Bench) -> None:
        light_on(bench)
        bench.driver.set_wavelength(635.0)
        assert bench.driver.power_w() / FULL_W == pytest.approx(WAVELENGTH_M / 635e-9, rel=0.01)

    def test_zeroing_takes_the_room_light_off(self, bench: Bench) -> None:
        bench.driver.set_wavelength(D2_NM)
        readings = [bench.driver.power_w() for _ in range(100)]
        assert statistics.mean(readings) > STRAY_W
        bench.driver.zero()
        after = [bench.driver.power_w() for _ in range(100)]
        assert abs(statistics.mean(after)) < 5 * statistics.stdev(after) / 10  # 5 sigma of the mean of 100

    def test_averaging_calms_the_reading(self, bench: Bench) -> None:
        light_on(bench)
        single = statistics.stdev(bench.driver.power_w() for _ in range(200))
        bench.driver.set_averages(100)
        # A standard deviation of 200 values is known to 5 %; 10 times less is far beyond that.
        assert statistics.stdev(bench.driver.power_w() for _ in range(200)) == pytest.approx(single / 10, rel=0.3)

    def test_too_much_light_for_the_range_is_an_error_not_a_number(self, bench: Bench) -> None:
        light_on(bench)
        assert bench.driver.set_range(400e-9) == pytest.approx(500e-9)
        with pytest.raises(DeviceError, match="in range"):
            bench.driver.power_w()
        bench.driver.set_auto_range(True)
        assert bench.driver.power_w() > 0


def test_reading_the_power_is_exactly_these_bytes() -> None:
    wire = Scripted(
        ("*IDN?", "Thorlabs,PM100D,P0012345,2.4.0"), ("SYST:ERR?", '+0,"No error"'),
        ("SENS:CORR:WAV 780.241", None), ("SYST:ERR?", '+0,"No error"'), ("SENS:CORR:WAV?", "7.802410E+02"),
        ("MEAS:POW?", "1.234567E-05"),
    )  # fmt: skip
    with Driver("meter", wire).open() as meter:
        meter.set_wavelength(780.241)
        assert meter.power_w() == 1.234567e-05


@pytest.mark.parametrize("reply", ["", "bright", "NAN", "9.910000E+37", "-9.900000E+37", "1,2"])
def test_a_reading_that_is_no_number_is_an_error(reply: str) -> None:
    with pytest.raises(DeviceError, match="meter answered"):
        Driver("meter", Scripted(("MEAS:POW?", reply))).power_w()
