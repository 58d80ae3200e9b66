"""Rydberg light at the port's neighbourhood: the gate of sim.physics.rydberg, decay, and who takes part; 4 sigma."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from array_lab import ArrayLab
from scipy.linalg import expm
from signal_lab import CYCLE, LATENCY_MU

import sim.world.atoms.rydberg
from atomlink.errors import LabError, ScenarioError
from atomlink.signals import Tone
from sim.physics.rydberg import Imperfection, RydbergState, cz, pair_shift_rad_s, two_pulse
from sim.physics.rydberg import state as rydberg_state
from sim.world.atoms.labels import ABSENT, QUBIT
from sim.world.atoms.states import JointState
from sim.world.scenario import FOLDER, load_scenario

PULSE_MU = 150
RABI = 4.29268 / (PULSE_MU * 1e-9)
BEAMS = ("rydberg_420", "rydberg_1013")
PLUS = np.array([1, 0, 1], dtype=complex) / math.sqrt(2)  # |0> + |2>


class GateLab(ArrayLab):
    """Alice's array with cold atoms and equal shots, and both Rydberg beams."""

    def __init__(self, seed: int = 1, scenario: str = "array") -> None:
        super().__init__(seed, scenario)
        truth = self.node.truth
        assert truth.rydberg is not None
        light = replace(truth.rydberg, rabi_rad_s=RABI, rabi_rms=0.0, wavenumber_rad_m=0.0)
        self.node.truth = replace(truth, rydberg=light)
        for beam in BEAMS:
            self.room.sinks["alice", f"dds_{beam}"] = self.world.output(f"alice_dds_{beam}", "tone")

    def put(self, *sites: tuple[int, int]) -> None:
        """Put atoms in |0> + |2> on these sites."""
        self.only(*sites)
        register = self.node.register
        for site in sites:
            part = register.new_part(self.room.t)
            JointState(PLUS.copy(), [part])
            register.become(self.array.site(*site), part)

    def tone(self, t_mu: int, beam: str, away_hz: float, phase_turns: float) -> None:
        """Set one beam's DDS."""
        self.room.sinks["alice", f"dds_{beam}"](t_mu, Tone(80e6 + away_hz, 1.0, phase_turns, 0.0, False))

    def light(self, start_mu: int, length_mu: int) -> None:
        """Switch both beams on for a while; only planned."""
        for beam in BEAMS:
            self.room.pulse("alice", beam, length_mu, start_mu)

    def two_pulses(self) -> None:
        """Play the gate of Levine et al.: detuned, with a jump of phase."""
        gate, start = two_pulse(), self.room.t + 10_000
        away = gate.detuning * RABI / (2 * math.pi)
        self.tone(start - 5000, "rydberg_1013", 0.0, 0.0)
        self.tone(start - 5000, "rydberg_420", away, 0.0)
        turns = (80e6 + away) * (5000 + PULSE_MU) * 1e-9 + gate.phase_rad(gate.jumps[0]) / (2 * math.pi)
        self.light(start, 2 * PULSE_MU)
        self.room.play(start + PULSE_MU - 1)
        self.tone(start + PULSE_MU, "rydberg_420", away, turns % 1.0)
        self.room.play(start + 2 * PULSE_MU + 2 * LATENCY_MU)

    def state(self, *sites: tuple[int, int]) -> np.ndarray:
        """Return the amplitudes of |0>, |2> of these atoms, in this order, flat."""
        gate = self.node.gate
        assert gate is not None
        gate.settle()
        parts = [self.array.part(*site) for site in sites]
        state = parts[0].state
        assert all(part.state is state for part in parts)
        return np.transpose(state.psi, [part.axis for part in parts])[np.ix_(*[(0, 2)] * len(sites))].ravel()


@pytest.fixture
def no_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    c6 = rydberg_state("Rb-87", 70).c6_hz_m6
    monkeypatch.setattr(sim.world.atoms.rydberg, "rydberg_state", lambda _species, _n: RydbergState(c6, math.inf))


