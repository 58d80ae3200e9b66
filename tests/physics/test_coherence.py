"""Decay of a stored qubit."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from atomlink.errors import ScenarioError
from sim.physics import coherence
from sim.physics.constants import BOLTZMANN_J_K, HBAR_J_S
from sim.physics.species import RB87


def test_rubidium_at_ten_microkelvin_keeps_phase_for_six_milliseconds():
    assert coherence.t2_star_s(RB87.hyperfine_trap_ratio, 10e-6) == pytest.approx(6.3e-3, rel=0.01)
    with pytest.raises(ScenarioError, match="must be > 0"):
        coherence.t2_star_s(2.35e-4, 0.0)


@pytest.mark.parametrize("t_ms", [1.0, 4.0, 10.0])
def test_thermal_contrast_averages_the_light_shift_over_boltzmann_energies(t_ms):
    """Shift = eta E/(2 hbar), E/kT Gamma-distributed (3): half the energy is potential. 0.95 and 0.97 are rounded."""
    rate = RB87.hyperfine_trap_ratio * BOLTZMANN_J_K * 10e-6 / (2 * HBAR_J_S)
    t = t_ms * 1e-3
    real = quad(lambda x: 0.5 * x * x * math.exp(-x) * math.cos(rate * t * x), 0, 60)[0]
    imag = quad(lambda x: 0.5 * x * x * math.exp(-x) * math.sin(rate * t * x), 0, 60)[0]
    ours = coherence.thermal_contrast(t, coherence.t2_star_s(RB87.hyperfine_trap_ratio, 10e-6))
    assert ours == pytest.approx(math.hypot(real, imag), abs=0.005)


def test_thermal_contrast_is_one_over_e_at_t2_star():
    assert coherence.thermal_contrast(1.0, 1.0) == pytest.approx(math.exp(-1), rel=0.003)


def test_quasi_static_contrast_is_one_over_e_at_t2_star():
    sigma = coherence.quasi_static_sigma_rad_s(2e-3)
    assert coherence.quasi_static_contrast(2e-3, sigma) == pytest.approx(math.exp(-1))


@pytest.mark.parametrize(("contrast", "switch"), [
    (coherence.ou_ramsey_contrast, lambda s, t: np.ones_like(s)),
    (coherence.ou_echo_contrast, lambda s, t: np.where(s < t / 2, 1.0, -1.0))])
def test_ou_contrast_is_the_double_integral_of_the_correlation(contrast, switch):
    sigma, tau, t = 2e3, 0.7e-3, 1.5e-3
    s = (np.arange(2000) + 0.5) * t / 2000
    sign = switch(s, t)
    correlation = sigma**2 * np.exp(-np.abs(np.subtract.outer(s, s)) / tau)
    exponent = 0.5 * sign @ correlation @ sign * (t / 2000) ** 2
    assert contrast(t, sigma, tau) == pytest.approx(math.exp(-exponent), rel=1e-3)


def test_echo_removes_quasi_static_noise_and_ramsey_does_not():
    sigma, t = 1e3, 1e-3
    assert coherence.ou_echo_contrast(t, sigma, 10.0) == pytest.approx(1.0, abs=1e-4)
    assert coherence.ou_ramsey_contrast(t, sigma, 10.0) == pytest.approx(
        coherence.quasi_static_contrast(t, sigma), rel=1e-3)


def test_stored_pair_decays_from_one_to_a_quarter():
    """Against Kraus maps: independent amplitude-symmetric relaxation (T1) and dephasing (T2) of each qubit."""
    t, t1, t2 = 1.0, 3.0, 2.0
    keep, flip = (1 + math.exp(-t / t1)) / 2, (1 - math.exp(-t / t1)) / 2
    same = keep**2 + flip**2
    # Populations stay in |01>,|10> with `same`; the coherence shrinks by e^(-t/T2) per qubit.
    expected = 0.5 * same + 0.5 * math.exp(-2 * t / t2)
    assert coherence.stored_pair_fidelity(t, t1, t2) == pytest.approx(expected, rel=1e-12)
    assert coherence.stored_pair_fidelity(0.0, 1.0, 1.0) == 1.0
    assert coherence.stored_pair_fidelity(1e3, 1.0, 1.0) == pytest.approx(0.25)


def test_geometric_wait_is_the_sum_over_the_geometric_distribution():
    p, factor = 0.02, 0.995
    series = sum(p * (1 - p) ** (k - 1) * factor**k for k in range(1, 5000))
    assert coherence.geometric_decay(factor, p) == pytest.approx(series, rel=1e-9)
