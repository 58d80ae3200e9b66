"""The heralded attempt against the closed forms, and the jumping sampler against playing every attempt."""

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from sim.physics.bell import bell_state
from sim.physics.cavity import CavityPort, emit
from sim.physics.emission import visibility
from sim.physics.fibre import jones
from sim.physics.freespace import FreeSpacePort, emit_at
from sim.physics.heralding import TwoPhoton, two_photon_polarisation
from sim.physics.hom import emission_jitter
from sim.physics.interference import Arm, Midpoint
from sim.world.atoms.labels import ABSENT, F1, F2, READY
from sim.world.network.attempt import AttemptModel, Gates
from sim.world.network.node_cycle import NodeCycle

MHZ = 2 * np.pi * 1e6
GATE = (0.0, 4e-6)
HERALDS = (0b0011, 0b1100, 0b1001, 0b0110)
PORT = CavityPort(8 * MHZ, 2.5 * MHZ, 0.25 * MHZ, 3 * MHZ)
PHOTON = emit(PORT, np.arange(0, 2000) * 1e-9, 10 * MHZ * np.ones(2000))
READY_ALWAYS = np.tile([0.0, 0.0, 0.0, 1.0], (4, 1))


def arm(delay_s: float = 50e-9, turn: tuple[float, float, float] = (0, 0, 0), larmor_mhz: float = 1.4) -> Arm:
    return Arm(PHOTON, delay_s, jones(*turn), larmor_mhz * MHZ)


def ideal_node(eta: float) -> NodeCycle:
    """A node that is always ready, always emits, and whose photon is seen with probability eta."""
    return NodeCycle(READY_ALWAYS, np.eye(4), 1.0, eta, arm())


def leaky_pump(ready: float) -> np.ndarray:
    table = np.eye(4)
    table[F1], table[F2] = [0, 0.7 * (1 - ready), 0.3 * (1 - ready), ready], [0, 0, 1 - ready, ready]
    return table


def fidelities(pattern: np.ndarray, psi: np.ndarray) -> np.ndarray:
    plus, minus = bell_state("psi+"), bell_state("psi-")
    same_port = np.isin(pattern, (0b0011, 0b1100))
    return np.abs(np.where(same_port, psi @ plus, psi @ minus)) ** 2


def random_parameters() -> list[TwoPhoton]:
    """Ten sets, two of them dominated by dark clicks, one with efficiencies near 1. Seed fixed before the first run."""
    rng = np.random.default_rng(20261122)
    sets = []
    for k in range(10):
        eta_a, eta_b = 10 ** rng.uniform(-2.5, -0.3, 2)
        dark = 10 ** rng.uniform(-6, -2.5)
        if k in (3, 7):
            eta_a, eta_b, dark = eta_a * 0.05, eta_b * 0.05, 0.02
        if k == 5:
            eta_a, eta_b = 0.97, 0.93
        sets.append(TwoPhoton(eta_a, eta_b, dark, rng.uniform(0.5, 1.0)))
    return sets


def test_click_level_simulation_agrees_with_the_closed_forms() -> None:
    """200,000 heralds per set: probability and fidelity; chi2 over all sets p > 1e-3, none beyond 4.5 sigma."""
    n, pulls = 200_000, []
    for k, truth in enumerate(random_parameters()):
        rate = -np.log1p(-truth.dark_probability) / (GATE[1] - GATE[0])
        gates = Gates((GATE,) * 4, (rate,) * 4, HERALDS)
        midpoint = Midpoint(truth.visibility, 0.0, (1.0,) * 4, 0.0)
        model = AttemptModel((ideal_node(truth.eta_a), ideal_node(truth.eta_b)), midpoint, gates)
        cycles, found = model.heralds(np.random.default_rng([1122, k]), np.full((n, 2), F2))
        expected = two_photon_polarisation(truth)
        p, f = n / cycles.sum(), fidelities(found.pattern, found.states)
        pulls.append((p - expected.probability) / (p * np.sqrt((1 - p) / n)))
        pulls.append((f.mean() - expected.fidelity) / (f.std() / np.sqrt(n)))
    assert np.abs(pulls).max() < 4.5
    assert chi2.sf(np.square(pulls).sum(), len(pulls)) > 1e-3


def imperfect_model() -> AttemptModel:
    """Leaky pumping, rotated fibres, unequal detectors, cut gates, dark clicks: nothing is left symmetric."""
    alice = NodeCycle(leaky_pump(0.9), np.eye(4), 0.95, 0.55, arm(50e-9, (0.3, 0.5, 0.1)))
    bob = NodeCycle(leaky_pump(0.8), np.eye(4), 0.90, 0.40, arm(90e-9, (0.0, 0.2, 0.7), 1.1))
    midpoint = Midpoint(0.9, 0.3 * MHZ, (1.0, 0.9, 0.8, 1.0), 20e-9)
    windows = ((0.05e-6, 0.6e-6), (0.1e-6, 0.5e-6), (0.05e-6, 0.7e-6), (0.0, 0.4e-6))
    return AttemptModel((alice, bob), midpoint, Gates(windows, (2e4, 1e4, 4e4, 2e4), HERALDS))


