"""Clicks of single-photon detectors."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import expon, kstest, uniform

from atomlink.errors import ScenarioError
from sim.physics.detector import (
    SNSPD,
    SPAD,
    Detector,
    Latching,
    LatchState,
    apply_dead_time,
    dark_probability,
    darks_s,
    jitter_s,
    latch,
    recovered,
    reset,
    respond,
)


def test_dark_probability_of_a_window():
    assert dark_probability(SNSPD, 60e-9) == pytest.approx(50 * 60e-9, rel=1e-5)
    assert dark_probability(replace(SNSPD, dark_rate_hz=1e3), 1e-3) == pytest.approx(1 - math.exp(-1))


def test_darks_are_poissonian_in_number_and_uniform_in_time():
    """4 sigma of the mean of 4000 windows, variance within 10 %, Kolmogorov-Smirnov p > 1e-3."""
    rng, noisy = np.random.default_rng(7), replace(SNSPD, dark_rate_hz=5e3)
    windows = [darks_s(noisy, rng, 1.0, 1.001) for _ in range(4000)]
    numbers = np.array([len(w) for w in windows])
    assert abs(numbers.mean() - 5.0) < 4 * math.sqrt(5.0 / 4000)
    assert numbers.var() == pytest.approx(5.0, rel=0.1)
    assert kstest(np.concatenate(windows), uniform(1.0, 0.001).cdf).pvalue > 1e-3
    assert all(np.all(np.diff(w) >= 0) for w in windows)


def test_jitter_has_the_stated_full_width_at_half_maximum():
    """Standard deviation of 100 000 draws; its own relative error is 0.22 %, so 1 % is 4.5 sigma."""
    sample = jitter_s(SPAD, np.random.default_rng(8), 100_000)
    assert sample.std() == pytest.approx(350e-12 / 2.3548, rel=0.01)


def test_dead_time_drops_what_follows_a_kept_click_only():
    times = np.array([0, 10, 25, 31, 60], dtype=np.int64)
    assert apply_dead_time(times, 22).tolist() == [0, 25, 60]
    assert apply_dead_time(times, 10).tolist() == [0, 10, 25, 60]
    assert apply_dead_time(times, 0).tolist() == times.tolist()
    assert apply_dead_time(times[:0], 22).tolist() == []


def test_dead_time_limits_the_rate_as_r_over_one_plus_r_tau():
    """100 000 Poisson arrivals at r tau = 0.5; relative error of the count below 0.4 %, so 1.5 % is 4 sigma."""
    rng = np.random.default_rng(9)
    arrivals = np.cumsum(rng.exponential(1.0, 100_000))
    kept = len(apply_dead_time(arrivals, 0.5))
    assert kept / arrivals[-1] == pytest.approx(1 / 1.5, rel=0.015)


def test_nanowire_recovers_exponentially_and_diode_at_once():
    assert recovered(SNSPD, 30e-9) == pytest.approx(1 - math.exp(-1))
    assert recovered(SPAD, 21e-9) == 0.0
    assert recovered(SPAD, 22e-9) == 1.0


def test_recovering_nanowire_misses_the_second_of_two_photons():
    """20 000 pairs 20 ns apart, far from each other; 4 sigma."""
    rng = np.random.default_rng(10)
    times = np.repeat(np.linspace(0.0, 0.2, 20_000), 2)
    times[1::2] += 20e-9
    seen = len(respond(SNSPD, rng, times)) - 20_000
    expected = 1 - math.exp(-20 / 30)
    assert abs(seen / 20_000 - expected) < 4 * math.sqrt(expected * (1 - expected) / 20_000)


def test_afterpulses_follow_the_dead_time_with_their_own_decay():
    """50 000 isolated clicks with probability 0.05: p/(1-p) after-pulses each (they cascade); 4 sigma, and K-S."""
    rng = np.random.default_rng(11)
    noisy = replace(SPAD, afterpulse_probability=0.05)
    times = np.linspace(0.0, 0.5, 50_000)
    out = respond(noisy, rng, times)
    extra = (len(out) - 50_000) / 50_000
    assert abs(extra - 0.05 / 0.95) < 4 * math.sqrt(0.05 / 50_000)
    first = np.diff(out)[np.isin(out[:-1], times) & (np.diff(out) < 5e-6)]
    assert kstest(first - 22e-9, expon(scale=30e-9).cdf).pvalue > 1e-3


def test_plain_detector_responds_with_its_dead_time():
    plain = Detector(0.9, 0.0, 0.0, 20e-9)
    assert respond(plain, np.random.default_rng(0), np.array([0.0, 1e-8, 3e-8])).tolist() == [0.0, 3e-8]


FRAGILE = Latching(limit_hz=10e6, memory_s=1e-6)


@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_regular_clicks_latch_where_their_summed_rate_exceeds_the_limit(factor):
    """A train of period P holds 1/(memory (1 - e^(-P/memory))) after a click; equal to the limit at P below."""
    critical_s = -1e-6 * math.log(1 - 1 / (10e6 * 1e-6))
    times = np.arange(500) * critical_s * factor
    out, state = latch(FRAGILE, LatchState(), times)
    if factor > 1:
        assert len(out) == 500 and state.latched_s is None
    else:
        assert len(out) < 500 and state.latched_s == out[-1]


def test_burst_latches_after_limit_times_memory_clicks():
    out, state = latch(FRAGILE, LatchState(), np.arange(20) * 1e-12)
    assert len(out) == 11 and state.latched_s == 10e-12


def test_latched_nanowire_is_silent_until_its_reset():
    _, state = latch(FRAGILE, LatchState(), np.arange(20) * 1e-12)
    quiet, same = latch(FRAGILE, state, np.array([1.0, 2.0]))
    assert len(quiet) == 0 and same == state
    out, after = latch(FRAGILE, reset(3.0), np.array([3.5, 4.0]))
    assert out.tolist() == [3.5, 4.0] and after.latched_s is None


def test_latching_does_not_depend_on_how_clicks_are_cut_into_blocks():
    rng = np.random.default_rng(12)
    times = np.cumsum(rng.exponential(1 / 5e6, 4000))
    whole, end = latch(FRAGILE, LatchState(), times)
    assert 10 < len(whole) < 4000
    for cuts in ([1, 2, 7], sorted(rng.integers(0, 4000, 50).tolist())):
        state, pieces = LatchState(), []
        for block in np.split(times, cuts):
            out, state = latch(FRAGILE, state, block)
            pieces.append(out)
        assert np.concatenate(pieces).tolist() == whole.tolist()
        assert state == end


def test_remembered_rate_of_poissonian_clicks_has_the_mean_and_rms_of_shot_noise():
    """Campbell: before a click mean R, variance R/(2 memory); 20 000 clicks, some 400 memories: 4 sigma each."""
    rate, memory = 50e3, 1e-3
    rng, state, found = np.random.default_rng(13), LatchState(), []
    for t in np.cumsum(rng.exponential(1 / rate, 20_000)):
        before = state
        _, state = latch(Latching(1e9, memory), state, np.array([t]))
        found.append(before.rate_hz * math.exp(-(t - before.clicked_s) / memory))
    sample = np.array(found[1000:])
    assert abs(sample.mean() - rate) < 4 * math.sqrt(rate / (2 * memory)) * math.sqrt(2 / 380)
    assert sample.std() == pytest.approx(math.sqrt(rate / (2 * memory)), rel=4 / math.sqrt(380))


def test_latching_without_a_limit_is_refused():
    with pytest.raises(ScenarioError, match=r"Latching.limit_hz is 0, but must be a number in \(0, inf\)"):
        Latching(0, 1e-6)
