"""Taggers: the time tagger on the midpoint's four detectors."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest
import zmq
from instrument_lab import NO_NUMBERS, Bench, Contract, Lab, dead_port

from analysis.timetags.storage import TagFile, TagWriter
from atomlink.errors import DeviceError
from drivers.instruments.id900 import Driver
from drivers.instruments.transport import LinkLostError, NoReplyError
from sim.instruments.catalog import make_twin
from sim.world.elements.tagger import KEPT_S, PULSE_V, RESOLUTION_PS

DETECTORS = ("c_h", "c_v", "d_h", "d_v")


def clicks_at(lab: Lab, times_mu: dict[str, list[int]]) -> None:
    for key, times in times_mu.items():
        for t in times:
            lab.world.counters[f"snspd_{key}"].photon(t)


def quiet(lab: Lab) -> None:
    """Take the dark counts away, so that a test knows every click."""
    for key in DETECTORS:
        lab.world.quantities.attach(f"midpoint.detectors.{key}.dark_rate_hz", lambda _value, _t: 0.0)
    lab.world.quantities.touch()


def collected(blocks: Iterator[tuple[Any, Any]]) -> tuple[list[int], list[int]]:
    found = list(blocks)
    for times, channels in found:
        assert times.dtype == np.int64 and channels.dtype == np.uint8 and len(times) == len(channels) > 0
    times = [int(t) for block, _ in found for t in block]
    assert times == sorted(times)
    return times, [int(c) for _, block in found for c in block]


class TestId900(Contract):
    ROWS = ("tagger",)

    @pytest.mark.parametrize(("setter", "getter", "good", "outside"), [
        ("set_threshold_v", "threshold_v", 0.25, (-1.01, 1.01)),
        ("set_delay_ps", "delay_ps", 1234, (-1, 4_000_001, 1.5))])
    def test_each_input_has_its_own_set_point_and_bad_ones_are_refused_before_any_io(
        self, bench: Bench, setter: str, getter: str, good: float, outside: tuple[float, ...]
    ) -> None:
        before = [getattr(bench.driver, getter)(k) for k in range(4)]
        assert getattr(bench.driver, setter)(2, good) == good
        sent = len(bench.sent)
        bad = [(1, value) for value in (*outside, *NO_NUMBERS)] + [(k, good) for k in (-1, 4, True, 1.0)]
        for channel, value in bad:
            with pytest.raises(DeviceError, match=r"tagger.*nothing was sent"):
                getattr(bench.driver, setter)(channel, value)
        assert len(bench.sent) == sent
        assert [getattr(bench.driver, getter)(k) for k in range(4)] == [*before[:2], good, before[3]]

    def test_tags_are_the_worlds_clicks_in_ps_with_the_delay_of_their_input(self, bench: Bench) -> None:
        quiet(bench.lab)
        bench.lab.wait(1e-3)
        bench.driver.set_delay_ps(3, 123)
        bench.driver.start()
        clicks_at(bench.lab, {"c_h": [1_000_500, 1_000_900], "d_v": [1_000_500], "c_v": [1_002_000]})
        bench.lab.wait(1e-3)
        bench.driver.stop()
        assert collected(bench.driver.tags()) == ([500_000, 500_123, 900_000, 2_000_000], [0, 3, 0, 1])
        assert bench.driver.resolution_ps() == RESOLUTION_PS

    def test_tags_come_once_and_in_order_however_often_they_are_fetched(self, bench: Bench) -> None:
        bench.driver.start()
        reader = bench.lab.world.clicks
        taken: tuple[list[int], list[int]] = ([], [])
        for _ in range(50):
            bench.lab.wait(0.1)
            for all_, some in zip(taken, collected(bench.driver.tags()), strict=True):
                all_ += some
        bench.driver.stop()
        for all_, some in zip(taken, collected(bench.driver.tags()), strict=True):
            all_ += some
        assert taken[0] == sorted(taken[0]) and len(taken[0]) > 500
        for k, key in enumerate(DETECTORS):
            mine = [t // 1000 for t, channel in zip(*taken, strict=True) if channel == k]
            assert mine == reader(f"snspd_{key}")(0, bench.lab.world.now_mu)
        assert collected(bench.driver.tags()) == ([], [])

    def test_nothing_is_recorded_before_the_start_or_after_the_end(self, bench: Bench) -> None:
        quiet(bench.lab)
        clicks_at(bench.lab, {"c_h": [400, 1_500_000, 2_500_000]})
        bench.lab.wait(1e-3)
        bench.driver.start(duration_ps=10**9)
        assert bench.driver.recording()
        bench.lab.wait(2e-3)
        assert not bench.driver.recording()
        assert collected(bench.driver.tags()) == ([500_000_000], [0])

    def test_tags_can_be_had_as_one_block(self, bench: Bench) -> None:
        quiet(bench.lab)
        bench.driver.start()
        assert [len(part) for part in bench.driver.read_tags()] == [0, 0]
        clicks_at(bench.lab, {"c_h": [300, 100], "c_v": [200]})
        bench.lab.wait(1e-6)
        bench.driver.stop()
        times, channels = bench.driver.read_tags()
        assert times.tolist() == [100_000, 200_000, 300_000] and channels.tolist() == [0, 1, 0]
        assert times.dtype == np.int64 and channels.dtype == np.uint8

    def test_only_the_channels_asked_for_come_and_a_second_recording_starts_afresh(self, bench: Bench) -> None:
        quiet(bench.lab)
        for _ in range(2):
            now = bench.lab.world.now_mu
            bench.driver.start(channels=[1, 2])
            clicks_at(bench.lab, {key: [now + 100 * (k + 1)] for k, key in enumerate(DETECTORS)})
            bench.lab.wait(1e-3)
            bench.driver.stop()
            assert collected(bench.driver.tags()) == ([200_000, 300_000], [1, 2])

    def test_starting_twice_is_refused_until_the_rest_was_taken(self, bench: Bench) -> None:
        bench.driver.start()
        with pytest.raises(DeviceError, match="is recording already"):
            bench.driver.start()
        bench.driver.stop()
        list(bench.driver.tags())
        bench.driver.start()

    @pytest.mark.parametrize("channels", [[], [0, 0], [4]])
    def test_channels_that_make_no_sense_are_refused_before_any_io(self, bench: Bench, channels: list[int]) -> None:
        sent = len(bench.sent)
        with pytest.raises(DeviceError, match="nothing was sent"):
            bench.driver.start(channels)
        assert len(bench.sent) == sent

    def test_a_threshold_above_the_pulses_or_a_disabled_input_sees_nothing(self, bench: Bench) -> None:
        bench.driver.set_threshold_v(0, PULSE_V + 0.1)
        bench.driver.set_threshold_v(1, -0.1)
        bench.driver.enable(2, False)
        assert [bench.driver.enabled(k) for k in range(4)] == [True, True, False, True]
        bench.driver.reset_counts()
        bench.lab.wait(1.0)
        counts = bench.driver.counts()
        assert counts[:3] == [0, 0, 0] and counts[3] > 0

    def test_counts_are_those_since_the_reset(self, bench: Bench) -> None:
        quiet(bench.lab)
        clicks_at(bench.lab, {"c_h": [100, 200], "d_h": [300]})
        bench.lab.wait(1e-6)
        assert bench.driver.counts() == [2, 0, 1, 0]
        bench.driver.reset_counts()
        assert bench.driver.counts() == [0, 0, 0, 0]

    def test_coincidences_are_counted_within_the_window_after_the_first_input(self, bench: Bench) -> None:
        quiet(bench.lab)
        assert bench.driver.coincidences(0, 3, 50_000) == 0
        clicks_at(bench.lab, {"c_h": [1000, 2000, 3000], "d_v": [990, 1000, 1049, 1050, 2049, 2060, 3500]})
        bench.lab.wait(1e-3)
        assert bench.driver.coincidences(0, 3, 50_000) == 3  # 1000 and 1049 after 1000, 2049 after 2000
        bench.driver.set_delay_ps(3, 1_000)
        clicks_at(bench.lab, {"c_h": [1_002_000], "d_v": [1_001_999, 1_002_049]})
        bench.lab.wait(1e-3)
        assert bench.driver.coincidences(0, 3, 50_000) == 4  # only the earlier one, delayed by 1 ns

    def test_a_latched_detector_does_not_hold_back_the_rest_at_the_end(self, bench: Bench) -> None:
        bench.lab.world.counters["snspd_c_h"].latch(0)
        bench.driver.start()
        bench.lab.wait(1.0)
        bench.driver.stop()
        _, channels = collected(bench.driver.tags())
        assert set(channels) == {1, 2, 3}

    def test_tags_that_nobody_fetched_in_time_are_reported_as_lost(self, bench: Bench) -> None:
        bench.driver.start()
        bench.lab.wait(KEPT_S + 1)
        bench.driver.stop()
        with pytest.raises(DeviceError, match="lost tags of input 0, 1, 2, 3"):
            list(bench.driver.tags())

    def test_an_error_comes_with_the_answer_in_the_instruments_own_words(self, bench: Bench) -> None:
        with pytest.raises(DeviceError, match=r"tagger refused `INPU1:THRE 5V`: SCPI_ERR_DATA_OUT_OF_RANGE"):
            bench.driver._tell("INPU1:THRE 5V")
        assert bench.driver.threshold_v(0) == 0.1

    def test_its_tags_go_into_a_file_block_by_block(self, bench: Bench, tmp_path: Any) -> None:
        bench.driver.start()
        blocks = []
        with TagWriter.create(tmp_path / "tags.h5", dict(enumerate(DETECTORS))) as writer:
            for _ in range(5):
                bench.lab.wait(0.5)
                for block in bench.driver.tags():
                    writer.append(*block)
                    blocks.append(block)
            bench.driver.stop()
            for block in bench.driver.tags():
                writer.append(*block)
                blocks.append(block)
        with TagFile(tmp_path / "tags.h5") as stored:
            tags = stored.read()
        assert tags.time_ps.tolist() == [int(t) for times, _ in blocks for t in times]
        assert tags.channel.tolist() == [int(c) for _, channels in blocks for c in channels]


# -- SCPI --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("command", "answer"), [
    ("INPUt1:THREshold 200mV", "OK"), ("inpu1:thre?", "0.2000V"), (":INPUT1:THRESHOLD 0.3;THRE?", "OK;0.3000V"),
    ("INPU2:DELA 3 KTB;DELA?", "OK;3000TB"), ("INPU2:DELA 2ns", "OK"), ("INPU2:DELA?", "2000TB"),
    ("INPU5:ENAB?", "SCPI_ERR_UNDEFINED_HEADER INPU5:ENAB?"), ("INPU1:ENAB", "SCPI_ERR_MISSING_PARAMETER"),
    ("INPU1:COUN? 3", "SCPI_ERR_PARAMETER_NOT_ALLOWED 3"), ("INPU1:THRE 1kV", "SCPI_ERR_INVALID_SUFFIX kV"),
    ("INPU1:THRE high", "SCPI_ERR_DATA_TYPE_ERROR high"), ("INPU1:EDGE up", "SCPI_ERR_ILLEGAL_PARAMETER_VALUE up"),
    ("TSCO1:OPIN ONLYFIR;OPOU ONLYFIR;WIND:ENAB OFF", "OK;OK;OK"), ("TSCO1:OPIN?;WIND:ENAB?", "ONLYFIR;OFF"),
    ("RAW1:STOP:LINK TSCO1;:RAW1:REF:LINK NONE", "OK;OK"),
    ("REC:PLAY", "SCPI_ERR_SETTINGS_CONFLICT RECord is disabled"),
    ("REC:DURation 3000 GTB;DUR?", "OK;3000000000000TB"), ("", "SCPI_ERR_SYNTAX_ERROR"), ("*OPC?", "1")])  # fmt: skip
def test_commands_are_answered_as_the_manual_says(command: str, answer: str) -> None:
    twin = make_twin(Lab().world, "tagger", "id900")
    if command.lower() in ("inpu1:thre?", "inpu2:dela?", "tsco1:opin?;wind:enab?"):
        twin.handle("INPU1:THRE 200mV;:INPU2:DELA 2ns;:TSCO1:OPIN ONLYFIR")
    assert twin.handle(command) == answer


# -- over a wire -------------------------------------------------------------------------------------------------------
class Server:
    """The twin behind ZeroMQ sockets, in one thread; `faults` maps a request to what is done instead of answering."""

    def __init__(self) -> None:
        self.lab = Lab()
        quiet(self.lab)
        self.twin = make_twin(self.lab.world, "tagger", "id900")
        self.heard: list[tuple[str, str]] = []
        self.faults: dict[str, Callable[[zmq.Socket], None]] = {}
        self.lock = threading.Lock()
        self._context = zmq.Context()
        self.port, self._sockets = self._bind()
        self._streams: dict[int, zmq.Socket] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _bind(self) -> tuple[int, dict[str, zmq.Socket]]:
        for port in range(20555, 60000, 37):
            made = {"scpi": self._context.socket(zmq.REP), "link": self._context.socket(zmq.REP)}
            try:
                for name, offset in (("scpi", 0), ("link", 505)):
                    made[name].bind(f"tcp://127.0.0.1:{port + offset}")
                for channel in range(4):
                    socket.create_server(("127.0.0.1", port - 1313 + channel)).close()
            except OSError:
                for one in made.values():
                    one.close(0)
                continue
            return port, made
        raise AssertionError("no free ports")

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        for one in (*self._sockets.values(), *self._streams.values()):
            one.close(0)
        self._context.term()

    def _serve(self) -> None:
        while not self._stop.is_set():
            for name, one in self._sockets.items():
                if one.poll(2):
                    self._answer(name, one)
            with self.lock:
                for port, one in self._streams.items():
                    for message in self.twin.handle(("stream", port)):
                        one.send(message)

    def _answer(self, name: str, one: zmq.Socket) -> None:
        request = one.recv().decode()
        self.heard.append((name, request))
        fault = self.faults.pop(request, None)
        if fault is not None:
            fault(one)
            return
        with self.lock:
            answer = self.twin.handle(request if name == "scpi" else ("link", request))
        if request.startswith("start-stream") and "error" not in answer:
            port = int(request.split()[-1])
            self._streams[port] = self._streams.get(port) or self._context.socket(zmq.PAIR)
            self._streams[port].bind(f"tcp://127.0.0.1:{port}")
        one.send_string(answer)

    def driver(self, timeout_s: float = 5.0) -> Driver:
        transport = Driver.connect(f"127.0.0.1:{self.port}")
        transport._timeout_ms = round(1e3 * timeout_s)
        return Driver("tagger", transport)

    def click(self, times_mu: dict[str, list[int]], until_s: float) -> None:
        with self.lock:
            clicks_at(self.lab, times_mu)
            self.lab.wait(until_s)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        yield made


def test_starting_a_recording_is_exactly_these_messages(server: Server) -> None:
    with server.driver() as tagger:
        assert tagger.identity == "ID Quantique,ID900,TWIN,1.0"
        server.heard.clear()
        tagger.start(channels=[1])
    assert server.heard == [
        ("link", "list"), ("scpi", "REC:TRIG:ARM:MODE MANU"), ("scpi", "REC:ENAB ON"), ("scpi", "REC:STOP"),
        ("scpi", "REC:NUM 1"), ("scpi", "REC:DUR INF"), ("scpi", "TSCO2:FIR:LINK INPU2"),
        ("scpi", "TSCO2:OPIN ONLYFIR;OPOU ONLYFIR;WIND:ENAB OFF"),
        ("scpi", "RAW2:STOP:LINK TSCO2;:RAW2:REF:LINK NONE"), ("scpi", "RAW2:ERRORS:CLEAR"),
        ("link", f"start-stream --address 127.0.0.1 --channel 2 --stream-port {server.port - 1313 + 1}"),
        ("scpi", "RAW2:SEND ON"), ("scpi", "REC:PLAY"), ("scpi", "REC:STAG?"),
    ]  # fmt: skip


def test_tags_arrive_over_zeromq_and_end_with_the_recording(server: Server) -> None:
    with server.driver() as tagger:
        tagger.start()
        server.click({"c_h": [100, 300], "d_v": [200]}, 1e-3)
        tagger.stop()
        assert collected(tagger.tags()) == ([100_000, 200_000, 300_000], [0, 3, 0])


def test_a_plain_pyzmq_client_as_in_the_vendors_examples_gets_its_tags(server: Server) -> None:
    """Golden client: pyzmq alone, with the vendor's sequence of requests."""
    context = zmq.Context()
    tc, dlt, data = context.socket(zmq.REQ), context.socket(zmq.REQ), context.socket(zmq.PAIR)
    for one in (tc, dlt, data):
        one.setsockopt(zmq.RCVTIMEO, 10_000)
    tc.connect(f"tcp://127.0.0.1:{server.port}")
    dlt.connect(f"tcp://127.0.0.1:{server.port + 505}")

    def execute(where: zmq.Socket, command: str) -> str:
        where.send_string(command)
        return where.recv().decode("utf-8")

    try:
        for command in ("REC:TRIG:ARM:MODE MANUal", "REC:ENABle ON", "REC:STOP", "REC:NUM 1",
                        f"REC:DURation {1e-3 * 1e12}", "TSCO1:FIR:LINK INPU1",
                        "TSCO1:OPIN ONLYFIR;OPOU ONLYFIR;WIND:ENAB OFF", "RAW1:STOP:LINK TSCO1;:RAW1:REF:LINK NONE",
                        "RAW1:ERRORS:CLEAR"):  # fmt: skip
            assert "SCPI_ERR_" not in execute(tc, command), command
        assert json.loads(execute(dlt, "list")) == []
        port = server.port - 1313
        started = execute(dlt, f"start-stream --address 127.0.0.1 --channel 1 --stream-port {port}")
        acquisition = json.loads(started)["id"]
        data.connect(f"tcp://127.0.0.1:{port}")
        execute(tc, "RAW1:SEND ON")
        execute(tc, "REC:PLAY")
        assert execute(tc, "REC:STAGe?") == "PLAYING"
        server.click({"c_h": [250, 750]}, 2e-3)
        messages = [data.recv()]
        while messages[-1]:
            messages.append(data.recv())
        assert np.frombuffer(b"".join(messages), dtype="<u8").tolist() == [250_000, 750_000]
        status = json.loads(execute(dlt, f"status --id {acquisition}"))
        assert (status["acquisitions_count"], status["timestamps_count"], status["errors"]) == (1, 2, [])
        assert json.loads(execute(dlt, f"stop --id {acquisition}"))["status"] == status
        assert int(execute(tc, "RAW1:ERRORS?")) == 0
        assert "no acquisition" in json.loads(execute(dlt, "stop --id x"))["error"]["description"]
    finally:
        context.destroy(0)