def test_two_pulses_make_the_gate_that_the_schroedinger_equation_gives(no_decay: None) -> None:
    """Amplitudes of all four inputs, with the blockade of two atoms at 5 um, to 1e-5."""
    room = GateLab()
    room.put((0, 0), (0, 1))
    room.two_pulses()
    shift = pair_shift_rad_s(rydberg_state("Rb-87", 70).c6_hz_m6, room.array.truth.site_m)
    expected = cz(two_pulse(), Imperfection(blockade=shift / RABI)).amplitudes / 2
    found = room.state((0, 0), (0, 1))
    expected = expected / np.linalg.norm(expected)
    assert np.abs(found - expected * (found[0] / expected[0])).max() < 1e-5


def test_one_atom_alone_returns_with_a_phase_only(no_decay: None) -> None:
    room = GateLab()
    room.put((0, 0))
    room.two_pulses()
    found = room.state((0, 0))
    assert abs(found[1]) == pytest.approx(abs(found[0]), abs=1e-3)
    assert room.node.label == QUBIT


def test_atoms_two_sites_away_are_not_in_the_light(no_decay: None) -> None:
    room = GateLab()
    room.put((0, 0), (0, 2))
    before = room.array.state(0, 2)
    room.two_pulses()
    assert room.array.state(0, 2) is before and np.allclose(before.psi, PLUS)


def test_pairs_of_a_gate_zone_are_chosen_by_place_and_make_their_gates_at_a_time(no_decay: None) -> None:
    """Two pairs 21 um apart: each has the amplitudes of its own gate to 1e-5, and no state is shared."""
    room = GateLab(1, "register")
    gate = room.node.gate
    assert gate is not None and gate.sites == (0, 1, 2, 3)
    gate.sites = tuple(range(24))
    pairs = ((0, 0), (0, 1)), ((3, 4), (3, 5))
    room.put(*pairs[0], *pairs[1])
    room.two_pulses()
    shift = pair_shift_rad_s(rydberg_state("Rb-87", 70).c6_hz_m6, room.array.truth.site_m)
    expected = cz(two_pulse(), Imperfection(blockade=shift / RABI)).amplitudes / 2
    expected = expected / np.linalg.norm(expected)
    for pair in pairs:
        found = room.state(*pair)
        assert len(found) == 4
        assert np.abs(found - expected * found[0] / expected[0]).max() < 1e-5


def brute_force(*places_m: float) -> np.ndarray:
    """Return the amplitudes with which the gate brings all 2^n inputs back, atoms in a line, of the whole matrix."""
    pulse, n = two_pulse(), len(places_m)
    c6 = rydberg_state("Rb-87", 70).c6_hz_m6
    words = list(itertools.product((0, 1), repeat=n))
    out = []
    for word in words:
        psi = np.array([float(not any(basis)) for basis in words], dtype=complex)
        for jump in (0.0, pulse.phase_rad(pulse.jumps[0])):
            total = np.zeros((2**n, 2**n), dtype=complex)
            for a, b in itertools.product(range(2**n), repeat=2):
                changed = [k for k in range(n) if words[a][k] != words[b][k]]
                if len(changed) == 1 and word[changed[0]]:
                    total[a, b] = RABI / 2 * np.exp(1j * jump * (1 if words[b][changed[0]] else -1))
            for a, basis in enumerate(words):
                total[a, a] = -pulse.detuning * RABI * sum(basis) + sum(
                    pair_shift_rad_s(c6, abs(places_m[k] - places_m[m])) * basis[k] * basis[m]
                    for k, m in itertools.combinations(range(n), 2)
                )
            psi = expm(-1j * total * PULSE_MU * 1e-9) @ psi
        out.append(psi[0])
    return np.array(out)


def test_a_third_atom_of_the_zone_is_touched_as_its_distance_says(no_decay: None) -> None:
    """Pair at 0 and 1: a third atom two sites from it is 5 % off its own gate, as a whole matrix of all three says."""
    room = GateLab(1, "register")
    room.put((0, 0), (0, 1), (0, 3))
    room.two_pulses()
    found = room.state((0, 0), (0, 1), (0, 3))
    expected = brute_force(0.0, 5e-6, 15e-6)
    expected = expected / np.linalg.norm(expected)
    assert np.abs(found - expected * (found[0] / expected[0])).max() < 1e-5
    apart = np.kron(brute_force(0.0, 5e-6), brute_force(0.0))
    lost = 1 - abs(np.vdot(apart / np.linalg.norm(apart), found)) ** 2
    assert lost == pytest.approx(0.047, abs=0.002)


