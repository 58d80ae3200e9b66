"""PyVISA's own calls on twins, through `ResourceManager("PATH@atomlink")`."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import pyvisa
from pyvisa.constants import StatusCode

from sim.instruments import in_process, visa_backend
from sim.world.scenario import load_scenario
from sim.world.world import World

SOURCE = "TCPIP::192.168.1.81::5025::SOCKET"
METER = "USB0::0x1313::0x8078::P0012345::INSTR"


class Lab:
    def __init__(self) -> None:
        self.world = World(load_scenario("default"), 1)

    def sync(self) -> None:
        pass


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    with (
        in_process.connect(made, made.world, "alice_microwave", "microwave", SOURCE).open(),
        in_process.connect(made, made.world, "alice_power_meter", "pm100d", METER).open(),
    ):
        yield made


@pytest.fixture
def manager(lab: Lab) -> pyvisa.ResourceManager:
    return pyvisa.ResourceManager(f"{in_process.library_path(lab)}@atomlink")


def test_pyvisa_lists_and_opens_the_instruments_of_a_lab(manager: pyvisa.ResourceManager) -> None:
    assert set(manager.list_resources("?*")) == {
        "TCPIP0::192.168.1.81::5025::SOCKET", "USB0::0x1313::0x8078::P0012345::0::INSTR"}  # fmt: skip
    with manager.open_resource(METER, read_termination="\n", write_termination="\n") as meter:
        assert meter.query("*IDN?").startswith("Thorlabs,PM100D")
        assert meter.query_ascii_values("MEAS:POW?") == [pytest.approx(4e-9, abs=2e-9)]


def test_set_points_by_pyvisa_act_in_the_lab(manager: pyvisa.ResourceManager, lab: Lab) -> None:
    with manager.open_resource(SOURCE, read_termination="\n", write_termination="\n") as source:
        source.write("OUTP OFF")
    assert lab.world.quantities.value("alice.microwave.rabi_rad_s") == 0.0


def test_a_reply_that_does_not_come_is_a_time_out_at_once(manager: pyvisa.ResourceManager) -> None:
    with (
        manager.open_resource(SOURCE, read_termination="\n", write_termination="\n", timeout=3_600_000) as source,
        pytest.raises(pyvisa.VisaIOError) as late,
    ):
        source.query("BAKE?")
    assert late.value.error_code == StatusCode.error_timeout


def test_a_resource_that_the_lab_does_not_have_is_not_found(manager: pyvisa.ResourceManager) -> None:
    with pytest.raises(pyvisa.VisaIOError) as missing:
        manager.open_resource("TCPIP::10.0.0.1::5025::SOCKET")
    assert missing.value.error_code == StatusCode.error_resource_not_found


def test_half_a_request_waits_for_its_end_and_two_at_once_are_two(manager: pyvisa.ResourceManager) -> None:
    with manager.open_resource(SOURCE, read_termination="\n") as source:
        source.write_raw(b"SOUR:P")
        source.write_raw(b"OW?\nOUTP?\n")
        assert (source.read(), source.read()) == ("0", "1")


def test_long_replies_come_in_parts_and_clear_drops_them(manager: pyvisa.ResourceManager) -> None:
    with manager.open_resource(SOURCE, read_termination="\n", write_termination="\n", chunk_size=5) as source:
        assert source.query("*IDN?").startswith("Rohde&Schwarz,SMB100A")
        source.write("*IDN?")
        source.clear()
        assert source.query("OUTP?") == "1"


def test_sessions_do_not_share_replies(manager: pyvisa.ResourceManager) -> None:
    with (
        manager.open_resource(SOURCE, read_termination="\n", write_termination="\n") as one,
        manager.open_resource(SOURCE, read_termination="\n", write_termination="\n") as two,
    ):
        one.write("*IDN?")
        assert two.query("OUTP?") == "1"
        assert one.read().startswith("Rohde")


def test_two_labs_in_one_process_are_two() -> None:
    first, second = Lab(), Lab()
    one = in_process.connect(first, first.world, "alice_microwave", "microwave", SOURCE).open()
    two = in_process.connect(second, second.world, "alice_microwave", "microwave", SOURCE).open()
    one.set_output(False)  # type: ignore[attr-defined]
    assert two.output() is True  # type: ignore[attr-defined]
    assert second.world.quantities.value("alice.microwave.rabi_rad_s") > 0


def test_a_lab_that_is_gone_takes_its_resources_along() -> None:
    made = Lab()
    driver = in_process.connect(made, made.world, "alice_microwave", "microwave", SOURCE).open()
    path = in_process.library_path(made)
    assert path in visa_backend._labs
    driver.close()
    del made, driver
    gc.collect()
    assert path not in visa_backend._labs


def test_who_opens_an_instrument_again_in_the_same_lab_finds_it_as_it_was_left() -> None:
    first, second = Lab(), Lab()
    second.world = first.world
    with in_process.connect(first, first.world, "alice_power_meter", "pm100d", METER).open() as meter:
        meter.set_wavelength(780.241)  # type: ignore[attr-defined]
    with in_process.connect(second, second.world, "alice_power_meter", "pm100d", METER).open() as meter:
        assert meter.wavelength_nm() == pytest.approx(780.241)  # type: ignore[attr-defined]
