"""The twin of each kind of instrument: the module of the driver's name."""

from __future__ import annotations

import importlib
from typing import Any

from drivers.instruments import driver_class

from .twin import Twin


def twin_class(kind: str) -> type[Twin]:
    """Return the twin of a kind of instrument."""
    driver_class(kind)  # an unknown kind is refused there, with the list of those that exist
    found: type[Twin] = importlib.import_module(f"sim.instruments.{kind}").Twin
    return found


def make_twin(world: Any, name: str, kind: str) -> Twin:
    """Return the twin of the row `name` in a world; its read-out noise has a stream of its own."""
    cls = twin_class(kind)
    return cls(cls.element_of(world, name), world.rng(f"{name} read-out"))
