"""Tweezers of a crossed acousto-optic deflector among fixed tweezers: where tones point, what they pick up and meet.

Each pair of tones, one per axis, makes a spot at (row, column) = ((f_r - f_r0)/d_r, (f_c - f_c0)/d_c) in sites, as deep
as the product of both tones' powers. Two Gaussian tweezers less than a waist apart are one well, so a spot that grows
deeper than a fixed tweezer within that distance takes its atom over: the atom is carried over the distance between them
while the amplitude rises, or, where it rises at once, finds itself U0 (1 - exp(-2 x^2/w0^2)) above the bottom. Atoms
whose spots merge, because tones of one axis cross or come closer than a waist, are in one trap, and light expels both.
Sources: S. Ebadi et al., Nature 595, 227 (2021), methods (moving tweezers over a fixed array, 1.5 times as deep or
more); N. Schlosser et al., PRL 89, 023005 (2002) (two atoms in one tweezer are lost together).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.physics.validate import require

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_SAMPLES_PER_WAIST = 2  # positions looked at along a way that is not parallel to an axis


@dataclass(frozen=True)
class Deflector:
    """Describe the deflector: tone of site 0 and step per site of both axes (Hz), the amplitude of a tone at which two
    make a spot of spot_depth_k, and the probability to lose an atom at a hand-over.
    """

    row_site_0_hz: float
    row_site_hz: float
    column_site_0_hz: float
    column_site_hz: float
    tone_amplitude: float
    spot_depth_k: float
    handover_loss: float

    def __post_init__(self) -> None:
        for field in ("row_site_0_hz", "column_site_0_hz", "tone_amplitude", "spot_depth_k"):
            require(self, field, 0, above=True)
        for field in ("row_site_hz", "column_site_hz"):
            require(self, field, -1e9, 1e9)
            if getattr(self, field) == 0:
                require(self, field, 0, above=True)
        require(self, "handover_loss", 0, 1)

    def rows(self, hz: Floats) -> Floats:
        """Return the rows, not rounded, at which tones of the row axis point."""
        return np.asarray((hz - self.row_site_0_hz) / self.row_site_hz)

    def columns(self, hz: Floats) -> Floats:
        """Return the columns, not rounded, at which tones of the column axis point."""
        return np.asarray((hz - self.column_site_0_hz) / self.column_site_hz)

    def depth_k(self, row_amplitude: Floats, column_amplitude: Floats) -> Floats:
        """Return the depth of each spot, in order of row tone, then column tone; shape (rows * columns,)."""
        power = np.multiply.outer(row_amplitude**2, column_amplitude**2).ravel()
        return np.asarray(self.spot_depth_k / self.tone_amplitude**4 * power)


def offset_energy_k(distance_m: npt.ArrayLike, depth_k: npt.ArrayLike, waist_m: float) -> Floats:
    """Return the energy (over k_B) of an atom around which a spot appears at once, from so far away."""
    return np.asarray(np.asarray(depth_k) * -np.expm1(-2 * (np.asarray(distance_m) / waist_m) ** 2))


def merging(start: Floats, stop: Floats, closest: float) -> Bools:
    """Return which tones of one axis cross another or come closer than `closest` on their way; any unit, shape (n,).

    All tones follow one profile, so two are closest at an end of the way unless they cross.
    """
    order = np.argsort(start, kind="stable")
    first, last = start[order], stop[order]
    bad = np.zeros(len(start), dtype=bool)
    if len(start) > 1:
        before = np.maximum.accumulate(last)[:-1] + closest > last[1:]
        after = np.minimum.accumulate(last[::-1])[::-1][1:] - closest < last[:-1]
        near = np.diff(first) < closest
        bad[1:] |= before | near
        bad[:-1] |= after | near
    out = np.empty_like(bad)
    out[order] = bad
    return out


def swept(standing: Bools, start: Floats, stop: Floats, reach: float) -> tuple[Bools, Ints]:
    """Return which spots pass over a standing atom, shape (n,), and the sites of such atoms, shape (m, 2).

    standing, bool, shape (rows, columns); start, stop, shape (n, 2), and reach in sites. The sites at which a spot
    begins and ends do not count.
    """
    none = np.zeros(len(start), dtype=bool), np.zeros((0, 2), dtype=np.int64)
    way = stop - start
    longest = float(np.abs(way).max(initial=0.0))
    if longest < 0.5 or _clear(standing, start, stop):
        return none
    steps = math.ceil(longest * max(1.0, _SAMPLES_PER_WAIST / reach)) + 1
    places = start[None] + np.linspace(0, 1, steps)[:, None, None] * way[None]
    site = np.rint(places).astype(np.int64)
    inside = ((site >= 0) & (site < standing.shape)).all(axis=2)
    ends = (site == np.rint(start).astype(np.int64)).all(axis=2) | (site == np.rint(stop).astype(np.int64)).all(axis=2)
    near = np.hypot(*np.moveaxis(places - site, 2, 0)) < reach
    look = site.clip(0, np.array(standing.shape) - 1)
    hit = inside & near & ~ends & standing[look[..., 0], look[..., 1]]
    return hit.any(axis=0), np.unique(site[hit].reshape(-1, 2), axis=0)


def _clear(standing: Bools, start: Floats, stop: Floats) -> bool:
    """Tell at once where spots travel along one axis with nothing standing in their way: the plans of a planner."""
    for axis in (0, 1):
        if np.abs(start[:, axis] - stop[:, axis]).max() > 1e-9:
            continue
        line, along = np.rint(start[:, axis]).astype(np.int64), 1 - axis
        ends = np.sort(np.rint(np.stack((start[:, along], stop[:, along]))).astype(np.int64), axis=0)
        sites = standing if axis == 0 else standing.T
        if line.min() < 0 or line.max() >= len(sites) or ends.min() < 0 or ends.max() >= sites.shape[1]:
            return False
        # before[l, k]: atoms on line l at places < k
        used, index = np.unique(line, return_inverse=True)
        before = np.zeros((len(used), sites.shape[1] + 1), dtype=np.int64)
        before[:, 1:] = sites[used].cumsum(axis=1)
        between = before[index, ends[1]] - before[index, np.minimum(ends[0] + 1, ends[1])]
        return not between.any()
    return False
