"""The phase of the pairs, out of exact counts."""

import math

import numpy as np
import pytest
from synthetic_runs import as_run

from analysis.experiments import pair_phase
from analysis.load import Run
from atomlink.errors import DataError

BELIEF = "param.alice-bob.midpoint.phase_rad"


def fringe(phase_rad: float, **more: float) -> Run:
    """Return 400 pairs at each of four azimuths, of visibility 0.9."""
    azimuth = np.array([0.0, 0.5, 1.0, 1.5]) * math.pi
    equal = np.round(400 * (0.5 + 0.45 * np.cos(azimuth - phase_rad)))
    return as_run({"scan.azimuth": azimuth, "scan.equal": equal, "scan.n": np.full(4, 400), **more})


def test_what_is_left_of_the_phase_is_added_to_what_was_believed() -> None:
    result = pair_phase.analyse(fringe(0.8, **{BELIEF: 0.5}))
    assert math.isclose(result.estimates["phase_rad"].value, 0.8, abs_tol=0.01)
    assert math.isclose(result.updates[BELIEF].value, 1.3, abs_tol=0.01)


def test_a_phase_that_drifts_past_a_turn_starts_again() -> None:
    """So a belief is never refused for its range, and rarely jumps: the calibration graph takes a jump for a drift."""
    assert math.isclose(pair_phase.analyse(fringe(0.8, **{BELIEF: 5.0})).updates[BELIEF].value, 5.8, abs_tol=0.01)
    over = pair_phase.analyse(fringe(0.8, **{BELIEF: 5.8})).updates[BELIEF].value
    assert math.isclose(over, 6.6 - 2 * math.pi, abs_tol=0.01)


def test_a_file_without_the_belief_says_so() -> None:
    with pytest.raises(DataError, match=BELIEF):
        pair_phase.analyse(fringe(0.8))