@pytest.mark.parametrize("garbage", [b"\xff\xfe", b"", b"0.1 furlong", b"nan", b"0.1;0.2", b"1e999"])
def test_garbage_is_an_error_and_the_next_request_is_right(server: Server, garbage: bytes) -> None:
    with server.driver() as tagger:
        server.faults["INPU1:THRE?"] = lambda one: one.send(garbage)
        with pytest.raises(DeviceError, match=r"not text|no quantity|no finite number"):
            tagger.threshold_v(0)
        assert tagger.threshold_v(0) == 0.1


def test_no_answer_is_a_time_out_and_a_late_one_is_not_taken_for_the_next(server: Server) -> None:
    def late(one: zmq.Socket) -> None:
        one.send_string("0.9V")  # the socket it was for is closed by then

    released = threading.Event()

    def wait(one: zmq.Socket) -> None:
        released.wait(10)
        late(one)

    with server.driver(timeout_s=1.0) as tagger:
        server.faults["INPU1:THRE?"] = wait
        with pytest.raises(NoReplyError, match="did not answer"):
            tagger.threshold_v(0)
        released.set()
        tagger.transport._timeout_ms = 5000
        assert tagger.threshold_v(0) == 0.1 and tagger.delay_ps(0) == 0


def test_a_command_that_is_not_answered_is_not_sent_again(server: Server) -> None:
    released = threading.Event()

    def wait(one: zmq.Socket) -> None:
        released.wait(10)
        one.send_string("OK")

    with server.driver(timeout_s=1.0) as tagger:
        server.faults["INPU2:DELA 77"] = wait
        with pytest.raises(DeviceError, match="whether it took effect is unknown; it was not sent again"):
            tagger.set_delay_ps(1, 77)
        released.set()
        tagger.transport._timeout_ms = 5000
        assert tagger.delay_ps(1) == 0
        assert server.heard.count(("scpi", "INPU2:DELA 77")) == 1