def brute_force(
    model: AttemptModel, rng: np.random.Generator, n: int, start: tuple[int, int]
) -> tuple[np.ndarray, ...]:
    """Play attempt by attempt until each of n chains has heralded: cycles (n,), pattern (n,), first click (n,) in s."""
    labels, cycles = np.tile(start, (n, 1)), np.zeros(n, dtype=int)
    pattern, first = np.zeros(n, dtype=int), np.zeros(n)
    running = np.arange(n)
    while len(running):
        played = model.attempts(rng, labels[running])
        labels[running], cycles[running] = played.ends, cycles[running] + 1
        hit = np.isin(played.pattern, HERALDS)
        pattern[running[hit]], first[running[hit]] = played.pattern[hit], played.first_s[hit].min(axis=1)
        running = running[~hit]
    return cycles, pattern, first


@pytest.mark.parametrize("start", [(F2, F2), (F1, READY), (ABSENT, F2)])
def test_jumping_to_the_herald_equals_playing_every_attempt(start: tuple[int, int]) -> None:
    """Waiting times, patterns and arrival times of 20,000 heralds each: chi2 p > 1e-3 for every comparison."""
    n, model = 20_000, imperfect_model()
    cycles, pattern, first = brute_force(model, np.random.default_rng(11), n, start)
    jumped, found = model.heralds(np.random.default_rng(12), np.tile(start, (n, 1)))
    edges = np.unique(np.quantile(cycles, np.linspace(0, 1, 25)).astype(int))
    for one, other, bins in (
        (cycles, jumped, [*edges[:-1], np.inf]),
        (pattern, found.pattern, [*HERALDS, 0b1101]),
        (first, found.first_s.min(axis=1), np.quantile(first, np.linspace(0, 1, 30))),
    ):
        counts = np.array([np.histogram(values, np.sort(bins))[0] for values in (one, other)])
        counts = counts[:, counts.sum(axis=0) > 0]
        assert chi2_contingency(counts).pvalue > 1e-3


def test_labels_after_a_wait_without_candidates_follow_the_chain() -> None:
    """State before cycle 4, given no candidate in 3, against attempts in which nothing was seen (4 sigma)."""
    model, n = imperfect_model(), 400_000
    rng = np.random.default_rng(5)
    labels = np.tile((F2, F2), (n, 1))
    for _ in range(3):
        played = model.attempts(rng, labels)
        clicks = played.seen.sum(axis=1)
        keep = (clicks == 0) & (played.pattern == 0)  # certainly no candidate: fewer than two clicks whatever the darks
        labels = played.ends[keep]
    only_dark = AttemptModel(model.nodes, model.midpoint, Gates(((0.0, 0.0),) * 4, (0.0,) * 4, (0b0001,)))
    expected = only_dark.passage(F2 * 4 + F2).state_before(4)
    # With a one-click pattern and no darks a candidate is an attempt with any photon: the same condition.
    counts = np.bincount(labels[:, 0] * 4 + labels[:, 1], minlength=16)
    sigma = np.sqrt(np.maximum(expected * (1 - expected) * len(labels), 1e-12))
    assert np.all(np.abs(counts - expected * len(labels)) <= 4 * sigma + 1e-9)


def test_identical_photons_of_one_polarisation_never_leave_by_different_ports() -> None:
    gates = Gates((GATE,) * 4, (0.0,) * 4, (0b0101, 0b1010))
    model = AttemptModel((ideal_node(0.5), ideal_node(0.5)), Midpoint(1.0, 0.0, (1.0,) * 4, 0.0), gates)
    played = model.attempts(np.random.default_rng(3), np.full((100_000, 2), READY))
    assert not np.isin(played.pattern, (0b0101, 0b1010)).any()


def test_distinguishable_photons_leave_by_different_ports_half_of_the_time() -> None:
    """Of 100,000 pairs with equal polarisation; 4 sigma of a binomial."""
    gates = Gates((GATE,) * 4, (0.0,) * 4, ())
    model = AttemptModel((ideal_node(1.0), ideal_node(1.0)), Midpoint(0.0, 0.0, (1.0,) * 4, 0.0), gates)
    played = model.attempts(np.random.default_rng(3), np.full((200_000, 2), READY))
    equal = played.photons.modes.polarisation[:, 0] == played.photons.modes.polarisation[:, 1]
    split = np.isin(played.pattern[equal], (0b0101, 0b1010))
    assert abs(split.mean() - 0.5) < 4 * 0.5 / np.sqrt(equal.sum())


