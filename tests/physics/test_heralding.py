"""Closed forms of heralding against an exact amplitude-level count that shares nothing with them.

Photons are vectors over modes (detector, temporal mode) plus one loss mode per arm, and
psi_B = sqrt(V) psi_A + sqrt(1 - V) psi_perp.
All modes are measured, temporal and loss modes without being told apart; dark clicks are added by enumeration.
"""

import itertools
import math

import numpy as np
import pytest

from sim.physics.bell import bell_state, fidelity
from sim.physics.heralding import (
    OnePhoton,
    TwoPhoton,
    barrett_kok,
    one_photon,
    two_photon_polarisation,
)

SETS = [
    TwoPhoton(0.3, 0.3, 0.0, 1.0),
    TwoPhoton(0.6, 0.4, 0.1, 0.7),
    TwoPhoton(0.9, 0.2, 0.02, 0.0),
    TwoPhoton(1.0, 1.0, 0.3, 1.0),
    TwoPhoton(0.0, 0.5, 0.05, 0.5),
]


def arm(eta, sign, detectors, overlap, loss_mode):
    """Return a photon's vector over 2 temporal modes x 4 detectors + 2 loss modes, for its two output detectors."""
    vector = np.zeros(10, dtype=complex)
    for port, detector in enumerate(detectors):
        port_sign = 1 if port == 0 else sign
        vector[2 * detector] = math.sqrt(eta / 2 * overlap) * port_sign
        vector[2 * detector + 1] = math.sqrt(eta / 2 * (1 - overlap)) * port_sign
    vector[8 + loss_mode] = math.sqrt(1 - eta)
    return vector


