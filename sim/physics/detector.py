"""Single-photon detectors: efficiency, dark clicks, timing jitter, dead time, recovery, after-pulses, latching.

A nanowire that clicks faster than its hot spots cool turns resistive and stays so until its bias is taken away: it
latches. Here the rate is the sum of e^(-age/memory)/memory over past clicks, and latching sets in where it exceeds the
limit; a rate above the limit for much longer than the memory latches with certainty, as does a short dense burst.

Sources: R. H. Hadfield, Nature Photon. 3, 696 (2009), for the table of detectors; A. J. Kerman et al., APL 88, 111116
(2006), for the recovery of a nanowire; A. J. Annunziata et al., J. Appl. Phys. 108, 084507 (2010), for latching (the
limit and memory of a device are to be measured: they depend on its bias and read-out); Excelitas SPCM-AQRH data sheet
for silicon.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sim.physics.validate import require

FWHM_PER_SIGMA = 2 * math.sqrt(2 * math.log(2))


@dataclass(frozen=True)
class Detector:
    """Describe one detector.

    dead_time_s: no click at all after a click. recovery_s: afterwards the efficiency returns as 1 -
    exp(-t/recovery_s). afterpulse_probability, afterpulse_s: chance and decay time of a false click after a click.
    latch_limit_hz, latch_memory_s: see `Latching`; 0: it never latches.
    """

    efficiency: float
    dark_rate_hz: float
    jitter_fwhm_s: float
    dead_time_s: float
    recovery_s: float = 0.0
    afterpulse_probability: float = 0.0
    afterpulse_s: float = 30e-9
    latch_limit_hz: float = 0.0
    latch_memory_s: float = 1e-6

    def __post_init__(self) -> None:
        require(self, "efficiency", 0, 1)
        require(self, "dark_rate_hz", 0)
        require(self, "jitter_fwhm_s", 0, 1e-6)
        require(self, "dead_time_s", 0, 1e-3)
        require(self, "recovery_s", 0, 1e-3)
        require(self, "afterpulse_probability", 0, 1, below=True)
        require(self, "afterpulse_s", 0, 1e-3, above=True)
        require(self, "latch_limit_hz", 0)
        require(self, "latch_memory_s", 0, above=True)

    @property
    def latching(self) -> Latching | None:
        """Return when it latches; None: never."""
        return Latching(self.latch_limit_hz, self.latch_memory_s) if self.latch_limit_hz else None

    @property
    def jitter_sigma_s(self) -> float:
        """Return the standard deviation of the timing jitter in s."""
        return self.jitter_fwhm_s / FWHM_PER_SIGMA


@dataclass(frozen=True)
class Latching:
    """Describe when a nanowire latches: above limit_hz clicks per second, averaged over the last memory_s."""

    limit_hz: float
    memory_s: float

    def __post_init__(self) -> None:
        require(self, "limit_hz", 0, above=True)
        require(self, "memory_s", 0, above=True)


class LatchState(NamedTuple):
    """A nanowire's recent rate at the time of its last click, and since when it has been latched (None: it is not)."""

    rate_hz: float = 0.0
    clicked_s: float = 0.0
    latched_s: float | None = None


# Nanowire at 780 nm and silicon avalanche diode: numbers of the design table (Hadfield 2009; data sheets).
SNSPD = Detector(efficiency=0.88, dark_rate_hz=50.0, jitter_fwhm_s=50e-12, dead_time_s=0.0, recovery_s=30e-9)
SPAD = Detector(efficiency=0.62, dark_rate_hz=100.0, jitter_fwhm_s=350e-12, dead_time_s=22e-9,
                afterpulse_probability=0.005)


def dark_probability(detector: Detector, window_s: float) -> float:
    """Return d = 1 - exp(-R_dark T), the probability of a dark click in a window."""
    return -math.expm1(-detector.dark_rate_hz * window_s)


