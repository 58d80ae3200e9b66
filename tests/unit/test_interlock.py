"""Interlocks: what trips, what stays tripped, what is closed, and what the log says of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.journal import Journal, fold
from analysis.veto import is_vetoed
from atomlink.errors import DeviceError
from drivers.instruments.dlc_pro import Driver
from drivers.instruments.polatis import Driver as Switch
from drivers.interlock import (
    FOREVER_MU,
    AmplitudeSum,
    DetectorGuard,
    Latch,
    LockLimits,
    LockMonitor,
    LockState,
    LostTime,
    Reading,
)
from drivers.interlock_log import AROUND_S, InterlockLog
from experiments.sequences.locks import Locks
from sim.instruments.dlc_pro import Twin, TwinConnection
from sim.world.scenario import load_scenario
from sim.world.world import World

LOCKED, DEGRADED, LOST = LockState
LIMITS = LockLimits(degraded=0.1, lost=0.5, stale_s=2.0, hysteresis=0.8, relocks=3)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A lock whose deviation the test sets, and what happened to it."""

    def __init__(self, tmp_path: Path, relocks_at: int = 0) -> None:
        self.clock = Clock()
        self.deviation, self.age_s, self.dead = 0.0, 0.0, False
        self.closed = self.attempts = 0
        self.relocks_at = relocks_at
        self.log = InterlockLog(tmp_path / "log.jsonl", rid=7, simulated=True, clock=self.clock)
        self.monitor = LockMonitor("lock", LIMITS, self.read, self.relock, self.close, self.log)

    def read(self) -> Reading:
        if self.dead:
            raise DeviceError("no answer")
        return Reading(self.deviation, self.clock.now - self.age_s)

    def relock(self) -> bool:
        self.attempts += 1
        if self.attempts == self.relocks_at:
            self.deviation = 0.0
        return self.deviation == 0

    def close(self) -> None:
        self.closed += 1

    def check(self, deviation: float) -> LockState:
        self.deviation = deviation
        return self.monitor.check(self.clock.now)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        lines = self.log.path.read_text().splitlines() if self.log.path.exists() else []
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# -- lock monitor ------------------------------------------------------------------------------------------------------


def test_a_lock_that_was_never_read_is_lost(bench: Bench) -> None:
    assert bench.monitor.state is LOST


def test_states_get_worse_at_the_limit_and_better_only_well_below_it(bench: Bench) -> None:
    found = [bench.check(x) for x in (0.0, 0.09, 0.11, 0.09, 0.07, 0.6, 0.45, 0.39, 0.09, 0.0)]
    assert found == [LOCKED, LOCKED, DEGRADED, DEGRADED, LOCKED, LOST, LOST, DEGRADED, DEGRADED, LOCKED]


@pytest.mark.parametrize("deviation", [math.inf, -math.inf, math.nan, 0.5, -0.5])
def test_what_is_no_small_number_is_a_lost_lock(bench: Bench, deviation: float) -> None:
    assert bench.check(deviation) is LOST


def test_stale_data_mean_lost(bench: Bench) -> None:
    assert bench.check(0.0) is LOCKED
    bench.age_s = 2.1
    assert bench.check(0.0) is LOST and "2.1 s old, more than 2 s" in bench.monitor.reason


def test_an_instrument_that_does_not_answer_means_lost(bench: Bench) -> None:
    bench.dead = True
    assert bench.check(0.0) is LOST and "cannot be read (no answer)" in bench.monitor.reason


def test_each_loss_closes_the_shutters_once(bench: Bench) -> None:
    for deviation in (0.0, 1.0, 1.0, 0.0, 1.0):
        bench.check(deviation)
    assert bench.closed == 2