def outcomes(nodes):
    """Yield (set of lit detectors, unnormalised vector of the two atoms); nodes[k][s] = (amplitude, photon or None)."""
    vectors: dict[tuple[int, ...], np.ndarray] = {}
    for s, t in itertools.product(range(2), repeat=2):
        (amp_a, a), (amp_b, b) = nodes[0][s], nodes[1][t]
        photons = [p for p in (a, b) if p is not None]
        for modes in itertools.combinations_with_replacement(range(10), len(photons)):
            if len(modes) == 2:
                x, y = modes
                value = math.sqrt(2) * a[x] * b[x] if x == y else a[x] * b[y] + a[y] * b[x]
            else:
                value = photons[0][modes[0]] if modes else 1.0
            vectors.setdefault(modes, np.zeros(4, dtype=complex))[2 * s + t] += amp_a * amp_b * value
    for modes, atoms in vectors.items():
        yield frozenset(m // 2 for m in modes if m < 8), atoms


def count(nodes, detectors, d, accept):
    """Return (probability, mean fidelity) of the patterns in accept: {frozenset of clicks: Bell state}."""
    probability = good = 0.0
    for lit, atoms in outcomes(nodes):
        for n in range(detectors + 1):
            for dark in itertools.combinations(range(detectors), n):
                state = accept.get(lit | frozenset(dark))
                if state is not None:
                    weight = d**n * (1 - d) ** (detectors - n)
                    probability += weight * np.vdot(atoms, atoms).real
                    good += weight * fidelity(atoms, state)
    return probability, good / probability


C_H, C_V, D_H, D_V = range(4)
TWO_PHOTON_PATTERNS = {
    frozenset({C_H, C_V}): "psi+", frozenset({D_H, D_V}): "psi+",
    frozenset({C_H, D_V}): "psi-", frozenset({C_V, D_H}): "psi-",
}


def count_two_photon(link):
    def node(eta, sign, overlap, k):
        return [(math.sqrt(0.5), arm(eta, sign, pair, overlap, k)) for pair in ((C_H, D_H), (C_V, D_V))]

    nodes = node(link.eta_a, 1, 1.0, 0), node(link.eta_b, -1, link.visibility, 1)
    return count(nodes, 4, link.dark_probability, TWO_PHOTON_PATTERNS)


@pytest.mark.parametrize("link", SETS)
def test_two_photon_herald_is_the_exact_count(link):
    predicted = two_photon_polarisation(link)
    probability, mean_fidelity = count_two_photon(link)
    assert predicted.probability == pytest.approx(probability, rel=1e-12)
    assert predicted.fidelity == pytest.approx(mean_fidelity, rel=1e-12)
    assert sum(predicted.parts.values()) == pytest.approx(predicted.probability)


def test_exact_count_is_complete():
    """The measured modes exhaust the state: probabilities over all outcomes add up to 1."""
    nodes = [[(math.sqrt(0.5), arm(0.4, s, pair, 0.6, k)) for pair in ((C_H, D_H), (C_V, D_V))]
             for k, s in enumerate((1, -1))]
    assert sum(np.vdot(atoms, atoms).real for _, atoms in outcomes(nodes)) == pytest.approx(1.0)


@pytest.mark.parametrize(("eta", "alpha", "d", "visibility"), [
    (0.3, 0.1, 0.0, 1.0), (0.5, 0.3, 0.05, 0.6), (1.0, 0.5, 0.2, 0.0), (0.02, 0.05, 1e-3, 0.9)])
def test_one_photon_herald_is_the_exact_count_for_pure_modes(eta, alpha, d, visibility):
    """Fixed pure modes, so M = sqrt(V). Bright is |0> here, with its photon; the click's port fixes the sign."""
    def node(sign, overlap, k):
        return [(math.sqrt(alpha), arm(eta, sign, (0, 1), overlap, k)), (math.sqrt(1 - alpha), None)]

    nodes = node(1, 1.0, 0), node(-1, visibility, 1)
    patterns = {frozenset({0}): "psi+", frozenset({1}): "psi-"}
    probability, mean_fidelity = count(nodes, 2, d, patterns)
    predicted = one_photon(OnePhoton(eta, alpha, d, visibility, overlap=math.sqrt(visibility)))
    assert predicted.probability == pytest.approx(probability, rel=1e-12)
    assert predicted.fidelity == pytest.approx(mean_fidelity, rel=1e-12)


def test_one_photon_phase_noise_averages_the_coherence():
    """Average over 200 001 Gaussian phases by quadrature instead of the factor exp(-sigma^2/2)."""
    link = OnePhoton(0.3, 0.1, 0.0, 1.0, 1.0, phase_sigma_rad=0.6)
    phases = np.linspace(-5, 5, 200_001)
    weight = np.exp(-0.5 * (phases / 0.6) ** 2)
    factor = float((weight * np.cos(phases)).sum() / weight.sum())
    still = one_photon(OnePhoton(0.3, 0.1, 0.0, 1.0, overlap=factor))
    assert one_photon(link).fidelity == pytest.approx(still.fidelity, rel=1e-9)


@pytest.mark.parametrize("link", SETS[:4])
def test_barrett_kok_without_drift_equals_the_exact_count_in_time_bins(link):
    """Bins early and late in place of H and V: two detectors in two rounds are four detectors."""
    probability, mean_fidelity = count_two_photon(link)
    assert barrett_kok(link).probability == pytest.approx(probability, rel=1e-12)
    assert barrett_kok(link).fidelity == pytest.approx(mean_fidelity, rel=1e-12)


def test_barrett_kok_coherence_is_lost_with_the_phase_between_rounds():
    assert barrett_kok(TwoPhoton(0.1, 0.1, 0.0, 1.0, phase_sigma_rad=20.0)).fidelity == pytest.approx(0.5)
    assert two_photon_polarisation(TwoPhoton(0.1, 0.1, 0.0, 1.0, phase_sigma_rad=20.0)).fidelity == 1.0


def test_darks_alone_herald_a_random_pair():
    assert two_photon_polarisation(TwoPhoton(0.0, 0.0, 0.01, 1.0)).fidelity == 0.25


def test_nothing_heralds_without_photons_and_darks():
    prediction = two_photon_polarisation(TwoPhoton(0.0, 0.0, 0.0, 1.0))
    assert prediction.probability == 0.0
    assert math.isnan(prediction.fidelity)


def test_bell_states_of_the_two_kinds_of_pattern():
    """Same output heralds psi+, different outputs psi-, with unit fidelity for perfect photons."""
    nodes = [[(math.sqrt(0.5), arm(1.0, s, pair, 1.0, k)) for pair in ((C_H, D_H), (C_V, D_V))]
             for k, s in enumerate((1, -1))]
    for lit, atoms in outcomes(nodes):
        if lit in TWO_PHOTON_PATTERNS and np.vdot(atoms, atoms).real > 1e-12:
            target = bell_state(TWO_PHOTON_PATTERNS[lit])
            assert abs(np.vdot(target, atoms)) ** 2 == pytest.approx(np.vdot(atoms, atoms).real)
