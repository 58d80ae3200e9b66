"""Qubits stored in clock states, against closed forms. Seeds fixed; statistical tests at 4 sigma."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from register_lab import LATENCY_MU, PI_MU, XY8, ZONE, RegisterLab, X
from signal_lab import NODES

from atomlink.errors import ScenarioError
from sim.physics.coherence import stored_pair_fidelity
from sim.world.atoms.labels import ABSENT, QUBIT
from sim.world.scenario import FOLDER, load_scenario
from sim.world.scenario.memory_truth import Memory

HALF_MU = PI_MU // 2
PLUS = np.array([1, 0, 1]) / math.sqrt(2)


@pytest.mark.parametrize("wait_s", [0.3, 1.5])
def test_a_stored_atom_suffers_phase_flips_of_half_one_minus_exp(wait_s: float) -> None:
    """Each atom by itself: 4 x 60 of them, and T1 as short as T2 allows changes nothing in this basis."""
    room, wrong, shots = RegisterLab(memory=Memory(1e9, 1.5, 0.75)), 0.0, 60
    for _ in range(shots):
        room.ready(*ZONE)
        room.clock((X, HALF_MU))
        room.wait(wait_s)
        room.clock((X + 0.5, HALF_MU))
        wrong += sum(1 - room.two(site) for site in ZONE)
    p = 0.5 * (1 - math.exp(-wait_s / 1.5))
    n = shots * len(ZONE)
    assert abs(wrong / n - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_xy8_forgives_pulse_areas_that_the_same_axis_adds_up() -> None:
    """64 pulses, 1 % rms: 1/2 (1 - exp(-2 (0.32 pi)^2)) = 0.434 of the atoms are elsewhere; after XY8 6e-6 at most."""
    room, elsewhere, shots = RegisterLab(clock_rms=0.01), {"x": 0.0, "xy8": 0.0}, 40
    for name, axes in (("x", (X,) * 8), ("xy8", XY8)):
        for _ in range(shots):
            room.ready(*ZONE)
            room.clock(*[(axis, PI_MU) for axis in axes * 8])
            elsewhere[name] += sum(1 - room.two(site) for site in ZONE) / (shots * len(ZONE))
    angle_rms = 64 * math.pi * 0.01
    expected = 0.5 * (1 - math.exp(-0.5 * angle_rms**2))
    assert expected == pytest.approx(0.434, abs=1e-3)
    assert abs(elsewhere["x"] - expected) < 4 * 0.354 / math.sqrt(shots * len(ZONE))  # sin^2 of a wide angle: rms 0.354
    assert elsewhere["xy8"] < 6e-6


def test_xy8_undoes_a_constant_detuning_that_a_free_qubit_does_not_survive() -> None:
    free, kept = RegisterLab(memory=Memory(4e-3, 1e9, 1e9)), RegisterLab(memory=Memory(4e-3, 1e9, 1e9))
    right = []
    for room, pulses in ((free, ()), (kept, XY8)):
        room.node.truth = replace(room.node.truth, memory=replace(room.node.truth.memory, t2_star_s=300e-6))
        found = 0.0
        for _ in range(30):
            room.ready(*ZONE)
            room.clock((X, HALF_MU))
            if pulses:
                room.clock(*[(axis, PI_MU) for axis in pulses], gap_mu=2_500_000)
            else:
                room.wait(20e-3)
            room.clock((X + 0.5, HALF_MU))
            found += sum(room.two(site) for site in ZONE)
        right.append(found / (30 * len(ZONE)))
    assert abs(right[0] - 0.5) < 4 * 0.354 / math.sqrt(120) and right[1] > 0.998


@pytest.mark.parametrize("level", [0, 1])
def test_what_is_stored_comes_back(level: int) -> None:
    """Microwave and transfer light there, transfer light and microwave back; a stored atom is dark to Raman light."""
    room = RegisterLab()
    room.only((0, 0))
    part = room.put((0, 0), np.eye(3)[level])
    room.room.pulse("alice", "mw_switch", 10_000)
    room.room.pulse("alice", "transfer", PI_MU)
    assert part.stored and part.populations() == pytest.approx([1 - level, 0, level], abs=1e-6)
    room.room.pulse("alice", ("raman_a", "raman_b"), PI_MU)
    room.room.pulse("alice", "transfer", PI_MU)
    room.room.pulse("alice", "mw_switch", 10_000)
    assert not part.stored and part.populations() == pytest.approx([1 - level, level, 0], abs=1e-6)
    assert room.array.label(0, 0) == QUBIT


def test_the_phase_that_storing_leaves_is_that_of_the_times_spent_outside() -> None:
    """|0> + |1> precesses until the microwave, |0> against |2> until the middle of the transfer; then it stands."""
    room = RegisterLab()
    room.only((0, 0))
    part = room.put((0, 0), np.array([1, 1, 0]))
    start = room.room.t
    room.room.pulse("alice", "mw_switch", 10_000, start + 3_000)
    room.room.pulse("alice", "transfer", PI_MU, start + 20_000)
    room.room.play(start + 40_000)
    room.wait(7e-3)
    room.two((0, 0))
    zero, two = part.state.psi[0], part.state.psi[2]
    turns = room.node.larmor_rad_s / (2 * math.pi)
    # |1> leads from the first moment to the start of its pulse, |0> lags until the middle of its own; -i of each pulse.
    expected = 2 * math.pi * turns * 0.5e-9 * (3_000 + 20_000 + LATENCY_MU + PI_MU / 2)
    assert abs(math.remainder(float(np.angle(two / zero)) - expected, 2 * math.pi)) < 1e-2


def test_transfer_light_that_is_too_weak_leaves_the_atom_behind() -> None:
    """A third of a pi pulse moves a quarter of |0>; 200 shots."""
    room, moved = RegisterLab(), 0
    for _ in range(200):
        room.only((0, 0))
        part = room.put((0, 0), np.eye(3)[0])
        room.room.pulse("alice", "transfer", round(PI_MU / 3))
        moved += part.stored
    assert abs(moved / 200 - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 200)


def test_the_atom_at_the_port_is_pushed_out_or_seen_and_the_hidden_ones_keep_their_coherence() -> None:
    """Push-out and a local image of 0.5 ms between two pi/2 pulses: 60 shots, 4 sigma for the half that is left."""
    room, left, kept = RegisterLab(), 0, 0.0
    for _ in range(60):
        room.ready(*ZONE)
        room.clock((X, HALF_MU))
        room.hide(True)
        room.room.pulse("alice", "pushout", 50_000)
        room.room.pulse("alice", ("cooling", "repump"), 500_000)
        left += room.array.label(0, 0) != ABSENT
        room.hide(False)
        room.clock((X + 0.5, HALF_MU))
        kept += sum(room.two(site) for site in ZONE[1:]) / 180
    assert abs(left / 60 - 0.5) < 4 * 0.5 / math.sqrt(60)
    assert kept > 1 - 1e-9


def test_a_hidden_atom_scatters_as_often_as_the_scenario_says() -> None:
    """5 per second in 40 ms of imaging light: 0.181 of 4 x 75 qubits are gone, those at the port all."""
    room, gone, shots = RegisterLab(hidden_scatter_hz=5.0), 0, 75
    for _ in range(shots):
        room.only()
        parts = [room.put((k, 5), PLUS, stored=True) for k in range(4)]
        room.hide(True)
        room.room.pulse("alice", ("cooling", "repump"), 40_000_000)
        room.hide(False)
        gone += sum(room.array.part(k, 5) is not part for k, part in enumerate(parts))
    p, n = -math.expm1(-0.2), 4 * shots
    assert abs(gone / n - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_atoms_stored_in_the_array_are_not_touched_by_attempts_at_the_port() -> None:
    """Pumping and excitation light, pulse by pulse: the hidden ones keep |+>."""
    room = RegisterLab()
    room.only((0, 0))
    parts = [room.put((k, 4), PLUS, stored=True) for k in range(4)]
    room.hide(True)
    for _ in range(50):
        room.room.software_attempt()
    for k, part in enumerate(parts):
        assert room.array.part(k, 4) is part and part.stored
        assert abs(np.vdot(PLUS, part.state.psi)) ** 2 == pytest.approx(1, abs=1e-12)


def test_a_heralded_pair_stored_at_both_ends_has_the_fidelity_of_two_memories() -> None:
    """F(t) = [1 + exp(-2t/T1) + 2 exp(-2t/T2)]/4 of what was stored; 0.4 s would be 200 Zeeman T2. 120 pairs."""
    memory, wait_s, found, shots = Memory(1e9, 1.5, 2.0), 0.4, [], 120
    room = RegisterLab(memory=memory)
    alice, bob = room.room.nodes
    bob.truth = alice.truth
    for _ in range(shots):
        room.herald()
        for node in NODES:
            room.room.pulse(node, "mw_switch", 10_000, room.room.t)
            room.room.pulse(node, "transfer", PI_MU, room.room.t + 15_000)
        room.room.play(room.room.t + 30_000)
        parts = [node.register.qubit(node.site, room.room.t) for node in (alice, bob)]
        assert all(part.stored for part in parts) and parts[0].state is parts[1].state
        before = parts[0].state.psi.copy()
        room.wait(wait_s)
        for node in (alice, bob):
            node.register.qubit(node.site, room.room.t)
        found.append(abs(np.vdot(before, parts[0].state.psi)) ** 2)
        for node in (alice, bob):
            node.register.lose(node.site)
    expected = stored_pair_fidelity(wait_s, memory.t1_s, memory.t2_s)
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / math.sqrt(shots)
    assert 0.55 < expected < 0.85


def test_stored_atoms_sleep_through_the_gatewares_attempts() -> None:
    room = RegisterLab()
    room.only()
    parts = [room.put((k, 4), PLUS, stored=True) for k in range(4)]
    room.hide(True)
    room.herald()
    assert room.array.label(0, 0) == QUBIT
    for k, part in enumerate(parts):
        assert room.array.part(k, 4) is part and abs(np.vdot(PLUS, part.state.psi)) ** 2 == pytest.approx(1, abs=1e-12)


def test_the_clock_light_takes_a_ready_atom_along_and_leaves_a_pair_alone() -> None:
    room = RegisterLab()
    room.ready((0, 0), (0, 1))
    zeeman = room.put((0, 1), np.array([1, 1, 0]))
    before = zeeman.state.psi.copy()
    room.clock((X, PI_MU))
    assert room.two((0, 0)) == pytest.approx(0, abs=1e-9)
    assert np.abs(zeeman.state.psi) == pytest.approx(np.abs(before)) and not zeeman.stored


def test_storage_has_a_t2_of_its_own_that_cannot_exceed_twice_its_t1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text('description = "x"\nextends = "register"\n\n[nodes.storage.memory]\nt1_s = 0.5\n')
    with pytest.raises(ScenarioError, match="storage.memory: Memory.t2_s is 1.5, but must be <= 2 t1_s = 1.0"):
        load_scenario(str(bad))
    zone = (FOLDER / "register.toml").read_text().replace("zone_columns = 4", "zone_columns = 7")
    bad.write_text(zone)
    with pytest.raises(ScenarioError, match="zone smaller"):
        load_scenario(str(bad))
    bad.write_text(zone.replace("zone_rows = 1", "zone_rows = 0"))
    with pytest.raises(ScenarioError, match="both"):
        load_scenario(str(bad))
