"""Optical pumping as a Markov chain."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sim.physics.pumping import F1, F2, READY, Pumping, generator, ready_probability, transition

LIGHT = Pumping(repump_hz=5e5, pump_hz=1e5, branch_f1=0.3, leak_hz=300.0)


@pytest.mark.parametrize("t", [1e-9, 1e-6, 2e-5, 1e-3])
def test_transition_solves_the_rate_equation(t):
    rates = generator(LIGHT)
    for start in (F1, F2, READY):
        p0 = np.eye(3)[start]
        exact = solve_ivp(lambda _, p: rates @ p, (0, t), p0, method="LSODA", rtol=1e-10, atol=1e-13).y[:, -1]
        assert np.abs(transition(rates, t)[:, start] - exact).max() < 1e-7


def test_transition_is_stochastic_and_composes():
    rates = generator(LIGHT)
    whole = transition(rates, 7e-5)
    assert np.all(whole >= 0)
    assert whole.sum(axis=0) == pytest.approx(np.ones(3), rel=1e-12)
    assert np.abs(transition(rates, 3e-5) @ transition(rates, 4e-5) - whole).max() < 1e-12


def test_no_time_changes_nothing():
    assert np.array_equal(transition(generator(LIGHT), 0.0), np.eye(3))


def test_default_light_prepares_99_percent_in_100_microseconds():
    assert ready_probability(LIGHT, 100e-6) == pytest.approx(0.99, abs=0.01)


def test_stationary_state_balances_pump_and_leak():
    """Flux into READY (1-b) r p2 equals leak * pR, and repump * p1 equals b r p2."""
    p = transition(generator(LIGHT), 1.0)[:, F1]
    assert 0.7e5 * p[F2] == pytest.approx(300.0 * p[READY], rel=1e-9)
    assert 5e5 * p[F1] == pytest.approx(0.3e5 * p[F2], rel=1e-9)


def test_pumping_light_without_repump_leaves_f1_alone():
    step = transition(generator(LIGHT, repump=0.0), 1.0)
    assert step[F1, F1] == pytest.approx(1.0)
    assert step[READY, F1] == pytest.approx(0.0, abs=1e-12)


def test_repump_alone_fills_f2_and_keeps_ready():
    step = transition(generator(LIGHT, pump=0.0), 1.0)
    assert step[F2, F1] == pytest.approx(1.0)
    assert step[READY, READY] == pytest.approx(1.0)
