"""Drifts over lab time: their statistics must not depend on how time is cut, and on a lattice not even their path."""

import math

import numpy as np
import pytest
from scipy.stats import kstest, norm

from atomlink.errors import ScenarioError
from sim.physics.drift import (
    Drift,
    Linear,
    Offset,
    PolarisationWalk,
    Sine,
    Walk,
    advance,
    advance_to,
    angle_cdf,
    free_cavity,
    increment_rms,
    locked_cavity,
    start,
    turn,
)
from sim.physics.fibre import jones

NOISE = Drift(rms=2.0, correlation_s=0.5, mean=3.0)
WALK = Walk(rms_per_sqrt_s=0.7)
GROWING = np.geomspace(1e-4, 1, 30)
CUTS = ([1.3], [0.1] * 13, [1e-6, 0.9, 0.39999, 9e-6], (GROWING * 1.3 / GROWING.sum()).tolist())


@pytest.mark.parametrize("drift", [NOISE, WALK], ids=["ornstein_uhlenbeck", "walk"])
@pytest.mark.parametrize("cut", CUTS[1:])
def test_transitions_compose_to_the_transition_of_the_whole(drift, cut):
    """Factors multiply, variances add: keep(a + b) = keep(a) keep(b), var(a + b) = keep(b)^2 var(a) + var(b)."""
    keep, variance = 1.0, 0.0
    for time_s in cut:
        k, spread = drift.transition(time_s)
        keep, variance = keep * k, k * k * variance + spread**2
    whole, spread = drift.transition(1.3)
    assert keep == pytest.approx(whole, rel=1e-12)
    assert variance == pytest.approx(spread**2, rel=1e-12)


@pytest.mark.parametrize("drift", [NOISE, WALK], ids=["ornstein_uhlenbeck", "walk"])
@pytest.mark.parametrize("cut", CUTS)
def test_value_after_any_cut_of_time_has_the_same_distribution(drift, cut):
    """20 000 paths from one value; Kolmogorov-Smirnov p > 1e-3 against the Gaussian."""
    rng, value = np.random.default_rng(1), np.full(20_000, 4.0)
    for time_s in cut:
        value = advance(rng, value, time_s, drift)
    keep, spread = drift.transition(1.3)
    assert kstest(value, norm(drift.mean + keep * (4.0 - drift.mean), spread).cdf).pvalue > 1e-3


def test_noise_is_stationary_and_forgets_with_its_correlation_time():
    """100 000 paths: variance 4 to 2 % (4.5 sigma), correlation e^(-T/tau) to 0.015 (4.7 sigma)."""
    rng = np.random.default_rng(2)
    first = start(rng, NOISE, 100_000)
    second = advance(rng, first, 0.35, NOISE)
    assert first.var() == pytest.approx(4.0, rel=0.02) and second.var() == pytest.approx(4.0, rel=0.02)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(math.exp(-0.7), abs=0.015)


def test_walk_starts_at_its_mean_and_spreads_with_the_root_of_time():
    assert start(np.random.default_rng(3), Walk(1.0, mean=0.25)) == 0.25
    value = advance(np.random.default_rng(4), np.zeros(100_000), 9.0, WALK)
    assert value.std() == pytest.approx(0.7 * 3, rel=0.01)


@pytest.mark.parametrize("drift", [NOISE, WALK], ids=["ornstein_uhlenbeck", "walk"])
def test_path_on_the_lattice_does_not_depend_on_who_asks_when(drift):
    """One seed, asked once, or at 300 random times, or at every knot: one value at the end."""
    some = np.sort(np.random.default_rng(5).uniform(0, 40, 300))
    asked = [[40.0], np.append(some, 40.0), np.arange(1, 10_001) * 4e-3]
    ends = []
    for times in asked:
        rng, value, knot = np.random.default_rng(6), 1.0, 0
        for t in times:
            value, knot = advance_to(rng, value, knot, float(t) + 1e-9, 4e-3, drift)
        assert knot == 10_000
        ends.append(value)
    assert ends[1:] == pytest.approx([ends[0]] * 2, rel=1e-10)


def test_path_on_the_lattice_is_that_of_single_steps():
    rng, single = np.random.default_rng(7), 1.0
    for _ in range(5000):
        single = advance(rng, single, 0.01, NOISE)
    value, knot = advance_to(np.random.default_rng(7), 1.0, 0, 50.0000001, 0.01, NOISE)
    assert knot == 5000 and value == pytest.approx(single, rel=1e-10)


@pytest.mark.parametrize("drift", [NOISE, WALK], ids=["ornstein_uhlenbeck", "walk"])
def test_increment_rms_is_that_of_sampled_differences(drift):
    """100 000 increments; their rms is known to 0.22 %, so 1 % is 4.5 sigma."""
    rng = np.random.default_rng(8)
    first = start(rng, drift, 100_000)
    assert (advance(rng, first, 0.3, drift) - first).std() == pytest.approx(increment_rms(0.3, drift), rel=0.01)


def test_phase_drift_of_a_walk_dephases_exponentially():
    """E[cos(dphi)] = exp(-sigma^2/2): what two rounds T apart lose; 200 000 draws, 4.5 sigma."""
    phase = advance(np.random.default_rng(9), np.zeros(200_000), 2.0, WALK)
    cosine = np.cos(phase)
    assert abs(cosine.mean() - math.exp(-0.5 * increment_rms(2.0, WALK) ** 2)) < 4.5 * cosine.std() / math.sqrt(200_000)


def test_locked_cavity_stays_within_a_twentieth_of_its_linewidth():
    noise = locked_cavity(2e7)
    assert (noise.rms, noise.correlation_s, noise.mean) == (1e6, 10e-3, 0.0)


