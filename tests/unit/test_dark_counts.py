"""Dark clicks of a photon counter: a Poisson process, drawn from click to click."""

from __future__ import annotations

import numpy as np

from sim.physics.detector import Detector
from sim.world.detectors.counter import Counter

RATE_HZ, SECOND_MU = 50.0, 1_000_000_000


def dark_counter(seed: int) -> Counter:
    return Counter(Detector(1.0, RATE_HZ, 0.0, 0.0), np.random.default_rng(seed))


def test_dark_clicks_are_the_same_however_often_the_counter_is_asked() -> None:
    often, once = dark_counter(3), dark_counter(3)
    edges = np.unique(np.random.default_rng(4).integers(1, 20 * SECOND_MU, 5000)).tolist()
    pieces = [often.clicks(start, stop) for start, stop in zip([0, *edges], [*edges, 20 * SECOND_MU], strict=True)]
    assert [t_mu for piece in pieces for t_mu in piece] == once.clicks(0, 20 * SECOND_MU)


def test_dark_clicks_come_at_their_rate_and_without_memory() -> None:
    clicks = np.array(dark_counter(5).clicks(0, 400 * SECOND_MU))
    # Five standard deviations of a Poisson number; of the variance of exponential gaps: sqrt(8 / n) of it.
    mean = RATE_HZ * 400
    assert abs(len(clicks) - mean) < 5 * np.sqrt(mean)
    gaps = np.diff(clicks) * 1e-9 * RATE_HZ
    assert abs(gaps.var() - 1) < 5 * np.sqrt(8 / mean)
    assert (np.diff(clicks) > 0).all()


def test_what_was_skipped_gives_no_dark_clicks_and_the_rest_keeps_the_rate() -> None:
    total = 0
    for seed in range(100):
        counter = dark_counter(seed)
        counter.skip(3 * SECOND_MU)
        clicks = counter.clicks(0, 5 * SECOND_MU)
        assert all(t_mu > 3 * SECOND_MU for t_mu in clicks)
        total += len(clicks)
    assert abs(total - 100 * 2 * RATE_HZ) < 5 * np.sqrt(100 * 2 * RATE_HZ)
