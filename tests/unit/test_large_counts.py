"""Time and memory of an analysis follow the number of counts, not their size; what is masked is not taken for data."""

import time
import tracemalloc

import numpy as np
import pytest
from scipy.stats import poisson

from analysis import fits, histograms, models, pair_rows, readout
from analysis.histograms import two_levels
from analysis.schema import array
from analysis.timetags.correlate import histogram
from analysis.timetags.stream import channels
from atomlink.errors import DataError
from sim.artiq_runtime import pyon

FULL = 2**31 - 1  # what an edge counter of 31 bits shows when it is full


@pytest.mark.parametrize("top", [10**3, 10**6, FULL, 10**12])
@pytest.mark.parametrize("law", ["Poisson", "normal"])
def test_two_levels_take_the_same_time_whatever_the_counts(law: str, top: int) -> None:
    counts = np.array([3, 4, 2] * 20 + [top, top + 30, top - 30, top + 10] * 10)
    tracemalloc.start()
    begun = time.monotonic()
    levels = two_levels(counts, law)
    assert time.monotonic() - begun < 5 and tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert levels.dark.value == pytest.approx(3, abs=0.1) and levels.bright.value == pytest.approx(top, rel=0.03)
    assert 4 < levels.threshold < top - 30


def test_a_coarse_search_finds_the_threshold_of_a_fine_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Levels of 5,000 and 9,000 counts, seed 3, each candidate against one in 128: the same mean error to 1e-6."""
    rng = np.random.default_rng(3)
    counts = rng.poisson(np.where(rng.random(500) < 0.5, 5_000, 9_000))
    fine = two_levels(counts)
    monkeypatch.setattr(histograms, "CANDIDATES", 32)
    coarse = two_levels(counts)
    assert 5_300 < coarse.threshold < 8_700
    assert coarse.fidelity.value == pytest.approx(fine.fidelity.value, abs=1e-6)


def test_the_mean_of_the_smaller_is_the_sum_of_the_tails() -> None:
    """Closed form of the shelf against the sum it stands for, to 1e-12."""
    for mean in (0.3, 7.0, 150.0):
        tails = np.cumsum(poisson.sf(np.arange(400), mean))
        assert histograms._mean_up_to(np.arange(1, 401), mean) == pytest.approx(tails, abs=1e-12 * 400)
        assert histograms._mean_up_to(np.array([-1.0, 0.0]), mean).tolist() == [0.0, 0.0]


def test_the_share_up_to_a_count_is_the_sum_of_the_densities() -> None:
    rng = np.random.default_rng(5)
    levels = two_levels(rng.poisson(np.where(rng.random(400) < 0.5, 4, 40)))
    at = np.arange(200)
    assert levels.share_up_to(at) == pytest.approx(np.cumsum(levels.density(at)), abs=1e-9)
    assert levels.share_up_to([-0.5, 1e9]).tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize("counts", [[-1.0] * 30 + [50.0] * 30, [3.0] * 30 + [1e300] * 30, [3.0] * 30 + [np.inf] * 30])
def test_what_is_no_count_is_refused(counts: list[float]) -> None:
    with pytest.raises(fits.FitRefused, match=r"each from 0 to 2\^53"):
        two_levels(counts)


def test_the_retention_of_many_shots_needs_no_list_of_them() -> None:
    cells = np.array([1, 8, 6, 85])
    rows = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], cells, axis=0)
    few, same = pair_rows.retention(cells), readout.retention(rows)
    assert few is not None and few.n == same.n == 100
    assert few.values.tolist() == same.values.tolist() == [0.91, 0.93]
    assert few.covariance[0, 1] == pytest.approx((0.85 - 0.91 * 0.93) / 100)
    assert (few.covariance == same.covariance).all()
    many = pair_rows.retention(cells * FULL)
    assert many is not None and many.n == 100 * FULL


def test_a_frequency_is_looked_for_among_so_many_only_however_points_lie() -> None:
    """Half of the points a picosecond apart: 1e13 candidates, were each period of a step looked at."""
    x = np.concatenate([np.arange(30) * 1e-12, np.linspace(0.1, 1, 25)])
    y = np.cos(2 * np.pi * 5 * x)
    begun = time.monotonic()
    found, _ = models.frequency_of(x, y, np.full(len(x), 0.1))
    assert found == pytest.approx(5, abs=0.1) and time.monotonic() - begun < 10


# -- masked


def test_masked_points_are_left_out() -> None:
    y = np.ma.masked_array([1.0, 2, 1e9, 4, 5], [0, 0, 1, 0, 0])
    assert fits.values([1.0, 2, 3, 4, 5], y, np.ones(5)).y.tolist() == [1, 2, 4, 5]
    assert fits.shares([1.0, 2, 3, 4, 5], y, np.full(5, 10)).x.tolist() == [1, 2, 4, 5]
    assert fits.counts(np.ma.masked_equal([1.0, 2, 3, 4, 5], 2), y).x.tolist() == [1, 4, 5]
    assert fits.counts([1.0, 2, 3], [1, 2, 3], np.ma.masked_equal([1.0, 2.0, 3.0], 2.0)).x.tolist() == [1, 3]
    with pytest.raises(DataError, match="as many x as y"):
        fits.values([1.0, 2, 3], y, np.ones(5))
    counts = np.ma.masked_greater([3] * 30 + [50] * 30 + [10**9], 100)
    assert two_levels(counts).bright.value == pytest.approx(50)


def test_masked_tags_shots_and_texts_are_refused() -> None:
    tags = np.ma.masked_array([1, 2, 3], [False, True, False])
    other = np.array([2])
    for make in (lambda: histogram(tags, other, 5, 5), lambda: channels(tags, 3), lambda: array("link.x", tags)):
        with pytest.raises(DataError, match=r"masked entries, which would be taken for data: leave them out"):
            make()
    for version in (1, 2):
        with pytest.raises(TypeError):
            pyon.encode(tags, version=version)
    assert histogram(np.ma.masked_array([1, 2, 3]), np.array([2]), 5, 5).counts.sum() == 3  # nothing is masked
