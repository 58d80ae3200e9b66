"""The photon of a cavity whose lock leaves a residual detuning, against an average over many photons."""

import math
from dataclasses import replace

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics.cavity import CavityPort, adiabatic_efficiency, emit
from sim.physics.emission import Emission, mixture, visibility
from sim.physics.pdh import mean_adiabatic_efficiency

MHZ = 2 * math.pi * 1e6
PORT = CavityPort(10 * MHZ, 2.5 * MHZ, 0.25 * MHZ, 3.03 * MHZ)
T_S = np.arange(-50e-9, 1.4e-6, 2e-9)
PULSE = np.where((T_S >= 0) & (T_S < 0.5e-6), 10 * MHZ, 0.0)


def quiet(detuning_kappa: float) -> Emission:
    return emit(replace(PORT, detuning_rad_s=detuning_kappa * PORT.kappa_rad_s), T_S, PULSE)


def locked(rms_kappa: float) -> Emission:
    return emit(replace(PORT, lock_rms_rad_s=rms_kappa * PORT.kappa_rad_s), T_S, PULSE)


@pytest.mark.parametrize("rms", [0.05, 0.15, 0.5])
def test_a_locked_cavity_gives_the_average_of_many_detunings(rms: float) -> None:
    """Efficiency, arrival times and visibility of two such sources against a fine sum over both detunings; 1e-4."""
    x = np.linspace(-5, 5, 41)
    weights = np.exp(-x * x / 2) / np.exp(-x * x / 2).sum()
    many = [quiet(rms * float(at)) for at in x]
    one = locked(rms)
    eta = np.array([each.efficiency for each in many])
    assert one.efficiency == pytest.approx(weights @ eta, rel=1e-4)
    assert np.abs(one.cdf - (weights * eta) @ np.array([each.cdf for each in many]) / (weights @ eta)).max() < 1e-4
    shares = weights * eta / (weights @ eta)
    mean = sum(a * b * visibility(p, q) for a, p in zip(shares, many, strict=True)
               for b, q in zip(shares, many, strict=True))  # fmt: skip
    assert visibility(one, one) == pytest.approx(mean, abs=1e-4)


def test_a_good_lock_costs_what_the_closed_form_says() -> None:
    """A slow, strong pulse is adiabatic: the relative loss of 0.05 kappa is that of the erfcx average to a half
    (the pulse is not infinitely slow): 2e-4.
    """
    loss = 1 - locked(0.05).efficiency / quiet(0.0).efficiency
    adiabatic = 1 - mean_adiabatic_efficiency(PORT, 0.05 * PORT.kappa_rad_s) / adiabatic_efficiency(PORT)
    assert loss == pytest.approx(adiabatic, rel=0.5)
    assert 1e-4 < loss < 3e-4


def test_photons_of_different_shape_mix_to_the_overlap_of_their_states() -> None:
    """Half and half of two pure photons: Tr rho^2 = (1 + |<a|b>|^2)/2 for equal efficiencies."""
    a, b = quiet(0.0), replace(quiet(2.0), efficiency=quiet(0.0).efficiency)
    mixed = mixture([a, b], np.array([0.5, 0.5]))
    assert visibility(mixed, mixed) == pytest.approx((1 + visibility(a, b)) / 2, abs=2e-5)
    assert mixed.efficiency == pytest.approx(a.efficiency)


def test_a_source_that_never_emits_mixes_to_one_that_never_emits() -> None:
    dark = emit(PORT, T_S, np.zeros_like(T_S))
    assert mixture([dark, dark], np.array([0.5, 0.5])).efficiency == 0.0


def test_a_negative_residual_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"lock_rms_rad_s is -1\.0"):
        replace(PORT, lock_rms_rad_s=-1.0)