def test_a_lock_that_comes_back_is_not_tripped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, relocks_at=2)
    bench.check(0.0)
    bench.check(1.0)
    assert bench.monitor.recover(bench.clock.now) is LOCKED
    assert bench.attempts == 2 and bench.monitor.latch.cause is None
    assert [entry["text"].partition(":")[0] for entry in bench.entries("event")] == [
        "locked", "lost", "attempt 1 of 3 to bring it back", "attempt 2 of 3 to bring it back", "locked",
    ]  # fmt: skip


def test_relocks_are_bounded_and_then_only_a_person_resets(bench: Bench) -> None:
    bench.check(0.0)
    bench.check(1.0)
    assert bench.monitor.recover(bench.clock.now) is LOST and bench.attempts == 3
    with pytest.raises(DeviceError, match="lock has tripped: .*3 attempts to bring .* did not help.*reset it by name"):
        bench.monitor.latch.require()
    assert bench.check(0.0) is LOST  # the cause is gone, the trip is not
    assert bench.monitor.recover(bench.clock.now) is LOST and bench.attempts == 3
    with pytest.raises(DeviceError, match="must be by a person"):
        bench.monitor.reset(" ")
    bench.monitor.reset("grace")
    assert bench.check(0.0) is LOCKED
    assert bench.entries("reset")[0]["by"] == "grace"


def test_relocks_count_anew_after_the_lock_has_held(tmp_path: Path) -> None:
    bench = Bench(tmp_path, relocks_at=3)
    for expected in (3, 6):
        bench.check(1.0)
        assert bench.monitor.recover(bench.clock.now) is LOCKED
        assert bench.attempts == expected
        bench.relocks_at += 3


def test_a_relock_that_fails_with_an_error_counts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.relock = lambda: (_ for _ in ()).throw(DeviceError("the broker is gone"))  # type: ignore[method-assign]
    monitor = LockMonitor("lock", LIMITS, bench.read, lambda: bench.relock())
    bench.deviation = 1.0
    assert monitor.recover(bench.clock.now) is LOST and monitor.latch.cause is not None


def test_a_lock_that_nothing_relocks_trips_at_once(bench: Bench) -> None:
    monitor = LockMonitor("lock", LIMITS, lambda: Reading(1.0, bench.clock.now))
    monitor.recover(bench.clock.now)
    assert monitor.latch.cause is not None and "nothing brings it back" in monitor.latch.cause


@pytest.mark.parametrize(
    "wrong", [(0.5, 0.1, 1.0), (0.0, 0.5, 1.0), (0.1, math.inf, 1.0), (0.1, 0.5, 0.0), (0.1, 0.5, 1.0, 1.1)]
)
def test_limits_that_make_no_sense_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(DeviceError, match="must have 0 < degraded <= lost"):
        LockLimits(*wrong)


# -- veto --------------------------------------------------------------------------------------------------------------


def test_what_was_not_checked_since_is_vetoed_until_it_is() -> None:
    lost = LostTime()
    lost.note(100, True)
    assert lost.intervals_mu() == [(100, FOREVER_MU)]
    lost.note(200, True)
    assert lost.intervals_mu() == [(200, FOREVER_MU)]
    lost.note(300, False)
    lost.note(400, False)
    assert lost.intervals_mu() == [(200, FOREVER_MU)]
    lost.note(500, True)
    lost.note(600, True)
    assert lost.intervals_mu() == [(200, 500), (600, FOREVER_MU)]
    with pytest.raises(DeviceError, match="times must rise"):
        lost.note(599, True)


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_a_shot_is_kept_exactly_if_the_checks_before_and_after_it_were_good(checks: list[bool]) -> None:
    lost = LostTime()
    for k, good in enumerate(checks):
        lost.note(10 * (k + 1), good)
    shots = [10 * k + 15 for k in range(len(checks))]
    expected = [not (checks[k] and k + 1 < len(checks) and checks[k + 1]) for k in range(len(checks))]
    # Shots before the first check are kept only if that was good.
    assert is_vetoed(shots, lost.intervals_mu()).tolist() == expected
    assert is_vetoed([5], lost.intervals_mu()).tolist() == [not checks[0]]


