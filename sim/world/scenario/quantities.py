"""What is true of the lab now: the scenario's numbers, changed by drifts and by what instruments are set to.

A *quantity* is a number of the scenario, named by its dotted path (`alice.coils.background_gauss.2`,
`midpoint.detectors.c_h.efficiency`). An *effect* is a function (value, t_s) -> value attached to a path; those without
an owner (drifts) act first, then those of instruments in order of their owner's name, so that it does not matter who
was asked first. The truth is built anew only when somebody says that it has changed; between two such moments it is
constant. Times are lab time in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atomlink.errors import ScenarioError
from sim.world.scenario import paths
from sim.world.scenario.paths import read, write
from sim.world.scenario.truth import Scenario

Effect = Callable[[float, float], float]

# Read when the cables are laid, so they cannot change afterwards.
_FIXED = ("aom.latency_s", "shutter_s")


class Lab(Protocol):
    """Who lives by the truth."""

    @property
    def now_s(self) -> float:
        """Lab time reached."""

    def apply(self, truth: Scenario) -> None:
        """From now on this is true."""

    def wake_at(self, t_s: float) -> None:
        """Build the truth anew when lab time reaches t_s."""


class Quantities:
    """The numbers of one lab: what the scenario says, what acts on them, what they are now."""

    def __init__(self, scenario: Scenario, lab: Lab) -> None:
        self._base, self._lab = scenario, lab
        self._truth = scenario
        self._effects: dict[str, list[tuple[str, Effect]]] = {}

    def base(self, path: str) -> float:
        """Return what the scenario says; ScenarioError if there is no such quantity."""
        return read(self._base, path)

    def value(self, path: str) -> float:
        """Return what is true now."""
        return read(self._truth, path)

    def attach(self, path: str, effect: Effect, owner: str = "") -> None:
        """Have an effect act on a quantity from the next `touch` on; `owner` is the instrument's name, "" a drift.

        An effect must not ask for quantities: it knows the value it is given, the time, and its owner's set points.
        """
        read(self._base, path)
        if path.partition(".")[2] in _FIXED:
            raise ScenarioError(f"{path} is fixed when the lab is built and cannot change: leave it out of drifts.")
        acting = self._effects.setdefault(path, [])
        acting.append((owner, effect))
        acting.sort(key=lambda entry: entry[0])

    def touch(self) -> None:
        """Something that an effect depends on has changed: the truth is built anew, as of now."""
        truth = self.truth_at(self._lab.now_s)
        if truth != self._truth:
            self._truth = truth
            self._lab.apply(truth)

    def touch_at(self, t_s: float) -> None:
        """Touch when lab time reaches t_s: an effect changes then by itself (a switch settles, a relock ends)."""
        self._lab.wake_at(t_s)

    def truth_at(self, t_s: float) -> Scenario:
        """Return what is true if it is t_s now: effects of a time that is past are not remembered."""
        truth = self._base
        for path, effects in self._effects.items():
            value = before = read(truth, path)
            for _, effect in effects:
                value = effect(value, t_s)
            if value != before:
                truth = write(truth, path, float(value))
        return truth

    def paths(self) -> list[str]:
        """Return the path of every quantity."""
        return list(paths.paths(self._base))