def test_without_pyzmq_the_error_says_what_to_install() -> None:
    missing = mock.Mock(side_effect=ImportError("No module named 'zmq'"))
    with mock.patch("importlib.import_module", missing), pytest.raises(
        DeviceError, match=r"No module named 'zmq'.*pip install 'atomlink\[instruments\]'"
    ):
        Driver("tagger", Driver.connect("192.168.1.74")).open()


def test_a_dead_port_is_a_time_out() -> None:
    transport = Driver.connect(f"127.0.0.1:{max(2000, dead_port())}")
    transport._timeout_ms = 100
    with pytest.raises((NoReplyError, LinkLostError)):
        Driver("tagger", transport).open()


class Wire:
    """A transport that gives prepared messages for the stream of input 0."""

    host, stream_port = "lab", 4242

    def __init__(self, messages: list[bytes], sent: int) -> None:
        self.messages, self.sent = messages, sent
        self.playing = self.over = False

    def query(self, text: str) -> str:
        if text in ("REC:PLAY", "REC:STOP"):
            self.over, self.playing = self.playing, text == "REC:PLAY"
        if text == "REC:STAG?":
            return "PLAYING" if self.playing else "STOPPED"
        return "0" if text.endswith("ERRORS?") else "OK"

    def link(self, text: str) -> str:
        if text.startswith("stop"):
            return json.dumps({"status": {"timestamps_count": self.sent, "errors": []}})
        return json.dumps({"id": "lab:4242"} if text.startswith("start") else [])

    def stream(self, port: int, wait: bool) -> list[bytes]:
        if not self.over:
            return []
        if not self.messages:
            raise NoReplyError("The stream at lab:4242 did not end within 2 s.")
        found, self.messages = self.messages, []
        return found


