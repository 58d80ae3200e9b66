"""What the pieces of the lab that are not on the bus have in common, and the table of them.

An element keeps set points, attaches effects to quantities, and answers readings from them. It knows no protocol: its
instrument's twin translates. It is made when it is first asked for, and must not change the lab by being made.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from atomlink.errors import ScenarioError
from sim.world.scenario import NODES

if TYPE_CHECKING:
    from sim.world.world import World

# Kinds that each node has one of ("alice_laser"), and kinds that the lab has one of. The module is named after the
# kind, the class too: cavity_lock.CavityLock.
OF_A_NODE = ("laser", "microwave", "pickup", "cavity_lock", "piezo")
OF_THE_LAB = ("fibre_switch", "snspd_electronics", "tagger", "wavemeter")


class Element:
    """One piece of the lab: `name` ("alice_laser"), `node` ("alice", or "" if it belongs to none), `rng` its own."""

    def __init__(self, world: World, name: str, node: str = "") -> None:
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


def names() -> list[str]:
    """Return the names of all elements that a lab has."""
    return [f"{node}_{kind}" for kind in OF_A_NODE for node in NODES] + list(OF_THE_LAB)


def make(world: World, name: str) -> Element:
    """Make an element of a lab; ScenarioError if the lab has no such thing."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        raise ScenarioError(
            f"Element {name!r} does not exist; it must be one of {', '.join(names())}"
            + (f"; did you mean {near[0]!r}?" if near else ".")
        )
    node = "" if name in OF_THE_LAB else name.partition("_")[0]
    kind = name.removeprefix(f"{node}_") if node else name
    module = importlib.import_module(f"sim.world.elements.{kind}")
    cls = getattr(module, "".join(word.capitalize() for word in kind.split("_")))
    made: Element = cls(world, name, node)
    return made
