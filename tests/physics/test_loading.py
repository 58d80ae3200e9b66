"""Collisional-blockade loading: closed forms against the full chain, samplers against closed forms."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

from sim.physics.loading import (
    ENHANCED_SINGLE_LOSS_FRACTION,
    RED_SINGLE_LOSS_FRACTION,
    Loading,
    chain_generator,
    chain_stationary,
    load,
    p_one,
    relaxation_hz,
    stationary_filling,
)


@pytest.mark.parametrize("b", [0.0, 0.5, 0.9, 1.0])
def test_filling_is_the_fast_collision_limit_of_the_full_chain(b):
    params = Loading(arrival_hz=10.0, loss_hz=0.3, single_loss_fraction=b)
    chain = chain_stationary(chain_generator(params, pair_hz=1e6, n_max=6))
    assert chain.sum() == pytest.approx(1.0)
    assert chain[1] == pytest.approx(stationary_filling(params), rel=1e-4)


def test_full_chain_without_collisions_is_poissonian():
    chain = chain_stationary(chain_generator(Loading(2.0, 1.0, 0.0), pair_hz=0.0, n_max=30))
    poisson = [math.exp(-2) * 2**n / math.factorial(n) for n in range(31)]
    assert np.abs(chain - poisson).max() < 1e-9


def test_two_atom_loss_alone_fills_one_half():
    assert stationary_filling(Loading(10.0, 0.0, 0.0)) == 0.5


def test_manetsch2025_fills_6100_of_12000_sites():
    """V22, arXiv 2403.12021: 12000 sites, 6100 atoms ("fairly" known); within 3 sigma of the binomial."""
    filling = stationary_filling(Loading(10.0, 0.1, RED_SINGLE_LOSS_FRACTION))
    sigma = math.sqrt(12000 * filling * (1 - filling))
    assert filling == pytest.approx(0.507, abs=5e-4)
    assert abs(12000 * filling - 6100) < 3 * sigma


def test_brown2019_loads_nine_traps_of_ten():
    """V32, arXiv 1811.01448: single-loss fraction 0.9 (a fit), loading probability 0.90 ("fairly")."""
    assert stationary_filling(Loading(10.0, 0.1, ENHANCED_SINGLE_LOSS_FRACTION)) == pytest.approx(0.90, abs=0.01)


@pytest.mark.parametrize(("b", "design"), [(0.8, 0.81), (0.95, 0.94)])
def test_enhanced_loading_is_near_the_design_numbers(b, design):
    """0.81 and 0.94 come without their loss rate; with gamma/R = 0.01 the chain gives 0.826 and 0.943."""
    assert stationary_filling(Loading(10.0, 0.1, b)) == pytest.approx(design, abs=0.02)


def test_transient_is_the_two_state_master_equation():
    params = Loading(20.0, 1.0, 0.3)
    down = 20.0 * 0.7 + 1.0
    generator = np.array([[-20.0, down], [20.0, -down]])
    for n0 in (0, 1):
        for t in (0.0, 0.01, 0.2):
            assert p_one(n0, t, params) == pytest.approx(expm(generator * t)[1, n0], rel=1e-9)
    assert relaxation_hz(params) == pytest.approx(20.0 + down)


def test_atoms_are_lost_without_arrivals():
    assert p_one(1, 2.0, Loading(0.0, 0.5, 0.0)) == pytest.approx(math.exp(-1.0))


def test_sampler_has_the_mean_of_the_transient_in_one_step_or_many():
    """4 sigma of 4000 draws each."""
    params, rng = Loading(20.0, 1.0, 0.3), np.random.default_rng(5)
    expected = p_one(0, 0.05, params)
    sigma = math.sqrt(expected * (1 - expected) / 4000)
    once = np.mean([load(rng, 0, 0.05, params) for _ in range(4000)])

    def in_steps():
        n = 0
        for _ in range(5):
            n = load(rng, n, 0.01, params)
        return n

    assert abs(once - expected) < 4 * sigma
    assert abs(np.mean([in_steps() for _ in range(4000)]) - expected) < 4 * sigma