def packed(*times: int) -> bytes:
    return np.array(times, dtype="<u8").tobytes()


@pytest.mark.parametrize(("messages", "sent", "text"), [
    ([packed(1, 2)[:-3], b""], 2, "13 bytes"), ([packed(2, 1), b""], 2, "go back in time"),
    ([packed(5), packed(4), b""], 2, "go back in time"), ([packed(1 << 63), b""], 1, "go back in time"),
    ([packed(1, 2), b""], 3, r"lost tags of input 0 \(2 of 3 came\)"), ([packed(1, 2)], 2, "did not end within")])
def test_a_stream_that_is_damaged_or_incomplete_is_an_error(messages: list[bytes], sent: int, text: str) -> None:
    wire = Wire(messages, sent)
    tagger = Driver("tagger", wire)
    tagger.start(channels=[0])
    tagger.stop()
    with pytest.raises(DeviceError, match=text):
        list(tagger.tags())
    tagger.start(channels=[0])  # given up, so it can begin again


@pytest.mark.parametrize("device", ["", "host:port:1", "host:0", "host:70000", "a b"])
def test_an_address_that_does_not_parse_is_refused(device: str) -> None:
    with pytest.raises(DeviceError, match="address"):
        Driver.connect(device)


# -- fuzz --------------------------------------------------------------------------------------------------------------
_WORDS = ["INPU", "INPUt", "TSCO", "RAW", "REC", "RECord", "1", "2", "5", "99999", ":", ";", " ", "?", "*", "*IDN?",
          "THRE", "DELA", "ENAB", "COUN", "RESE", "SEND", "ON", "OFF", "FIR", "LINK", "WIND", "BEGI", "END", "OPIN",
          "ONLYSEC", "MUTE", "INPU1", "TSCO1", "NONE", "PLAY", "STOP", "STAG", "DUR", "INF", "ERRORS", "CLEAR", "1e999",
          "-3", "0.2V", "GTB", "\x00", "é", '"', "REC:PLAY", "REC:ENAB ON", "RAW1:SEND ON",
          "TSCO5:WIND:ENAB ON"]  # fmt: skip
