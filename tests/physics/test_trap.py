"""Frequencies, depth and thermal loss of a tweezer."""

import pytest
from scipy.stats import gamma

from sim.physics.species import RB87
from sim.physics.trap import Trap, frequencies_hz, light_shift, p_lost, survival_after_heating


def test_one_millikelvin_and_one_micrometre_give_98_and_19_kilohertz():
    radial, axial = frequencies_hz(Trap(1e-3, 1e-6, 852e-9), RB87.mass_kg)
    assert radial == pytest.approx(98e3, rel=0.01)
    assert axial == pytest.approx(19e3, rel=0.01)


def test_one_milliwatt_at_852_nm_gives_300_microkelvin_and_six_photons_per_second():
    depth, scattering = light_shift(RB87, 852e-9, 1e-3, 1e-6)
    assert depth == pytest.approx(0.30e-3, rel=0.02)
    assert scattering == pytest.approx(6.5, rel=0.02)


def test_blue_light_repels():
    assert light_shift(RB87, 770e-9, 1e-3, 1e-6)[0] < 0


@pytest.mark.parametrize("x", [0.5, 3.0, 10.0, 50.0])
def test_loss_is_the_tail_of_the_gamma_distribution_of_three(x):
    """E/kT of a 3D harmonic oscillator is a sum of three exponentials: the Gamma distribution of shape 3."""
    assert p_lost(1e-3 / x, 1e-3) == pytest.approx(gamma(3).sf(x), rel=1e-12)


def test_cold_atom_stays():
    assert p_lost(0.0, 1e-3) == 0.0


def test_heating_in_two_steps_equals_heating_at_once():
    once = survival_after_heating(20e-6, 200e-6, 1e-3)
    twice = survival_after_heating(20e-6, 90e-6, 1e-3) * survival_after_heating(90e-6, 200e-6, 1e-3)
    assert twice == pytest.approx(once, rel=1e-12)
    assert once < 1.0


def test_cooling_loses_nothing():
    assert survival_after_heating(50e-6, 20e-6, 1e-3) == 1.0
