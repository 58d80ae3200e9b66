"""Correlations and coincidences of time tags against brute force and sources whose g2 is known."""

import math

import numpy as np
import pytest
from scipy.stats import chi2

from analysis.timetags import correlate
from analysis.timetags.coincidences import accidentals, coincidences, count_patterns, groups
from analysis.timetags.correlate import continuous_g2, fill_with_numpy, histogram, peaks, pulsed_g2
from analysis.timetags.stream import Tags
from atomlink.errors import DataError

PERIOD_PS = 1_000_000


def poisson(rng: np.random.Generator, rate_hz: float, duration_s: float) -> np.ndarray:
    n = rng.poisson(rate_hz * duration_s)
    return np.sort(rng.integers(0, round(duration_s * 1e12), n))


def merged(*streams: np.ndarray) -> Tags:
    time_ps = np.concatenate(streams)
    channel = np.repeat(np.arange(len(streams), dtype=np.uint8), [len(stream) for stream in streams])
    order = np.argsort(time_ps, kind="stable")
    return Tags(time_ps[order], channel[order])


@pytest.fixture(params=["compiled", "numpy"])
def walk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with either walk over the streams."""
    if request.param == "numpy":
        monkeypatch.setattr(correlate, "_filler", lambda: fill_with_numpy)
    else:
        pytest.importorskip("numba", reason="numba makes it fast and is optional: pip install numba")
    return str(request.param)


def test_histogram_counts_every_pair_once(walk: str) -> None:
    """Brute force over all pairs, with equal tags and tags on the edges of bins and of the window."""
    rng = np.random.default_rng(1)
    a, b = np.sort(rng.integers(0, 5000, 300)), np.sort(rng.integers(-500, 5500, 400))
    difference = (b[None, :] - a[:, None]).ravel()
    expected, _ = np.histogram(difference[difference < 700], np.arange(-700, 701, 7))
    assert np.array_equal(histogram(a, b, 700, 7).counts, expected)
    assert histogram(a, b, 700, 7).delay_ps[[0, 99, 100, 199]] == pytest.approx([-696.5, -3.5, 3.5, 696.5])


def test_peaks_keep_to_a_period_with_a_fraction(walk: str) -> None:
    """1000.5 ps: 40 periods away the peak is 20 ps from where a rounded period has it, outside a window of 10 ps."""
    a, most = np.arange(50) * 1_000_000, 40
    b = np.sort((a[:, None] + 300 + np.rint(1000.5 * np.arange(-most, most + 1)).astype(np.int64)).ravel())
    assert np.array_equal(peaks(a, b, 1000.5, 10, most, 300), np.full(2 * most + 1, 50))
    assert peaks(a, b, 1000, 10, most, 300)[[0, -1]].tolist() == [0, 0]


def test_g2_of_independent_streams_is_one(walk: str) -> None:
    """Chi2 over 200 bins of 20,000 counts, p > 1e-3 with the seed fixed; the ends of a run of 10 ms cost 1 % at 100 us.
    """
    rng = np.random.default_rng(2)
    a, b = poisson(rng, 1e6, 10e-3), poisson(rng, 2e6, 10e-3)
    found = continuous_g2(a, b, 100_000_000, 1_000_000, (0, 10_000_000_000))
    assert found.counts.min() > 10_000
    assert chi2.sf((((found.g2 - 1) / found.error) ** 2).sum(), len(found.g2)) > 1e-3


def test_autocorrelation_leaves_out_the_pairs_of_a_tag_with_itself() -> None:
    """20,000 of them would lift the bin at 0 from 2000 counts to 22,000; none of 20 bins is beyond 4 sigma."""
    rng = np.random.default_rng(3)
    found = continuous_g2(poisson(rng, 1e6, 20e-3), None, 1_000_000, 100_000)
    assert np.abs((found.g2 - 1) / found.error).max() < 4


def test_two_level_atom_is_antibunched_with_its_two_rates() -> None:
    """Excited at r, decaying at G: gaps are the sum of two exponentials, g2 = 1 - e^{-(r + G) tau}; chi2 over 40 bins,
    p > 1e-3 with the seed fixed.
    """
    rng = np.random.default_rng(4)
    excite_ps, decay_ps, n = 100_000.0, 26_200.0, 400_000
    gaps = rng.exponential(excite_ps, n) + rng.exponential(decay_ps, n)
    found = continuous_g2(np.cumsum(gaps.astype(np.int64) + 1), None, 200_000, 10_000)
    speed = 1 / excite_ps + 1 / decay_ps
    edges = np.abs(found.delay_ps)[:, None] + np.array([-5000, 5000])
    expected = 1 - (np.exp(-speed * edges[:, 0]) - np.exp(-speed * edges[:, 1])) / (speed * 10_000)
    right = found.delay_ps > 0  # the left half holds the same pairs
    assert found.g2[right][0] < 0.3
    assert chi2.sf((((found.g2 - expected) / found.error)[right] ** 2).sum(), right.sum()) > 1e-3


def test_pulsed_source_shows_the_g2_of_its_photon_numbers() -> None:
    """0, 1 or 2 photons per pulse, split evenly: g2(0) = 2 p2/(p1 + 2 p2)^2; within 4 sigma, and sigma within 10 % of
    sqrt(counts).
    """
    rng = np.random.default_rng(5)
    p1, p2, pulses = 0.2, 0.01, 400_000
    photons = rng.choice(3, pulses, p=[1 - p1 - p2, p1, p2])
    pulse = np.repeat(np.arange(pulses), photons)
    time_ps = pulse * PERIOD_PS + rng.exponential(26_200, len(pulse)).astype(np.int64)
    to_c = rng.random(len(time_ps)) < 0.5
    found = pulsed_g2(np.sort(time_ps[to_c]), np.sort(time_ps[~to_c]), PERIOD_PS, 300_000)
    assert found.g2 == pytest.approx(2 * p2 / (p1 + 2 * p2) ** 2, abs=4 * found.error)
    assert found.error == pytest.approx(found.g2 / math.sqrt(found.counts[20]), rel=0.1)
    assert found.side == pytest.approx(pulses * ((p1 + 2 * p2) / 2) ** 2, rel=0.02)


@pytest.mark.parametrize("visibility", [0.0, 0.6, 1.0])
def test_hom_coincidences_fall_with_the_visibility(visibility: float) -> None:
    """Two photons per pulse with probability 0.1 each leave by different ports with (1 - V)/2; 4 sigma of the count."""
    rng = np.random.default_rng(6)
    pulses, eta = 200_000, 0.1
    alice, bob = rng.random((2, pulses)) < eta
    port = rng.random((2, pulses)) < 0.5
    port[1] = np.where(rng.random(pulses) < visibility, port[0], port[1])  # bunched
    at = np.arange(pulses) * PERIOD_PS
    streams = [np.sort(np.concatenate([at[alice & (port[0] == end)], at[bob & (port[1] == end)] + 5000]))
               for end in (True, False)]
    n = len(coincidences(merged(*streams), 20_000, [0, 1]))
    expected = pulses * eta**2 * (1 - visibility) / 2
    assert n == pytest.approx(expected, abs=4 * math.sqrt(expected))


def test_a_group_holds_the_clicks_up_to_its_window_and_the_next_begins_after_it() -> None:
    tags = Tags(np.array([0, 100, 101, 150, 400, 400, 500]), np.array([1, 2, 1, 3, 3, 1, 2], np.uint8))
    found = groups(tags, 100, [1, 2, 3])
    assert found.time_ps.tolist() == [0, 101, 400]
    assert found.pattern.tolist() == [0b011, 0b101, 0b111]
    assert coincidences(tags, 100, [2, 3]).tolist() == [100, 400]
    assert coincidences(tags, 100, [1, 2, 3]).tolist() == [400]


def test_chance_makes_as_many_groups_as_the_closed_form_says() -> None:
    """All patterns of three Poisson streams, 5 to 20 % of a click per window; chi2 of 7 counts, p > 1e-3."""
    rng = np.random.default_rng(7)
    streams = [poisson(rng, rate, 20e-3) for rate in (0.5e6, 1e6, 2e6)]
    seen = count_patterns(merged(*streams), 100_000, [0, 1, 2])
    clicks = [10_000, 20_000, 40_000]
    expected = [accidentals(clicks, 100_000, 20e9, [bool(p >> k & 1) for k in range(3)]) for p in range(1, 8)]
    assert chi2.sf(((seen[1:] - expected) ** 2 / expected).sum(), 7) > 1e-3


def test_rare_twofold_accidentals_are_twice_the_window_times_the_rates() -> None:
    assert accidentals([1000, 2000], 1000, 1e12) == pytest.approx(2 * 1000 * 2000 * 1000 / 1e12, rel=1e-4)


def test_streams_without_tags_have_no_coincidences() -> None:
    empty = np.empty(0, np.int64)
    assert histogram(empty, np.array([1, 2]), 100, 10).counts.sum() == 0
    assert len(coincidences(Tags(empty, np.empty(0, np.uint8)), 100, [0, 1])) == 0


SORTED = np.arange(1, 1000) * 1000


@pytest.mark.parametrize(("call", "message"), [
    (lambda: histogram([3, 1, 2], SORTED, 100, 10), r"`a_ps` must not go back in time, but tag 1 \(1 ps\)"),
    (lambda: histogram(SORTED, [1.5], 100, 10), "`b_ps` must be integer picoseconds .* but is float64"),
    (lambda: histogram(SORTED, SORTED, 0, 10), "`window_ps` must be > 0 ps, but is 0"),
    (lambda: histogram(SORTED, SORTED, -5, 10), "`window_ps` must be > 0 ps, but is -5"),
    (lambda: histogram(SORTED, SORTED, 100, 30), "`window_ps` must be a multiple of `bin_ps`"),
    (lambda: histogram(SORTED, SORTED, 100, 0.5), "`bin_ps` must be whole picoseconds, but is 0.5"),
    (lambda: continuous_g2([], SORTED, 100, 10), "`a_ps` has no tags"),
    (lambda: continuous_g2(SORTED, SORTED, 100, 10, (0, 5000)), "`interval_ps` must hold all tags"),
    (lambda: continuous_g2([5], None, 100, 10, (0, 1000)), "an autocorrelation needs two"),
    (lambda: pulsed_g2(SORTED, [], 1000, 100), "`b_ps` has no tags"),
    (lambda: pulsed_g2(SORTED, SORTED, 1000, 600), "at most half a period"),
    (lambda: pulsed_g2(SORTED, SORTED + 500, 1000, 100), "0 coincidences 5 to 20 periods away"),
    (lambda: pulsed_g2(SORTED, SORTED, 1000, 100, (0, 3)), "`far` must be two numbers of periods"),
    (lambda: coincidences(merged(SORTED, SORTED), 0, [0, 1]), "`window_ps` must be > 0 ps"),
    (lambda: groups(Tags(SORTED[::-1], np.uint8(1)), 10, [1]), "must not go back in time"),
    (lambda: groups(merged(SORTED), 10, [1, 1]), "must be 1 to 62 different channels"),
    (lambda: accidentals([-1, 2], 10, 10), "must be a number of clicks >= 0"),
])
def test_what_cannot_be_correlated_is_refused(call, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()
