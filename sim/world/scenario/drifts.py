"""Drifts of a scenario: what changes a quantity by itself, on a lattice of lab time.

A `[[drift]]` table names a quantity, a process and its numbers, and where they come from. `mode = "add"` adds the
process to the quantity, `"multiply"` multiplies it by 1 + process. Between two knots of the lattice (`drift_step_s`)
the value stays; each drift draws from its own random numbers, one per knot, so its course is the same whoever asks
when.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from atomlink.errors import ScenarioError
from sim.physics.drift import Drift, Linear, Offset, Sine, Walk, advance_to, start

Process = Drift | Walk | Linear | Sine | Offset
PROCESSES: dict[str, type[Process]] = {
    "ornstein_uhlenbeck": Drift, "walk": Walk, "linear": Linear, "sine": Sine, "offset": Offset,
}  # fmt: skip
MODES = ("add", "multiply")


@dataclass(frozen=True)
class DriftTable:
    """One drift of a scenario."""

    path: str
    process: Process
    source: str
    mode: str = "add"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ScenarioError(f"mode is {self.mode!r}, but must be one of {', '.join(MODES)}.")
        if not self.source.strip():
            raise ScenarioError("source is empty, but must say where the drift's size comes from.")


class Course:
    """The course of one drift: an effect on its quantity."""

    def __init__(self, table: DriftTable, rng: np.random.Generator, step_s: float) -> None:
        self._process, self._multiply, self._rng, self._step_s = table.process, table.mode == "multiply", rng, step_s
        self._knot, self._value = 0, 0.0
        if isinstance(self._process, Drift):
            self._value = start(rng, self._process)
        elif isinstance(self._process, Walk):
            self._value = self._process.mean

    def __call__(self, value: float, t_s: float) -> float:
        """Return what has become of the quantity at lab time t_s, which may not go back."""
        x = self.at(t_s)
        return value * (1 + x) if self._multiply else value + x

    def at(self, t_s: float) -> float:
        """Return the process at the last knot up to t_s."""
        knot = math.floor(t_s / self._step_s + 1e-6)  # a knot's time in s may come out a little early
        if isinstance(self._process, Linear | Sine | Offset):
            return self._process.at(knot * self._step_s)
        if knot != self._knot:
            self._value, self._knot = advance_to(
                self._rng, self._value, self._knot, (knot + 0.5) * self._step_s, self._step_s, self._process
            )
        return self._value
