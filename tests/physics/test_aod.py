"""Heating and loss of a carried atom against the equation of motion, quadrature and Monte Carlo."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from atomlink.errors import ScenarioError
from sim.physics.aod import (
    Moves,
    acceleration,
    duration_s,
    fastest_s,
    p_lost_displaced,
    phonons,
    phonons_of,
    position,
    survival,
    temperature_after_k,
    travel_s,
)
from sim.physics.constants import BOLTZMANN_J_K, HBAR_J_S
from sim.physics.species import RB87
from sim.physics.trap import p_lost

OMEGA = 2 * math.pi * 98e3  # radial, 1 mK deep, waist 1 um
LAB = Moves("cubic", 0.55, 20e-6, 100e-6, 0.005, 20.0)
BOTH = pytest.mark.parametrize("profile", ["cubic", "minimum_jerk"])


@BOTH
def test_profiles_start_and_end_at_rest(profile: str) -> None:
    s = np.array([0.0, 1e-6, 1 - 1e-6, 1.0])
    x = position(profile, s)
    assert (x[0], x[-1]) == pytest.approx((0.0, 1.0), abs=1e-12)
    assert np.diff(x)[[0, 2]] / 1e-6 == pytest.approx([0.0, 0.0], abs=1e-5)


def test_only_minimum_jerk_starts_without_acceleration() -> None:
    assert acceleration("minimum_jerk", [0.0, 1.0]) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert acceleration("cubic", [0.0, 1.0]) == pytest.approx([6.0, -6.0])


@BOTH
@pytest.mark.parametrize("time_s", [11e-6, 37e-6, 150e-6])
def test_closed_form_of_heating_equals_the_equation_of_motion(profile: str, time_s: float) -> None:
    """q'' = -w^2 q - a(t) in the moving frame; its final energy over hbar w. And quadrature of a(t)."""
    way = 10e-6

    def a(t: float) -> float:
        return float(acceleration(profile, t / time_s)) * way / time_s**2

    end = solve_ivp(lambda t, y: (y[1], -OMEGA**2 * y[0] - a(t)), (0, time_s), (0.0, 0.0), method="DOP853",
                    rtol=1e-11, atol=1e-18).y[:, -1]
    energy = 0.5 * RB87.mass_kg * (end[1] ** 2 + (OMEGA * end[0]) ** 2)
    closed = float(phonons(way, time_s, OMEGA, RB87.mass_kg, profile))
    assert closed == pytest.approx(energy / (HBAR_J_S * OMEGA), rel=1e-6)
    t = np.linspace(0, time_s, 40_001)
    grid = acceleration(profile, t / time_s) * way / time_s**2
    assert phonons_of(grid, t, OMEGA, RB87.mass_kg) == pytest.approx(closed, rel=1e-4)


def test_slow_cubic_moves_heat_as_published() -> None:
    """Bluvstein et al. 2022: dN = (6 D/(x_zpf w^2 T^2))^2/2, the average over the phase; here over one period of T."""
    way, times = 50e-6, 300e-6 + np.linspace(0, 2 * math.pi / OMEGA, 400, endpoint=False)
    zero_point = math.sqrt(HBAR_J_S / (2 * RB87.mass_kg * OMEGA))
    published = 0.5 * (6 * way / (zero_point * OMEGA**2 * times**2)) ** 2
    assert phonons(way, times, OMEGA, RB87.mass_kg, "cubic").mean() == pytest.approx(published.mean(), rel=0.02)
    time = fastest_s(way, 2.0, OMEGA, RB87.mass_kg)
    assert 0.5 * (6 * way / (zero_point * OMEGA**2 * time**2)) ** 2 == pytest.approx(2.0, rel=1e-9)


def test_minimum_jerk_heats_less_than_cubic_in_slow_moves() -> None:
    times = np.linspace(100e-6, 200e-6, 997)
    cubic, smooth = (phonons(20e-6, times, OMEGA, RB87.mass_kg, name).mean() for name in ("cubic", "minimum_jerk"))
    assert smooth < 0.05 * cubic


def test_peak_speed_is_the_limit() -> None:
    for profile in ("cubic", "minimum_jerk"):
        moves = Moves(profile, 0.55, 0.0, 0.0, 0.0, 20.0)
        time = float(travel_s(30e-6, moves))
        s = np.linspace(0, 1, 20_001)
        assert np.max(np.gradient(30e-6 * position(profile, s), s * time)) == pytest.approx(0.55, rel=1e-6)


def test_a_plan_takes_its_travels_and_two_handovers_per_move() -> None:
    assert duration_s([11e-6, 0.0, 1e-9], LAB) == pytest.approx(30e-6 + 20e-6 + 4 * 100e-6)


@pytest.mark.parametrize("quanta", [0.0, 20.0, 60.0])
def test_loss_of_a_displaced_atom_equals_monte_carlo(quanta: float) -> None:
    """400,000 atoms at 50 uK in 500 uK, six quadratic degrees of freedom, one shifted; 4 sigma."""
    n, rng = 400_000, np.random.default_rng(3)
    kt = BOLTZMANN_J_K * 50e-6
    x = rng.normal(size=(n, 6))
    x[:, 0] += math.sqrt(2 * HBAR_J_S * OMEGA * quanta / kt)
    lost = float((0.5 * (x**2).sum(axis=1) * kt > BOLTZMANN_J_K * 500e-6).mean())
    expected = float(p_lost_displaced(quanta, OMEGA, 50e-6, 500e-6))
    assert abs(lost - expected) < 4 * math.sqrt(expected * (1 - expected) / n)
    if quanta == 0:
        assert expected == pytest.approx(p_lost(50e-6, 500e-6), rel=1e-9)


def test_energy_of_a_move_is_shared_by_three_axes() -> None:
    gained = 3 * BOLTZMANN_J_K * (float(temperature_after_k(10.0, OMEGA, 20e-6)) - 20e-6)
    assert gained == pytest.approx(10 * HBAR_J_S * OMEGA)


def test_slow_moves_lose_only_at_the_handovers_and_to_the_vacuum() -> None:
    kept = survival([0.0, 5e-6], LAB, OMEGA, RB87.mass_kg, 20e-6, 1e-3, time_s=1e-3)
    assert kept == pytest.approx([1.0, 0.995**2 * math.exp(-1.2e-3 / 20)], rel=1e-6)


def test_too_fast_a_move_loses_the_atom() -> None:
    reckless = Moves("cubic", 20.0, 0.0, 0.0, 0.0, 20.0)
    assert float(survival(100e-6, reckless, OMEGA, RB87.mass_kg, 20e-6, 1e-3)) < 0.01


@pytest.mark.parametrize(("field", "value"), [("profile", "square"), ("max_speed_m_s", 0.0), ("handover_loss", 1.5),
                                              ("vacuum_lifetime_s", -1.0)])
def test_unphysical_moves_are_refused(field: str, value: object) -> None:
    fields = {name: getattr(LAB, name) for name in LAB.__dataclass_fields__} | {field: value}
    with pytest.raises(ScenarioError, match=f"Moves.{field} is"):
        Moves(**fields)