def stokes_of_h(matrix):
    h, v = matrix[:, 0]
    return np.array([abs(h) ** 2 - abs(v) ** 2, 2 * (h.conjugate() * v).real, 2 * (h.conjugate() * v).imag])


@pytest.mark.parametrize("cut", [[2.0], [0.25] * 8, [1e-5] + [1.99999]])
def test_stokes_vector_keeps_the_same_part_of_itself_for_any_cut(cut):
    """E[S(T).S(0)] = exp(-r^2 T); 4000 paths, 4.5 sigma. The other components average to zero."""
    rng, walk = np.random.default_rng(10), PolarisationWalk(0.6)
    ends = []
    for _ in range(4000):
        matrix = np.eye(2, dtype=complex)
        for time_s in cut:
            matrix = turn(rng, matrix, time_s, walk)
        ends.append(stokes_of_h(matrix))
    expected = [math.exp(-0.36 * 2.0), 0.0, 0.0]
    assert np.all(np.abs(np.mean(ends, axis=0) - expected) < 4.5 * np.std(ends, axis=0) / math.sqrt(4000))


@pytest.mark.parametrize(("s", "cut"), [(0.5, 40), (0.02, 20)])
def test_many_small_rotations_have_the_angle_of_one_long_step(s, cut):
    """Gaussian rotation vectors, multiplied as quaternions, against the series; 5000 paths, K-S p > 1e-3."""
    rng = np.random.default_rng(11)
    q = np.tile([1.0, 0.0, 0.0, 0.0], (5000, 1))
    for _ in range(cut):
        vector = rng.normal(0.0, math.sqrt(8 * s / cut), (5000, 3))
        angle = np.linalg.norm(vector, axis=1, keepdims=True)
        w, xyz = np.cos(angle / 2), np.sin(angle / 2) * vector / angle
        q = np.hstack((w * q[:, :1] - (xyz * q[:, 1:]).sum(axis=1, keepdims=True),
                       w * q[:, 1:] + q[:, :1] * xyz + np.cross(xyz, q[:, 1:])))
    angles = 2 * np.arccos(np.clip(q[:, 0], -1, 1))
    assert kstest(angles, lambda theta: angle_cdf(theta, s)).pvalue > 1e-3


def test_angle_distribution_joins_the_flat_limit():
    """At s = 1e-4 the series is Maxwell's distribution of a vector with rms sqrt(8 s) per component, to 1e-4."""
    s = 1e-4
    theta = np.linspace(0, 6 * math.sqrt(8 * s), 200)
    x = theta / math.sqrt(8 * s)
    maxwell = np.array([math.erf(v / math.sqrt(2)) - math.sqrt(2 / math.pi) * v * math.exp(-v * v / 2) for v in x])
    assert np.abs(angle_cdf(theta, s) - maxwell).max() < 1e-4
    assert angle_cdf(np.array([2 * math.pi]), 3.0)[0] == pytest.approx(1.0, abs=1e-12)


def test_turned_fibre_stays_lossless():
    matrix = jones(0.3, 1.1, -0.4)
    rng = np.random.default_rng(12)
    for time_s in (1e-6, 1.0, 300.0):
        matrix = turn(rng, matrix, time_s, PolarisationWalk(0.2))
        assert matrix @ matrix.conj().T == pytest.approx(np.eye(2), abs=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1.0, abs=1e-12)


def test_drift_cannot_be_turned_back():
    rng = np.random.default_rng(0)
    with pytest.raises(ScenarioError, match=r"`dt_s` must be >= 0, but is -1.0"):
        advance(rng, 0.0, -1.0, NOISE)
    with pytest.raises(ScenarioError, match=r"`dt_s` must be >= 0, but is nan"):
        turn(rng, np.eye(2, dtype=complex), math.nan, PolarisationWalk(0.1))
    with pytest.raises(ScenarioError, match=r"`until_s` must be >= 1, but is 0.5"):
        advance_to(rng, 0.0, 100, 0.5, 0.01, NOISE)


def test_standing_still_draws_nothing():
    rng = np.random.default_rng(13)
    assert advance(rng, 1.5, 0.0, NOISE) == 1.5
    assert rng.random() == np.random.default_rng(13).random()


def test_unphysical_drifts_are_refused_with_their_field():
    for build, field in ((lambda: Drift(-1.0, 1.0), "Drift.rms"),
                         (lambda: Drift(1.0, 0.0), "Drift.correlation_s"),
                         (lambda: Walk(math.inf), "Walk.rms_per_sqrt_s"),
                         (lambda: PolarisationWalk(-0.1), "PolarisationWalk.rad_per_sqrt_s")):
        with pytest.raises(ScenarioError, match=field + " is .*, but must be a number in"):
            build()


def test_line_sine_and_offset_are_what_they_say() -> None:
    assert Linear(2e-3).at(50.0) == pytest.approx(0.1)
    assert Sine(3.0, 400.0).at(100.0) == pytest.approx(3.0)
    assert Sine(3.0, 400.0, math.pi / 2).at(0.0) == pytest.approx(3.0)
    assert Offset(-0.1).at(1e6) == -0.1


@pytest.mark.parametrize("wrong", [lambda: Sine(1.0, 0.0), lambda: Offset(math.nan), lambda: Linear(math.inf)])
def test_processes_refuse_what_is_no_process(wrong) -> None:
    with pytest.raises(ScenarioError, match=r"must be a number in"):
        wrong()


def test_a_free_cavity_leaves_the_reach_of_its_lock_in_half_a_minute() -> None:
    """rms after 36 s is 3 kappa."""
    assert increment_rms(36.0, free_cavity(1e7)) == pytest.approx(3e7)
