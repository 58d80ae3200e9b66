"""Wavemeters: the HighFinesse over its TCP lines."""

from __future__ import annotations

import math
import random
import socket
from typing import Any

import numpy as np
import pytest
from instrument_lab import Bench, Contract, Lab, Peer, Scripted, dead_port

from atomlink.errors import DeviceError
from drivers.instruments.transport import LineTransport, LinkLostError, NoReplyError
from drivers.instruments.wavemeter import STATUS, Driver
from sim.instruments.catalog import make_twin
from sim.world.elements.laser import LINE_HZ
from sim.world.elements.wavemeter import ACCURACY_HZ, NOISE_HZ


class TestWavemeter(Contract):
    ROWS = ("wavemeter",)

    def pretend(self, twin: Any) -> None:
        twin.VERSION = "ACME toaster"

    def is_identity_request(self, request: Any) -> bool:
        return bool(request == "getVersion")

    def test_it_reads_the_true_frequency_within_its_accuracy_and_noise(self, bench: Bench) -> None:
        read = np.array([bench.driver.frequency_hz(1) for _ in range(200)])
        true = bench.lab.world.element("alice_laser").frequency_hz
        assert true == LINE_HZ and abs(read.mean() - true) < ACCURACY_HZ + 1e5
        # 200 samples: the rms is known to 5 %, four sigma are 20 %.
        assert read.std() == pytest.approx(NOISE_HZ, rel=0.2)

    def test_both_channels_share_the_calibration_error(self, bench: Bench) -> None:
        alice, bob = (np.mean([bench.driver.frequency_hz(channel) for _ in range(100)]) for channel in (1, 2))
        assert alice == pytest.approx(bob, abs=5 * NOISE_HZ * (2 / 100) ** 0.5)

    def test_it_sees_a_laser_that_was_tuned(self, bench: Bench) -> None:
        laser = bench.lab.world.element("bob_laser")
        before = bench.driver.frequency_hz(2)
        laser.set_lock(False)
        laser.set_piezo(72.0)
        assert bench.driver.frequency_hz(2) - before == pytest.approx(500e6, abs=20e6)

    def test_light_outside_the_exposure_range_is_a_status_and_no_frequency(self, bench: Bench) -> None:
        laser = bench.lab.world.element("alice_laser")
        for current, code in ((150.0, -4), (36.0, -3), (30.0, -1)):
            laser.set_current(current)
            value, status = bench.driver.reading(1)
            assert math.isnan(value) and status == STATUS[code]
            with pytest.raises(DeviceError, match=f"wavemeter channel 1: {STATUS[code].split(':')[0]}"):
                bench.driver.frequency_hz(1)

    def test_a_channel_without_a_fibre_has_no_signal(self, bench: Bench) -> None:
        assert bench.driver.reading(5).status == STATUS[-1]

    @pytest.mark.parametrize("channel", [0, 9, -1, 1.0, True, "1", None])
    def test_channels_that_do_not_exist_are_refused_before_any_io(self, bench: Bench, channel: Any) -> None:
        sent = len(bench.sent)
        with pytest.raises(DeviceError, match="must be 1 to 8: nothing was sent"):
            bench.driver.frequency_hz(channel)
        assert bench.sent[sent:] == []

    def test_it_tells_its_temperature_and_pressure(self, bench: Bench) -> None:
        assert 20 < bench.driver.temperature_c() < 30 and 900 < bench.driver.pressure_mbar() < 1100
        assert bench.driver.channel_count() == 8


def test_reading_a_frequency_is_exactly_these_bytes() -> None:
    wire = Scripted(("getVersion", "8,1,2,3"), ("getFrequencyNum 1", "384.2304844"))
    with Driver("meter", wire).open() as meter:
        assert meter.frequency_hz(1) == pytest.approx(384.2304844e12)


@pytest.mark.parametrize("reply", ["384.23 THz", "", "38", "384230", "1e400", "nan"])
def test_what_is_no_optical_frequency_is_an_error(reply: str) -> None:
    with pytest.raises(DeviceError, match=r"meter (answered|channel 1 reads)"):
        Driver("meter", Scripted(("getFrequencyNum 1", reply))).frequency_hz(1)


def test_a_code_that_nobody_knows_is_told_by_number() -> None:
    assert "code -77" in Driver("meter", Scripted(("getFrequencyNum 1", "-77"))).reading(1).status


class Served:
    """The twin on a socket; `faults` maps a request to bytes in place of the reply."""

    def __init__(self) -> None:
        self.twin = make_twin(Lab().world, "wavemeter", "wavemeter")
        self.faults: dict[str, bytes] = {}

    def __call__(self, line: str, connection: socket.socket) -> None:
        reply = self.twin.handle(line)
        if line in self.faults:
            connection.sendall(self.faults.pop(line))
        elif reply is not None:
            connection.sendall(reply.encode() + b"\r\n")


def peer(script: Served, greeting: bytes = b"200\r\n") -> Peer:
    return Peer(script, ending=b"\r\n", greeting=greeting)


def meter(port: int) -> Driver:
    return Driver("meter", LineTransport(f"127.0.0.1:{port}", "\r\n", 0.3, greeting=1))


def test_it_works_over_a_real_socket() -> None:
    with peer(Served()) as server, meter(server.port) as driver:
        assert driver.frequency_hz(2) == pytest.approx(LINE_HZ, abs=2 * ACCURACY_HZ)
        assert server.heard == ["getVersion", "getFrequencyNum 2"]


def test_another_greeting_is_refused() -> None:
    with peer(Served(), b"220 smtp ready\r\n") as server, pytest.raises(DeviceError, match="greeted with"):
        meter(server.port).open()


def test_a_torn_reply_is_a_time_out_and_the_next_reading_is_right() -> None:
    script = Served()
    with peer(script) as server, meter(server.port) as driver:
        script.faults["getFrequencyNum 1"] = b"384.23"
        with pytest.raises(NoReplyError):
            driver.frequency_hz(1)
        assert driver.frequency_hz(1) == pytest.approx(LINE_HZ, abs=2 * ACCURACY_HZ)


def test_garbage_is_an_error_and_the_next_reading_is_right() -> None:
    script = Served()
    with peer(script) as server, meter(server.port) as driver:
        script.faults["getFrequencyNum 1"] = b"\xff\x00\r\n"
        with pytest.raises(DeviceError, match="not text"):
            driver.frequency_hz(1)
        assert driver.frequency_hz(1) == pytest.approx(LINE_HZ, abs=2 * ACCURACY_HZ)


def test_a_dead_port_is_refused_at_open() -> None:
    with pytest.raises(LinkLostError):
        meter(dead_port()).open()


def fuzz(n: int) -> None:
    twin, rng = make_twin(Lab().world, "wavemeter", "wavemeter"), random.Random(2)
    verbs = ["getFrequencyNum", "getWavelengthNum", "getVersion", "getExposureNum", "setSwitchMode", ""]
    for _ in range(n):
        text = f"{rng.choice(verbs)} {rng.choice(['1', '9', '0', '1,2', '-1', '9' * 50, '', 'x'])}"
        if rng.random() < 0.5:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + chr(rng.randrange(0x250)) + text[at + rng.randrange(2) :]
        reply = twin.handle(text)
        assert reply is None or isinstance(reply, str)


def test_nonsense_crashes_no_twin() -> None:
    fuzz(2000)


@pytest.mark.slow
def test_a_hundred_thousand_pieces_of_nonsense_crash_no_twin() -> None:
    fuzz(100_000)
