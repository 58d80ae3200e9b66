"""Photon counters as the electronics sees them: rising edges in time, photons and dark clicks after dead time.

Photons come in two ways: as single clicks drawn by the link, and as stretches of constant rate (fluorescence). Dark
clicks are a Poisson process of the counter's own. Whoever asks for the same stretch of time sees the same clicks.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort

import numpy as np

from sim.physics.detector import Detector, recovered

_NEVER = 1 << 62
_KEPT_MU = 1_000_000_000  # how far back a late consumer may ask: 1 s


class Counter:
    """One detector with its own random numbers."""

    def __init__(self, detector: Detector, rng: np.random.Generator) -> None:
        self.detector = detector
        self.rng = rng
        self._raw: list[int] = []  # photons not yet behind `_done`
        self._stretches: list[tuple[int, int, float]] = []
        self._clicks: list[int] = []
        self._done = 0
        self._gap_mu = 1e9 / detector.dark_rate_hz if detector.dark_rate_hz > 0 else math.inf
        self._next_dark = self._dark_after(0)
        # Between these times there are no clicks, as far as is known; whatever brings light ends the silence.
        self.silent_from_mu, self.silent_until_mu = 0, 0
        self._ideal = not (detector.dead_time_s or detector.recovery_s or detector.afterpulse_probability)

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
                self._forget(min(start_mu, stop_mu - _KEPT_MU))
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
        """Pass candidate clicks through dead time and recovery; an accepted click may be followed by an after-pulse."""
        if self._ideal:
            self._clicks += times
            return
        k = 0
        while k < len(times):
            t = times[k]
            k += 1
            if self._clicks:
                chance = recovered(self.detector, (t - self._clicks[-1]) * 1e-9)
                if chance < 1.0 and self.rng.random() >= chance:
                    continue
            self._clicks.append(t)
            if self.detector.afterpulse_probability and self.rng.random() < self.detector.afterpulse_probability:
                after = self.detector.dead_time_s + self.rng.exponential(self.detector.afterpulse_s)
                later = t + max(1, round(after * 1e9))
                insort(times, later, lo=k) if later <= stop_mu else insort(self._raw, later)
