"""Release and recapture against limits that can be calculated."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.release import GRAVITY_M_S2, potential_k, recaptured, thermal_atoms
from sim.physics.species import RB87
from sim.physics.trap import Trap, p_lost

TRAP = Trap(1e-3, 1e-6, 852e-9)
MASS = RB87.mass_kg


def curve(times: object, temperature: float, **more: object) -> np.ndarray:
    return recaptured(np.random.default_rng(1), times, temperature, TRAP, MASS, **more)


def test_potential_has_its_depth_and_falls_to_e_minus_2_at_the_waist() -> None:
    points = np.array([[0, 0, 0], [1e-6, 0, 0], [0, 0, TRAP.rayleigh_m]])
    assert potential_k(points, TRAP) / TRAP.depth_k == pytest.approx([-1, -math.exp(-2), -0.5])


def test_thermal_atoms_obey_equipartition() -> None:
    """Six energies of kT/2 each for 200,000 atoms; a relative error of sqrt(2/n) each, 4 sigma."""
    n, temperature = 200_000, 20e-6
    x, v = thermal_atoms(np.random.default_rng(2), n, temperature, TRAP, MASS)
    kt = BOLTZMANN_J_K * temperature
    stiffness = BOLTZMANN_J_K * TRAP.depth_k * np.array([4, 4, 2 * (TRAP.waist_m / TRAP.rayleigh_m) ** 2])
    stiffness /= TRAP.waist_m**2
    assert MASS * (v**2).mean(axis=0) / kt == pytest.approx(np.ones(3), abs=4 * math.sqrt(2 / n))
    assert stiffness * (x**2).mean(axis=0) / kt == pytest.approx(np.ones(3), abs=4 * math.sqrt(2 / n))


def test_without_release_only_the_thermal_tail_is_lost() -> None:
    """Energies are drawn in the parabola; the Gaussian lies below it (1 - e^-x <= x), so less than p_lost is free."""
    lost = 1 - float(curve(0.0, 100e-6, n=200_000))
    assert 0 < lost < p_lost(100e-6, 1e-3)
    assert float(curve(0.0, 20e-6)) == 1.0


def test_recapture_of_cold_atoms_is_that_of_the_radial_speed() -> None:
    """Deep trap, t >> 1/w, no axial loss: kept if m v^2/2 < U0 exp(-2 v^2 t^2/w0^2), v Rayleigh distributed. Gravity
    and what is left of the start change it by less than 0.02.
    """
    time, temperature = 40e-6, 20e-6
    speed2 = BOLTZMANN_J_K * temperature / MASS

    def energy(v: float) -> float:
        return 0.5 * MASS * v**2 - BOLTZMANN_J_K * TRAP.depth_k * math.exp(-2 * (v * time / TRAP.waist_m) ** 2)

    fastest = brentq(energy, 0.0, 1.0)
    assert float(curve(time, temperature, n=100_000)) == pytest.approx(1 - math.exp(-(fastest**2) / (2 * speed2)),
                                                                       abs=0.02)


def test_colder_atoms_come_back_more_often_and_longer_flights_less() -> None:
    times = np.array([10e-6, 30e-6, 60e-6, 100e-6])
    warm, cold = curve(times, 40e-6), curve(times, 10e-6)
    assert np.all(np.diff(warm) < 0) and np.all(cold >= warm) and cold[2] > warm[2] + 0.1


def test_gravity_takes_the_coldest_atom_out_of_the_trap() -> None:
    """At 0 K the atom falls g t^2/2 and has the energy of the fall."""
    def energy(t: float) -> float:
        fall = 0.5 * GRAVITY_M_S2 * t**2
        return 0.5 * MASS * (GRAVITY_M_S2 * t) ** 2 / BOLTZMANN_J_K + float(
            potential_k(np.array([[fall, 0, 0]]), TRAP)[0])

    edge = brentq(energy, 1e-4, 2e-3)
    assert curve([0.99 * edge, 1.01 * edge], 0.0).tolist() == [1.0, 0.0]


def test_negative_times_and_temperatures_are_refused() -> None:
    with pytest.raises(ScenarioError, match="`release_s` must be >= 0"):
        curve([1e-6, -1e-6], 20e-6)
    with pytest.raises(ScenarioError, match="`temperature_k` must be >= 0"):
        curve(0.0, -1e-6)
