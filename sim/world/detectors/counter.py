"""Photon counters as the electronics sees them: rising edges in time, photons and dark clicks after dead time.

Photons come in two ways: as single clicks drawn by the link, and as stretches of constant rate (fluorescence). Dark
clicks are a Poisson process of the counter's own. Whoever asks for the same stretch of time sees the same clicks.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Callable

import numpy as np

from sim.physics.detector import Detector, LatchState, latch, reset, walk

_NEVER = 1 << 62
_MU_S = 1e-9
_KEPT_MU = 1_000_000_000  # how far back a late consumer may ask: 1 s, unless one needs more


class Counter:
    """One detector with its own random numbers."""

    def __init__(self, detector: Detector, rng: np.random.Generator) -> None:
        self.rng = rng
        self.kept_mu = _KEPT_MU
        self.on_latch: Callable[[], None] = lambda: None
        self._latch = LatchState()
        self._take(detector)
        self._raw: list[int] = []  # photons not yet behind `_done`
        self._stretches: list[tuple[int, int, float]] = []
        self._clicks: list[int] = []
        self._done = 0
        self._next_dark = self._dark_after(0)
        # Between these times there are no clicks, as far as is known; whatever brings light ends the silence.
        self.silent_from_mu, self.silent_until_mu = 0, 0

    def set_detector(self, detector: Detector, t_mu: int) -> None:
        """Go on from t_mu with a detector that has become another; what it did before stays."""
        if detector == self.detector:
            return
        self._catch_up(t_mu)
        before = self._gap_mu
        self._take(detector)
        if before == math.inf:
            self._next_dark = self._dark_after(t_mu)
        elif self._gap_mu != before:  # the time that is left of a Poisson process goes with its rate
            left = (self._next_dark - t_mu) * self._gap_mu / before
            self._next_dark = t_mu + max(1, math.ceil(left)) if math.isfinite(left) else _NEVER
        self.silent_until_mu = 0

    @property
    def latched(self) -> bool:
        """Whether the detector has latched, as far as anybody has asked: it is silent until its reset."""
        return self._latch.latched_s is not None

    def latch(self, t_mu: int) -> None:
        """The detector latches at t_mu, whatever its rate: a flash of light, a disturbed bias."""
        self._catch_up(t_mu)
        if not self.latched:
            self._latched(LatchState(self._latch.rate_hz, t_mu * _MU_S, t_mu * _MU_S))

    def reset(self, t_mu: int) -> None:
        """The detector's bias was taken away and given back: it counts again from t_mu on."""
        self._catch_up(t_mu)
        self._latched(reset(t_mu * _MU_S))

    def _latched(self, state: LatchState) -> None:
        changed = self.latched != (state.latched_s is not None)
        self._latch, self.silent_until_mu = state, 0
        if changed:
            self.on_latch()

    def _catch_up(self, t_mu: int) -> None:
        """Decide what happened up to t_mu; of what nobody asked for, only as much as may still be asked for."""
        self.skip(t_mu - self.kept_mu)
        if t_mu > self._done:
            self._settle(t_mu)

    def _take(self, detector: Detector) -> None:
        self.detector = detector
        self._gap_mu = 1e9 / detector.dark_rate_hz if detector.dark_rate_hz > 0 else math.inf
        self._latching = detector.latching
        self._ideal = not (
            detector.dead_time_s or detector.recovery_s or detector.afterpulse_probability or self._latching
        )

    def photon(self, t_mu: int) -> None:
        """A photon that the detector would register arrives at t_mu."""
        insort(self._raw, t_mu)
        self.silent_until_mu = 0

    def shine(self, start_mu: int, stop_mu: int, rate_hz: float) -> None:
        """Clicks of this mean rate would be registered between two times."""
        if rate_hz > 0 and stop_mu > start_mu:
            self._stretches.append((start_mu, stop_mu, rate_hz))
            self.silent_until_mu = 0

    def skip(self, t_mu: int) -> None:
        """Nothing that happens before t_mu is of interest: its dark clicks were accounted for elsewhere."""
        self._done = max(self._done, t_mu)

    def clicks(self, start_mu: int, stop_mu: int) -> list[int]:
        """Return the rising edges with start < t <= stop, sorted."""
        if stop_mu > self._done:
            if self._next_dark > stop_mu and not self._stretches and (not self._raw or self._raw[0] > stop_mu):
                self._done = stop_mu
            else:
                self._settle(stop_mu)
                self._forget(min(start_mu, stop_mu - self.kept_mu))
        clicks = self._clicks
        if not clicks or clicks[-1] <= start_mu:
            if not self._stretches and not self._raw:
                self.silent_from_mu, self.silent_until_mu = start_mu, self._next_dark
            return []
        return clicks[bisect_right(clicks, start_mu) : bisect_right(clicks, stop_mu)]

    def _settle(self, stop_mu: int) -> None:
        start_mu = self._done
        cut = bisect_right(self._raw, stop_mu)
        times, self._raw = [t for t in self._raw[:cut] if t > start_mu], self._raw[cut:]
        times += self._darks(start_mu, stop_mu)
        rest = []
        for begin, end, rate in self._stretches:
            times += self._uniform(max(begin, start_mu), min(end, stop_mu), rate)
            if end > stop_mu:
                rest.append((begin, end, rate))
        self._stretches = rest
        self._accept(sorted(times), stop_mu)
        self._done = stop_mu

    def _forget(self, t_mu: int) -> None:
        if self._clicks and self._clicks[0] <= t_mu:
            del self._clicks[: bisect_right(self._clicks, t_mu)]

    def _darks(self, start_mu: int, stop_mu: int) -> list[int]:
        """Return the dark clicks with start < t <= stop; those before were accounted for elsewhere."""
        times = []
        if self._next_dark <= start_mu:
            self._next_dark = self._dark_after(start_mu)  # a Poisson process has no memory
        while self._next_dark <= stop_mu:
            times.append(self._next_dark)
            self._next_dark = self._dark_after(self._next_dark)
        return times

    def _dark_after(self, t_mu: int) -> int:
        return _NEVER if self._gap_mu == math.inf else t_mu + 1 + int(self.rng.exponential(self._gap_mu))

    def _uniform(self, start_mu: int, stop_mu: int, rate_hz: float) -> list[int]:
        span = stop_mu - start_mu
        if span <= 0 or rate_hz <= 0:
            return []
        number = int(self.rng.poisson(rate_hz * span * 1e-9))
        return (start_mu + 1 + self.rng.integers(0, span, number)).tolist() if number else []

    def _accept(self, times: list[int], stop_mu: int) -> None:
        """Pass candidate clicks through dead time, recovery and latching; an accepted one may have an after-pulse."""
        if self._ideal:
            self._clicks += times
            return
        if not times or self.latched:
            return
        last = self._clicks[-1] if self._clicks else None
        clicks, later = walk(self.detector, self.rng, times, last, stop_mu, _MU_S)
        if self._latching is not None:
            kept, state = latch(self._latching, self._latch, np.array(clicks) * _MU_S)
            clicks = clicks[: len(kept)]
            self._latched(state)
        if not self.latched:
            for after in later:
                insort(self._raw, after)
        self._clicks += clicks
