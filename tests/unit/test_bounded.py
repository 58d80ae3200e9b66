"""Values that cannot exceed a limit: the interval below it covers as often as it claims."""

import math

import numpy as np
import pytest

from analysis.bounded import at_most, share
from analysis.estimates import Estimate

DRAWS, ERROR = 4000, 0.05


@pytest.mark.parametrize("truth", [0.99, 0.97, 0.93, 0.85])
def test_the_interval_covers_as_often_as_it_claims_near_the_limit_and_far_from_it(truth: float) -> None:
    """4 sigma; a truth nearer than what one standard error beyond the limit excludes is covered more often."""
    drawn = np.random.default_rng(1).normal(truth, ERROR, DRAWS)
    found = [at_most(1.0, Estimate(value, ERROR)) for value in drawn]
    covered = np.mean([abs(estimate.value - truth) <= estimate.error for estimate in found])
    spread = 4 * math.sqrt(0.683 * 0.317 / DRAWS)
    assert covered > 0.683 - spread
    assert truth > 1 - ERROR or covered < 0.683 + spread + 0.01
    assert all(estimate.value + estimate.error < 1 + 1e-9 or estimate.value < 0.86 for estimate in found)


def test_the_intervals_are_those_of_feldman_and_cousins() -> None:
    """PRD 57, 3873, table X, 68.27 %: a measurement at the limit, and one standard error beyond."""
    for inside, low, high in ((0.0, 0.0, 1.0), (-1.0, 0.0, 0.27)):
        found = at_most(0.0, Estimate(-inside, 1.0))
        assert -found.value - found.error == pytest.approx(low, abs=0.03)
        assert -found.value + found.error == pytest.approx(high, abs=0.03)


def test_far_from_the_limit_nothing_changes_and_shares_have_two_limits() -> None:
    assert at_most(1.0, Estimate(0.8, 0.05, 7, "here")) == Estimate(0.8, 0.05, 7, "here")
    high, low = share(Estimate(1.02, 0.05)), share(Estimate(-0.02, 0.05))
    assert high.value < 1 and low.value == pytest.approx(1 - high.value) and low.error == pytest.approx(high.error)
