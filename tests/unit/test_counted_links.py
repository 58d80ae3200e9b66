"""Several links counted: rates and probabilities with their errors, and runs that hold nothing to compare."""

import math
from pathlib import Path
from typing import Any

import pytest

from analysis.counted_links import Counted, counted
from analysis.estimates import Estimate, binomial
from analysis.experiments import link_rates, parallel_links
from analysis.load import Run
from atomlink.errors import DataError

TWO = "a-b@s,c-d@t"


def run(heralds: list[list[int]], attempts: list[list[int]], t_s: list[list[float]]) -> Run:
    """Return a run of two links, a row each."""
    datasets: dict[str, Any] = {"scan.links": TWO, "scan.heralds": heralds, "scan.attempts": attempts,
                                "scan.t_s": t_s, "scan.forecast": [0.1, float("nan")]}  # fmt: skip
    return Run(Path("1-X.h5"), 1, "X", 0.0, 0.0, "", {}, datasets, {}, {})


def test_rows_are_added_up_by_turn_and_link() -> None:
    found = counted(run([[1, 2, 3, 4], [10, 20, 30, 40]], [[100] * 4] * 2, [[1.0] * 4] * 2), turns=2)
    assert found == [[Counted(11, 200, 2.0), Counted(22, 200, 2.0)], [Counted(33, 200, 2.0), Counted(44, 200, 2.0)]]


def test_rate_and_probability_have_the_errors_of_counts() -> None:
    one = Counted(8, 40, 2.0)
    assert one.rate == Estimate(4.0, math.sqrt(8.5) / 2, 8, "with recooling and looks, no loading", "/s")
    assert (one.probability.value, one.probability.error, one.probability.n) == (0.2, binomial(8, 40).error, 8)
    assert Counted(0, 40, 2.0).rate.error > 0


def test_a_link_without_a_herald_has_a_rate_of_0_but_nothing_to_compare() -> None:
    none = run([[0, 4]], [[40, 40]], [[1.0, 1.0]])
    found = link_rates.analyse(none)
    assert found.estimates["a-b@s.rate"].value == 0 and found.notes[0].startswith("a-b@s: believed 0.1")
    with pytest.raises(DataError, match="has a link without heralds"):
        parallel_links.analyse(run([[0, 4, 5, 5]], [[40] * 4], [[1.0] * 4]))


@pytest.mark.parametrize(("attempts", "t_s"), [([40, 0], [1.0, 1.0]), ([40, 40], [1.0, 0.0])])
def test_a_link_without_an_attempt_is_refused_by_both_twins(attempts: list[int], t_s: list[float]) -> None:
    with pytest.raises(DataError, match="on c-d@t .* take more shots"):
        link_rates.analyse(run([[4, 0]], [attempts], [t_s]))
    with pytest.raises(DataError, match="on c-d@t .* take more shots"):
        parallel_links.analyse(run([[4, 0] * 2], [attempts * 2], [t_s * 2]))
