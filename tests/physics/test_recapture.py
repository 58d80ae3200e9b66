"""Release and recapture against a quadrature over the final phase space, limits, and trajectories in the trap."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import ncx2

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.recapture import (
    HORIZONTAL_BEAM,
    STANDARD_GRAVITY_M_S2,
    VERTICAL_BEAM,
    Cloud,
    fly,
    potential_k,
    recapture_probability,
    recaptured,
    thermal_cloud,
)
from sim.physics.species import RB87
from sim.physics.trap import Trap, frequencies_hz

TRAP = Trap(depth_k=1e-3, waist_m=1e-6, wavelength_m=852e-9)
COLD_K = 20e-6
MASS = RB87.mass_kg


def flown(width, speed, t):
    """Return (rms position, slope of the velocity over the position, rms velocity at a position) after a flight."""
    sigma = math.hypot(width, speed * t)
    return sigma, speed**2 * t / sigma**2, speed * width / sigma


def quadrature(temperature_k, t, gravity):
    """Integrate P(|v|^2 < 2|U|/m) over the final position and v_z; the transverse v is a non-central chi squared.

    Midpoints in the cubic root of the radius's quantile (nearly a step there, and the far tail counts), Gauss-Hermite
    along z.
    """
    radial, axial = (2 * math.pi * hz for hz in frequencies_hz(TRAP, MASS))
    speed = math.sqrt(BOLTZMANN_J_K * temperature_k / MASS)
    sigma_r, slope_r, rms_r = flown(speed / radial, speed, t)
    sigma_z, slope_z, rms_z = flown(speed / axial, speed, t)
    root = (np.arange(600) + 0.5) / 600
    h, weight = np.polynomial.hermite_e.hermegauss(20)
    weight = weight / math.sqrt(2 * math.pi)
    rho, z, vz = np.meshgrid(sigma_r * np.sqrt(-2 * np.log(root**3)), sigma_z * h, h, indexing="ij")
    vz = slope_z * z + rms_z * vz - gravity * t
    fallen = np.stack((rho, np.zeros_like(rho), z - gravity * t**2 / 2), axis=-1)
    left = -2 * BOLTZMANN_J_K * potential_k(TRAP, fallen) / MASS - vz**2
    caught = np.where(left > 0, ncx2.cdf(np.maximum(left, 0) / rms_r**2, 2, (slope_r * rho / rms_r) ** 2), 0.0)
    return float(np.einsum("ijk,i,j,k->", caught, 3 * root**2 / 600, weight, weight))


@pytest.mark.parametrize("release_us", [5.0, 15.0, 30.0, 60.0])
def test_recaptured_fraction_is_the_integral_over_phase_space(release_us):
    """40 000 atoms, beam vertical; 4.5 sigma plus 2e-4 for the quadrature."""
    exact = quadrature(COLD_K, release_us * 1e-6, STANDARD_GRAVITY_M_S2)
    found = recapture_probability(np.random.default_rng(1), TRAP, MASS, COLD_K, release_us * 1e-6, 40_000,
                                  VERTICAL_BEAM)[0]
    assert abs(found - exact) < 4.5 * math.sqrt(exact * (1 - exact) / 40_000) + 2e-4


def test_every_atom_is_recaptured_at_once_and_none_after_a_long_time():
    found = recapture_probability(np.random.default_rng(2), TRAP, MASS, 0.2e-3, [0.0, 5e-3], 5000)
    assert found.tolist() == [1.0, 0.0]


def test_atom_at_rest_is_lost_when_it_has_fallen_out_of_the_trap():
    """T = 0, atom at the centre: energy m g^2 t^2/2 - U0 exp(-g^2 t^4/2 w0^2), zero at a time to bisect."""
    g, waist = STANDARD_GRAVITY_M_S2, TRAP.waist_m

    def energy_k(t):
        return 0.5 * MASS * (g * t) ** 2 / BOLTZMANN_J_K - TRAP.depth_k * math.exp(-((g * t * t) ** 2) / (2 * waist**2))

    low, high = 0.0, 5e-3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if energy_k(middle) < 0 else (low, middle)
    times = [0.999 * low, 1.001 * low]
    found = recapture_probability(np.random.default_rng(3), TRAP, MASS, 0.0, times, 3, HORIZONTAL_BEAM)
    assert found.tolist() == [1.0, 0.0]
    assert 0.3e-3 < low < 2e-3


def test_hotter_atoms_are_lost_sooner():
    curves = [recapture_probability(np.random.default_rng(4), TRAP, MASS, t, [20e-6, 40e-6], 5000)
              for t in (5e-6, 20e-6, 80e-6)]
    assert np.all(np.diff(curves, axis=0) < -0.02)


def test_cloud_has_the_temperature_and_the_widths_of_the_trap():
    """50 000 atoms; the rms of each axis is known to 0.32 %, so 1.5 % is 4.7 sigma."""
    cloud = thermal_cloud(np.random.default_rng(5), TRAP, MASS, COLD_K, 50_000)
    speed = math.sqrt(BOLTZMANN_J_K * COLD_K / MASS)
    omega = 2 * math.pi * np.array([98.4e3, 98.4e3, 18.9e3])
    assert cloud.velocity_m_s.std(axis=0) == pytest.approx([speed] * 3, rel=0.015)
    assert cloud.position_m.std(axis=0) == pytest.approx(speed / omega, rel=0.02)


def test_hot_cloud_holds_bound_atoms_only():
    cloud = thermal_cloud(np.random.default_rng(6), TRAP, MASS, 0.25e-3, 2000)
    assert recaptured(TRAP, MASS, cloud).all() and len(cloud.position_m) == 2000


def test_potential_is_harmonic_at_the_bottom_with_the_trap_frequencies():
    for axis, hz in zip((0, 2), frequencies_hz(TRAP, MASS), strict=True):
        x = np.zeros((1, 3))
        x[0, axis] = 1e-8
        rise_j = (potential_k(TRAP, x)[0] + TRAP.depth_k) * BOLTZMANN_J_K
        assert rise_j == pytest.approx(0.5 * MASS * (2 * math.pi * hz) ** 2 * 1e-16, rel=1e-3)


def escapes(position, velocity, length_s=400e-6):
    """Integrate Newton's equation in the trap; True if the atom leaves 10 waists and 10 Rayleigh lengths behind."""
    def slope(_, y):
        x, v = y[:3], y[3:]
        spread = 1 + (x[2] / TRAP.rayleigh_m) ** 2
        rho2 = x[0] ** 2 + x[1] ** 2
        u = potential_k(TRAP, x[None, :])[0] * BOLTZMANN_J_K / MASS
        radial = -4 / (TRAP.waist_m**2 * spread)
        along = 2 * x[2] / TRAP.rayleigh_m**2 * (2 * rho2 / (TRAP.waist_m**2 * spread**2) - 1 / spread)
        return np.concatenate((v, -u * np.array([radial * x[0], radial * x[1], along])))

    def gone(_, y):
        return 100 - (y[0] ** 2 + y[1] ** 2) / TRAP.waist_m**2 - (y[2] / TRAP.rayleigh_m) ** 2

    gone.terminal = True
    end = solve_ivp(slope, (0, length_s), np.concatenate((position, velocity)), events=gone, rtol=1e-5, atol=1e-9)
    return len(end.t_events[0]) > 0