def test_beating_photons_keep_their_phase_in_the_heralded_state() -> None:
    """A fixed detuning delta turns the pair's phase by delta (t1 - t2); undone by the time stamps, it is gone."""
    fixed = 2 * MHZ
    shifted = PHOTON.amplitude * np.exp(-1j * fixed * PHOTON.t_s)
    detuned = Arm(
        type(PHOTON)(PHOTON.t_s, shifted, 1.0, 1.0, 0.0, PHOTON.cdf), 50e-9, np.eye(2, dtype=complex), 1.4 * MHZ
    )
    node = NodeCycle(READY_ALWAYS, np.eye(4), 1.0, 0.9, detuned)
    model = AttemptModel(
        (node, ideal_node(0.9)), Midpoint(1.0, 0.0, (1.0,) * 4, 0.0), Gates((GATE,) * 4, (0.0,) * 4, HERALDS)
    )
    _, found = model.heralds(np.random.default_rng(9), np.full((5000, 2), READY))
    t_h, t_v = found.first_s[:, ::2].min(axis=1), found.first_s[:, 1::2].min(axis=1)
    assert fidelities(found.pattern, found.states).mean() < 0.9
    # |01> had alice's photon at t_h, |10> at t_v: alice's photon carries exp(-i delta t).
    undone = found.states.copy()
    undone[:, 1] *= np.exp(1j * fixed * t_h)
    undone[:, 2] *= np.exp(1j * fixed * t_v)
    assert fidelities(found.pattern, undone).mean() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("jitter", [0.1, 0.6])
def test_emission_jitter_costs_the_visibility_that_hom_says(jitter: float) -> None:
    """Exponential photons with rms jitter sigma each: V = erfcx(Gamma sigma); 4 sigma of 100,000 equal pairs."""
    gamma = 2 * MHZ
    photon = emit_at(FreeSpacePort(1.0, 1.0, gamma / 2), np.arange(0, 4000) * 1e-9, 0.0)
    late = Arm(photon, 50e-9, np.eye(2, dtype=complex), 1.4 * MHZ, jitter / gamma)
    node = NodeCycle(READY_ALWAYS, np.eye(4), 1.0, 1.0, late)
    gates = Gates(((-1.0, 1.0),) * 4, (0.0,) * 4, ())
    model = AttemptModel((node, node), Midpoint(1.0, 0.0, (1.0,) * 4, 0.0), gates)
    played = model.attempts(np.random.default_rng(8), np.full((200_000, 2), READY))
    equal = played.photons.modes.polarisation[:, 0] == played.photons.modes.polarisation[:, 1]
    split = np.isin(played.pattern[equal], (0b0101, 0b1010))
    visibility = 1 - 2 * split.mean()
    assert abs(visibility - emission_jitter(gamma, jitter / gamma)) < 4 * 2 * split.std() / np.sqrt(equal.sum())


def test_returns_to_the_prepared_state_cost_the_visibility_of_the_mixture() -> None:
    """Photons of an atom of which half of the decays return to |u>: V = Tr(rho rho); 4 sigma of 100,000 equal pairs."""
    port = CavityPort(4 * MHZ, 2.5 * MHZ, 0.25 * MHZ, 3 * MHZ, branching_back=0.5)
    mixed = emit(port, np.arange(0, 3000) * 1e-9, 10 * MHZ * np.ones(3000))
    node = NodeCycle(READY_ALWAYS, np.eye(4), 1.0, 1.0, Arm(mixed, 50e-9, np.eye(2, dtype=complex), 1.4 * MHZ))
    gates = Gates(((-1.0, 1.0),) * 4, (0.0,) * 4, HERALDS)
    model = AttemptModel((node, node), Midpoint(1.0, 0.0, (1.0,) * 4, 0.0), gates)
    played = model.attempts(np.random.default_rng(6), np.full((200_000, 2), READY))
    equal = played.photons.modes.polarisation[:, 0] == played.photons.modes.polarisation[:, 1]
    split = np.isin(played.pattern[equal], (0b0101, 0b1010))
    expected = visibility(mixed, mixed)
    assert expected < 0.95
    assert abs(1 - 2 * split.mean() - expected) < 4 * 2 * split.std() / np.sqrt(equal.sum())
    _, found = model.heralds(np.random.default_rng(7), np.full((20_000, 2), READY))
    fidelity = fidelities(found.pattern, found.states)
    assert abs(fidelity.mean() - (1 + expected) / 2) < 4 * fidelity.std() / np.sqrt(20_000)
