"""Tone ramps for the two axes of a crossed AOD out of a rearrangement plan.

Each move is three segments, each with all tones of both axes:  ramp up --[ travel ]-- ramp down.  One axis holds the
line with one tone, the other has one tone per atom; amplitudes rise and fall linearly, frequencies travel by the cubic
profile f0 + (f1 - f0)(3 s^2 - 2 s^3), which an AWG with DDS commands takes as it is. The sum of the amplitudes of an
axis bounds the peak voltage whatever the phases, so it is the limit that protects amplifier and crystal.
Source: D. Bluvstein et al., Nature 604, 451 (2022), methods, for the profile and the highest speed of 0.55 um/us.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import DeviceError, UsageError
from drivers.rtio.rearrangement import ALONG_COLUMN, Move, Plan

Floats = npt.NDArray[np.float64]

_PEAK_OVER_MEAN_SPEED = 1.5  # cubic profile


@dataclass(frozen=True)
class Axis:
    """One axis of the AOD: frequency of site 0, step per site (either sign), the band it deflects, the amplitude of
    one tone and the highest sum of amplitudes (1: full scale of the AWG).
    """

    site_0_hz: float
    site_hz: float
    lowest_hz: float
    highest_hz: float
    tone_amplitude: float
    amplitude_limit: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.lowest_hz < self.highest_hz or self.site_hz == 0:
            raise UsageError(f"{self} is not an AOD axis: the band must have 0 < lowest_hz < highest_hz, and site_hz "
                             "must not be 0.")
        if not 0 < self.tone_amplitude <= self.amplitude_limit <= 1:
            raise UsageError(f"Axis.tone_amplitude is {self.tone_amplitude!r} and amplitude_limit "
                             f"{self.amplitude_limit!r}, but they must obey 0 < tone <= limit <= 1.")


@dataclass(frozen=True)
class Timing:
    """How fast atoms are carried: distance of sites, highest speed, shortest travel, ramp of the amplitude."""

    site_m: float
    max_speed_m_s: float
    shortest_s: float
    ramp_s: float

    def __post_init__(self) -> None:
        for name in ("site_m", "max_speed_m_s", "shortest_s", "ramp_s"):
            if not getattr(self, name) > 0:
                raise UsageError(f"Timing.{name} is {getattr(self, name)!r}, but must be > 0.")

    def travel_s(self, sites: float) -> float:
        """Return the time to carry an atom over so many sites."""
        return max(_PEAK_OVER_MEAN_SPEED * sites * self.site_m / self.max_speed_m_s, self.shortest_s)


class Tones(NamedTuple):
    """All tones of one axis in one segment, float, shape (tones,) each: frequency and amplitude at start and stop."""

    start_hz: Floats
    stop_hz: Floats
    start_amplitude: Floats
    stop_amplitude: Floats


class Segment(NamedTuple):
    """One piece of waveform for both axes: `rows` deflects from row to row, `columns` from column to column."""

    duration_s: float
    rows: Tones
    columns: Tones


def ramps(plan: Plan, rows: Axis, columns: Axis, timing: Timing) -> list[Segment]:
    """Return the segments of all moves, three each, in order.

    Raises DeviceError where a tone leaves its axis's band or a move has more tones than the amplitude limit allows.
    """
    return [segment for k, move in enumerate(plan) for segment in _move(k, move, rows, columns, timing)]


def route(places: Sequence[tuple[float, float]], rows: Axis, columns: Axis, timing: Timing) -> list[Segment]:
    """Return the segments that carry one atom along straight legs between places (row, column), not rounded.

    Picked up at the first, put down at the last. Raises DeviceError as `ramps`.
    """
    ends = [[_three(f"place {k}, {name}", axis, *(np.array([place[n]]) for place in leg))[1]
             for n, (name, axis) in enumerate((("rows", rows), ("columns", columns)))]
            for k, leg in enumerate(pairwise(places))]  # fmt: skip
    legs = [Segment(timing.travel_s(float(np.hypot(b[0] - a[0], b[1] - a[1]))), *tones)
            for (a, b), tones in zip(pairwise(places), ends, strict=True)]  # fmt: skip
    up = [tones._replace(stop_hz=tones.start_hz, start_amplitude=0 * tones.start_amplitude) for tones in ends[0]]
    down = [tones._replace(start_hz=tones.stop_hz, stop_amplitude=0 * tones.stop_amplitude) for tones in ends[-1]]
    return [Segment(timing.ramp_s, *up), *legs, Segment(timing.ramp_s, *down)]


def duration_s(segments: list[Segment]) -> float:
    """Return the time all segments take."""
    return sum(segment.duration_s for segment in segments)


def frequency_hz(tones: Tones, s: float) -> Floats:
    """Return the tones' frequencies at the fraction s of the segment."""
    return tones.start_hz + (tones.stop_hz - tones.start_hz) * (s * s * (3 - 2 * s))


def _move(k: int, move: Move, rows: Axis, columns: Axis, timing: Timing) -> list[Segment]:
    line = np.array([move.line])
    along_column = move.axis == ALONG_COLUMN
    row_sites = (move.start, move.stop) if along_column else (line, line)
    column_sites = (line, line) if along_column else (move.start, move.stop)
    axes = [_three(f"move {k}, {name}", axis, *sites) for name, axis, sites in
            (("rows", rows, row_sites), ("columns", columns, column_sites))]
    travel = timing.travel_s(int(np.abs(move.stop - move.start).max()))
    return [Segment(duration, row, column) for duration, row, column in
            zip((timing.ramp_s, travel, timing.ramp_s), *axes, strict=True)]


def _three(where: str, axis: Axis, start: npt.NDArray[Any], stop: npt.NDArray[Any]) -> list[Tones]:
    """Return one axis's tones while the amplitude rises, while they travel, and while it falls."""
    begin, end = (np.asarray(axis.site_0_hz + axis.site_hz * sites, dtype=np.float64) for sites in (start, stop))
    tones = np.concatenate((begin, end))
    outside = tones[(tones < axis.lowest_hz) | (tones > axis.highest_hz)]
    if len(outside):
        raise DeviceError(f"{where}: a tone of {outside[0] / 1e6:g} MHz, but the axis deflects "
                          f"{axis.lowest_hz / 1e6:g} to {axis.highest_hz / 1e6:g} MHz: choose a smaller array or "
                          "another step per site.")
    total = len(start) * axis.tone_amplitude
    if total > axis.amplitude_limit * (1 + 1e-12):
        raise DeviceError(f"{where}: {len(start)} tones of amplitude {axis.tone_amplitude:g} make {total:g}, but the "
                          f"sum must be at most {axis.amplitude_limit:g}: lower tone_amplitude or the size.")
    full, zero = np.full(len(start), axis.tone_amplitude), np.zeros(len(start))
    return [Tones(begin, begin, zero, full), Tones(begin, end, full, full), Tones(end, end, full, zero)]
