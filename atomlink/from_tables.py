"""Frozen dataclasses out of TOML files: whatever is unknown, missing or of another kind is refused with its path."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from atomlink.errors import LabError, UsageError, brief

_KINDS: dict[Any, str] = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def read_toml(path: Path, wrong: type[LabError] = UsageError, called: str = "") -> dict[str, Any]:
    """Return the table of a TOML file; an error of the kind `wrong`, with what the file is `called`, where it has none.
    """
    called = called or str(path)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise wrong(f"{called} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # TOML's and UTF-8's own errors are ValueErrors, as are long integers
        raise wrong(f"{called} is no valid TOML: {error}.") from None


@dataclasses.dataclass(frozen=True)
class Builder:
    """Builds dataclasses from tables, and raises one kind of error.

    A field may have other names in a file, with values that stand for it: `renamed` returns name and value as the field
    has them, `also` the names that are to be had beside those of the fields.
    """

    wrong: type[LabError]
    renamed: Callable[[str, Any, Mapping[str, Any]], tuple[str, Any]] = lambda key, value, _: (key, value)
    also: Callable[[Iterable[str]], list[str]] = lambda _: []

    def build(self, cls: type, table: Mapping[str, Any], path: str) -> Any:
        """Build a dataclass from a table, nested ones too; refuse what it does not know and name what is missing."""
        hints = typing.get_type_hints(cls)
        values = {}
        for key, value in table.items():
            key, value = self.renamed(key, value, hints)
            where = f"{path}.{key}" if path else key
            if key not in hints:
                raise self.unknown(where, key, value, hints)
            values[key] = self._value(hints[key], value, where)
        for item in dataclasses.fields(cls):
            required = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
            if item.name not in values and required:
                raise self.wrong(f"{path + '.' if path else ''}{item.name} is missing; it must be given.")
        try:
            return cls(**values)
        except self.wrong as error:
            names = {key: self.renamed(key, value, hints)[0] for key, value in table.items()}
            given = [f"{key} = {table[key]!r}" for key, name in names.items()
                     if key != name and f".{name} is " in str(error)]  # fmt: skip
            note = f" It was given as {given[0]}." if given else ""
            raise self.wrong((f"{path}: " if path else "") + str(error) + note) from None

    def unknown(self, where: str, key: str, value: Any, hints: Mapping[str, Any]) -> LabError:
        """Tell that a field does not exist, and which ones do: a wrong unit is a wrong name."""
        known = [*hints, *self.also(hints)]
        near = difflib.get_close_matches(key, known, 1)
        remedy = f"did you mean {near[0]!r}?" if near else f"it must be one of {', '.join(known)}."
        return self.wrong(f"{where} does not exist (its value is {brief(value)}); {remedy}")

    def _value(self, hint: Any, value: Any, where: str) -> Any:
        """Return a value as its field holds it; refuse one that is of another kind."""
        if isinstance(hint, types.UnionType):
            kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
            if len(kinds) == 1 and value is not None:
                return self._value(kinds[0], value, where)
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            return self.build(typing.cast(type, hint), value, where)
        if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if hint in _KINDS:
            if type(value) is not hint:
                raise self.wrong(f"{where} is {brief(value)}, but must be {_KINDS[hint]}.")
            return value
        if typing.get_origin(hint) is dict and not isinstance(value, dict):
            raise self.wrong(f"{where} is {brief(value)}, but must be a table.")
        if hint is Path:
            return Path(self._value(str, value, where))
        if isinstance(value, list) and typing.get_args(hint)[:1] in ((int,), (str,)):
            return tuple(self._value(typing.get_args(hint)[0], item, f"{where}.{k}") for k, item in enumerate(value))
        if isinstance(value, list) and not dataclasses.is_dataclass(hint) and not isinstance(hint, types.UnionType):
            whole = (isinstance(item, int) and not isinstance(item, bool) for item in value)
            return tuple(float(item) if is_whole else item for item, is_whole in zip(value, whole, strict=True))
        if typing.get_origin(hint) is tuple and not isinstance(value, tuple):
            raise self.wrong(f"{where} is {brief(value)}, but must be a list.")
        if dataclasses.is_dataclass(hint) and not isinstance(value, typing.cast(type, hint)):
            raise self.wrong(f"{where} is {brief(value)}, but must be a table of fields.")
        if isinstance(hint, types.UnionType) and not isinstance(value, typing.get_args(hint)):
            raise self.wrong(f"{where} is {brief(value)}, but must be a table of fields.")
        return value