_LINK = ["list", "stop", "status", "start-stream", "start-save", "--id", "--channel", "--stream-port", "--address", "1",
         "4", "4242", "99999", "x", "localhost:4242", "\x00", "é"]  # fmt: skip


def fuzz(number: int, seed: int) -> None:
    lab = Lab(seed=seed)
    twin = make_twin(lab.world, "tagger", "id900")
    rng = np.random.default_rng(seed)
    for k in range(number):
        kind = rng.integers(0, 10)
        if kind == 0:
            request: Any = ("stream", int(rng.integers(4240, 4248)))
            assert all(len(message) % 8 == 0 for message in twin.handle(request))
        elif kind < 3:
            words = " ".join(_LINK[i] for i in rng.integers(0, len(_LINK), rng.integers(0, 9)))
            json.loads(twin.handle(("link", words)))
        else:
            words = "".join(_WORDS[i] for i in rng.integers(0, len(_WORDS), rng.integers(0, 10)))
            assert isinstance(twin.handle(words), str)
        if k % 100 == 0:
            lab.wait(1e-3)


def test_two_thousand_fuzzed_requests_are_all_answered() -> None:
    fuzz(2000, 1)


@pytest.mark.slow
def test_a_hundred_thousand_fuzzed_requests_are_all_answered() -> None:
    fuzz(100_000, 2)


@pytest.mark.parametrize("request_", [None, 3, b"x", (), ("a",), ("link", 3), ("stream", "x"), "A" * 20_000, [1]])
def test_no_request_makes_it_raise(request_: Any) -> None:
    assert make_twin(Lab().world, "tagger", "id900").handle(request_).startswith("SCPI_ERR_")
