"""The camera on a tweezer array: a trigger opens the exposure, its end leaves a frame, out of band.

The frame integrates what the sites shone while it was open; whoever makes them shine tells `see`. Frames are kept by
the time of their trigger, the last few only. A trigger that comes before the last frame is read out is missed.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sim.physics.camera import Grid, expose_grid, grid
from sim.world.scenario.array_truth import ArrayTruth

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint16]
_KEPT = 32
_WHITE = 65535  # a pixel has 16 bits


class ArrayCamera:
    """One node's camera. `exposure_s` is its set point; `schedule(t_mu, act)` calls act(t_mu) at that time."""

    def __init__(
        self, truth: ArrayTruth, rng: np.random.Generator, schedule: Callable[[int, Callable[[int], None]], None]
    ) -> None:
        self.truth, self.rng = truth, rng
        self._sites: Grid | None = None
        self.exposure_s = truth.readout.exposure_s
        self.frames: OrderedDict[int, Image] = OrderedDict()
        self.missed_triggers = 0
        self._schedule = schedule
        self._ready: deque[tuple[int, Image]] = deque(maxlen=_KEPT)
        self._bright_s: Floats = np.zeros((truth.rows, truth.columns))
        self._opened_mu: int | None = None
        self.last_trigger_mu = -1
        self._open_s = 0.0
        self._busy_until_mu = 0

    def apply(self, truth: ArrayTruth) -> None:
        """Live by another truth from now on."""
        if truth != self.truth:
            self.truth, self._sites = truth, None

    @property
    def exposing(self) -> bool:
        """Whether light is being integrated now."""
        return self._opened_mu is not None

    def trigger(self, t_mu: int) -> None:
        """Take a rising edge."""
        if t_mu < self._busy_until_mu or self.exposing:
            self.missed_triggers += 1
            return
        self._opened_mu, self._open_s, self.last_trigger_mu = t_mu, self.exposure_s, t_mu
        self._bright_s = np.zeros_like(self._bright_s)
        end_mu = t_mu + round(self._open_s * 1e9)
        self._busy_until_mu = end_mu + round(self.truth.readout.readout_s * 1e9)
        self._schedule(end_mu, self._close)

    def see(self, sites: npt.NDArray[np.int64], bright_s: float | Floats) -> None:
        """Sites (n,) shone for so long at full light, each or all; nothing outside an exposure."""
        if self.exposing:
            self._bright_s.reshape(-1)[sites] += bright_s

    def ready(self, start_mu: int, stop_mu: int) -> list[tuple[int, Image]]:
        """Return (time at which it was read out, frame) of the frames with start < t <= stop."""
        return [(t_mu, image) for t_mu, image in self._ready if start_mu < t_mu <= stop_mu]

    def _close(self, t_mu: int) -> None:
        assert self._opened_mu is not None
        truth, readout = self.truth, self.truth.readout
        if self._sites is None:
            self._sites = grid(truth.camera, self._bright_s.shape, truth.site_m, readout.first_site_m)
        electrons = expose_grid(self.rng, truth.camera, self._sites, self._bright_s, self._open_s)
        counts = np.rint(electrons / readout.electrons_per_count + readout.offset_counts)
        image = counts.clip(0, _WHITE).astype(np.uint16)
        self.frames[self._opened_mu] = image
        while len(self.frames) > _KEPT:
            self.frames.popitem(last=False)
        self._ready.append((self._busy_until_mu, image))
        self._opened_mu = None
