"""Which shots fall into times that are vetoed: a lock was lost, or nobody knows that it held."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def is_vetoed(t_mu: npt.ArrayLike, intervals_mu: Sequence[Sequence[int]]) -> npt.NDArray[np.bool_]:
    """Return which times (mu, shape (n,)) lie in an interval start < t < stop: bool, shape (n,)."""
    times = np.atleast_1d(np.asarray(t_mu, dtype=np.int64))
    out = np.zeros(times.shape, dtype=bool)
    for start, stop in intervals_mu:
        out |= (times > start) & (times < stop)
    return out