def test_no_intervals_veto_nothing() -> None:
    assert is_vetoed([1, 2, 3], []).tolist() == [False] * 3 and is_vetoed([], [(0, 5)]).shape == (0,)


# -- tweezers ----------------------------------------------------------------------------------------------------------


def test_it_is_the_sum_of_the_amplitudes_that_counts() -> None:
    limit = AmplitudeSum(0.5)
    assert limit.check([0.1] * 5) == pytest.approx(0.5)
    with pytest.raises(DeviceError, match="amplitudes of 6 tones add up to 0.6 but must to at most 0.5"):
        limit.check([0.1] * 6)


@pytest.mark.parametrize("amplitude", [-0.1, 1.1, math.nan])
def test_an_amplitude_outside_full_scale_is_refused(amplitude: float) -> None:
    with pytest.raises(DeviceError, match="must be 0 to 1: nothing was sent"):
        AmplitudeSum(2.0).check([0.1, amplitude])


# -- detectors ---------------------------------------------------------------------------------------------------------


class Electronics:
    """Four detectors; those in `normal` have latched until they are reset, `stubborn` ones ever."""

    def __init__(self, shutter: Shutter) -> None:
        self.shutter, self.bias = shutter, [20.0] * 4
        self.normal: set[int] = set()
        self.stubborn: set[int] = set()
        self.resets: list[int] = []
        self.dies_at = -1  # the reset in whose middle the link breaks

    def bias_ua(self, channel: int) -> float:
        return self.bias[channel]

    def set_bias_ua(self, channel: int, value: float) -> float:
        assert self.shutter.closed, "the bias moved in the light"
        self.bias[channel] = value
        return value

    def latched(self, channel: int) -> bool:
        return channel in self.normal and self.bias[channel] != 0

    def delatch(self, channel: int) -> bool:
        self.set_bias_ua(channel, 0.0)
        self.normal -= {channel} - self.stubborn
        if len(self.resets) == self.dies_at:
            self.dies_at = -1
            raise DeviceError("the link broke")
        self.resets.append(channel)
        self.set_bias_ua(channel, 20.0)
        return channel not in self.normal


class Shutter:
    def __init__(self) -> None:
        self.closed, self.sticks = False, False

    def close(self) -> None:
        self.closed = not self.sticks

    def is_closed(self) -> bool:
        return self.closed


@pytest.fixture
def detectors() -> tuple[Electronics, Shutter, DetectorGuard]:
    shutter = Shutter()
    electronics = Electronics(shutter)
    return electronics, shutter, DetectorGuard(electronics, shutter)


def test_the_bias_is_not_touched_in_the_light(detectors: tuple[Electronics, Shutter, DetectorGuard]) -> None:
    electronics, shutter, guard = detectors
    with pytest.raises(DeviceError, match="shutter is open but must be closed before biasing detector 2"):
        guard.set_bias_ua(2, 18.0)
    shutter.close()
    assert guard.set_bias_ua(2, 18.0) == 18.0 == electronics.bias[2]


def watch(electronics: Electronics, shutter: Shutter) -> tuple[DetectorGuard, LockMonitor]:
    """Return a guard, and the monitor that runs watch it with."""
    guard = DetectorGuard(electronics, shutter)
    limits = LockLimits(degraded=0.5, lost=1.0, stale_s=2.0, relocks=3, losses=2)
    return guard, LockMonitor("detectors", limits, lambda: Reading(len(guard.blind()), 0.0), guard.delatch)


def test_a_latched_wire_is_found_by_its_resistance_and_reset_in_the_dark() -> None:
    electronics = Electronics(shutter := Shutter())
    electronics.bias[3] = 0.0  # it is off on purpose
    guard, monitor = watch(electronics, shutter)
    electronics.normal = {1}
    assert guard.blind() == [1] and monitor.check(0.0) is LOST
    assert monitor.recover(0.0) is LOCKED and shutter.closed
    assert guard.delatch() and electronics.resets == [1] and electronics.bias == [20.0, 20.0, 20.0, 0.0]


