"""Counts of a trapped atom and the errors of a threshold."""

import math

import numpy as np
import pytest
from scipy.stats import poisson

from sim.physics.imaging import Imaging, best_threshold, click_rate, counts, error_rates, scattering_rate
from sim.physics.species import RB87

CAMERA = Imaging(atom_hz=3000.0, background_hz=300.0, loss_hz=5.0)


def test_scattering_saturates_at_half_the_linewidth():
    gamma = RB87.d2_gamma_rad_s
    assert scattering_rate(1e9, 0.0, gamma) == pytest.approx(gamma, rel=1e-6)
    assert scattering_rate(1.0, 0.0, gamma) == pytest.approx(gamma / 2)
    # Half the linewidth (HWHM = gamma) of detuning halves weak scattering.
    assert scattering_rate(1e-6, gamma, gamma) / scattering_rate(1e-6, 0.0, gamma) == pytest.approx(0.5, rel=1e-5)


def test_clicks_are_the_product_of_the_chain():
    assert click_rate(1e6, 0.05, 0.5, 0.6) == pytest.approx(15e3)


def test_manetsch2025_imaging_survival_is_the_vacuum_lifetime():
    """V22, arXiv 2403.12021: survival 0.9998952(1); exp(-t/tau) in the sampled loss, 4 sigma of 10^6."""
    camera = Imaging(0.0, 0.0, -math.log(0.9998952) / 0.08)
    survived = counts(np.random.default_rng(2), 0.08, np.ones(1_000_000, dtype=bool), camera)[1].mean()
    assert abs(survived - 0.9998952) < 4 * math.sqrt(0.9998952 * 1.048e-4 / 1e6)


def test_absent_atom_counts_background_only():
    clicks, present = counts(np.random.default_rng(3), 0.02, np.zeros(50_000, dtype=bool), CAMERA)
    assert not present.any()
    assert abs(clicks.mean() - 6.0) < 4 * math.sqrt(6.0 / 50_000)
    assert clicks.var() == pytest.approx(6.0, rel=0.05)


def test_mean_counts_of_an_atom_that_may_leave():
    """Mean bright time is (1 - e^(-gt))/g; 4 sigma with the sample's own variance."""
    clicks, present = counts(np.random.default_rng(4), 0.1, np.ones(50_000, dtype=bool), CAMERA)
    expected = 3000.0 * -math.expm1(-0.5) / 5.0 + 30.0
    assert abs(clicks.mean() - expected) < 4 * clicks.std() / math.sqrt(50_000)
    assert abs(present.mean() - math.exp(-0.5)) < 4 * 0.5 / math.sqrt(50_000)


@pytest.mark.parametrize("threshold", [10, 25, 45])
def test_error_rates_are_those_of_the_sampler(threshold):
    """4 sigma of 200 000 shots."""
    n = 200_000
    rng = np.random.default_rng(threshold)
    missed, false = error_rates(0.02, threshold, CAMERA)
    bright = (counts(rng, 0.02, np.ones(n, dtype=bool), CAMERA)[0] <= threshold).mean()
    dark = (counts(rng, 0.02, np.zeros(n, dtype=bool), CAMERA)[0] > threshold).mean()
    assert abs(bright - missed) < 4 * math.sqrt(missed / n) + 1e-9
    assert abs(dark - false) < 4 * math.sqrt(false / n) + 1e-9


def test_error_rates_without_loss_are_poisson_tails():
    missed, false = error_rates(0.02, 20, Imaging(3000.0, 300.0, 0.0))
    assert missed == pytest.approx(poisson(66).cdf(20), rel=1e-9)
    assert false == pytest.approx(poisson(6).sf(20), rel=1e-6)


def test_best_threshold_beats_its_neighbours():
    best = best_threshold(0.02, CAMERA)
    total = [sum(error_rates(0.02, best + k, CAMERA)) for k in (-1, 0, 1)]
    assert total[1] == min(total)
