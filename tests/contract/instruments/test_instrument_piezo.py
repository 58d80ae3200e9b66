"""Piezo controllers: the tenth instrument, as docs/adding-an-instrument.md adds it."""

import pytest
from instrument_lab import Bench, Contract, Lab, Scripted, SerialPeer, SetPoint

from atomlink.errors import DeviceError
from drivers.instruments.mdt693b import Driver
from drivers.instruments.transport import NoReplyError
from drivers.instruments.visa import VisaTransport
from sim.instruments.catalog import make_twin
from sim.world.elements.piezo import RAD_PER_V


class TestMdt693b(Contract):
    ROWS = ("alice_piezo", "bob_piezo")
    SET_POINTS = (SetPoint("set_voltage", 5.0, (-0.1, 150.1), "voltage", "V", near=0.02),)

    def is_identity_request(self, request: str) -> bool:
        return request == "id?"

    def write(self, bench: Bench, point: SetPoint, value: object) -> None:
        bench.driver.set_voltage("x", value)

    def read(self, bench: Bench, point: SetPoint) -> float:
        return round(bench.driver.voltage("x"))

    def test_squeezing_turns_the_polarisation_of_its_node_alone(self, bench: Bench) -> None:
        node, other = ("alice", "bob") if bench.row == "alice_piezo" else ("bob", "alice")
        before = {n: bench.value(f"{n}.polarisation.beta_rad") for n in (node, other)}
        bench.driver.set_voltage("y", 8.0)
        assert bench.value(f"{node}.polarisation.beta_rad") == pytest.approx(before[node] + 8.0 * RAD_PER_V)
        assert bench.value(f"{other}.polarisation.beta_rad") == before[other]

    def test_a_step_that_is_too_large_is_refused_and_a_ramp_goes_there(self, bench: Bench) -> None:
        with pytest.raises(DeviceError, match="must move by at most 10 V"):
            bench.driver.set_voltage("x", 40.0)
        assert bench.driver.ramp_voltage("x", 40.0, 20.0) == pytest.approx(40.0, abs=0.1)
        with pytest.raises(DeviceError, match="up to 50 V/s"):
            bench.driver.ramp_voltage("x", 0.0, 51.0)

    def test_an_axis_that_does_not_exist_is_refused(self, bench: Bench) -> None:
        with pytest.raises(DeviceError, match="axis is 'w' but must be one of 'x', 'y', 'z'"):
            bench.driver.set_voltage("w", 1.0)

    def test_no_request_crashes_the_twin(self, bench: Bench) -> None:
        for request in ("", "xvoltage", "xvoltage=1e9", "=", "xvoltage=--1", "\xff\x00", "wmax?", "9" * 10_000):
            assert bench.twin.handle(request) in ("CMD_NOT_DEFINED", "CMD_ARG_INVALID")


def test_stepping_a_piezo_is_exactly_these_bytes() -> None:
    wire = Scripted(
        ("xvoltage?", "[   0.00]\r"), ("xvoltage=9.50", ""), ("xvoltage?", "xvoltage?\r[   9.51]\r"),
        ("yvoltage?", "[   0.00]\r"), ("yvoltage=1.00", "CMD_NOT_DEFINED"),
    )  # fmt: skip
    piezo = Driver("piezo", wire)
    assert piezo.set_voltage("x", 9.5) == 9.51
    with pytest.raises(DeviceError, match="refused `yvoltage=1.00`: CMD_NOT_DEFINED"):
        piezo.set_voltage("y", 1.0)


def test_over_a_serial_line_a_late_reply_is_not_taken_for_the_next_answer() -> None:
    with SerialPeer(make_twin(Lab().world, "alice_piezo", "mdt693b")) as peer:
        wire = VisaTransport(f"ASRL{peer.port}::INSTR", "@py", 0.2, ">", "\r", baud_rate=115200)
        with Driver("piezo", wire).open() as piezo:
            assert piezo.set_voltage("x", 5.0) == pytest.approx(5.0, abs=0.1)
            peer.hold.clear()
            with pytest.raises(NoReplyError):
                piezo.voltage("x")
            peer.hold.set()
            assert piezo.voltage("y") == pytest.approx(0.0, abs=0.1)
