"""Counters: the electronics of the midpoint's nanowire detectors."""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from instrument_lab import NO_NUMBERS, Bench, Contract, Lab, SetPoint, dead_port

from atomlink.errors import DeviceError
from drivers.instruments.transport import LinkLostError, NoReplyError
from drivers.instruments.websq import Driver
from drivers.interlock import DetectorGuard
from sim.instruments.catalog import make_twin
from sim.instruments.websq import COUNTS, SEPARATOR, Twin, take
from sim.world.elements import snspd_electronics as wires

ASK = '{"request": "labelProps", "value": "None"}'
DETECTORS = ("c_h", "c_v", "d_h", "d_v")
SIGMA = 5


class TestWebSq(Contract):
    ROWS = ("snspd_electronics",)
    SET_POINTS = (SetPoint("set_period_ms", 250.0, (9.9, 1000.1, -1.0), "period_ms", "ms"),)

    def pretend(self, twin: Any) -> None:
        twin._labels = lambda: {"Temperature": {"value": 2.5, "unit": "K"}}

    def is_identity_request(self, request: Any) -> bool:
        return bool(request == ASK)

    @pytest.mark.parametrize(("setter", "getter", "good", "outside"), [
        ("set_bias_ua", "bias_ua", 17.5, (-0.1, 30.1)), ("set_trigger_mv", "trigger_mv", 25.0, (9.9, 201.0))])
    def test_each_detector_has_its_own_set_point_and_bad_ones_are_refused_before_any_io(
        self, bench: Bench, setter: str, getter: str, good: float, outside: tuple[float, ...]
    ) -> None:
        before = [getattr(bench.driver, getter)(k) for k in range(4)]
        assert getattr(bench.driver, setter)(2, good) == good
        sent = len(bench.sent)
        bad = [(1, value) for value in (*outside, *NO_NUMBERS)] + [(k, good) for k in (-1, 4, True, 1.0)]
        for channel, value in bad:
            with pytest.raises(DeviceError, match=r"snspd_electronics.*nothing was sent"):
                getattr(bench.driver, setter)(channel, value)
        assert len(bench.sent) == sent
        assert [getattr(bench.driver, getter)(k) for k in range(4)] == [*before[:2], good, before[3]]

    def test_opening_it_changes_nothing_in_the_lab(self, bench: Bench) -> None:
        quantities = bench.lab.world.quantities
        quantities.touch()
        for key in DETECTORS:
            for what in ("efficiency", "dark_rate_hz"):
                path = f"midpoint.detectors.{key}.{what}"
                assert quantities.value(path) == quantities.base(path)

    @pytest.mark.parametrize("bias_ua", [10.0, 12.0, 14.0, 19.0, 22.0])
    def test_the_bias_moves_efficiency_and_dark_counts_along_their_curves(self, bench: Bench, bias_ua: float) -> None:
        path = "midpoint.detectors.d_h"
        before = bench.value(f"{path}.efficiency"), bench.value(f"{path}.dark_rate_hz")
        bench.driver.set_bias_ua(2, bias_ua)
        passing = 0.5 * math.erfc((20.0 - 2 * bias_ua) / (2 * math.sqrt(2)))
        logistic = (1 + math.exp(-8.0)) / (1 + math.exp(12.0 - bias_ua))
        assert bench.value(f"{path}.efficiency") == pytest.approx(before[0] * logistic * passing, rel=1e-9)
        assert bench.value(f"{path}.dark_rate_hz") == pytest.approx(
            before[1] * math.exp((bias_ua - 20) / 1.5) * passing, rel=1e-9)  # fmt: skip
        assert bench.value("midpoint.detectors.c_h.efficiency") == before[0]

    def test_dark_counts_follow_the_bias_within_five_sigma(self, bench: Bench) -> None:
        bench.driver.set_period_ms(1000.0)
        totals = {}
        for bias_ua in (20.0, 21.5):
            for k in range(4):
                bench.driver.set_bias_ua(k, bias_ua)
            counts = []
            for _ in range(20):
                bench.lab.wait(1.0)
                counts += bench.driver.counts()
            totals[bias_ua] = sum(counts)
        rate_hz = sum(bench.lab.world.quantities.base(f"midpoint.detectors.{key}.dark_rate_hz") for key in DETECTORS)
        for bias_ua, total in totals.items():
            mean = 20 * rate_hz * math.exp((bias_ua - 20) / 1.5)
            assert abs(total - mean) < SIGMA * math.sqrt(mean)

    def test_counts_are_those_of_the_last_period_and_other_readers_see_the_same(self, bench: Bench) -> None:
        bench.lab.wait(2.0)
        now = bench.lab.world.now_mu
        seen = [bench.lab.world.clicks(f"snspd_{key}") for key in DETECTORS]
        expected = [len(clicks(now - 100_000_000, now)) for clicks in seen]
        assert bench.driver.counts() == expected == bench.driver.counts()
        assert [len(clicks(now - 100_000_000, now)) for clicks in seen] == expected

    def test_a_disabled_detector_is_unbiased_and_silent(self, bench: Bench) -> None:
        bench.driver.enable(False)
        bench.lab.wait(1.0)
        assert bench.driver.bias_ua(0) == 0.0 and bench.driver.counts() == [0, 0, 0, 0]
        bench.driver.enable(True)
        assert bench.driver.bias_ua(0) == 20.0

    def test_a_latched_wire_shows_a_voltage_no_counts_and_recovers_without_bias(self, bench: Bench) -> None:
        bench.driver.set_period_ms(1000.0)
        bench.lab.wait(1.0)
        bench.lab.world.counters["snspd_c_v"].latch(bench.lab.world.now_mu)
        bench.lab.wait(1.0)
        assert [bench.driver.latched(k) for k in range(4)] == [False, True, False, False]
        counts = bench.driver.counts()
        assert counts[1] == 0 and min(counts[0], counts[2], counts[3]) > 0
        assert bench.driver.bias_voltage_mv(1) == pytest.approx(1e-3 * 20.0 * wires.NORMAL_OHM, rel=0.01)
        assert bench.driver.delatch(1) is True and bench.driver.bias_ua(1) == 20.0
        bench.lab.wait(1.0)
        assert bench.driver.counts()[1] > 0

    def test_a_bias_above_the_switching_current_latches_until_it_was_far_below(self, bench: Bench) -> None:
        bench.driver.set_bias_ua(0, wires.SWITCHING_UA + 1)
        bench.driver.set_bias_ua(0, wires.NOMINAL_UA)
        assert bench.driver.latched(0)
        bench.driver.set_bias_ua(0, wires.RETRAPPING_UA - 1)
        bench.driver.set_bias_ua(0, wires.NOMINAL_UA)
        assert not bench.driver.latched(0)

    def test_the_interlock_finds_and_resets_a_wire_that_latches_during_a_run(self, bench: Bench) -> None:
        class Shutter:
            closed = False

            def close(self) -> None:
                self.closed = True

            def is_closed(self) -> bool:
                return self.closed

        shutter = Shutter()
        guard = DetectorGuard(bench.driver, shutter)
        assert guard.blind() == []
        bench.lab.world.counters["snspd_d_v"].latch(bench.lab.world.now_mu)
        assert guard.blind() == [3]
        assert guard.delatch() and shutter.closed
        assert guard.blind() == [] and not bench.lab.world.counters["snspd_d_v"].latched
        bench.driver.set_bias_ua(2, 0.0)  # a reset that failed half-way
        assert guard.blind() == [2] and guard.delatch() and bench.driver.bias_ua(2) == 20.0

    def test_what_the_instrument_refuses_is_raised_in_its_own_words(self, bench: Bench) -> None:
        with pytest.raises(DeviceError, match="refused .*SetAllBiasCurrents: value 95 out of range -90.9 to 90.9"):
            bench.driver._send("SetAllBiasCurrents", "BiasCurrent", [95.0, 0, 0, 0])
        assert bench.driver.bias_ua(0) == 20.0