def test_a_wire_that_stays_latched_trips_after_three_resets() -> None:
    electronics = Electronics(shutter := Shutter())
    _, monitor = watch(electronics, shutter)
    electronics.normal = electronics.stubborn = {0}
    assert monitor.recover(0.0) is LOST and electronics.resets == [0, 0, 0]
    with pytest.raises(DeviceError, match="detectors has tripped: .*3 attempts to bring it back did not help"):
        monitor.latch.require()


def test_a_wire_that_latches_again_and_again_trips_although_each_reset_helps() -> None:
    electronics = Electronics(shutter := Shutter())
    _, monitor = watch(electronics, shutter)
    states = []
    for _ in range(3):
        electronics.normal = {2}
        states.append(monitor.recover(0.0))
    assert states == [LOCKED, LOCKED, LOST] and electronics.resets == [2, 2]
    with pytest.raises(DeviceError, match="lost 3 times, may be at most 2"):
        monitor.latch.require()


def test_a_reset_that_breaks_off_leaves_no_detector_without_bias_unnoticed() -> None:
    electronics = Electronics(shutter := Shutter())
    guard, monitor = watch(electronics, shutter)
    electronics.normal, electronics.dies_at = {1}, 0
    with pytest.raises(DeviceError, match="the link broke"):
        guard.delatch()
    assert electronics.bias[1] == 0 and not electronics.latched(1)
    assert guard.blind() == [1] and monitor.check(0.0) is LOST
    assert monitor.recover(0.0) is LOCKED and electronics.bias == [20.0] * 4


def test_a_shutter_that_sticks_keeps_the_bias_where_it_is(
    detectors: tuple[Electronics, Shutter, DetectorGuard],
) -> None:
    electronics, shutter, guard = detectors
    electronics.normal, shutter.sticks = {1}, True
    with pytest.raises(DeviceError, match="shutter is open"):
        guard.delatch()
    assert electronics.resets == []


# -- latch and log -----------------------------------------------------------------------------------------------------


def test_the_first_cause_of_a_trip_stays() -> None:
    latch = Latch("amplifier")
    latch.require()
    latch.trip("too hot")
    latch.trip("too cold")
    with pytest.raises(DeviceError, match="amplifier has tripped: too hot"):
        latch.require()


def test_a_trip_is_logged_with_ten_seconds_of_telemetry_before_and_after(bench: Bench) -> None:
    start = bench.clock.now
    for k in range(30):
        bench.clock.now = start + k
        bench.check(0.01 * k)
    bench.check(math.inf)
    bench.monitor.recover(bench.clock.now)
    trip_s = bench.clock.now
    for k in range(1, 15):
        bench.clock.now = trip_s + k
        bench.check(0.0)
    (trip,), (after,) = bench.entries("trip"), bench.entries("after")
    assert trip["rid"] == 7 and trip["simulated"] is True and trip["who"] and trip["utc"].endswith("+00:00")
    assert trip["monotonic_s"] == trip_s and "3 attempts to bring it back did not help" in trip["cause"]
    times = np.array([t for t, _, _ in trip["telemetry"]])
    assert times.min() == trip_s - AROUND_S and times.max() == trip_s
    assert [trip_s, "lock", None] in trip["telemetry"]  # JSON has no infinity
    times = np.array([t for t, _, _ in after["telemetry"]])
    assert times.min() == trip_s and times.max() == trip_s + AROUND_S


def test_what_follows_a_trip_is_logged_at_the_end_if_the_run_ends_first(bench: Bench) -> None:
    bench.check(math.inf)
    bench.monitor.recover(bench.clock.now)
    assert bench.entries("after") == []
    bench.log.close()
    bench.log.close()
    assert len(bench.entries("after")) == 1


