"""What the row `network` may say: names that are there, tables that are tables."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

from atomlink.errors import UsageError, brief

ROW = "network"


class HasName(Protocol):
    """A node, a station or a link."""

    @property
    def name(self) -> str:
        """Return its name."""


Named = TypeVar("Named", bound=HasName)


def check_keys(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    """Refuse a key that no table of this place has."""
    for key in table:
        if key not in known:
            raise UsageError(f"{where}.{key} does not exist; it must be one of {', '.join(known)}.")


def check_known(where: str, key: Any, known: Iterable[str]) -> None:
    """Refuse a name that the lab does not have, and name the nearest."""
    known = sorted(known)
    if key not in known:
        near = difflib.get_close_matches(str(key), known, 1)
        raise UsageError(f"{where} names {brief(key)}, which the lab does not have; it must be one of "
                         + ", ".join(known) + (f"; did you mean {near[0]!r}?" if near else "."))  # fmt: skip


def table_of(value: Any, where: str) -> Mapping[str, Any]:
    """Return a value that is a table of names; refuse any other."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{ROW}.{where} is {brief(value)}, but must be a table of names.")
    return value


def find(items: tuple[Named, ...], name: str, what: str) -> Named:
    """Return the node, station or link of this name; refuse one that the lab does not have."""
    for item in items:
        if item.name == name:
            return item
    known = [item.name for item in items]
    if not known:
        raise UsageError(f"This lab has no {what.lower()}, which this needs: connect two nodes' ports to a station in "
                         f"{ROW}.stations of device_db.py.")  # fmt: skip
    near = difflib.get_close_matches(name, known, 1)
    raise UsageError(f"{what} {brief(name)} is not in this lab; it must be one of {', '.join(known)}"
                     + (f"; did you mean {near[0]!r}?" if near else "."))
