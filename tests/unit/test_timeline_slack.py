"""Slack and time by source line: who brings an underflow about, and who owns the lab's time."""

import pytest
from artiq.coredevice.exceptions import RTIOUnderflow
from rtio_lab import Devices
from timeline_lab import line_of, watched

from sim.rtio.bus import Bus
from sim.rtio.costs import PRESETS
from sim.rtio.slack import TIMELINE, WatchedBus


def test_nobody_pays_for_a_look_that_nobody_takes() -> None:
    bus = Devices().core.bus
    assert type(bus) is Bus and bus.on_event is None
    assert not isinstance(vars(Bus).get("now"), property)


def test_a_run_that_is_watched_does_what_it_does_unwatched() -> None:
    plain = Devices("kasli")
    watch, kernels = watched("kasli")
    seen = []
    for devices, run in ((plain, None), (None, kernels)):
        if devices is not None:
            from timeline_lab import Kernels

            run = Kernels(devices)
        run.two_pulses()
        run.core.bus.finish()
        seen.append([channel.seen for channel in run.core.bus.gateware.channels.values()])
        seen.append((run.core.bus.now, run.core.bus.counter))
    assert seen[:2] == seen[2:]
    assert [event[0] for event in watch.events] == [125000 + 10**6 + t for t in (0, 1000, 4000, 4500)]


def test_the_cursor_is_owned_by_the_line_that_moves_it() -> None:
    watch, kernels = watched("ideal")
    kernels.two_pulses()
    assert watch.owned("# jump") == 125000
    assert watch.owned("# long pulse") == 1000
    assert watch.owned("# pause between") == 3000
    assert watch.owned("# short pulse") == 500
    assert watch.waited() == {TIMELINE: 125000 + 4500}


def test_parallel_branches_own_the_time_that_no_other_has_covered() -> None:
    watch, kernels = watched("ideal")
    kernels.both()
    assert watch.owned("# shorter branch") == 4000
    assert watch.owned("# longer branch") == 6000


@pytest.mark.parametrize("costs", list(PRESETS))
def test_the_shares_add_up_to_the_time_of_the_lab(costs: str) -> None:
    watch, kernels = watched(costs, clicks=[])
    for _ in range(3):
        kernels.two_pulses()
        kernels.ask()
        kernels.gate()
    kernels.core.bus.finish()
    bus = kernels.core.bus
    assert sum(watch.ledger.owned.values()) == max(bus.counter, bus.now)


def test_the_line_that_underflows_is_named_with_its_slack() -> None:
    watch, kernels = watched("kasli")
    with pytest.raises(RTIOUnderflow):
        kernels.tightening(1000)
    fast = watch.line("# pulses faster than the CPU")
    assert fast.underflows == 1
    assert fast.least_mu <= 104 < fast.least_mu + 496
    assert fast.least_channel == 0
    # 304 mu of timeline and 800 mu of CPU time for each turn: 496 mu are lost of 20000.
    assert fast.events == pytest.approx(2 * 20000 / 496, abs=2)
    pause = watch.line("# too short a pause")
    assert (pause.events, pause.underflows) == (0, 0)
    assert fast.change_mu < 0 < pause.change_mu
    (place,) = (place for place, slack in watch.ledger.lines.items() if slack.underflows)
    assert place.line == line_of("# pulses faster")


def test_slack_is_the_cursor_minus_the_counter_once_the_event_is_written() -> None:
    watch, kernels = watched("kasli")
    kernels.two_pulses()
    event_mu = PRESETS["kasli"].event_mu
    start = 10**6 + 125000
    expected = [125000 - event_mu, 126000 - 2 * event_mu, 129000 - 3 * event_mu, 129500 - 4 * event_mu]
    assert watch.slacks == list(zip((start, start + 1000, start + 4000, start + 4500), expected, strict=True))


def test_a_remote_call_owns_the_time_by_which_it_outruns_the_timeline() -> None:
    watch, kernels = watched("kasli")
    kernels.ask()
    costs = PRESETS["kasli"]
    assert watch.waited()["RPC host"] == costs.rpc_mu - 125000  # the cursor had been moved over the first 125 us
    assert watch.owned("# remote call") == costs.rpc_mu - 125000
    assert watch.owned("# after the call") == 125000
    assert watch.waited()["start of kernel ask"] == costs.kernel_start_mu
    assert watch.line("# remote call").change_mu == -costs.rpc_mu


def test_waiting_within_a_gate_is_the_gates_time_and_beyond_it_the_inputs() -> None:
    watch, kernels = watched("ideal", clicks=[])
    kernels.gate()
    latency_mu = 13 * 8  # an input's, which the driver waits beyond the gate
    assert watch.owned("# gate and count") == 50000 + latency_mu
    assert watch.waited() == {TIMELINE: 125000 + 50000, "input of ttl3": latency_mu}
    assert watch.lost("# gate and count") == 125000 + 50000 + latency_mu


def test_a_full_lane_costs_slack_at_the_line_that_fills_it() -> None:
    watch, kernels = watched("ideal")
    kernels.fill(1000)
    line = watch.line("# fills the lanes")
    assert line.gained_mu == 1000 * 20000
    # A rising edge comes with the falling one before it and takes the next lane: 8 x 128 edges fit, the others wait.
    assert line.lost_mu == pytest.approx((1000 - 8 * 128 / 2) * 20000 + 125000, rel=0.05)
    assert watch.line("# fills the lanes").least_mu >= 125000


def test_a_recording_has_a_timeline_of_its_own() -> None:
    watch, kernels = watched("ideal")
    kernels.recorded()
    assert watch.owned("# recorded pulse") == 0
    assert watch.owned("# playback") == 1000000
    assert len(watch.events) == 2


def test_the_books_do_not_grow_with_the_run() -> None:
    watch, kernels = watched("ideal")
    kernels.fill(10)
    size = len(watch.ledger.lines), len(watch.ledger.owned)
    kernels.fill(1000)
    assert (len(watch.ledger.lines), len(watch.ledger.owned)) == size
    assert isinstance(kernels.core.bus, WatchedBus)