def jitter_s(detector: Detector, rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """Draw timing errors in s, Gaussian; float, shape (size,)."""
    return rng.normal(0.0, detector.jitter_sigma_s, size)


def darks_s(detector: Detector, rng: np.random.Generator, start_s: float, stop_s: float) -> npt.NDArray[np.float64]:
    """Draw the times of dark clicks in [start_s, stop_s): Poisson in number, uniform in time, sorted."""
    number = rng.poisson(detector.dark_rate_hz * (stop_s - start_s))
    return np.sort(rng.uniform(start_s, stop_s, number))


def apply_dead_time(times: npt.NDArray, dead_time: float) -> npt.NDArray:
    """Return the clicks that survive a non-paralysable dead time; times sorted, in dead_time's unit, shape (n,)."""
    if dead_time <= 0 or len(times) < 2 or bool(np.all(np.diff(times) >= dead_time)):
        return times
    kept, last = [0], times[0]
    for k in range(1, len(times)):
        if times[k] - last >= dead_time:
            kept.append(k)
            last = times[k]
    return times[kept]


def recovered(detector: Detector, since_s: float) -> float:
    """Return the efficiency, relative to rest, at since_s after the last click."""
    if since_s < detector.dead_time_s:
        return 0.0
    if detector.recovery_s == 0:
        return 1.0
    return -math.expm1(-(since_s - detector.dead_time_s) / detector.recovery_s)


def respond(detector: Detector, rng: np.random.Generator, times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Walk sorted candidate clicks and return the clicks that come out.

    Candidates are photons, already thinned by efficiency, and darks. Adds after-pulses, removes what falls into dead
    time or recovery. Jitter is the caller's, after this. times_s, float, shape (n,); result, float, shape (m,).
    """
    if not detector.afterpulse_probability and not detector.recovery_s:
        return apply_dead_time(times_s, detector.dead_time_s)
    return np.array(walk(detector, rng, sorted(times_s.tolist()), None, math.inf)[0])


def walk(detector: Detector, rng: np.random.Generator, times: list[Any], last: float | None, stop: float,
         unit_s: float = 0.0) -> tuple[list[Any], list[Any]]:
    """Return (clicks that come out of sorted candidates up to `stop`, after-pulses that come later).

    `last`: the click before, or None. Times are in seconds, or whole multiples of unit_s. `times` is used up.
    """
    clicks: list[Any] = []
    later: list[Any] = []
    k, scale, after = 0, unit_s or 1.0, detector.afterpulse_probability
    while k < len(times):
        t = times[k]
        k += 1
        if last is not None:
            chance = recovered(detector, (t - last) * scale)
            if chance < 1.0 and rng.random() >= chance:
                continue
        clicks.append(t)
        last = t
        if after and rng.random() < after:
            delay = (detector.dead_time_s + rng.exponential(detector.afterpulse_s)) / scale
            false = t + (max(1, round(delay)) if unit_s else delay)
            insort(times, false, lo=k) if false <= stop else later.append(false)
    return clicks, later


def latch(latching: Latching, state: LatchState, times_s: npt.NDArray[np.float64]
          ) -> tuple[npt.NDArray[np.float64], LatchState]:
    """Return (clicks that come out, state after them); times_s sorted and not before the state's, float, shape (n,).

    The click that exceeds the limit is the last one until `reset`. Clicks may be handed over in blocks of any size.
    """
    if state.latched_s is not None:
        return times_s[:0], state
    rate, last = state.rate_hz, state.clicked_s
    for k, t in enumerate(times_s.tolist()):
        rate, last = rate * math.exp(-(t - last) / latching.memory_s) + 1 / latching.memory_s, t
        if rate > latching.limit_hz:
            return times_s[: k + 1], LatchState(rate, t, latched_s=t)
    return times_s, LatchState(rate, last)


def reset(t_s: float) -> LatchState:
    """Return the state of a nanowire whose bias was taken away and given back at t_s: cold, and counting again."""
    return LatchState(0.0, t_s)
