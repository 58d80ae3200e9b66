"""Where the detectors of a station stand: which ones get the light of each output and polarisation.

A *slot* is a place behind the splitters: 0..3 for c_h, c_v, d_h, d_v, as `sim.physics.interference` counts them. Light
of a slot without a detector is lost; detectors at one slot share its light, so that two photons there may click twice.
A detector without a polarising splitter before it sees the light of its output; where there is one, that light is H.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from atomlink.heralds import FOUR, Role

Ints = NDArray[np.int64]
_SLOTS = tuple(Role.of(name) for name in FOUR)


@dataclass(frozen=True)
class Detection:
    """Detectors by their roles, in the order of a pattern's bits, each with its efficiency relative to the best."""

    roles: tuple[str, ...] = FOUR
    efficiencies: tuple[float, ...] = (1.0,) * len(FOUR)

    @cached_property
    def at(self) -> tuple[tuple[int, ...], ...]:
        """The detectors at each slot."""
        read = [Role.of(name) for name in self.roles]
        return tuple(tuple(k for k, role in enumerate(read) if Role(role.output, role.polarisation or "h") == slot)
                     for slot in _SLOTS)  # fmt: skip

    @property
    def slots(self) -> tuple[float, float, float, float]:
        """Return the chance of a click at each slot: the mean of its detectors."""
        a, b, c, d = (sum(self.efficiencies[k] for k in here) / len(here) if here else 0.0 for here in self.at)
        return a, b, c, d

    def inputs(self, polarisation: str) -> int:
        """Return the bits of all detectors of one polarisation."""
        return sum(1 << k for k, name in enumerate(self.roles) if Role.of(name).polarisation == polarisation)

    def assigned(self, rng: np.random.Generator, slot: Ints) -> Ints:
        """Return the detectors that photons at these slots click at; -1 stays -1."""
        if self.roles == FOUR:
            return slot
        out = np.full_like(slot, -1)
        for k, here in enumerate(self.at):
            rows = np.nonzero(slot == k)
            if len(rows[0]):
                weights = np.array([self.efficiencies[j] for j in here])
                out[rows] = rng.choice(here, len(rows[0]), p=weights / weights.sum())
        return out
