"""Which sites of a regular array hold an atom, out of one camera frame.

A site's light is a Gaussian on the sensor, so the best linear estimate of its electrons is S = sum w (x - b)/sum w^2
over the pixels, w the share of the light, b the background. On a square grid w factors into rows and columns, and all
sites are two products of matrices: 10,000 sites out of 612 x 612 pixels in some milliseconds.
Source: the matched filter for a known shape in white noise, as in J. Martinez-Dorantes et al., PRL 119, 180503 (2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from atomlink.errors import DataError, UsageError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SiteFinder:
    """Where the lab believes its sites are on the sensor, in pixels: (x, y) of site (0, 0), the pitch, the width of a
    site's light (rms); background in electrons per pixel; threshold in electrons of a site.
    """

    rows: int
    columns: int
    first_px: tuple[float, float]
    pitch_px: float
    sigma_px: float
    threshold: float
    background: float = 0.0

    def __post_init__(self) -> None:
        if not (self.rows > 0 and self.columns > 0 and self.pitch_px > 0 and self.sigma_px > 0):
            raise UsageError(f"{self} is no array: rows, columns, pitch_px and sigma_px must be > 0.")

    @property
    def shape_px(self) -> tuple[int, int]:
        """Return the least frame (rows, columns of pixels) that has every site's light within 2 sigma."""
        last = (self.first_px[k] + self.pitch_px * (n - 1) + 2 * self.sigma_px
                for k, n in ((1, self.rows), (0, self.columns)))  # fmt: skip
        rows, columns = (int(np.ceil(edge)) for edge in last)
        return rows, columns

    def electrons(self, frame: npt.NDArray) -> Floats:
        """Return the electrons of each site, float, shape (rows, columns); frame: electrons per pixel."""
        if frame.ndim != 2 or frame.shape[0] < self.shape_px[0] or frame.shape[1] < self.shape_px[1]:
            raise DataError(f"The frame has shape {frame.shape}, but {self.rows} x {self.columns} sites need at least "
                            f"{self.shape_px}: give rows and columns as the array has them, or check param.*.camera_* "
                            "and the camera's region.")
        down, across = self._weights(frame.shape)
        raw = _gathered(across, _gathered(down, frame).T).T
        light = np.multiply.outer((down**2).sum(axis=0), (across**2).sum(axis=0))
        dark = self.background * np.multiply.outer(down.sum(axis=0), across.sum(axis=0))
        return np.asarray((raw - dark) / light)

    def occupied(self, electrons: Floats) -> Bools:
        """Return where there is an atom, bool, same shape."""
        return np.asarray(electrons > self.threshold)

    def region(self, row: int, column: int, half_px: int = 3) -> tuple[int, int, int, int]:
        """Return the rectangle (x0, y0, x1, y1) around a site, upper ends excluded, as a frame grabber takes it."""
        x, y = (int(self.first_px[k] + self.pitch_px * n) for k, n in ((0, column), (1, row)))
        return max(x - half_px, 0), max(y - half_px, 0), x + half_px + 1, y + half_px + 1

    def _weights(self, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        if shape not in self._known:
            self._known[shape] = (self._share(shape[0], self.first_px[1], self.rows),
                                  self._share(shape[1], self.first_px[0], self.columns))  # fmt: skip
        return self._known[shape]

    @cached_property
    def _known(self) -> dict[tuple[int, ...], tuple[Floats, Floats]]:
        return {}

    def _share(self, pixels: int, first: float, sites: int) -> Floats:
        """Return the share of each site's light in each line of pixels, shape (pixels, sites)."""
        from scipy.special import erf

        edges = np.arange(pixels + 1)[:, None] - (first + self.pitch_px * np.arange(sites))
        return np.asarray(np.diff(erf(edges / (2**0.5 * self.sigma_px)) / 2, axis=0))


def _gathered(share: Floats, lines: npt.NDArray) -> Floats:
    """Return share.T @ lines, (sites, n), of a share, (pixels, sites), in which a site has some ten pixels."""
    lit = share > 1e-9
    width = int(lit.sum(axis=0).max(initial=1))
    first = np.minimum(lit.argmax(axis=0), len(share) - width)
    site = np.arange(share.shape[1])
    return np.asarray(sum(share[first + k, site][:, None] * lines[first + k] for k in range(width)))


def split_histogram(electrons: npt.ArrayLike) -> float:
    """Return the threshold between two peaks: the one that leaves the least variance within both sides (N. Otsu, IEEE
    Trans. SMC 9, 62 (1979)). Raises DataError for fewer than two different values.
    """
    values = np.sort(np.asarray(electrons, dtype=np.float64).ravel())
    if len(values) < 2 or values[0] == values[-1]:
        raise DataError(f"A threshold needs sites of different brightness, but there are {len(values)} alike.")
    n = np.arange(1, len(values))
    total = np.cumsum(values)
    low, high = total[:-1] / n, (total[-1] - total[:-1]) / (len(values) - n)
    best = int(np.argmax(n * (len(values) - n) * (high - low) ** 2))
    return float(0.5 * (values[best] + values[best + 1]))
