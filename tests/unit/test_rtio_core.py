"""Kernels on the simulated core device: attributes, remote calls, exceptions, DMA, cache, costs."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import numpy as np
import pytest
from artiq.coredevice.exceptions import CacheError, DMAError, RTIOUnderflow
from artiq.experiment import TFloat, TInt32, TList, delay_mu, kernel, ms, now_mu, portable, rpc
from numpy import int64
from rtio_lab import Devices

from atomlink.errors import DeviceError
from sim.rtio.kernel.errors import KernelError


class OwnError(Exception):
    """An exception of the experiment."""


class Lab:
    """An experiment without an environment."""

    def __init__(self, costs: str = "ideal", clicks: list[int] | None = None) -> None:
        self.devices = Devices(costs, clicks)
        self.core = self.devices.core
        self.ttl, self.other, self.pmt = (self.devices.get(name) for name in ("ttl0", "ttl1", "pmt"))
        self.dma, self.cache = self.devices.get("core_dma"), self.devices.get("core_cache")
        self.number, self.ratio, self.items, self.wide = 1, 0.5, [1, 2, 3], np.int64(7)
        self.seen: list[Any] = []

    def note(self, *values):
        self.seen.append(values)

    def see_number(self) -> TInt32:
        return int(self.number)

    def change_number(self):
        self.number = 99

    def fail(self):
        raise OwnError("from the host")

    @rpc(flags={"async"})
    def fail_later(self):
        raise OwnError("later")

    def interrupt(self):
        raise KeyboardInterrupt

    def call_back(self):
        self.increment()

    def give_list(self) -> TList(TFloat):
        return [1.0, 2.0]

    def give_wrong(self) -> TInt32:
        return 1.5

    @kernel
    def increment(self):
        self.number += 1

    @kernel
    def increment_and_look(self):
        self.number = 5
        self.note(self.see_number(), self.number)
        self.change_number()
        self.note(self.number)

    @kernel
    def increment_and_fail(self):
        self.number = 5
        self.items[0] = 50
        raise OwnError("kernel {0} of {1}", 3, 4)

    @kernel
    def change_items(self):
        self.items[0] = 50
        self.wide += 1
        self.note(self.items, self.wide, self.number)

    @kernel
    def catch(self):
        try:
            self.fail()
        except OwnError:
            self.note("caught")

    @kernel
    def async_failure(self):
        try:
            self.fail_later()
        except Exception:
            self.note("a kernel cannot catch it")

    @kernel
    def stop_here(self):
        self.number = 5
        try:
            self.interrupt()
        except Exception:
            self.note("a kernel cannot catch it")

    @kernel
    def reenter(self):
        self.call_back()

    @kernel
    def wrong_return(self):
        try:
            self.note(self.give_wrong())
        except ValueError:
            self.note("a kernel cannot catch it")

    @kernel
    def sum_list(self):
        total = 0.0
        for x in self.give_list():
            total += x
        return total

    @kernel
    def late(self):
        delay_mu(-1000)
        self.ttl.on()  # too late

    @kernel
    def collide(self):
        self.core.break_realtime()
        self.ttl.on()
        delay_mu(3)
        self.ttl.off()
        delay_mu(100000)
        self.core.wait_until_mu(now_mu())

    @kernel
    def realtime(self):
        self.core.reset()
        a = now_mu()
        self.core.break_realtime()
        return a, now_mu(), self.core.get_rtio_counter_mu()

    @kernel
    def two_calls(self):
        before = self.core.get_rtio_counter_mu()
        self.note()
        return self.core.get_rtio_counter_mu() - before

    @kernel
    def record(self):
        with self.dma.record("a"):
            self.ttl.pulse_mu(100)
        return self.dma.get_handle("a")

    @kernel
    def play(self):
        self.core.break_realtime()
        self.dma.playback("a")

    @kernel
    def stale_handle(self):
        handle = self.dma.get_handle("a")
        self.dma.erase("a")
        self.dma.playback_handle(handle)

    @kernel
    def break_out_of_recording(self):
        for _ in range(2):
            with self.dma.record("b"):
                self.ttl.on()
                break
        return now_mu()

    @kernel
    def put(self, key, value):
        self.cache.put(key, value)

    @kernel
    def get_and_put(self):
        row = self.cache.get("row")
        row[0] = 9
        self.cache.put("row", [0])

    @kernel
    def get_first(self):
        return self.cache.get("row")[0]

    @kernel
    def count_gate(self):
        self.core.break_realtime()
        return self.pmt.count(self.pmt.gate_rising(1 * ms))

    @kernel
    def scaled(self, factor):
        return factor * self.ratio

    @portable
    def double(self, x):
        return 2 * x

    @kernel
    def use_portable(self):
        return self.double(int64(3))


@pytest.fixture
def lab() -> Lab:
    return Lab()


def test_an_rpc_sees_attributes_from_before_the_kernel_and_the_kernel_not_what_it_changes(lab: Lab) -> None:
    lab.increment_and_look()
    assert lab.seen == [(1, 5), (5,)]
    assert lab.number == 5


def test_a_kernel_that_ends_with_an_exception_writes_nothing_back(lab: Lab) -> None:
    with pytest.raises(OwnError, match="^kernel 3 of 4$"):
        lab.increment_and_fail()
    assert (lab.number, lab.items) == (1, [1, 2, 3])


def test_a_kernel_that_ends_normally_writes_back_numpy_integers_and_lists(lab: Lab) -> None:
    lab.change_items()
    assert lab.items == [50, 2, 3]
    assert (type(lab.wide), lab.wide) == (np.int64, 8)
    items, wide, number = lab.seen[0]
    assert type(items[0]) is int
    assert (type(wide), type(number)) == (np.int64, np.int32)


def test_a_kernel_catches_what_an_rpc_raises(lab: Lab) -> None:
    lab.catch()
    assert lab.seen == [("caught",)]


def test_an_asynchronous_rpc_that_fails_ends_the_run_and_no_kernel_can_catch_it(lab: Lab) -> None:
    with pytest.raises(OwnError, match="^later$"):
        lab.async_failure()
    assert lab.seen == []


def test_a_wrong_return_value_ends_the_run_and_no_kernel_can_catch_it(lab: Lab) -> None:
    with pytest.raises(ValueError, match="cannot serialize 1.5 as 32-bit int"):
        lab.wrong_return()
    assert lab.seen == []


def test_ctrl_c_leaves_a_kernel_cleanly_and_the_next_one_runs(lab: Lab) -> None:
    with pytest.raises(KeyboardInterrupt):
        lab.stop_here()
    assert (lab.number, lab.seen) == (1, [])
    lab.increment()
    assert lab.number == 2


def test_a_kernel_called_from_an_rpc_is_refused(lab: Lab) -> None:
    with pytest.raises(DeviceError, match="called from an RPC while another kernel runs"):
        lab.reenter()


def test_a_list_that_an_rpc_returns_can_be_used(lab: Lab) -> None:
    assert lab.sum_list() == 3.0


def test_a_traceback_ends_at_the_line_of_the_kernel(lab: Lab) -> None:
    with pytest.raises(RTIOUnderflow) as caught:
        lab.late()
    lines = [frame.line for frame in traceback.extract_tb(caught.value.__traceback__) if frame.filename == __file__]
    assert lines[-1] == "self.ttl.on()  # too late"


def test_a_collision_is_one_warning_at_the_end_of_the_kernel(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        lab.collide()
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["collision(s) reported during kernel execution"]
    errors = [r.getMessage() for r in caplog.records if r.name == "core_log"]
    assert errors == ["RTIO collision involving channel 0x0000:ttl0"]


def test_reset_and_break_realtime_leave_125_microseconds_of_slack(lab: Lab) -> None:
    reset, realtime, counter = lab.realtime()
    assert reset == realtime == counter + 125_000


def test_remote_calls_and_kernel_starts_cost_time() -> None:
    lab = Lab("kasli_soc")
    assert lab.two_calls() == 2_500_000
    assert lab.core.bus.counter == 3_520_000  # the result goes to the host as an asynchronous call


def test_the_cursor_stays_from_kernel_to_kernel(lab: Lab) -> None:
    lab.collide()
    before = lab.core.bus.now
    lab.increment()
    assert lab.core.bus.now == before


def test_a_trace_persists_until_erased_and_plays_at_the_cursor(lab: Lab) -> None:
    lab.record()
    lab.play()
    lab.core.notify_run_end()
    assert [t for t, _, _ in lab.devices.gateware.channels[0].seen] == [125_000, 125_100]
    with pytest.raises(DMAError, match="^Invalid handle$"):
        lab.stale_handle()
    with pytest.raises(DMAError, match="^DMA trace not found$"):
        lab.play()


def test_leaving_a_recording_by_break_records_nothing_and_the_next_kernel_reaches_the_bus(lab: Lab) -> None:
    assert lab.break_out_of_recording() == 0
    with pytest.raises(DMAError):
        lab.play()
    lab.collide()
    assert lab.core.bus.errors["collision"] == 0


def test_a_cache_row_is_not_a_copy_and_is_busy_until_the_kernel_ends(lab: Lab) -> None:
    lab.put("row", [1, 2])
    with pytest.raises(CacheError, match="busy"):
        lab.get_and_put()
    assert lab.get_first() == 9
    lab.put("row", [4])
    assert lab.get_first() == 4


def test_clicks_in_a_gate_are_counted() -> None:
    assert Lab(clicks=[125_000 + 1000 * n for n in range(-5, 2000)]).count_gate() == 1000


def test_results_are_typed_as_arguments_are(lab: Lab) -> None:
    assert lab.scaled(3.0) == 1.5
    lab.ratio = 2.0
    assert lab.scaled(3.0) == 6.0
    with pytest.raises(KernelError, match="cannot coerce str to a numeric type"):
        lab.scaled("x")
    assert (type(lab.use_portable()), lab.use_portable()) == (np.int64, 6)
    assert lab.double(4) == 8


def test_an_attribute_of_another_type_is_typed_anew(lab: Lab) -> None:
    assert lab.scaled(2) == 1.0
    lab.ratio = 3
    assert lab.scaled(2) == 6
    assert type(lab.scaled(2)) is np.int32


def test_a_precompiled_kernel_runs_later_and_writes_nothing_back(lab: Lab) -> None:
    run = lab.core.precompile(lab.increment)
    run()
    run()
    assert lab.number == 1
