"""Structures that report their changes, in the form in which ARTIQ's processes tell each other of them.

A change ("mod") is a dict with an `action` (setitem, delitem, append, insert or pop), the `path` of keys to the element
that changed, and what the action needs: `key` and `value`, `x`, `i`.
"""

from collections.abc import Callable
from typing import Any

_ACTIONS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "setitem": lambda target, mod: target.__setitem__(mod["key"], mod["value"]),
    "delitem": lambda target, mod: target.__delitem__(mod["key"]),
    "append": lambda target, mod: target.append(mod["x"]),
    "insert": lambda target, mod: target.insert(mod["i"], mod["x"]),
    "pop": lambda target, mod: target.pop(mod["i"]),
}


def process_mod(target: Any, mod: dict[str, Any]) -> None:
    """Apply a change to `target`, which may be a plain structure or a Notifier."""
    for key in mod["path"]:
        target = target[key]
    _ACTIONS[mod["action"]](target, mod)


class Notifier:
    """A wrapper of a dict or list that publishes each change made through it.

    `raw_view` is the structure itself, for reading. `publish` of the outermost Notifier is called with every change.
    """

    def __init__(self, backing_struct: Any, root: "Notifier | None" = None, path: tuple[Any, ...] = ()) -> None:
        self.raw_view = backing_struct
        self.root = self if root is None else root
        self.path = path
        self.publish: Callable[[dict[str, Any]], None] | None = None

    def _change(self, action: str, **details: Any) -> Any:
        mod = {"action": action, "path": list(self.path), **details}
        result = _ACTIONS[action](self.raw_view, mod)
        if self.root.publish is not None:
            self.root.publish(mod)
        return result

    def append(self, x: Any) -> None:
        """Append to a list."""
        self._change("append", x=x)

    def insert(self, i: int, x: Any) -> None:
        """Insert into a list."""
        self._change("insert", i=i, x=x)

    def pop(self, i: int = -1) -> Any:
        """Remove an element of a list and return it."""
        return self._change("pop", i=i)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._change("setitem", key=key, value=value)

    def __delitem__(self, key: Any) -> None:
        self._change("delitem", key=key)

    def __getitem__(self, key: Any) -> "Notifier":
        return Notifier(self.raw_view[key], self.root, (*self.path, key))


def update_from_dict(target: Notifier, source: dict[str, Any]) -> None:
    """Make the dict in `target` equal to `source`, changing only what differs."""
    for key in target.raw_view.keys() - source.keys():
        del target[key]
    for key, value in source.items():
        if key not in target.raw_view or target.raw_view[key] != value:
            target[key] = value
