"""The right value or none: whatever an instrument answers, no driver takes one thing for another.

Twins answer with what is no answer (no number, out of its limits, another type, an unknown word), in this process; and
a proxy in front of a lab's servers brings replies late, cut, doubled, or to questions that nobody asked.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from instrument_lab import Bench, Lab

from atomlink.errors import DeviceError
from drivers.instruments import Instrument, driver_class, kinds
from sim.daemon import in_lab, remote
from sim.instruments.camera import Refusal

sys.path.insert(0, str(Path(__file__).parents[2] / "unit"))
from daemon_lab import Kept, hardware_rows, kept

IMAGE = np.ones((2, 2), np.uint16)


class Read(NamedTuple):
    """A value that a driver reads: the row, the driver's method with its arguments, and what the request looks like."""

    row: str
    method: str
    request: str
    arguments: tuple[Any, ...] = ()
    word: bool = False  # one of a few words instead of a number

    def __str__(self) -> str:
        return f"{self.row}.{self.method}"


READS = (
    Read("alice_microwave", "frequency_hz", r"SOUR:FREQ\?"), Read("alice_microwave", "power_dbm", r"SOUR:POW\?"),
    Read("alice_microwave", "output", r"OUTP:STAT\?", word=True),
    Read("alice_microwave", "settled", r"STAT:OPER:COND\?"),
    Read("alice_power_meter", "power_w", r"MEAS:POW\?"), Read("alice_power_meter", "wavelength_nm", r"SENS:CORR:WAV\?"),
    Read("alice_power_meter", "range_w", r"SENS:POW:RANG\?"),
    Read("alice_power_meter", "averages", r"SENS:AVER:COUN\?"),
    Read("alice_power_meter", "zero", r"SENS:CORR:COLL:ZERO:STAT\?", word=True),
    Read("fibre_switch", "connections", r":oxc:swit:conn:stat\?", word=True),
    Read("alice_piezo", "voltage", r"xvoltage\?", ("x",)),
    Read("alice_laser", "current_ma", r"\(param-ref 'laser1:dl:cc:current-set\)"),
    Read("alice_laser", "actual_current_ma", r"\(param-ref 'laser1:dl:cc:current-act\)"),
    Read("alice_laser", "current_clip_ma", r"\(param-ref 'laser1:dl:cc:current-clip\)"),
    Read("alice_laser", "piezo_v", r"\(param-ref 'laser1:dl:pc:voltage-set\)"),
    Read("alice_laser", "piezo_limit_v", r"\(param-ref 'laser1:dl:pc:voltage-max\)"),
    Read("alice_laser", "lock_state", r"\(param-ref 'laser1:dl:lock:state\)"),
    Read("alice_laser", "is_locked", r"\(param-ref 'laser1:dl:lock:state\)"),
    Read("alice_laser", "emission", r"\(param-ref 'laser1:dl:cc:emission\)", word=True),
    Read("tagger", "threshold_v", r"INPU1:THRE\?", (0,)), Read("tagger", "delay_ps", r"INPU1:DELA\?", (0,)),
    Read("tagger", "enabled", r"INPU1:ENAB\?", (0,), word=True), Read("tagger", "recording", r"REC:STAG\?", word=True),
    Read("tagger", "counts", r"INPU1:COUN\?"), Read("tagger", "resolution_ps", r"DEVI:RES:BWID\?"),
    Read("wavemeter", "reading", r"getFrequencyNum 1", (1,)), Read("wavemeter", "channel_count", r"getChannelCount"),
    Read("wavemeter", "temperature_c", r"getTemperature"), Read("wavemeter", "pressure_mbar", r"getPressure"),
    Read("snspd_electronics", "bias_ua", "BiasCurrent", (0,)),
    Read("snspd_electronics", "trigger_mv", "TriggerLevel", (0,)),
    Read("snspd_electronics", "period_ms", "InptMeasurementPeriod"),
    Read("snspd_electronics", "bias_voltage_mv", "BiasVoltage", (0,)),
    Read("snspd_electronics", "enabled", "DetectorEnable", word=True),
    Read("alice_cavity_lock", "offset_v", "/ch/0/source/offset"),
    Read("alice_cavity_lock", "telemetry_period_s", "/telemetry_period"),
    Read("alice_cavity_lock", "mode", "/ch/0/run", word=True), Read("alice_cavity_lock", "error_v", "adcs"),
)  # fmt: skip
NO_NUMBERS = ("nan", "-inf", "inf", "1e400", "9.91E+37", "", "text", "ON", "#t", "1_0", "0x10", "5 5", "1,5", "1\n2",
              "True", "1e30", "-1e30", "--1", "1.2.3", "9" * 400)  # fmt: skip
NO_WORDS = ("2", "-1", "yes", "TRUE", "Run Hold", "10.00", "", "#x", "0 1", "1\n0", "none", "(@1),(@2)",
            "(@1,1),(@17,18)", "(@1),(@17,18)", "(@1),(@17)(@2)", "1e0")  # fmt: skip
