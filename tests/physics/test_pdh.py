"""Error signal, residual detuning and its cost, against derivatives, averages and Monte Carlo."""

import math
from dataclasses import replace

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics.cavity import CavityPort, adiabatic_efficiency
from sim.physics.drift import Drift, advance, correlation, start
from sim.physics.pdh import Modulation, error_signal_w, is_locked, mean_adiabatic_efficiency, reflection, slope_w_s

MHZ = 2 * math.pi * 1e6
PORT = CavityPort(5 * MHZ, 2.7 * MHZ, 0.3 * MHZ, 3 * MHZ)
LIGHT = Modulation(1e-6, 0.1e-6, 30 * MHZ)


def test_a_lossless_cavity_reflects_everything_and_a_matched_one_nothing() -> None:
    detuning = np.linspace(-20, 20, 41) * MHZ
    assert np.abs(reflection(detuning, replace(PORT, kappa_in_rad_s=0.0))) == pytest.approx(np.ones(41))
    assert abs(complex(reflection(0.0, replace(PORT, kappa_in_rad_s=2.7 * MHZ)))) < 1e-12


def test_power_on_resonance_that_does_not_come_back_is_lost_inside() -> None:
    """1 - |F|^2 = 4 kappa_ext kappa_in/kappa^2."""
    lost = 1 - abs(complex(reflection(0.0, PORT))) ** 2
    assert lost == pytest.approx(4 * PORT.kappa_ext_rad_s * PORT.kappa_in_rad_s / PORT.kappa_rad_s**2)


def test_error_signal_is_odd_and_vanishes_on_resonance() -> None:
    detuning = np.linspace(0, 50, 101) * MHZ
    right, left = error_signal_w(detuning, PORT, LIGHT), error_signal_w(-detuning, PORT, LIGHT)
    assert right == pytest.approx(-left, abs=1e-20)
    assert right[0] == 0.0


def test_slope_is_the_derivative_and_has_the_textbook_limit() -> None:
    step = 1e-4 * MHZ
    numeric = float(error_signal_w(step, PORT, LIGHT) - error_signal_w(-step, PORT, LIGHT)) / (2 * step)
    assert slope_w_s(PORT, LIGHT) == pytest.approx(numeric, rel=1e-6)
    fast = replace(LIGHT, modulation_rad_s=3000 * MHZ)
    limit = 8 * math.sqrt(LIGHT.carrier_w * LIGHT.sideband_w) * PORT.kappa_ext_rad_s / PORT.kappa_rad_s**2
    assert slope_w_s(PORT, fast) == pytest.approx(limit, rel=1e-4)


def test_sidebands_give_zero_crossings_of_the_opposite_slope() -> None:
    near = error_signal_w(LIGHT.modulation_rad_s + np.array([-0.5, 0.5]) * MHZ, PORT, LIGHT)
    assert near[0] > near[1]
    assert slope_w_s(PORT, LIGHT) > 0


def test_lock_is_lost_beyond_three_linewidths() -> None:
    assert is_locked(2.9 * PORT.kappa_rad_s, PORT) and not is_locked(-3.1 * PORT.kappa_rad_s, PORT)


@pytest.mark.parametrize("rms", [0.05, 0.5, 3.0])
def test_mean_efficiency_equals_an_average_over_detunings(rms: float) -> None:
    """Trapezoidal rule over +- 10 rms, 20,001 points."""
    x = np.linspace(-10, 10, 20_001)
    weights = np.exp(-0.5 * x**2) / np.exp(-0.5 * x**2).sum()
    values = [adiabatic_efficiency(replace(PORT, detuning_rad_s=rms * PORT.kappa_rad_s * one)) for one in x]
    assert mean_adiabatic_efficiency(PORT, rms * PORT.kappa_rad_s) == pytest.approx(float(weights @ values), rel=1e-6)


def test_a_perfect_lock_costs_nothing_and_a_detuned_port_is_refused() -> None:
    assert mean_adiabatic_efficiency(PORT, 0.0) == adiabatic_efficiency(PORT)
    with pytest.raises(ScenarioError, match="detuning_rad_s is 1.0, but must be 0"):
        mean_adiabatic_efficiency(replace(PORT, detuning_rad_s=1.0), MHZ)


def test_drift_has_its_rms_and_correlation_in_any_subdivision() -> None:
    """20,000 runs of 4 ms in unequal steps against the covariance; 4 sigma of a sample covariance."""
    drift, rng, n = Drift(0.05, 10e-3), np.random.default_rng(6), 20_000
    first, last = np.empty(n), np.empty(n)
    for k in range(n):
        value = first[k] = start(rng, drift)
        for dt in (0.0, 1e-3, 0.5e-3, 2.5e-3):
            value = advance(rng, value, dt, drift)
        last[k] = value
    sigma = drift.rms**2 * math.sqrt(2 / n)
    assert abs((first * last).mean() - correlation(4e-3, drift)) < 4 * sigma
    assert abs((last**2).mean() - drift.rms**2) < 4 * sigma


def test_time_does_not_go_back() -> None:
    with pytest.raises(ScenarioError, match="`dt_s` must be >= 0"):
        advance(np.random.default_rng(1), 0.0, -1e-9, Drift(1.0, 1.0))


@pytest.mark.parametrize("bad", [{"carrier_w": -1.0}, {"modulation_rad_s": 0.0}])
def test_unphysical_light_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ScenarioError, match="must be a number in"):
        replace(LIGHT, **bad)