def test_changes_and_identities_of_instruments_are_logged(tmp_path: Path) -> None:
    world = World(load_scenario("default"), 1)
    twin = Twin(world.element("alice_laser"), world.rng("x"))
    log = InterlockLog(tmp_path / "log.jsonl", rid=3)
    with Driver("alice_laser", TwinConnection(twin.handle, "alice_laser")) as laser:
        log.watch(laser)
        laser.set_current_ma(90.0)
    first, second = map(json.loads, log.path.read_text().splitlines())
    assert (first["kind"], first["identity"]) == ("identity", "DLC pro TWIN-alice_laser 3.3.3")
    assert (second["requested"], second["applied"], second["read_back"], second["unit"]) == (90.0, 90.0, 90.0, "mA")
    assert second["by"] and second["rid"] == 3


def test_a_lock_that_cannot_be_made_safe_is_lost_all_the_same(bench: Bench) -> None:
    def broken() -> None:
        raise OSError("no route to host")

    monitor = LockMonitor("lock", LIMITS, bench.read, None, broken, bench.log)
    bench.deviation = 1.0
    assert monitor.check(bench.clock.now) is LOST
    assert "could not be made safe: no route to host" in [entry["text"] for entry in bench.entries("event")]


def test_whatever_goes_wrong_while_reading_means_lost(bench: Bench) -> None:
    def broken() -> Reading:
        raise ZeroDivisionError("what a controller's error looks like")

    assert LockMonitor("lock", LIMITS, broken).check(bench.clock.now) is LOST


def test_a_run_that_was_killed_vetoes_what_was_not_checked_any_more(tmp_path: Path) -> None:
    lost = LostTime()
    with Journal.create(tmp_path, 1, "Run", {"datasets": {}}) as journal:
        for t_mu in range(10, 60, 10):
            journal.append({"t_herald_mu": t_mu, "valid": 1})
            if t_mu in (20, 40):
                lost.note(t_mu + 5, True)
                journal.append({"link.veto_mu": [list(interval) for interval in lost.intervals_mu()]})
    found = fold(tmp_path / "000000001-Run.journal")
    assert found["shots.valid"].tolist() == [1, 1, 1, 1, 0]
    assert found["link.veto_mu"].tolist() == [[45, FOREVER_MU]]


def test_what_an_instrument_refuses_is_logged_in_its_own_words(tmp_path: Path) -> None:
    errors = ['-350,"overflow"', "+0", '-310,"stuck"']
    wire = FakeLine({"*IDN?": "Polatis,OST-16x16,050001,6.8.2.8", "SYST:ERR?": errors})
    log = InterlockLog(tmp_path / "log.jsonl", rid=3)
    with Switch("fibre_switch", wire) as switch:
        log.watch(switch)
        with pytest.raises(DeviceError, match="stuck"):
            switch.route(1, 17)
    first, second = map(json.loads, log.path.read_text().splitlines())
    assert first["errors"] == ['-350,"overflow"'] and first["identity"].endswith("6.8.2.8")
    assert (second["kind"], second["request"], second["texts"]) == ("errors", ":oxc:swit:conn:add (@1),(@17)",
                                                                    ['-310,"stuck"'])  # fmt: skip


class FakeLine:
    """A transport that answers from a table; the error queue from a list, then "+0"."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def query(self, text: str) -> str:
        answer = self.answers[text]
        if isinstance(answer, list):
            return answer.pop(0) if answer else "+0"
        return str(answer)

    def write(self, text: str) -> None:
        """Take it."""

    def close(self) -> None:
        """Nothing to let go of."""


def test_beliefs_that_are_read_anew_leave_what_is_watched_in_place() -> None:
    locks = Locks.__new__(Locks)
    locks.watch_locks = False
    locks.monitors = [LockMonitor("laser", LIMITS, lambda: Reading(1.0, 0.0))]
    locks.prepare()  # the link monitor prepares its pairs again after each calibration
    assert [monitor.name for monitor in locks.monitors] == ["laser"]
