"""What the pieces of the lab that are not on the bus have in common.

An element keeps set points, attaches effects to quantities, and answers readings from them. It knows no protocol: its
instrument's twin translates. It is made when it is first asked for, and must not change the lab by being made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from sim.world.detectors.counter import Counter
from sim.world.network.network import Network
from sim.world.scenario.quantities import Quantities
from sim.world.scenario.truth import Scenario


class Lab(Protocol):
    """What an element may ask of the lab that it is part of."""

    scenario: Scenario
    quantities: Quantities
    counters: dict[str, Counter]

    @property
    def nodes(self) -> Mapping[str, Any]:
        """Return the nodes by name; only what their light is like now is an element's business."""

    def port_of(self, atom: str) -> Any:
        """Return the photon port that an atom (`atomlink.at_port`) is at."""

    @property
    def now_mu(self) -> int:
        """Lab time reached, mu."""

    @property
    def now_s(self) -> float:
        """Lab time reached, s."""

    @property
    def network(self) -> Network:
        """Return the ways from ports to stations, for the switch."""

    def rng(self, element: str) -> np.random.Generator:
        """Return the random numbers of one physical element."""

    def element(self, name: str) -> Any:
        """Return another element."""

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        """Return the function that gives the rising edges of a detector between two times."""


class Element:
    """One piece of the lab: `name` ("alice_laser"), `rng` its own, and `node` that it belongs to: "alice",
    "charlie.east" where it is of a port beyond the first (`atomlink.at_port`), "" if of none.
    """

    def __init__(self, world: Lab, name: str, node: str = "") -> None:
        self.world, self.name, self.node = world, name, node
        self.rng = world.rng(name)

    @property
    def now_s(self) -> float:
        """Lab time reached, s."""
        return self.world.now_s

    def attach(self, path: str, effect: Callable[[float, float], float]) -> None:
        """Have effect(value, t_s) -> value act on a quantity, after the drifts; in force from the next touch on."""
        self.world.quantities.attach(path, effect, self.name)

    def touch(self) -> None:
        """A set point has changed: it acts at lab time reached."""
        self.world.quantities.touch()

    def value(self, path: str) -> float:
        """Return what is true of a quantity now."""
        return self.world.quantities.value(path)
