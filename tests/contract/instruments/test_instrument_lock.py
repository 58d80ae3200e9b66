"""Cavity locks: the Stabilizer over MQTT, our driver and aiomqtt alone, both against the twin on a broker."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import aiomqtt
import numpy as np
import pytest
from instrument_lab import Bench, Contract, Lab, SetPoint, dead_port
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from atomlink.errors import DeviceError
from drivers.instruments.miniconf import Message, MqttTransport, Publication
from drivers.instruments.stabilizer import Driver
from drivers.instruments.transport import LinkLostError, NoReplyError
from sim.instruments.catalog import make_twin
from sim.instruments.server.mqtt import Broker, matches
from sim.physics import pdh
from sim.physics.cavity import CavityPort
from sim.world.elements import cavity_lock as model
from sim.world.elements.cavity_lock import CavityLock

DETUNING = "alice.port.detuning_rad_s"


class TestStabilizer(Contract):
    ROWS = ("alice_cavity_lock", "bob_cavity_lock")
    SET_POINTS = (
        SetPoint("set_offset_v", 0.25, (-10.1, 10.1), "offset_v", "V"),
        SetPoint("set_telemetry_period_s", 2.0, (0.0, 0.05, 61.0), "telemetry_period_s", "s"),
    )

    def pretend(self, twin: Any) -> None:
        twin._values["/ch/0/run"] = "Toast"

    def is_identity_request(self, request: Any) -> bool:
        return bool(request.topic.endswith("/settings/ch/0/run") and request.payload == b"")

    def test_opening_it_changes_nothing_in_the_lab(self, bench: Bench) -> None:
        assert bench.driver.mode() == "Run" and bench.driver.transmission_v() == pytest.approx(2.0, abs=0.02)
        assert bench.driver.error_v() == pytest.approx(0.0, abs=0.02)
        assert bench.lab.world.quantities.truth_at(0.0) == bench.lab.world.scenario

    def test_a_held_cavity_drifts_and_running_brings_it_back(self, bench: Bench) -> None:
        path = f"{bench.row.removesuffix('_cavity_lock')}.port.detuning_rad_s"
        bench.driver.hold()
        found = []
        for _ in range(4):
            bench.lab.wait(5.0)
            found.append(bench.value(path))
        assert len(set(found)) == 4 and 0 not in found
        bench.driver.run()
        assert bench.value(path) == 0.0

    def test_external_leaves_it_to_the_digital_input(self, bench: Bench) -> None:
        lock: CavityLock = bench.lab.world.element(bench.row)
        bench.driver.external()
        assert bench.driver.mode() == "External" and not lock.is_locked
        lock.input_high = True
        assert lock.is_locked

    def test_a_set_point_moves_the_cavity_along_the_error_signals_slope(self, bench: Bench) -> None:
        lock: CavityLock = bench.lab.world.element(bench.row)
        bench.driver.set_pid(-0.1, -1000.0, setpoint_v=0.05)
        assert bench.driver.error_v() == pytest.approx(0.05, abs=0.01)
        slope = model.V_PER_W * pdh.slope_w_s(lock.port, model.LIGHT)
        assert lock.detuning_rad_s == pytest.approx(0.05 / slope)

    @pytest.mark.parametrize("integral", [0.0, 1000.0])
    def test_a_gain_of_the_wrong_sign_or_none_loses_the_cavity(self, bench: Bench, integral: float) -> None:
        bench.driver.set_pid(0.0, integral)
        seen = []
        for _ in range(10):
            bench.lab.wait(10.0)
            seen.append(bench.driver.transmission_v())
        assert min(seen) < 1.5 and not bench.lab.world.element(bench.row).is_locked

    def test_a_lock_that_is_lost_is_found_again_by_a_sweep_and_left_as_it_was(self, bench: Bench) -> None:
        lock: CavityLock = bench.lab.world.element(bench.row)
        lock.disturb(8 * lock.port.kappa_rad_s)
        assert bench.driver.transmission_v() < 0.1
        assert bench.driver.relock(0.5) and lock.is_locked and lock.detuning_rad_s == 0.0
        assert bench.driver.transmission_v() > 1.9 and bench.driver.telemetry_period_s() == 10.0
        assert (lock.lowest_v, lock.highest_v) == (-10.0, 10.0)

    def test_a_cavity_beyond_the_piezos_range_stays_lost_and_the_driver_says_so(self, bench: Bench) -> None:
        lock: CavityLock = bench.lab.world.element(bench.row)
        lock.disturb(100 * lock.port.kappa_rad_s)
        assert bench.driver.relock(0.5) is False and bench.driver.mode() == "Hold"
        assert (lock.lowest_v, lock.highest_v) == (-10.0, 10.0)

    def test_an_integrator_written_as_a_biquad_locks_too(self, bench: Bench) -> None:
        bench.driver.set_biquad((-0.001, 0.0, 0.0), (1.0, -1.0, 0.0))
        assert bench.lab.world.element(bench.row).is_locked
        bench.driver.set_biquad((-0.001, 0.0, 0.0), (1.0, 0.0, 0.0))
        assert not bench.lab.world.element(bench.row).is_locked

    def test_telemetry_comes_every_period_of_lab_time_and_on_request(self, bench: Bench) -> None:
        bench.driver.set_telemetry_period_s(10.0)
        first = bench.driver.telemetry()
        assert bench.driver.telemetry().monotonic_s == first.monotonic_s
        bench.lab.wait(9.0)
        assert bench.driver.telemetry().monotonic_s == first.monotonic_s
        bench.lab.wait(1.5)
        assert bench.driver.telemetry().monotonic_s > first.monotonic_s
        assert bench.driver.telemetry(max_age_s=0.0).monotonic_s > first.monotonic_s

    @pytest.mark.parametrize(
        "call",
        [
            ("set_pid", (-1.0, 2e9)), ("set_pid", (-1.0, float("nan"))), ("set_pid", ("-1", -1.0)),
            ("set_pid", (-1.0, -1.0, 11.0)), ("set_pid", (-1.0, -1.0, 0.0, 5.0, -5.0)),
            ("set_biquad", ((1.0, 0.0), (1.0, 0.0, 0.0))), ("set_biquad", ((1.0, 0.0, 0.0), (0.0, 0.0, 0.0))),
            ("set_biquad", ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0), 3.0, 3.0)), ("set_input_gain", (3,)),
            ("relock", (0.0,)), ("relock", (0.5, 0.0)),
        ],
    )  # fmt: skip
    def test_what_cannot_be_is_refused_before_any_io(self, bench: Bench, call: tuple[str, Any]) -> None:
        sent = len(bench.sent)
        with pytest.raises(DeviceError, match="nothing was sent"):
            getattr(bench.driver, call[0])(*call[1])
        assert bench.sent[sent:] == []

    def test_the_instruments_own_words_are_in_the_error(self, bench: Bench) -> None:
        with pytest.raises(DeviceError, match=r"refused /ch/0/run=\"Sit\": Value could not be read"):
            bench.driver._put("/ch/0/run", "Sit")
        with pytest.raises(DeviceError, match="refused /ch/7/run: Path not found"):
            bench.driver._fetch("/ch/7/run")

    def test_a_channel_that_does_not_exist_is_refused(self, bench: Bench) -> None:
        with pytest.raises(DeviceError, match="channel is 2 but must be 0 or 1"):
            Driver("lock", bench.driver.transport, channel=2)


def test_the_error_signal_is_that_of_the_physics_and_the_light_a_lorentzian() -> None:
    lock: CavityLock = Lab().world.element("alice_cavity_lock")
    assert isinstance(lock.port, CavityPort)
    lock.set_mode("Hold")
    lock.disturb(0.7 * lock.port.kappa_rad_s)
    detuning = lock.detuning_rad_s
    expected = -model.V_PER_W * pdh.error_signal_w(-detuning, lock.port, model.LIGHT)
    read = np.array([(lock.error_v(), lock.transmission_v()) for _ in range(400)])
    # 400 samples of 2 mV noise: 0.1 mV of the mean; five sigma.
    assert read[:, 0].mean() == pytest.approx(float(expected), abs=5e-4)
    bright = model.TRANSMITTED_V / (1 + (detuning / lock.port.kappa_rad_s) ** 2)
    assert read[:, 1].mean() == pytest.approx(bright, abs=5e-4)


def test_the_free_cavity_takes_the_same_path_whoever_reads_and_when() -> None:
    paths = []
    for reads in (0, 50):
        lab = Lab()
        lock: CavityLock = lab.world.element("alice_cavity_lock")
        lock.set_mode("Hold")
        for _ in range(reads):
            lock.error_v()
            lab.wait(0.1)
        lab.world.reach(20 * 10**9)
        paths.append(lock.detuning_rad_s)
    assert paths[0] == paths[1] != 0


def test_beyond_three_linewidths_running_does_not_catch_and_within_it_does() -> None:
    for kappas, caught in ((2.9, True), (3.1, False)):
        lock: CavityLock = Lab().world.element("alice_cavity_lock")
        lock.set_mode("Hold")
        lock.disturb(kappas * lock.port.kappa_rad_s)
        lock.set_mode("Run")
        assert lock.is_locked is caught


def test_a_node_without_a_cavity_has_a_lock_without_a_signal() -> None:
    bench = Bench("alice_cavity_lock", Lab("hofmann2012"))
    with bench.driver as driver:
        assert abs(driver.transmission_v()) < 0.02 and abs(driver.error_v()) < 0.02
        assert not driver.relock(0.5, step_v=5.0)


# -- messages ----------------------------------------------------------------------------------------------------------


def ask(twin: Any, path: str, payload: bytes = b"", reply_to: str = "reply") -> list[tuple[str, bytes, str]]:
    message = Message(f"{twin.prefix}/settings{path}", payload, reply_to, b"17")
    return [(answer.topic, answer.payload, answer.code) for answer in twin.handle(message)]


@pytest.fixture
def twin() -> Any:
    return make_twin(Lab().world, "alice_cavity_lock", "stabilizer")


@pytest.mark.parametrize(
    ("path", "payload", "answers"),
    [
        ("/ch/0/run", b"", [("reply", b'"Run"', "Ok")]),
        ("/ch/0/run", b'"Hold"', [("reply", b"OK", "Ok")]),
        ("/ch/0/run", b"Hold", [("reply", b"Value could not be read", "Error")]),
        ("/ch/0/run", b"\xff", [("reply", b"Value could not be read", "Error")]),
        ("/telemetry_period", b"", [("reply", b"10.0", "Ok")]),
        ("/telemetry_period", b"0", [("reply", b"Value could not be read", "Error")]),
        ("/ch/0/biquad/0/repr/Pid/gain/i", b"", [("reply", b"-1000.0", "Ok")]),
        ("/ch/0/biquad/0/repr/Ba/ba", b"", [("reply", b"Path not found", "Error")]),
        ("/ch/0/biquad", b"1", [("reply", b"Path does not resolve to a leaf", "Error")]),
        ("/ch/0/gain", b"", [("reply", b'"G1"', "Ok")]),
        ("/nothing", b"", [("reply", b"Path not found", "Error")]),
    ],
)
def test_the_twin_answers(twin: Any, path: str, payload: bytes, answers: list[Any]) -> None:
    assert ask(twin, path, payload) == answers


def test_a_node_is_listed_or_dumped(twin: Any) -> None:
    listed = ask(twin, "/ch/1/source")
    assert listed[0] == ("reply", b"/ch/1/source/signal", "Continue") and listed[-1] == ("reply", b"", "Ok")
    dumped = ask(twin, "/ch/1/source", reply_to="")
    assert (f"{twin.prefix}/settings/ch/1/source/frequency", b"1000.0", "Ok") in dumped
    assert len(dumped) == len(listed) - 1


def test_numbers_are_kept_in_single_precision(twin: Any) -> None:
    ask(twin, "/ch/0/source/offset", b"0.123456789123")
    assert ask(twin, "/ch/0/source/offset")[0][1] == b"0.12345679"
    assert ask(twin, "/ch/0/source/offset", b"1e39")[0][2] == "Error"


class Expected:
    """A transport that expects exact requests: [(path, payload, reply)]."""

    prefix = "dt/sinara/dual-iir/04-91-62-d9-7e-5f"

    def __init__(self, *exchange: tuple[str, str, str]) -> None:
        self._exchange = list(exchange)
        self.telemetry = b""

    def request(self, path: str, payload: str = "") -> str:
        wanted, sent, reply = self._exchange.pop(0)
        assert (path, payload) == (wanted, sent)
        return reply

    def latest(self, _suffix: str) -> Publication:
        return Publication(self.telemetry, time.monotonic(), time.time())

    def clear(self) -> None:
        raise AssertionError("nothing went wrong")

    def close(self) -> None:
        assert self._exchange == []


def test_making_it_a_servo_is_exactly_these_messages() -> None:
    pid = "/ch/0/biquad/0/repr/Pid"
    wire = Expected(
        ("/ch/0/run", "", '"Run"'),
        ("/ch/0/run", "", '"Run"'), ("/ch/0/run", '"Hold"', "OK"), ("/ch/0/biquad/0/typ", "", '"Ba"'),
        ("/ch/0/biquad/0/typ", '"Pid"', "OK"),
        (f"{pid}/order", '"I"', "OK"), (f"{pid}/order", "", '"I"'),
        (f"{pid}/gain/p", "-0.1", "OK"), (f"{pid}/gain/p", "", "-0.1"),
        (f"{pid}/gain/i", "-500.0", "OK"), (f"{pid}/gain/i", "", "-500"),
        (f"{pid}/setpoint", "0.0", "OK"), (f"{pid}/setpoint", "", "0.0"),
        (f"{pid}/min", "-10.0", "OK"), (f"{pid}/min", "", "-10.0"),
        (f"{pid}/max", "10.0", "OK"), (f"{pid}/max", "", "10.0"),
        ("/ch/0/run", '"Run"', "OK"), ("/ch/0/run", "", '"Run"'),
    )  # fmt: skip
    with Driver("lock", wire).open() as lock:
        lock.set_pid(-0.1, -500)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff", b"{}", b"[1,2]", b'{"adcs":[0,1],"dacs":[0],"digital_inputs":[true,true],"cpu_temp":40}',
     b'{"adcs":[0,null],"dacs":[0,0],"digital_inputs":[true,true],"cpu_temp":40}',
     b'{"adcs":[0,1e999],"dacs":[0,0],"digital_inputs":[true,true],"cpu_temp":40}'],
)  # fmt: skip
def test_torn_telemetry_is_an_error(payload: bytes) -> None:
    wire = Expected()
    wire.telemetry = payload
    with pytest.raises(DeviceError, match="which is no telemetry"):
        Driver("lock", wire).telemetry()


@pytest.mark.parametrize(
    "device",
    ["", "host", "host:1883", "host/dt/sinara/lockin/04-91-62-d9-7e-5f", "host/dt/sinara/dual-iir/xx",
     "host/dt/sinara/dual-iir/+", "host:0/dt/sinara/dual-iir/04-91-62-d9-7e-5f"],
)  # fmt: skip
def test_an_address_that_does_not_parse_is_refused(device: str) -> None:
    with pytest.raises(DeviceError, match=r"The address is .* must be"):
        Driver.connect(device)


# -- on a broker -------------------------------------------------------------------------------------------------------


class Served:
    """The twin on a broker of its own, in a thread; `faults` maps the end of a topic to the answers given instead."""

    def __init__(self) -> None:
        self.lab = Lab()
        self.twin: Any = make_twin(self.lab.world, "alice_cavity_lock", "stabilizer")
        self.faults: dict[str, Any] = {}
        self.heard: list[Message] = []
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.start()

    def start(self, port: int = 0) -> None:
        self.broker = Broker()
        self.broker.attach(self.twin.prefix, self._handle, self.twin.period_s)
        self.port = self.call(self.broker.start("127.0.0.1", port))

    def stop(self) -> None:
        self.call(self.broker.stop())

    def call(self, task: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(task, self.loop).result(30)

    def close(self) -> None:
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def driver(self, timeout_s: float = 20.0) -> Driver:
        return Driver("lock", MqttTransport(f"127.0.0.1:{self.port}/{self.twin.prefix}", timeout_s))

    def _handle(self, message: Message | None) -> tuple[Message, ...]:
        if message is not None:
            self.heard.append(message)
            for end in list(self.faults):
                if message.topic.endswith(end):
                    return tuple(self.faults.pop(end)(message))
        return tuple(self.twin.handle(message))


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.close()


def test_the_driver_locks_unlocks_and_relocks_over_a_real_broker(served: Served) -> None:
    with served.driver() as lock:
        lock.set_telemetry_period_s(0.1)
        lock.set_pid(-0.1, -1000.0)
        lock.hold()
        assert served.lab.world.element("alice_cavity_lock").mode == "Hold"
        lock.run()
        served.lab.world.element("alice_cavity_lock").disturb(served.twin.element.port.kappa_rad_s * 8)
        assert lock.transmission_v() < 0.1
        assert lock.relock(0.5, period_s=0.1)


def test_aiomqtt_alone_sets_gets_and_hears_telemetry(served: Served) -> None:
    async def talk() -> tuple[Any, ...]:
        async with aiomqtt.Client("127.0.0.1", served.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            prefix = served.twin.prefix
            for suffix in ("/response", "/telemetry", "/alive"):
                await client.subscribe(f"{prefix}{suffix}", qos=1)
            properties = Properties(PacketTypes.PUBLISH)
            properties.ResponseTopic, properties.CorrelationData = f"{prefix}/response", b"\x01\x02"
            await client.publish(f"{prefix}/settings/telemetry_period", b"0.1", qos=1, properties=properties)
            found: dict[str, Any] = {}
            async for message in client.messages:
                found[str(message.topic).removeprefix(prefix)] = message
                if len(found) == 3:
                    break
        return tuple(found[key] for key in ("/response", "/telemetry", "/alive"))

    response, telemetry, alive = asyncio.run(asyncio.wait_for(talk(), 60))
    assert response.payload == b"OK" and response.properties.UserProperty == [("code", "Ok")]
    assert response.properties.CorrelationData == b"\x01\x02" and alive.payload == b"1" and alive.retain
    assert json.loads(telemetry.payload)["adcs"][1] == pytest.approx(2.0, abs=0.02)
    assert served.twin.period_s() == 0.1


def test_an_answer_to_somebody_else_or_too_late_is_not_taken_for_mine(served: Served) -> None:
    def confuse(message: Message) -> Iterator[Message]:
        yield Message(message.response_topic, b'"Wrong"', correlation=b"somebody else's", code="Ok")
        yield Message(message.response_topic, b'"None"', code="Ok")
        yield from served.twin.handle(message)

    with served.driver() as lock:
        served.faults["/run"] = confuse
        assert lock.mode() == "Run"


def test_silence_is_a_time_out_and_the_next_answer_is_right(served: Served) -> None:
    late: list[Message] = []

    def keep(message: Message) -> Iterator[Message]:
        late.append(message)
        return iter(())

    def and_late(message: Message) -> Iterator[Message]:
        yield from served.twin.handle(late[0])
        yield from served.twin.handle(message)

    with served.driver() as lock:
        lock.transport.timeout_s = 0.3
        served.faults["/telemetry_period"] = keep
        with pytest.raises(NoReplyError, match="did not answer within"):
            lock.telemetry_period_s()
        lock.transport.timeout_s = 20.0
        served.faults["/run"] = and_late
        assert lock.mode() == "Run"


@pytest.mark.parametrize("payload", [b"\xff", b"Run", b"", b"{"])
def test_a_garbled_answer_is_an_error_and_the_next_is_right(served: Served, payload: bytes) -> None:
    with served.driver() as lock:
        served.faults["/run"] = lambda m: [Message(m.response_topic, payload, correlation=m.correlation, code="Ok")]
        with pytest.raises(DeviceError, match="which is not"):
            lock.mode()
        assert lock.mode() == "Run"


def test_a_broker_that_restarts_is_found_again_by_the_next_query(served: Served) -> None:
    with served.driver() as lock:
        assert lock.mode() == "Run"
        served.stop()
        served.start(served.port)
        assert lock.mode() == "Run"


def test_a_set_over_a_broken_link_is_not_sent_again(served: Served) -> None:
    with served.driver() as lock:
        served.faults["/run"] = lambda _message: served.loop.create_task(served.broker.stop()) and ()
        with pytest.raises(DeviceError, match="whether it took effect is unknown; it was not sent again"):
            lock.hold()
        served.start(served.port)
        assert lock.mode() == "Run"
        assert [m.payload for m in served.heard if m.topic.endswith("/run")].count(b'"Hold"') == 1


def test_no_broker_and_no_instrument_are_refused_at_open(served: Served) -> None:
    with pytest.raises(LinkLostError, match="check that the broker is on"):
        Driver("lock", Driver.connect(f"127.0.0.1:{dead_port()}/{served.twin.prefix}")).open()
    nobody = f"127.0.0.1:{served.port}/dt/sinara/dual-iir/00-00-00-00-00-00"
    with pytest.raises(NoReplyError):
        Driver("lock", MqttTransport(nobody, 0.3)).open()


def test_a_broker_of_another_version_is_refused_in_one_line(served: Served) -> None:
    async def old() -> None:
        async with aiomqtt.Client("127.0.0.1", served.port, protocol=aiomqtt.ProtocolVersion.V311, timeout=0.5):
            pass

    with pytest.raises(aiomqtt.MqttError):
        asyncio.run(asyncio.wait_for(old(), 60))


@pytest.mark.parametrize(
    ("topic", "wanted", "does"),
    [("a/b", "a/b", True), ("a/b", "a/+", True), ("a/b/c", "a/+", False), ("a/b/c", "a/#", True), ("a", "a/#", True),
     ("a/b", "a", False), ("a", "b", False), ("a/b", "+/b", True), ("a/b", "#", True)],
)  # fmt: skip
def test_topic_filters(topic: str, wanted: str, does: bool) -> None:
    assert matches(topic, wanted) is does


# -- fuzzing -----------------------------------------------------------------------------------------------------------


def fuzz(n: int) -> None:
    lab = Lab()
    twin: Any = make_twin(lab.world, "alice_cavity_lock", "stabilizer")
    rng = random.Random(3)
    payloads = [b"", b"1", b"-1e3", b'"Run"', b'"Hold"', b"true", b"null", b'"Pid"', b'"Ba"', b'"Raw"', b'"Filter"',
                b"[[1,0,0],[1,-1,0]]", b"1e999", b"NaN", b"[" * 300, b"\xff", b'"G10"', b"0.5"]  # fmt: skip
    for _ in range(n):
        path = rng.choice([*twin._values, "", "/", "/ch", "/ch/0/biquad/0", "/nothing"])
        if rng.random() < 0.2:
            at = rng.randrange(len(path) + 1)
            path = path[:at] + chr(rng.randrange(0x250)) + path[at + rng.randrange(2) :]
        payload = rng.choice(payloads) if rng.random() < 0.8 else rng.randbytes(rng.randrange(30))
        for answer in ask(twin, path, payload, rng.choice(["", "reply"])):
            assert isinstance(answer[1], bytes)
        twin.handle(None)
        if rng.random() < 0.01:
            lab.wait(rng.random())
    assert np.isfinite(lab.world.quantities.value(DETUNING)) and np.isfinite(twin.element.output_v)


def test_nonsense_crashes_no_twin() -> None:
    fuzz(2000)


@pytest.mark.slow
def test_a_hundred_thousand_pieces_of_nonsense_crash_no_twin() -> None:
    fuzz(100_000)


def test_nonsense_on_the_wire_does_not_stop_the_broker(served: Served) -> None:
    rng = random.Random(4)
    for _ in range(100):
        with socket.create_connection(("127.0.0.1", served.port), 10) as wire:
            if rng.random() < 0.5:
                wire.sendall(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00")
            wire.sendall(rng.randbytes(rng.randrange(1, 60)))
    with served.driver() as lock:
        assert lock.mode() == "Run"
