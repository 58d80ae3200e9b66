"""The two-pointer walk over two streams, compiled by numba: correlate.py imports it where numba is installed.

Each stream is walked once, where numpy's searchsorted looks every tag up.
"""

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]  # numba has no types
def fill(
    a: npt.NDArray[np.int64],
    b: npt.NDArray[np.int64],
    low: int,
    high: int,
    step: float,
    width: float,
    counts: npt.NDArray[np.int64],
) -> None:
    """Add to counts[k] the differences d = b - a with low <= d < high and d - low in [k step, k step + width)."""
    span = high - low
    i = first = 0
    # Without a branch on which pointer moves: the processor would guess wrong half of the time.
    while i < len(a) and first < len(b):
        d = b[first] - a[i] - low
        behind = -(d >> 63)  # 1 where b[first] is before the window of a[i]
        if 0 <= d < span:
            j = first
            while d < span:
                # Exact: differences within a window are far below 2^53.
                k = int(float(d) / step)
                if k < len(counts) and d - k * step < width:
                    counts[k] += 1
                j += 1
                if j == len(b):
                    break
                d = b[j] - a[i] - low
        first += behind
        i += 1 - behind
