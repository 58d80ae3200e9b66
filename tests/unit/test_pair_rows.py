"""What a shared read-out calibration does to the errors of rows of pairs."""

import numpy as np
import pytest

from analysis.pair_rows import PairRows, retention

TABLE = np.array([[[40, 9], [11, 42]], [[41, 12], [10, 38]], [[8, 45], [44, 6]]])  # XX, YY, ZZ
ROWS = PairRows(("XX", "YY", "ZZ"), np.stack([TABLE, TABLE[:, ::-1, ::-1]]), retention(np.array([1, 8, 6, 85])))


def test_shifted_retentions_give_the_error_that_the_derivatives_give() -> None:
    weights = {"XX": 0.5, "YY": 0.5}
    whole, known = ROWS.combined(weights), ROWS.with_retention().combined(weights)
    moved = [ROWS.with_retention(shift).combined(weights).value - whole.value for shift in ROWS.shifts()]
    assert known.value == whole.value
    assert known.error < whole.error
    assert np.hypot(known.error, np.linalg.norm(moved)) == pytest.approx(whole.error, rel=0.01)


def test_without_calibration_there_is_nothing_to_shift() -> None:
    raw = PairRows(ROWS.names, ROWS.tables, None)
    assert raw.with_retention(0.1) is raw
    assert len(raw.shifts()) == 0
