"""Lasers: the Toptica DLC pro, our driver and Toptica's own client, both over the twin."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import threading
from typing import Any

import numpy as np
import pytest
from instrument_lab import Bench, Contract, Lab, Peer, SetPoint, dead_port
from toptica.lasersdk.client import Client, DecopError, NetworkConnection
from toptica.lasersdk.dlcpro.v3_3_3 import DLCpro

from atomlink.errors import DeviceError
from drivers.instruments.dlc_pro import DecopTransport, Driver
from drivers.instruments.transport import LinkLostError, NoReplyError
from drivers.limits import Limits
from sim.instruments.catalog import make_twin
from sim.instruments.dlc_pro import Monitor, TwinConnection
from sim.instruments.server.dlc_pro import DlcProServer
from sim.world.elements import laser as model
from sim.world.elements.laser import Laser

GREETING = b"Welcome to DLC pro\r\n> "
RABI, DETUNING = "alice.excitation.rabi_rad_s", "alice.excitation.detuning_rad_s"


class TestDlcPro(Contract):
    ROWS = ("alice_laser", "bob_laser")
    SET_POINTS = (
        SetPoint("set_current_ma", 80.0, (-0.1, 130.1, 1e9), "current_ma", "mA"),
        SetPoint("set_current_clip_ma", 120.0, (-0.1, 130.1), "current_clip_ma", "mA"),
        SetPoint("set_piezo_v", 71.5, (-0.1, 140.1), "piezo_v", "V"),
        SetPoint("set_piezo_limit_v", 100.0, (-0.1, 140.1), "piezo_limit_v", "V"),
    )

    def pretend(self, twin: Any) -> None:
        twin._parameters["system-type"] = twin._parameters["laser1:type"]

    def is_identity_request(self, request: Any) -> bool:
        return request in ("(param-ref 'system-type)", "(param-ref 'serial-number)", "(param-ref 'fw-ver)")

    def test_opening_it_changes_nothing_in_the_lab(self, bench: Bench) -> None:
        truth = bench.lab.world.quantities.truth_at(0.0)
        assert truth == bench.lab.world.scenario
        assert bench.driver.is_locked() and bench.driver.emission()

    def test_the_controllers_own_limits_are_brought_down_to_the_drivers(self, bench: Bench) -> None:
        assert bench.driver.current_clip_ma() == 130.0
        bench.driver.piezo_limits = Limits(0.0, 120.0, "V")
        bench.driver.open()
        assert bench.driver.piezo_limit_v() == 120.0

    def test_what_only_the_instrument_refuses_is_raised_with_its_answer(self, bench: Bench) -> None:
        bench.driver.set_piezo_limit_v(100.0)
        with pytest.raises(DeviceError, match="refused .*voltage-set 110.* failed: '-4'"):
            bench.driver.set_piezo_v(110.0)

    def test_a_current_above_the_controllers_own_clip_is_refused(self, bench: Bench) -> None:
        bench.driver.set_current_clip_ma(100.0)
        sent = len(bench.sent)
        with pytest.raises(DeviceError, match="110 mA but must be 0 to 100 mA"):
            bench.driver.set_current_ma(110.0)
        assert bench.sent[sent:] == ["(param-ref 'laser1:dl:cc:current-clip)"]

    def test_a_smaller_current_dims_the_light_as_the_root_of_the_power(self, bench: Bench) -> None:
        node = bench.row.removesuffix("_laser")
        rabi = f"{node}.excitation.rabi_rad_s"
        bench.driver.set_current_ma(65.0)
        assert bench.value(rabi) == pytest.approx(bench.lab.world.quantities.base(rabi) * (30 / 60) ** 0.5)
        bench.driver.set_current_ma(30.0)
        assert bench.value(rabi) == 0.0

    def test_without_emission_there_is_no_light_and_no_lock(self, bench: Bench) -> None:
        bench.driver.set_emission(False)
        node = bench.row.removesuffix("_laser")
        assert bench.value(f"{node}.excitation.rabi_rad_s") == 0.0
        assert not bench.driver.is_locked() and not bench.driver.emission()
        assert bench.driver.actual_current_ma() == pytest.approx(0, abs=0.1)

    def test_a_switch_takes_true_or_false_only(self, bench: Bench) -> None:
        sent = len(bench.sent)
        for value in (1, 0, "on", None):
            with pytest.raises(DeviceError, match="must be True or False: nothing was sent"):
                bench.driver.set_emission(value)
        assert bench.sent[sent:] == []

    def test_an_unlocked_laser_drifts_and_one_relock_brings_it_back(self, bench: Bench) -> None:
        laser, node = bench.lab.world.element(bench.row), bench.row.removesuffix("_laser")
        laser.unlock(50e6)
        assert (bench.driver.lock_state(), bench.driver.lock_state_text()) == (0, "Idle")
        detuning = [bench.value(f"{node}.excitation.detuning_rad_s")]
        for _ in range(3):
            bench.lab.wait(100.0)
            detuning.append(bench.value(f"{node}.excitation.detuning_rad_s"))
        assert detuning[0] == pytest.approx(2 * np.pi * 50e6, abs=2 * np.pi * 10e6) and len(set(detuning)) == 4
        assert bench.driver.relock() and bench.value(f"{node}.excitation.detuning_rad_s") == 0.0

    def test_a_laser_out_of_its_servos_range_searches_in_vain(self, bench: Bench) -> None:
        bench.driver.set_piezo_v(80.0)
        assert not bench.driver.relock() and bench.driver.lock_state() == 9
        bench.driver.set_piezo_v(70.0)
        assert bench.driver.is_locked()


# -- the laser itself ------------------------------------------------------------------------------------------------


def test_piezo_and_current_tune_without_a_mode_hop_over_a_gigahertz_and_hop_beyond() -> None:
    laser: Laser = Lab().world.element("alice_laser")
    laser.set_lock(False)
    start = laser.offset_hz
    laser.set_piezo(74.0)
    assert laser.mode == 0 and laser.offset_hz - start == pytest.approx(4 * model.CAVITY_HZ_PER_V)
    laser.set_piezo(70.0)
    laser.set_current(85.0)
    assert laser.mode == 0 and laser.offset_hz - start == pytest.approx(-10 * model.CAVITY_HZ_PER_MA)
    laser.set_current(50.0)
    assert laser.mode == -1
    # The mode that took over is the one nearest to the grating's centre, half a spacing away at most.
    assert abs(laser.offset_hz - start) <= 0.5 * model.MODE_SPACING_HZ


def test_free_running_drift_is_a_random_walk_of_the_stated_size() -> None:
    seconds = 400.0
    ends = []
    for seed in range(60):
        laser: Laser = Lab(seed=seed).world.element("alice_laser")
        laser.world.reach(round(seconds * 1e9))
        laser.set_lock(False)
        ends.append(laser.offset_hz)
    expected = model.DRIFT.rms_per_sqrt_s * seconds**0.5
    # 60 samples: the rms is known to 9 %, three sigma are 27 %.
    assert np.sqrt(np.mean(np.square(ends))) == pytest.approx(expected, rel=0.28)


def test_relocking_by_the_controller_takes_a_second_of_lab_time() -> None:
    lab = Lab()
    laser: Laser = lab.world.element("alice_laser")
    laser.relock_enabled = True
    laser.unlock(20e6)
    assert laser.searching and lab.world.quantities.value(DETUNING) > 0
    lab.wait(model.RELOCK_S + 0.1)
    assert laser.is_locked and lab.world.quantities.value(DETUNING) == 0.0


# -- Toptica's own client ----------------------------------------------------------------------------------------------


@pytest.fixture
def served() -> Any:
    lab = Lab()
    twin = make_twin(lab.world, "alice_laser", "dlc_pro")

    def answer(line: str, connection: socket.socket) -> None:
        connection.sendall(f"{twin.handle(line)}{twin.ENDING}".encode())

    with Peer(answer, greeting=GREETING) as peer:
        yield lab, twin, peer


def test_the_vendors_client_turns_the_current_down_and_the_light_dims(served: Any) -> None:
    lab, _, peer = served
    with DLCpro(NetworkConnection("127.0.0.1", peer.port, 0)) as dlc:
        assert dlc.system_type.get() == "DLC pro" and dlc.emission.get() is True
        assert dlc.laser1.dl.cc.current_set.get() == 95.0
        dlc.laser1.dl.cc.current_set.set(65.0)
        assert dlc.laser1.dl.lock.state.get() == 5
    assert lab.world.quantities.value(RABI) == pytest.approx(lab.world.quantities.base(RABI) * 0.5**0.5)


def test_the_vendors_client_sees_refusals_as_its_errors(served: Any) -> None:
    _, _, peer = served
    with DLCpro(NetworkConnection("127.0.0.1", peer.port, 0)) as dlc:
        with pytest.raises(DecopError, match="'-4'"):
            dlc.laser1.dl.cc.current_set.set(1000.0)
        with pytest.raises(DecopError, match="Error: no parameter"):
            dlc.laser1.amp.cc.current_set.get()


def test_the_vendors_subscription_tells_of_a_lost_lock() -> None:
    lab = Lab()
    twin = make_twin(lab.world, "alice_laser", "dlc_pro")
    seen: list[Any] = []
    with DLCpro(TwinConnection(twin.handle, "alice_laser")) as dlc:
        dlc.laser1.dl.lock.state.subscribe(lambda _sub, _time, value: seen.append(value.get()))
        lab.world.element("alice_laser").unlock()
        dlc.laser1.dl.lock.state.get()
        while len(seen) < 2:
            dlc.run(timeout=0.05)
    assert seen == [5, 0]


def test_the_vendors_client_hears_of_a_lost_lock_on_both_ports_of_a_server() -> None:
    lab, seen, loop = Lab(), [], asyncio.new_event_loop()
    twin = make_twin(lab.world, "alice_laser", "dlc_pro")
    server = DlcProServer("alice_laser", twin, twin.handle, {})
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = asyncio.run_coroutine_threadsafe(server.start("127.0.0.1", 0), loop).result(30)
    with DLCpro(NetworkConnection("127.0.0.1", port, port + 1, 30)) as dlc:
        dlc.laser1.dl.lock.state.subscribe(lambda _sub, _time, value: seen.append(value.get()))
        while not seen:
            dlc.run(timeout=0.05)
        dlc.laser1.dl.lock.lock_enabled.set(False)
        while len(seen) < 2:
            dlc.run(timeout=0.05)
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert seen == [5, 0]


def test_the_monitoring_line_tells_changes_once_and_refuses_what_does_not_exist() -> None:
    twin = make_twin(Lab().world, "alice_laser", "dlc_pro")
    monitor = Monitor(twin.handle)
    assert monitor.handle("(add 'laser1:dl:cc:current-set 100)")[0].endswith(" 'laser1:dl:cc:current-set 95.0)")
    assert monitor.changes() == []
    twin.handle("(param-set! 'laser1:dl:cc:current-set 90.0)")
    assert len(monitor.changes()) == 1 and monitor.handle("(remove 'laser1:dl:cc:current-set)") == []
    assert monitor.handle("(add 'nothing)")[0].startswith("(Error: -1 (") and monitor.handle("nonsense") == []


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_setting_the_current_is_exactly_these_bytes(served: Any) -> None:
    _, _, peer = served
    with Driver("laser", NetworkConnection("127.0.0.1", peer.port, 0)).open() as laser:
        peer.heard.clear()
        laser.set_current_ma(90.5)
    assert peer.heard == [
        "(param-ref 'laser1:dl:cc:current-clip)",
        "(param-set! 'laser1:dl:cc:current-set 90.5)",
        "(param-ref 'laser1:dl:cc:current-set)",
    ]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("(param-ref 'laser1:dl:cc:current-set)", "95.0"),
        ("(param-gsv 'laser1:dl:cc:current-set)", "95.0"),
        ("(param-ref 'laser1:dl:lock:state)", "5"),
        ("(param-ref 'laser1:dl:lock:state-txt)", '"Locked"'),
        ("(param-ref 'emission)", "#t"),
        ("(param-set! 'laser1:dl:cc:current-set 90)", "0"),
        ("(param-set! 'laser1:dl:cc:current-set 151.0)", "-4"),
        ("(param-set! 'laser1:dl:cc:current-set #t)", "-2"),
        ("(param-set! 'laser1:dl:cc:current-set \"90\")", "-2"),
        ("(param-set! 'laser1:dl:cc:current-set nan)", "-2"),
        ("(param-set! 'laser1:dl:lock:state 5)", "-3"),
        ("(param-set! 'nothing 5)", "-1"),
        ("(param-ref 'nothing)", "Error: no parameter 'nothing"),
        ("(exec 'change-ul 3 \"\")", "3"),
        ("(exec 'change-ul 1 \"secret\")", "3"),
        ("(launch 'missiles)", "Error: cannot evaluate \"(launch 'missiles)\""),
        ("", ""),
    ],
)
def test_the_twin_answers(request_: str, reply: str) -> None:
    assert make_twin(Lab().world, "alice_laser", "dlc_pro").handle(request_) == reply


# -- what goes wrong ---------------------------------------------------------------------------------------------------


class Faulty:
    """A twin behind a wire, which goes wrong once at the requests that a test names."""

    def __init__(self) -> None:
        self.twin = make_twin(Lab().world, "alice_laser", "dlc_pro")
        self.faults: dict[str, Any] = {}

    def __call__(self, line: str, connection: socket.socket) -> None:
        fault = self.faults.pop(line, None)
        if fault is None:
            connection.sendall(f"{self.twin.handle(line)}{self.twin.ENDING}".encode())
        elif isinstance(fault, bytes):
            connection.sendall(fault)
        else:
            fault(connection)


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


CURRENT = "(param-ref 'laser1:dl:cc:current-set)"


def driver(peer: Peer, timeout_s: float = 0.3) -> Driver:
    return Driver("laser", DecopTransport(NetworkConnection("127.0.0.1", peer.port, 0, timeout_s)))


@pytest.mark.parametrize("garbage", [b"\xff\xfe\r\n> ", b"ninety\r\n> ", b"\r\n> ", b"95.0.0\n> ", b"#t\r\n> "])
def test_garbage_is_an_error_and_the_next_query_is_right(garbage: bytes) -> None:
    script = Faulty()
    with Peer(script, greeting=GREETING) as peer, driver(peer) as laser:
        script.faults[CURRENT] = garbage
        with pytest.raises(DeviceError, match="current-set"):
            laser.current_ma()
        assert laser.current_ma() == 95.0


@pytest.mark.parametrize("garbage", [b"\r\n> ", b"zero\r\n> ", b"\xff\r\n> "])
def test_garbage_in_answer_to_a_set_is_an_error(garbage: bytes) -> None:
    script = Faulty()
    with Peer(script, greeting=GREETING) as peer, driver(peer) as laser:
        script.faults["(param-set! 'laser1:dl:pc:voltage-set 71.0)"] = garbage
        with pytest.raises(DeviceError, match="voltage-set"):
            laser.set_piezo_v(71.0)


def test_a_reply_cut_short_is_a_time_out_and_a_late_one_is_not_taken_for_the_next_answer() -> None:
    script, late, sent = Faulty(), threading.Event(), threading.Event()

    def answer_late(connection: socket.socket) -> None:
        connection.sendall(b"9")

        def send() -> None:
            late.wait(10)
            with contextlib.suppress(OSError):
                connection.sendall(b"1.0\r\n> ")
            sent.set()

        threading.Thread(target=send, daemon=True).start()

    with Peer(script, greeting=GREETING) as peer, driver(peer) as laser:
        script.faults[CURRENT] = answer_late
        with pytest.raises(NoReplyError, match="did not answer"):
            laser.current_ma()
        late.set()
        assert sent.wait(10)
        assert laser.piezo_v() == 70.0 and laser.current_ma() == 95.0


def test_a_query_whose_peer_hangs_up_is_asked_once_more_over_a_new_connection() -> None:
    script = Faulty()
    with Peer(script, greeting=GREETING) as peer, driver(peer) as laser:
        script.faults[CURRENT] = hang_up
        assert laser.current_ma() == 95.0
        assert peer.heard.count(CURRENT) == 2


def test_a_set_whose_peer_hangs_up_is_not_sent_again() -> None:
    script, request = Faulty(), "(param-set! 'laser1:dl:pc:voltage-set 71.0)"
    with Peer(script, greeting=GREETING) as peer, driver(peer) as laser:
        script.faults[request] = hang_up
        with pytest.raises(DeviceError, match="whether it took effect is unknown; it was not sent again"):
            laser.set_piezo_v(71.0)
        assert peer.heard.count(request) == 1 and laser.piezo_v() == 70.0


def test_a_dead_port_and_a_silent_one_are_refused_at_open() -> None:
    with pytest.raises(LinkLostError, match="cannot be opened"):
        Driver("laser", Driver.connect(f"127.0.0.1:{dead_port()}")).open()
    with Peer(Faulty()) as peer, pytest.raises(LinkLostError, match="cannot be opened"):  # no greeting
        driver(peer).open()


def test_a_set_point_that_does_not_take_is_found_by_reading_back() -> None:
    script = Faulty()
    with Peer(script, greeting=GREETING) as peer, driver(peer) as laser:
        script.faults["(param-set! 'laser1:dl:pc:voltage-set 71.0)"] = b"0\r\n> "
        with pytest.raises(DeviceError, match="was set to 71 V but reads back 70 V"):
            laser.set_piezo_v(71.0)


def test_a_largest_step_is_kept() -> None:
    twin = make_twin(Lab().world, "alice_laser", "dlc_pro")
    connection = TwinConnection(twin.handle, "alice_laser")
    with Driver("laser", connection, Limits(0, 130, "mA", max_step=5.0)) as laser:
        laser.set_current_ma(91.0)
        with pytest.raises(DeviceError, match="would step from 91 to 80 mA"):
            laser.set_current_ma(80.0)


# -- fuzzing -----------------------------------------------------------------------------------------------------------


def fuzz(n: int) -> None:
    lab = Lab()
    twin, rng = make_twin(lab.world, "alice_laser", "dlc_pro"), random.Random(1)
    names = [*twin._parameters, "nothing", "laser1:dl:", "ul"]
    values = ["1", "-1", "95.5", "1e3", "#t", "#f", '"x"', "'(1 2)", "nan", "inf", "1e999", "9" * 400, "", "(", "\\"]
    verbs = ["(param-ref '{0})", "(param-set! '{0} {1})", "(param-gsv '{0})", "(exec '{0} {1})", "(add '{0} {1})"]
    monitor = Monitor(twin.handle)
    for _ in range(n):
        text = rng.choice(verbs).format(rng.choice(names), rng.choice(values))
        if rng.random() < 0.5:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + chr(rng.randrange(0x250)) + text[at + rng.randrange(2) :]
        assert isinstance(twin.handle(text), str)
        monitor.handle(text)
        if rng.random() < 0.01:
            lab.wait(rng.random())
    assert np.isfinite(lab.world.quantities.value(DETUNING)) and 0 <= twin._current_ma <= twin._clip_ma + 150


def test_nonsense_crashes_no_twin() -> None:
    fuzz(2000)


@pytest.mark.slow
def test_a_hundred_thousand_pieces_of_nonsense_crash_no_twin() -> None:
    fuzz(100_000)


def test_the_sdks_plain_client_works_on_it(served: Any) -> None:
    _, _, peer = served
    with Client(NetworkConnection("127.0.0.1", peer.port, 0)) as client:
        assert client.get("laser1:dl:pc:voltage-set", float) == 70.0
        assert client.set("laser1:dl:pc:voltage-set", 71.0) == 0