# -- over a wire -------------------------------------------------------------------------------------------------------
class Peer:
    """The instrument's two ports on loopback; `faults` maps a request to what happens instead of its reply."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.twin = make_twin(self.lab.world, "snspd_electronics", "websq")
        self.faults: dict[str, Callable[[socket.socket], None]] = {}
        self.heard = ""
        self.counts = self.twin.handle(COUNTS)
        self._servers = self._pair()
        self.port = self._servers[0].getsockname()[1]
        self._open: list[socket.socket] = []
        for server, serve in zip(self._servers, (self._control, self._stream), strict=True):
            threading.Thread(target=self._accept, args=(server, serve), daemon=True).start()

    @staticmethod
    def _pair() -> tuple[socket.socket, socket.socket]:
        for _ in range(50):
            control = socket.create_server(("127.0.0.1", 0))
            with contextlib.suppress(OSError, OverflowError):
                return control, socket.create_server(("127.0.0.1", control.getsockname()[1] + 345))
            control.close()
        raise AssertionError("no two free ports 345 apart")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._servers, *self._open):
            one.close()

    def _accept(self, server: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                self._open.append(connection)
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def _control(self, connection: socket.socket) -> None:
        buffer = ""
        with contextlib.suppress(OSError):
            while data := connection.recv(4096):
                self.heard += data.decode()
                requests, buffer = take(buffer + data.decode())
                for request in requests:
                    fault = self.faults.pop(request, None)
                    if fault is not None:
                        fault(connection)
                    else:
                        connection.sendall((self.twin.handle(request) + SEPARATOR).encode())

    def _stream(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(f"{self.counts}\n".encode())

    def driver(self, timeout_s: float = 0.5) -> Driver:
        driver = Driver("websq", Driver.connect(f"127.0.0.1:{self.port}"), settle_s=0.0)
        driver.transport._control.timeout_s = timeout_s
        return driver


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as made:
        yield made


def test_setting_a_bias_over_tcp_is_exactly_these_bytes(peer: Peer) -> None:
    with peer.driver() as websq:
        assert websq.identity == "WebSQ, 4 detectors"
        peer.heard = ""
        assert websq.set_bias_ua(0, 18.5) == 18.5
    assert peer.heard == (
        ASK + '{"command": "SetAllBiasCurrents", "label": "BiasCurrent", "value": [18.5, 20.0, 20.0, 20.0]}' + ASK + ASK
    )


def test_counts_come_as_a_line_of_the_other_port(peer: Peer) -> None:
    with peer.driver() as websq:
        peer.counts = "12.500000,3,0,2,1"
        assert websq.counts() == [3, 0, 2, 1]
        assert websq.rates_hz() == [30.0, 0.0, 20.0, 10.0]


@pytest.mark.parametrize("line", ["", "1,2,3", "1,2,3,4,5,6", "1,a,b,c,d", "1,-1,0,0,0", "1,0.5,0,0,0", "1,nan,0,0,0"])
def test_counts_that_make_no_sense_are_an_error(peer: Peer, line: str) -> None:
    with peer.driver() as websq:
        peer.counts = line
        with pytest.raises(DeviceError, match="websq (sent|answered)"):
            websq.counts()


@pytest.mark.parametrize("garbage", [b"\xff\xfe\x17", b"not json\x17", b"[1, 2]\x17", b'{"label": "BiasCurr\x17'])
def test_garbage_is_an_error_and_the_next_request_is_right(peer: Peer, garbage: bytes) -> None:
    with peer.driver() as websq:
        peer.faults[ASK] = lambda connection: connection.sendall(garbage)
        with pytest.raises(DeviceError, match=r"not JSON|JSON object|not text"):
            websq.trigger_mv(0)
        assert websq.trigger_mv(0) == 20.0


def test_a_reply_cut_short_is_a_time_out_and_the_next_request_is_right(peer: Peer) -> None:
    with peer.driver(timeout_s=1.0) as websq:
        peer.faults[ASK] = lambda connection: connection.sendall(b'{"label": "NumberOfDet')
        with pytest.raises(NoReplyError, match="did not answer in full"):
            websq.bias_ua(0)
        assert websq.bias_ua(0) == 20.0


def test_a_peer_that_hangs_up_is_asked_again_over_a_new_connection(peer: Peer) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.shutdown(socket.SHUT_RDWR)

    with peer.driver() as websq:
        peer.faults[ASK] = hang_up
        assert websq.bias_ua(3) == 20.0


def test_a_command_whose_peer_hangs_up_is_not_sent_again(peer: Peer) -> None:
    command = json.dumps({"command": "SetAllBiasCurrents", "label": "BiasCurrent", "value": [20.0, 20.0, 19.0, 20.0]})
    with peer.driver() as websq:
        peer.faults[command] = lambda connection: connection.shutdown(socket.SHUT_RDWR)
        with pytest.raises(DeviceError, match="whether it took effect is unknown; it was not sent again"):
            websq.set_bias_ua(2, 19.0)
        assert peer.heard.count(command) == 1
        assert websq.bias_ua(2) == 20.0


def test_a_late_reply_is_not_taken_for_the_next_answer(peer: Peer) -> None:
    late: list[socket.socket] = []
    with peer.driver(timeout_s=1.0) as websq:
        peer.faults[ASK] = late.append
        with pytest.raises(NoReplyError):
            websq.bias_ua(0)
        with contextlib.suppress(OSError):
            late[0].sendall(b'{"label": "BiasCurrent", "value": {"value": [1, 1, 1, 1]}}\x17')
        assert websq.bias_ua(0) == 20.0


def test_a_dead_port_is_an_error_at_once() -> None:
    with pytest.raises(LinkLostError, match="is lost"):
        Driver("websq", Driver.connect(f"127.0.0.1:{dead_port()}")).open()


def test_a_peer_that_never_stops_sending_labels_is_given_up() -> None:
    class Endless:
        number = 0

        def write(self, text: str) -> None:
            pass

        def read(self) -> str:
            self.number += 1
            return json.dumps({"label": f"L{self.number}", "value": 1})

        def close(self) -> None:
            pass

    with pytest.raises(DeviceError, match="without a label's properties"):
        Driver("websq", Endless()).open()  # type: ignore[arg-type]


@pytest.mark.parametrize("device", ["", "host:port:1", "host:0", "host:70000", "a b"])
def test_an_address_that_does_not_parse_is_refused(device: str) -> None:
    with pytest.raises(DeviceError, match="address"):
        Driver.connect(device)


# -- fuzz --------------------------------------------------------------------------------------------------------------
_WORDS = ["{", "}", "[", "]", '"', ":", ",", "\\", "\x17", "\x00", "é", "1e999", "-5", "NaN", "null", "true", "label",
          '"command"', '"value"', '"label"', '"request"', '"labelProps"', '"SetAllBiasCurrents"', '"BiasCurrent"', ASK,
          '{"command": "SetAllBiasCurrents", "value": [1, 2, 3, 4]}', '{"command": "DetectorEnable", "value": ',
          '{"command": "SetMeasurementPeriod", "value": 1', "20.0", " ", "\n"]  # fmt: skip


def fuzz(number: int, seed: int) -> None:
    lab = Lab(seed=seed)
    twin = make_twin(lab.world, "snspd_electronics", "websq")
    assert isinstance(twin, Twin)
    rng = np.random.default_rng(seed)
    for _ in range(number):
        words = rng.integers(0, len(_WORDS), rng.integers(0, 12))
        request = "".join(_WORDS[k] for k in words)
        for message in twin.handle(request).split(SEPARATOR) if request else []:
            assert not message or isinstance(json.loads(message), dict)
    assert all(wires.BIAS_UA[0] <= bias <= wires.BIAS_UA[1] for bias in twin.element.bias_ua)


def test_two_thousand_fuzzed_requests_are_all_answered_in_json() -> None:
    fuzz(2000, 1)


@pytest.mark.slow
def test_a_hundred_thousand_fuzzed_requests_are_all_answered_in_json() -> None:
    fuzz(100_000, 2)


@pytest.mark.parametrize("request_", [None, 3, b"x", ("a",), "{" * 200_000, "{" * 50 + "}" * 50])
def test_no_request_makes_it_raise(request_: Any) -> None:
    twin = make_twin(Lab().world, "snspd_electronics", "websq")
    assert "Error" in twin.handle(request_)


def test_objects_are_cut_out_of_a_stream_wherever_it_breaks() -> None:
    stream = ASK + '{"a": "}\\"{"}' + SEPARATOR + '{"b": {"c": 1}}{"d'
    for cut in range(len(stream)):
        first, rest = take(stream[:cut])
        second, rest = take(rest + stream[cut:])
        assert first + second == [ASK, '{"a": "}\\"{"}', '{"b": {"c": 1}}'] and rest == '{"d'