NO_JSON = (None, "5", "ON", True, [], {}, float("nan"), float("inf"), 1e30, -1e30, 10**400, "", [1], "1")
NO_JSON_WORD = (None, 0, 1, "true", "false", "ON", "run", [], {}, "", 2.0)


def is_json(read: Read) -> bool:
    return read.row in ("snspd_electronics", "alice_cavity_lock")


def wrong(read: Read) -> tuple[Any, ...]:
    """Return what is no answer to this read."""
    if is_json(read):
        return NO_JSON_WORD if read.word else NO_JSON
    return NO_WORDS if read.word else NO_NUMBERS


def replied(read: Read, value: Any) -> Callable[[Any, Any], Any]:
    """Return what makes the twin answer with this value where the read asks for it, in its own protocol."""

    def websq(request: Any, reply: Any) -> Any:
        messages = [json.loads(text) for text in str(reply).split("\x17")] if "labelProps" in str(request) else []
        for message in messages:
            if message["label"] == read.request:
                found = message["value"]["value"]
                message["value"]["value"] = [value, *found[1:]] if isinstance(found, list) else value
        return "\x17".join(json.dumps(message) for message in messages) if messages else reply

    def stabilizer(request: Any, reply: Any) -> Any:
        if read.method == "error_v":
            return tuple(m._replace(payload=json.dumps({**json.loads(m.payload), "adcs": [value, 0.1]}).encode())
                         if m.topic.endswith("/telemetry") else m for m in reply)  # fmt: skip
        if request is None or not request.topic.endswith(f"settings{read.request}"):
            return reply
        return tuple(message._replace(payload=json.dumps(value).encode()) for message in reply)

    def text(request: Any, reply: Any) -> Any:
        if not (isinstance(request, str) and re.fullmatch(read.request, request)):
            return reply
        return f"[{value}]\r" if read.row == "alice_piezo" else value

    return {"snspd_electronics": websq, "alice_cavity_lock": stabilizer}.get(read.row, text)


@pytest.mark.parametrize("read", READS, ids=str)
def test_what_is_no_answer_is_an_error_with_the_instruments_name_and_nothing_else(read: Read) -> None:
    bench = Bench(read.row)
    with bench.driver.open():
        method = getattr(bench.driver, read.method)
        truth = method(*read.arguments)
        for value in wrong(read):
            bench.fault = replied(read, value)
            with pytest.raises(DeviceError) as refusal:
                pytest.fail(f"{read} made {method(*read.arguments)!r} of {value!r}")
            assert read.row in str(refusal.value), value
            bench.fault = None
        after = method(*read.arguments)
        assert after == truth if isinstance(truth, bool | str | dict | int) else type(after) is type(truth)


def test_every_kind_of_driver_that_reads_a_wire_is_in_the_table() -> None:
    drivers = {str(row["driver"]) for name, row in hardware_rows().items() if name in {read.row for read in READS}}
    assert set(kinds()) - drivers == {"camera", "spectrum_awg"}  # those below: registers and frames


@pytest.mark.parametrize("value", ["ON", 1, "1", True, "on"])
def test_an_instrument_that_answers_in_other_words_of_scpi_is_understood(value: Any) -> None:
    bench = Bench("alice_microwave")
    with bench.driver.open():
        bench.fault = replied(READS[2], str(value).upper().replace("TRUE", "1"))
        assert bench.driver.output() is True  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [None, "0.01", True, float("nan"), 1e30, -1.0, [], 10**400, Refusal("no")])
def test_an_exposure_that_is_none_is_an_error(value: Any) -> None:
    bench = Bench("alice_camera", Lab("array"))
    with bench.driver.open():
        bench.fault = lambda request, reply: value if request[0] == "exposure_s" else reply
        with pytest.raises(DeviceError):
            print(bench.driver.exposure_s)  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [5, (1,), ("x", IMAGE), (1, [[1]]), (True, IMAGE), (1, IMAGE[0]), (1, IMAGE * 0.1),
                                   (1.5, IMAGE)])  # fmt: skip
def test_a_frame_that_is_none_is_an_error(value: Any) -> None:
    bench = Bench("alice_camera", Lab("array"))
    with bench.driver.open():
        bench.fault = lambda request, reply: value if request[0] == "frame" else reply
        with pytest.raises(DeviceError, match="alice_camera"):
            bench.driver.read()  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [None, "0", float("nan"), 1e30, -1.0, [], 10**400, 0.5])
def test_a_register_that_makes_no_sense_is_an_error(value: Any) -> None:
    bench = Bench("alice_awg", Lab("array"))
    with bench.driver.open():
        bench.fault = lambda request, reply: value if request[1] == "get" else reply
        with pytest.raises(DeviceError):
            print(bench.driver.waiting())  # type: ignore[attr-defined]


