"""The atom's motion in a cavity, against the design's numbers (a trap of 98.5 kHz across the standing wave)."""

import math
from dataclasses import replace

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics import coherence, motion
from sim.physics.aom import envelope
from sim.physics.cavity import CavityPort, emit
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.emission import visibility
from sim.physics.motion import Spread
from sim.physics.species import RB87
from sim.physics.trap import Trap

MHZ = 2 * math.pi * 1e6
WAVE_M = 780.241e-9
DEFAULT = CavityPort(10 * MHZ, 2.5 * MHZ, 0.25 * MHZ, 3.03 * MHZ, standing_wave_m=WAVE_M)
NARROW = CavityPort(5 * MHZ, 2.7 * MHZ, 0.3 * MHZ, 3 * MHZ, standing_wave_m=WAVE_M)
T_S = np.arange(-75e-9, 1.7e-6, 1e-9)
PULSE = 10 * MHZ * np.sqrt(np.clip(envelope(T_S, 0.0, 0.5e-6, 25e-9), 0, None))


def strays(temperature_k: float) -> Spread:
    sigma = motion.oscillator_rms_m(98.5e3, RB87.mass_kg, temperature_k)
    return Spread(sigma, sigma)


@pytest.mark.parametrize(("temperature_k", "mean", "efficiency", "overlap"), [
    (5e-6, 0.920, 0.750, 0.9946), (20e-6, 0.761, 0.699, 0.962), (80e-6, 0.537, 0.570, 0.916),
])  # fmt: skip
def test_a_warm_atom_couples_less_and_sends_unequal_photons(temperature_k, mean, efficiency, overlap):
    """<cos^2 kx>, efficiency and V of two such photons: the design's table, +-2 in the last digit."""
    moved = strays(temperature_k)
    assert motion.standing_wave_mean(WAVE_M, moved.radial_m) == pytest.approx(mean, abs=5e-4)
    photon = emit(DEFAULT, T_S, PULSE, moved=moved)
    assert photon.efficiency == pytest.approx(efficiency, abs=2e-3)
    assert visibility(photon, photon) == pytest.approx(overlap, abs=2e-3 if temperature_k > 5e-6 else 2e-4)


@pytest.mark.parametrize(("temperature_k", "overlap"), [(20e-6, 0.988), (80e-6, 0.975)])
def test_a_weaker_cavity_tells_less_of_where_the_atom_was(temperature_k, overlap):
    photon = emit(NARROW, T_S, PULSE, moved=strays(temperature_k))
    assert visibility(photon, photon) == pytest.approx(overlap, abs=1e-3)


def test_without_a_standing_wave_or_a_spread_nothing_changes_to_the_last_bit():
    cold = emit(DEFAULT, T_S, PULSE)
    at_rest = emit(replace(DEFAULT, standing_wave_m=0.0), T_S, PULSE, 0.0, strays(1e-3))
    assert cold.efficiency == at_rest.efficiency == pytest.approx(0.758, abs=1e-3)
    assert np.array_equal(cold.amplitude, at_rest.amplitude) and cold.delayed is None


@pytest.mark.parametrize("temperature_k", [5e-6, 20e-6, 80e-6])
def test_five_points_stand_for_a_cloud_of_positions(temperature_k):
    """Against the sum over 301 positions: efficiency within 1e-4, V within 1e-3."""
    moved = strays(temperature_k)
    x = np.linspace(-6, 6, 301)
    weights = np.exp(-0.5 * x**2) / np.exp(-0.5 * x**2).sum()
    g = np.abs(np.cos(2 * math.pi * moved.radial_m / WAVE_M * x[x >= 0]))
    doubled = weights[x >= 0] * np.where(x[x >= 0] > 0, 2, 1)
    photons = [emit(replace(DEFAULT, standing_wave_m=0.0, g_rad_s=DEFAULT.g_rad_s * each), T_S, PULSE) for each in g]
    eta = np.array([photon.efficiency for photon in photons])
    fields = np.array([photon.amplitude for photon in photons]) * np.sqrt(doubled * eta)[:, None]
    inner = fields.conj() @ fields.T * 1e-9
    ours = emit(DEFAULT, T_S, PULSE, moved=moved)
    assert ours.efficiency == pytest.approx(float(doubled @ eta), abs=1e-4)
    exact = float((np.abs(inner) ** 2).sum()) / float(doubled @ eta) ** 2
    assert visibility(ours, ours) == pytest.approx(exact, abs=1e-3)


def test_the_rule_keeps_the_mean_of_the_squared_coupling_of_wave_and_waist():
    moved = Spread(0.1e-6, 0.6e-6)
    couplings, weights = motion.coupling_rule(moved, WAVE_M, 5e-6)
    expected = motion.standing_wave_mean(WAVE_M, 0.1e-6) * motion.waist_mean(5e-6, 0.1e-6, 0.6e-6)
    assert weights.sum() == pytest.approx(1) and float(weights @ couplings**2) == pytest.approx(expected, rel=1e-6)


def test_a_hot_atom_is_classical_and_a_cold_one_in_its_ground_state():
    omega = 2 * math.pi * 98.5e3
    hot = motion.oscillator_rms_m(98.5e3, RB87.mass_kg, 1e-3)
    assert hot == pytest.approx(math.sqrt(BOLTZMANN_J_K * 1e-3 / RB87.mass_kg) / omega, rel=1e-4)
    assert motion.oscillator_rms_m(98.5e3, RB87.mass_kg, 0.0) == pytest.approx(24.3e-9, rel=0.01)
    radial, axial = motion.spread(Trap(1e-3, 1e-6, 852e-9), RB87.mass_kg, 20e-6)
    assert axial / radial == pytest.approx(math.pi * math.sqrt(2) / 0.852, rel=0.02)  # z_R sqrt(2)/w
    with pytest.raises(ScenarioError, match="`temperature_k` >= 0, but are"):
        motion.oscillator_rms_m(1e5, RB87.mass_kg, -1.0)


def test_drawn_light_shifts_dephase_as_the_closed_form():
    """20 uK: T2* = 3.15 ms; contrast of 20,000 draws at T2*/2 and T2* within 4 sigma and the form's own 0.005."""
    t2 = coherence.t2_star_s(RB87.hyperfine_trap_ratio, 20e-6)
    assert t2 == pytest.approx(3.15e-3, rel=2e-3)
    drawn = coherence.thermal_detunings_rad_s(np.random.default_rng(3), RB87.hyperfine_trap_ratio, 20e-6, 20_000)
    mean = coherence.mean_thermal_detuning_rad_s(RB87.hyperfine_trap_ratio, 20e-6)
    assert drawn.mean() == pytest.approx(mean, abs=4 * mean / math.sqrt(3 * 20_000))
    for t in (t2 / 2, t2):
        found = abs(np.exp(1j * drawn * t).mean())
        assert found == pytest.approx(coherence.thermal_contrast(t, t2), abs=0.005 + 4 / math.sqrt(20_000))
