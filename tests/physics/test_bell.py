"""Bell states and their measures."""

import math

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics.bell import (
    CORRELATOR_SIGNS,
    axis_operator,
    bell_state,
    chsh,
    correlator,
    fidelity,
    fidelity_from_correlators,
)

X, Y, Z = (math.pi / 2, 0.0), (math.pi / 2, math.pi / 2), (0.0, 0.0)
NAMES = list(CORRELATOR_SIGNS)


def random_density_matrix(seed):
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    rho = raw @ raw.conj().T
    return rho / np.trace(rho)


def test_bell_states_are_an_orthonormal_basis():
    basis = np.array([bell_state(name) for name in NAMES])
    assert np.abs(basis.conj() @ basis.T - np.eye(4)).max() < 1e-15


@pytest.mark.parametrize("name", NAMES)
def test_correlator_signs_are_those_of_the_state(name):
    state = bell_state(name)
    measured = [correlator(state, *axis, *axis) for axis in (X, Y, Z)]
    assert measured == pytest.approx(CORRELATOR_SIGNS[name], abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_fidelity_follows_from_three_correlators_for_any_state(name):
    rho = random_density_matrix(12)
    xx, yy, zz = (correlator(rho, *axis, *axis) for axis in (X, Y, Z))
    assert fidelity_from_correlators(xx, yy, zz, name) == pytest.approx(fidelity(rho, name), rel=1e-12)


def test_fidelity_of_a_vector_is_that_of_its_projector():
    state = np.linalg.eigh(random_density_matrix(13))[1][:, 0]
    assert fidelity(state, "psi-") == pytest.approx(fidelity(np.outer(state, state.conj()), "psi-"), rel=1e-12)


def test_axis_operator_measures_along_pauli_axes():
    assert np.abs(axis_operator(*X) - np.array([[0, 1], [1, 0]])).max() < 1e-15
    assert np.abs(axis_operator(*Y) - np.array([[0, -1j], [1j, 0]])).max() < 1e-15


def settings_of_s(state):
    a, a2, b, b2 = 0.0, math.pi / 2, math.pi / 4, -math.pi / 4
    return chsh(*(correlator(state, p, 0.0, q, 0.0) for p, q in ((a, b), (a, b2), (a2, b), (a2, b2))))


def test_singlet_reaches_the_quantum_bound():
    assert settings_of_s(bell_state("psi-")) == pytest.approx(2 * math.sqrt(2))


def test_werner_state_violates_chsh_in_proportion_to_its_purity():
    singlet = np.outer(bell_state("psi-"), bell_state("psi-"))
    assert settings_of_s(0.6 * singlet + 0.1 * np.eye(4)) == pytest.approx(0.6 * 2 * math.sqrt(2))


def test_product_state_stays_within_local_realism():
    assert settings_of_s(np.array([1, 0, 0, 0], dtype=complex)) <= 2.0


def test_unknown_bell_state_is_refused():
    with pytest.raises(ScenarioError, match="'omega', but must be one of phi"):
        bell_state("omega")
