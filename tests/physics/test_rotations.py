"""Unitaries on the three levels against the matrix exponential of their Hamiltonian."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

from sim.physics.bell import axis_operator
from sim.physics.rotations import dephase, microwave, precession, quasi_static_detuning, raman, to_axis

RABI, DETUNING, PHASE, T = 2 * math.pi * 250e3, 2 * math.pi * 90e3, 0.7, 1.3e-6


def hamiltonian(i, j):
    h = np.zeros((3, 3), dtype=complex)
    h[i, j] = RABI / 2 * np.exp(-1j * PHASE)
    h[j, i] = h[i, j].conjugate()
    h[i, i], h[j, j] = DETUNING / 2, -DETUNING / 2
    return h


@pytest.mark.parametrize(("pulse", "i", "j"), [(raman, 0, 1), (microwave, 1, 2)])
def test_pulse_is_the_exponential_of_its_hamiltonian(pulse, i, j):
    unitary = pulse(RABI, DETUNING, PHASE, T)
    assert np.abs(unitary - expm(-1j * hamiltonian(i, j) * T)).max() < 1e-12
    assert np.abs(unitary @ unitary.conj().T - np.eye(3)).max() < 1e-12


def test_no_light_and_no_detuning_does_nothing():
    assert np.array_equal(raman(0.0, 0.0, 1.0, 1e-6), np.eye(3))


def test_microwave_pi_pulse_maps_one_to_two_and_leaves_zero():
    mapped = np.abs(microwave(RABI, 0.0, 0.0, math.pi / RABI)) ** 2
    assert mapped == pytest.approx(np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]]), abs=1e-12)


def test_detuned_transfer_follows_the_rabi_formula():
    total = math.hypot(RABI, DETUNING)
    transfer = abs(raman(RABI, DETUNING, 0.0, T)[1, 0]) ** 2
    assert transfer == pytest.approx(RABI**2 / total**2 * math.sin(total * T / 2) ** 2, rel=1e-9)


def test_detuning_without_light_is_precession():
    assert np.abs(raman(0.0, DETUNING, 0.0, T) - precession(DETUNING * T)).max() < 1e-12


def test_phase_of_the_drive_turns_the_axis_as_precession_does():
    turned = precession(PHASE) @ raman(RABI, 0.0, 0.0, T) @ precession(-PHASE)
    assert np.abs(turned - raman(RABI, 0.0, PHASE, T)).max() < 1e-12


@pytest.mark.parametrize(("polar", "azimuth"), [(0.0, 0.0), (1.1, 0.4), (math.pi / 2, math.pi / 2), (2.5, -2.0)])
def test_analysis_pulse_turns_the_axis_into_z(polar, azimuth):
    turn = to_axis(polar, azimuth)[:2, :2]
    z = np.diag([1.0, -1.0])
    assert np.abs(turn.conj().T @ z @ turn - axis_operator(polar, azimuth)).max() < 1e-12


def test_dephasing_is_the_average_over_shots():
    """Mean of 20 000 Ramsey phases against the map; 4 sigma (each component's variance is below 1)."""
    rng, sigma, t = np.random.default_rng(6), 3e4, 40e-6
    phases = np.array([quasi_static_detuning(rng, sigma) for _ in range(20_000)]) * t
    rho = np.full((2, 2), 0.5, dtype=complex)
    after = dephase(rho, np.array([sigma / 2, -sigma / 2]), t)
    assert abs(np.exp(-1j * phases).mean() - 2 * after[0, 1]) < 4 * math.sqrt(2 / 20_000)
    assert after[0, 0] == 0.5
    assert abs(after[0, 1]) == pytest.approx(0.5 * math.exp(-0.5 * (sigma * t) ** 2))


def test_no_noise_draws_no_detuning():
    assert quasi_static_detuning(np.random.default_rng(0), 0.0) == 0.0
