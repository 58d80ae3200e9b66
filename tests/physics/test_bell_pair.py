"""The Bell pair to expect: against the Schroedinger equation of `sim.physics.rydberg`, and limits known otherwise."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from sim.physics.bell_pair import TwoPulses, amplitudes, fidelity, pair
from sim.physics.evolution import propagator
from sim.physics.rydberg import Imperfection, Pulse, cz, two_pulse

RABI = 2 * math.pi * 4.6e6
IDEAL = two_pulse()
DARK_S = 3.90242 / (IDEAL.detuning * RABI)
LIGHT = TwoPulses(RABI, IDEAL.detuning * RABI, IDEAL.duration / 2 / RABI, DARK_S, 12 * RABI, 1e6)


def test_darkness_between_the_pulses_is_the_jump_of_phase() -> None:
    expected = cz(IDEAL, Imperfection(blockade=12.0)).amplitudes
    assert amplitudes(LIGHT) == pytest.approx(expected, abs=3e-4)  # |rr> turns in the dark, too
    strong = cz(IDEAL, Imperfection(blockade=300.0)).amplitudes
    assert amplitudes(replace(LIGHT, pair_shift_rad_s=300 * RABI)) == pytest.approx(strong, abs=1e-5)


def test_without_darkness_the_amplitudes_are_those_of_one_long_pulse() -> None:
    pulse = Pulse(IDEAL.duration, IDEAL.detuning, lambda _t: 0.0)
    one = cz(pulse, Imperfection(blockade=12.0, detunings=(-0.01, 0.02)))
    found = amplitudes(replace(LIGHT, dark_s=0.0), (0.01 * RABI, -0.02 * RABI))
    assert found == pytest.approx(one.amplitudes, abs=1e-6)


def test_the_ideal_gate_makes_the_bell_state_and_no_gate_stays_at_one_half() -> None:
    z = np.exp(0.7j)
    psi = pair(np.array([1, z, z, -(z**2)]), 0.7)
    assert np.abs(psi) ** 2 == pytest.approx([0.5, 0, 0, 0.5], abs=1e-12)
    for phase in (0.0, 1.0, 2.4):
        product = pair(np.ones(4, dtype=complex), phase)
        assert 0.5 * (abs(product[0]) ** 2 + abs(product[3]) ** 2) + abs(product[0] * product[3]) < 0.5 + 1e-9


def test_decay_and_doppler_shifts_cost_fidelity_and_their_absence_does_not() -> None:
    phase = float(np.angle(amplitudes(LIGHT)[1]))
    best = fidelity(LIGHT, phase)
    assert best == pytest.approx(0.998, abs=1e-3)  # 1 - 1.6e-3: the blockade, as sim.physics.rydberg.infidelity says
    assert fidelity(replace(LIGHT, lifetime_s=1e-4), phase) < best - 1e-3
    assert fidelity(replace(LIGHT, doppler_rad_s=4e5), phase) < best - 3e-3


def test_the_propagator_is_the_exponential() -> None:
    rng = np.random.default_rng(1)
    for n, scale in ((1, 1.0), (4, 1e-3), (16, 30.0)):
        matrix = scale * (rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n)))
        matrix = matrix + matrix.conj().T
        assert np.abs(propagator(matrix, 0.7) - expm(-0.7j * matrix)).max() < 1e-10
    assert np.abs(propagator(np.zeros((3, 3)), 1.0) - np.eye(3)).max() == 0