def test_atoms_of_positive_energy_leave_and_bound_ones_stay():
    """Ten atoms of a release, five on either side of zero energy (none within 20 uK of it)."""
    cloud = fly(thermal_cloud(np.random.default_rng(7), TRAP, MASS, 50e-6, 400), 12e-6)
    kinetic = 0.5 * MASS * (cloud.velocity_m_s**2).sum(axis=1) / BOLTZMANN_J_K
    energy = kinetic + potential_k(TRAP, cloud.position_m)
    caught = recaptured(TRAP, MASS, cloud)
    for rows, leaves in ((np.flatnonzero(energy > 20e-6)[:5], True), (np.flatnonzero(energy < -20e-6)[:5], False)):
        assert len(rows) == 5
        for row in rows:
            assert escapes(cloud.position_m[row], cloud.velocity_m_s[row]) is leaves
            assert caught[row] != leaves


def test_flight_is_a_parabola():
    end = fly(Cloud(np.zeros((1, 3)), np.array([[1.0, 2.0, 3.0]])), 2.0, (-10.0, 0.0, 0.0))
    assert end.position_m[0].tolist() == [-18.0, 4.0, 6.0]
    assert end.velocity_m_s[0].tolist() == [-19.0, 2.0, 3.0]


def test_temperature_of_an_unbound_cloud_is_refused():
    for value in (0.3e-3, -1e-6, float("nan")):
        with pytest.raises(ScenarioError, match=r"temperature_k` is .*, but must be in \[0, 0\.00025\]"):
            thermal_cloud(np.random.default_rng(0), TRAP, MASS, value, 10)


def test_negative_release_time_is_refused():
    with pytest.raises(ScenarioError, match="`release_s` must be >= 0"):
        recapture_probability(np.random.default_rng(0), TRAP, MASS, COLD_K, [1e-6, -1e-6], 10)
