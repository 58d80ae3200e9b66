"""From front panel to detectors: what a laser or a cavity lock is set to changes the clicks as physics has it."""

from __future__ import annotations

import pytest
from signal_lab import CYCLE, LATENCY_MU, SignalLab, lab
from toptica.lasersdk.dlcpro.v3_3_3 import DLCpro

from sim.instruments.catalog import make_twin
from sim.instruments.dlc_pro import TwinConnection
from sim.world.atoms.labels import READY

TRIES = 250


def clicks(room: SignalLab) -> int:
    """Fire alice's prepared atom TRIES times; return the clicks of all four detectors."""
    seen = 0
    for _ in range(TRIES):
        while room.nodes[0].label != READY:
            if any(node.label == 0 for node in room.nodes):
                room.load()
            room.cool()
            room.pump("alice")
        room.pulse("alice", "excitation", 500, room.t)
        start, stop = room.t, room.t + LATENCY_MU + 3000
        room.play(stop)
        seen += sum(len(detector(start, stop)) for detector in room.detectors)
        room.t = stop + 1000
    return seen


def expected(room: SignalLab) -> float:
    """Return the clicks that the truth of now predicts: photons that reach a detector, dark counts apart."""
    room.world.advance(room.t)
    return TRIES * room.world.stations["midpoint"].model(CYCLE, room.entangler.outputs)[0].nodes[0].detected


def agree(seen: int, wanted: float) -> bool:
    """Say whether a binomial count is within four sigma of its mean."""
    return abs(seen - wanted) < 4 * (wanted * (1 - wanted / TRIES)) ** 0.5


def test_turning_the_current_down_in_the_vendors_client_dims_the_clicks() -> None:
    room = lab("bright", seed=3)
    twin = make_twin(room.world, "alice_laser", "dlc_pro")
    nominal = expected(room)
    with DLCpro(TwinConnection(twin.handle, "alice_laser")) as dlc:
        dlc.laser1.dl.cc.current_set.set(95.0)
        assert expected(room) == nominal and agree(clicks(room), nominal)
        dlc.laser1.dl.cc.current_set.set(41.0)  # a tenth of the power
        dimmed = expected(room)
        assert dimmed < 0.6 * nominal and agree(clicks(room), dimmed)
        dlc.laser1.dl.cc.current_set.set(30.0)  # below threshold
        assert expected(room) == 0.0 and clicks(room) <= 2  # dark counts only: 0.6 expected in all


def test_a_cavity_off_resonance_gives_fewer_clicks_and_a_relocked_one_all_of_them() -> None:
    room = lab("bright", seed=4)
    lock = room.world.element("alice_cavity_lock")
    nominal = expected(room)
    lock.set_mode("Hold")
    lock.disturb(8 * lock.port.kappa_rad_s)
    off = expected(room)
    assert off < 0.6 * nominal and agree(clicks(room), off)
    lock.disturb(-8 * lock.port.kappa_rad_s)
    lock.set_mode("Run")
    assert lock.is_locked and expected(room) == pytest.approx(nominal) and agree(clicks(room), nominal)


def test_an_unlocked_laser_far_off_resonance_gives_no_clicks() -> None:
    room = lab("bright", seed=5)
    room.world.element("alice_laser").unlock(2e9)
    nominal = expected(lab("bright"))
    assert expected(room) < 0.02 * nominal and agree(clicks(room), max(expected(room), 1.0))
