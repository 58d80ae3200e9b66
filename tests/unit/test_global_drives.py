"""Drives that reach the atom beside the port, too: what they do to it, and that without the field nothing does."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from array_lab import ArrayLab
from signal_lab import LATENCY_MU

from atomlink.errors import ScenarioError
from sim.world.atoms.labels import ABSENT, F2, QUBIT, READY
from sim.world.scenario import FOLDER, load_scenario

PORT, BESIDE = (0, 0), (0, 1)
PUMP_MU, MW_PI_MU, PUSHOUT_MU = 12_000, 10_000, 50_000


class PairLab(ArrayLab):
    """Alice's two atoms, cold and in F = 2, and drives of the same strength in every shot."""

    def __init__(self, drives: bool = True, seed: int = 1) -> None:
        super().__init__(seed, "pair")
        truth = self.node.truth
        assert truth.rydberg is not None and truth.rydberg.global_drives
        self.node.truth = replace(
            truth, rydberg=replace(truth.rydberg, global_drives=drives), raman=replace(truth.raman, amplitude_rms=0.0),
            microwave=replace(truth.microwave, amplitude_rms=0.0), pumping=replace(truth.pumping, leak_hz=0.0),
            memory=replace(truth.memory, t2_star_s=1e9, t2_s=1e9, t1_s=1e9),
        )  # fmt: skip

    def fresh(self) -> None:
        """Put both atoms into F = 2, outside any quantum state."""
        self.only(PORT, BESIDE)
        self.node.register.handles.clear()
        self.node.register.label[:] = F2

    def one(self) -> None:
        """Bring both atoms to |1>."""
        self.fresh()
        self.room.pulse("alice", ("pumping", "repump"), PUMP_MU)
        self.room.pulse("alice", "mw_switch", MW_PI_MU)

    def labels(self) -> tuple[int, int]:
        """Return the labels of the port's atom and of the one beside it."""
        return self.array.label(*PORT), self.array.label(*BESIDE)

    def populations(self, site: tuple[int, int]) -> np.ndarray:
        """Return the populations of |0>, |1>, |2> of one atom."""
        part = self.array.part(*site)
        assert part is not None
        return part.populations()


def test_pumping_and_a_microwave_half_turn_bring_both_atoms_to_one() -> None:
    room = PairLab()
    room.fresh()
    room.room.pulse("alice", ("pumping", "repump"), PUMP_MU)
    assert room.labels() == (READY, READY)
    room.room.pulse("alice", "mw_switch", MW_PI_MU)
    assert room.labels() == (QUBIT, QUBIT)
    for site in (PORT, BESIDE):
        assert room.populations(site) == pytest.approx([0, 1, 0], abs=1e-9)


def test_raman_and_microwave_turn_both_atoms_alike() -> None:
    """0.7 us at 2 pi 250 kHz, then a quarter of a microwave turn on |1>: the same three populations, and known."""
    room = PairLab()
    room.one()
    room.room.pulse("alice", ("raman_a", "raman_b"), 700)
    room.room.pulse("alice", "mw_switch", MW_PI_MU // 2)
    zero = math.sin(math.pi * 250e3 * 0.7e-6) ** 2
    for site in (PORT, BESIDE):
        assert room.populations(site) == pytest.approx([zero, (1 - zero) / 2, (1 - zero) / 2], abs=2e-3)
    assert room.populations(PORT) == pytest.approx(room.populations(BESIDE), abs=1e-9)


@pytest.mark.parametrize("cut_mu", [500, 2500, 3333, 5000])
def test_a_microwave_pulse_turns_as_far_when_something_else_happens_on_the_way(cut_mu: int) -> None:
    room = PairLab()
    room.fresh()
    room.room.pulse("alice", ("pumping", "repump"), PUMP_MU)
    start = room.room.t
    room.room.sinks["alice", "mw_switch"](start, 1)
    room.room.world.advance(start + cut_mu)
    room.room.sinks["alice", "mw_switch"](start + MW_PI_MU, 0)
    room.room.play(start + 2 * MW_PI_MU)
    for site in (PORT, BESIDE):
        assert room.populations(site) == pytest.approx([0, 1, 0], abs=1e-9)


def test_push_out_takes_each_atom_that_is_in_f2_and_leaves_the_other_kind() -> None:
    """A quarter turn between |1> and |2>: half of either are left, independently; 200 shots, 4 sigma."""
    room, left, shots = PairLab(), np.zeros((2, 2)), 200
    for _ in range(shots):
        room.one()
        room.room.pulse("alice", "mw_switch", MW_PI_MU // 2)
        room.room.pulse("alice", "pushout", PUSHOUT_MU)
        port, beside = (label != ABSENT for label in room.labels())
        left[int(port), int(beside)] += 1
    assert np.abs(left / shots - 0.25).max() < 4 * math.sqrt(0.25 * 0.75 / shots)


def test_the_gate_joins_both_atoms_and_their_next_pulses_still_reach_them() -> None:
    """A pulse of 20 ns leaves an atom in |r> now and then; the first shot without a loss is looked at."""
    room = PairLab()
    for _ in range(20):
        room.one()
        room.room.pulse("alice", ("raman_a", "raman_b"), 1000)
        room.room.pulse("alice", "mw_switch", MW_PI_MU)
        room.room.pulse("alice", ("rydberg_420", "rydberg_1013"), 20)
        room.room.pulse("alice", "mw_switch", MW_PI_MU)
        before = room.array.state(*PORT)
        room.room.pulse("alice", ("raman_a", "raman_b"), 2000)
        if ABSENT not in room.labels():
            break
    port, beside = (room.array.state(*site) for site in (PORT, BESIDE))
    assert port is not None and before is port is beside and port.psi.shape == (3, 3)
    assert np.linalg.norm(port.psi) == pytest.approx(1)


def test_without_the_field_the_atom_beside_the_port_sees_none_of_this_light() -> None:
    room = PairLab(drives=False)
    room.fresh()
    room.room.pulse("alice", ("pumping", "repump"), PUMP_MU)
    room.room.pulse("alice", "mw_switch", MW_PI_MU)
    assert room.labels() == (READY, F2)
    for _ in range(20):
        room.room.pulse("alice", "pushout", PUSHOUT_MU)
    assert room.labels() == (ABSENT, F2)


def test_hiding_light_keeps_the_atom_beside_the_port_out_of_it() -> None:
    room = PairLab()
    room.fresh()
    room.room.sinks["alice", "hiding"](room.room.t, 1)
    room.room.play(room.room.t + 2 * LATENCY_MU)
    room.room.pulse("alice", ("pumping", "repump"), PUMP_MU)
    assert room.labels() == (READY, F2)


def test_a_field_that_is_neither_true_nor_false_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text((FOLDER / "pair.toml").read_text().replace("global_drives = true", "global_drives = 1"))
    with pytest.raises(ScenarioError, match="true or false"):
        load_scenario(str(bad))
