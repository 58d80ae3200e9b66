"""The control charts of the link monitor: how often they cry wolf, and how long they sleep. Seeds fixed."""

import math

import numpy as np
import pytest

from analysis.health import FIDELITY, RATE, Look, Reference, judge
from atomlink.errors import UsageError

REFERENCE = Reference(650.0, 0.95, fraction=0.9, looks_to_false_alarm=50)
PAIRS = (48, 48, 48)
HERALDS = 150


def looks(rng: np.random.Generator, n: int, rate: float = 1.0, fidelity: float = 1.0) -> list[Look]:
    """Draw looks at a link whose rate and fidelity are these parts of the reference: HERALDS of them, then it stops."""
    value = fidelity * REFERENCE.fidelity
    equal = (1 + (4 * value - 1) / 3) / 2  # probability that XX and YY agree and that ZZ differs
    found = []
    for _ in range(n):
        seconds = rng.gamma(HERALDS, 1 / (rate * REFERENCE.rate_hz))
        correlators = [2 * rng.binomial(m, equal) / m - 1 for m in PAIRS]
        found.append(Look(HERALDS, float(seconds), 0.25 * (1 + sum(correlators)), PAIRS))
    return found


def looks_to_alarm(rng: np.random.Generator, most: int, **link: float) -> tuple[int, str]:
    """Return after how many looks the charts alarm, and which."""
    seen = looks(rng, most, **link)
    verdict = judge(seen, REFERENCE)
    charts = {RATE: verdict.rate, FIDELITY: verdict.fidelity}
    above = [(k + 1, name) for name, sums in charts.items() for k, value in enumerate(sums)
             if value > REFERENCE.threshold]  # fmt: skip
    return min(above, default=(most, ""))


def test_an_unchanged_link_alarms_no_more_often_than_promised() -> None:
    """40 series of up to 400 looks: alarms per look at most 1/50; 4 sigma of the count (some 15 or fewer expected)."""
    rng = np.random.default_rng(1)
    found = [looks_to_alarm(rng, 400) for _ in range(40)]
    alarms, total = sum(bool(why) for _, why in found), sum(n for n, _ in found)
    expected = total / REFERENCE.looks_to_false_alarm
    assert alarms <= expected + 4 * math.sqrt(expected)
    assert total / max(alarms, 1) > 3 * REFERENCE.looks_to_false_alarm  # the bound is on the safe side


@pytest.mark.parametrize(
    ("link", "chart", "most"),
    [({"rate": 0.9}, RATE, 8.0), ({"rate": 0.8}, RATE, 3.0), ({"fidelity": 0.9}, FIDELITY, 2.5)],
)
def test_a_fall_is_found_within_the_delay_that_the_page_states(link: dict[str, float], chart: str, most: float) -> None:
    """Mean of 60 series, the threshold h = ln 100 over the mean evidence of a look, 0.8, 2.4 and 3."""
    rng = np.random.default_rng(2)
    found = [looks_to_alarm(rng, 100, **link) for _ in range(60)]
    assert np.mean([why == chart for _, why in found]) > 0.9
    assert np.mean([n for n, _ in found]) < most


def test_a_link_well_above_the_fraction_never_adds_up() -> None:
    rng = np.random.default_rng(3)
    assert judge(looks(rng, 300, rate=1.1, fidelity=1.02), REFERENCE).fallen == ""


def test_no_look_no_alarm_and_a_setting_without_pairs_says_nothing() -> None:
    assert judge([], REFERENCE).fallen == ""
    verdict = judge([Look(0, 0.0, 0.25, (0, 3, 3))] * 50, REFERENCE)
    assert verdict.fallen == "" and verdict.fidelity[-1] == 0.0


@pytest.mark.parametrize("values", [(0.0, 0.9), (600.0, 1.2), (600.0, 0.2), (math.nan, 0.9)])
def test_a_reference_that_cannot_be_is_refused(values: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match="reference"):
        Reference(*values)


@pytest.mark.parametrize("fraction", [0.0, 1.0, math.nan])
def test_a_fraction_that_cannot_be_is_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="fraction"):
        Reference(600.0, 0.9, fraction)