# -- on the wire -------------------------------------------------------------------------------------------------------
class Proxy:
    """Stands between a driver and the lab's server; `mangle` makes what goes to the driver of the next reply, once."""

    def __init__(self, port: int) -> None:
        self._target, self._server = port, socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.mangle: Callable[[bytes, socket.socket], None] | None = None
        self.last = b""
        self.client: socket.socket | None = None
        self._open: list[socket.socket] = [self._server]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                lab = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, lab]
                self.client = client
                threading.Thread(target=self._pass, args=(client, lab, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(lab, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                mangle, self.mangle = (self.mangle, None) if back else (None, self.mangle)
                if mangle is not None:
                    mangle(data, sink)
                    continue
                if back:
                    self.last = data
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


def truncated(_proxy: Proxy) -> Callable[[bytes, socket.socket], None]:
    return lambda data, sink: sink.sendall(data[: len(data) // 2])


def twice(_proxy: Proxy) -> Callable[[bytes, socket.socket], None]:
    return lambda data, sink: sink.sendall(data + data)


def with_another_behind(proxy: Proxy) -> Callable[[bytes, socket.socket], None]:
    return lambda data, sink: sink.sendall(data + proxy.last)


def with_another_in_front(proxy: Proxy) -> Callable[[bytes, socket.socket], None]:
    return lambda data, sink: sink.sendall(proxy.last + data)


def late(_proxy: Proxy) -> Callable[[bytes, socket.socket], None]:
    def send(data: bytes, sink: socket.socket) -> None:
        time.sleep(0.7)
        sink.sendall(data)

    return send


FAULTS = (truncated, twice, with_another_behind, with_another_in_front, late, None)  # None: unasked, before a question
PAIRS: dict[str, tuple[tuple[str, tuple[Any, ...]], tuple[str, tuple[Any, ...]]]] = {
    "alice_microwave": (("frequency_hz", ()), ("power_dbm", ())),
    "alice_power_meter": (("averages", ()), ("wavelength_nm", ())),
    "fibre_switch": (("connections", ()), ("ping", ())),
    "alice_laser": (("current_ma", ()), ("piezo_v", ())),
    "tagger": (("delay_ps", (0,)), ("threshold_v", (0,))),
    "wavemeter": (("channel_count", ()), ("temperature_c", ())),
    "snspd_electronics": (("bias_ua", (1,)), ("period_ms", ())),
    "alice_cavity_lock": (("offset_v", ()), ("telemetry_period_s", ())),
    "alice_camera": (("_read_identity", ()), ("_exposure", ())),
    "alice_awg": (("waiting", ()), ("ping", ())),
}


@pytest.fixture(scope="module")
def lab() -> Iterator[Kept]:
    from sim.world.scenario import load_scenario
    from sim.world.world import World

    with kept(World(load_scenario("array"), 1), hardware_rows(*PAIRS)) as found:
        yield found


def behind(lab: Kept, name: str, proxy: Proxy, port: int) -> Instrument:
    """Return the driver of a row, opened, whose wire goes through the proxy."""
    kind = str(hardware_rows()[name]["driver"])
    address = in_lab.lab_addresses(lab.address)[name].replace(str(port), str(proxy.port))
    cls = driver_class(kind)
    return cls(name, in_lab.transport(address, kind) if address.startswith("lab:") else cls.connect(address)).open()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: getattr(fault, "__name__", "unasked"))
@pytest.mark.parametrize("name", PAIRS)
def test_replies_that_come_late_cut_doubled_or_unasked_are_never_taken_for_another(
    lab: Kept, name: str, fault: Callable[[Proxy], Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Instrument, "TIMEOUT_S", 0.4)
    monkeypatch.setattr(remote, "_TIMEOUT_S", 0.4)
    port = lab.port(name) or lab.daemon.port
    proxy = Proxy(port)
    driver = behind(lab, name, proxy, port)
    questions = [lambda asked=asked, arguments=arguments:
                 driver.exposure_s if asked == "_exposure" else getattr(driver, asked)(*arguments)  # type: ignore[attr-defined]
                 for asked, arguments in PAIRS[name]]  # fmt: skip
    try:
        truths = [question() for question in questions]
        assert truths[0] != truths[1]
        questions[1]()  # so that the last reply is one to the second question
        if fault is not None:
            proxy.mangle = fault(proxy)
        else:
            assert proxy.client is not None
            proxy.client.sendall(proxy.last)
            time.sleep(0.05)
        found = []
        for k in (0, 1, 0, 1, 0, 1):
            try:
                found.append((k, questions[k]()))
            except DeviceError as error:
                assert name in str(error) or "127.0.0.1" in str(error)
        assert all(value == truths[k] for k, value in found), found
        assert {k for k, _ in found} == {0, 1} and len(found) >= 3  # it has recovered
    finally:
        with contextlib.suppress(DeviceError):
            driver.close()
        proxy.close()