def test_a_third_atom_five_sites_away_keeps_its_state(no_decay: None) -> None:
    """16 kHz and less are left out of the model: so far away, what the whole matrix has is below 1e-4."""
    apart = np.kron(brute_force(0.0, 5e-6), brute_force(0.0))
    whole = brute_force(0.0, 5e-6, 25e-6)
    lost = 1 - abs(np.vdot(apart, whole) / np.linalg.norm(apart) / np.linalg.norm(whole)) ** 2
    assert lost < 1e-4


def test_too_many_neighbours_are_refused_in_one_line(no_decay: None) -> None:
    room = GateLab(1, "register")
    assert room.node.gate is not None
    room.node.gate.sites = tuple(range(24))
    room.put(*((r, c) for r in range(2) for c in range(3)))
    with pytest.raises(LabError, match="6 atoms that shift one another"):
        room.two_pulses()


def test_a_distant_partner_stays_entangled_through_the_gate(no_decay: None) -> None:
    """Alice's half of a heralded pair meets a neighbour: three atoms in one state, bob's among them."""
    room = GateLab(3)
    room.room.load()
    room.only((0, 0), (1, 0))
    herald = room.room.entangler.run(room.room.t, room.room.t + 20_000 * CYCLE.length_mu, CYCLE)
    assert herald.pattern
    room.room.t = herald.t_end_mu
    room.two_pulses()
    room.node.gate.settle()
    alice, bob = room.room.nodes
    assert alice.state is bob.state is room.array.state(1, 0)
    assert alice.state.psi.shape == (3, 3, 3) and np.linalg.norm(alice.state.psi) == pytest.approx(1)
    weights = bob.register.part(bob.site).populations()
    assert weights[0] + weights[1] == pytest.approx(1)


def test_an_atom_is_lost_by_decay_as_its_time_in_the_rydberg_state_says() -> None:
    """300 full Rabi cycles, half of the time in |r>: survival exp(-t/2 tau), 150 shots."""
    room, shots, kept = GateLab(), 150, 0
    cycle_s = 2 * math.pi / RABI
    length_mu = round(300 * cycle_s * 1e9)
    for _ in range(shots):
        room.only()
        room.node.label = 2
        room.tone(room.room.t, "rydberg_420", 0.0, 0.0)
        room.tone(room.room.t, "rydberg_1013", 0.0, 0.0)
        room.light(room.room.t + 10_000, length_mu)
        room.room.play(room.room.t + 20_000 + length_mu)
        room.node.gate.settle()
        kept += room.node.label != ABSENT
    p = math.exp(-length_mu * 1e-9 / (2 * rydberg_state("Rb-87", 70).lifetime_s))
    assert abs(kept / shots - p) < 4 * math.sqrt(p * (1 - p) / shots)


def test_an_atom_left_in_the_rydberg_state_is_expelled(no_decay: None) -> None:
    """A pi pulse on |2>: the next light finds nothing. Half a pi pulse: half of 60 shots, 4 sigma."""
    for length_mu, share in ((round(math.pi / RABI * 1e9), 1.0), (round(math.pi / 2 / RABI * 1e9), 0.5)):
        room, lost = GateLab(), 0
        for _ in range(60):
            room.only()
            room.node.label = 2
            room.tone(room.room.t, "rydberg_420", 0.0, 0.0)
            room.tone(room.room.t, "rydberg_1013", 0.0, 0.0)
            room.light(room.room.t + 10_000, length_mu)
            room.room.play(room.room.t + 20_000)
            room.room.pulse("alice", ("pumping", "repump"), 100)
            lost += room.node.label == ABSENT
        assert abs(lost / 60 - share) < 4 * math.sqrt(0.25 / 60) if share < 1 else lost > 57


def test_rydberg_light_without_an_array_or_of_an_unknown_state_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    text = (FOLDER / "array.toml").read_text()
    table = text[text.index("[nodes.rydberg]") :]
    bad = tmp_path / "bad.toml"
    bad.write_text(f'description = "x"\nextends = "default"\n\n{table}')
    with pytest.raises(ScenarioError, match="no array"):
        load_scenario(str(bad))
    bad.write_text(text.replace("n = 70", "n = 71"))
    with pytest.raises(ScenarioError, match="71S"):
        load_scenario(str(bad))
