"""The table of published inputs and outputs, as read from validation.json beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atomlink.errors import DataError

TABLE = Path(__file__).with_name("validation.json")


@dataclass(frozen=True)
class Quantity:
    """One published number or word, with its unit, how sure it is, and its error if there is one."""

    name: str
    value: float | str
    unit: str
    certainty: str
    error: float | None = None


@dataclass(frozen=True)
class Row:
    """One publication: what went in, what came out, and what kind of check that allows."""

    id: str
    paper: str
    kind: str
    inputs: tuple[Quantity, ...]
    outputs: tuple[Quantity, ...]
    formula: str
    note: str

    def given(self, name: str) -> float:
        """Return an input's number."""
        return self._number(self.inputs, name)

    def published(self, name: str) -> float:
        """Return an output's number."""
        return self._number(self.outputs, name)

    def output(self, name: str) -> Quantity:
        """Return an output."""
        return next(quantity for quantity in self.outputs if quantity.name == name)

    def _number(self, quantities: tuple[Quantity, ...], name: str) -> float:
        for quantity in quantities:
            if quantity.name == name and not isinstance(quantity.value, str):
                return quantity.value
        raise DataError(f"Row {self.id} of the validation table has no number `{name}`: correct {TABLE.name}.")


def required_rows(path: Path = TABLE) -> list[Row]:
    """Return the rows that no validation may leave out; raise DataError for a table that cannot be read."""
    try:
        return [_row(entry) for entry in json.loads(path.read_text(encoding="utf-8"))["required"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"Validation table {path} is damaged ({error!r}): restore it from the repository.") from error


def _row(entry: dict[str, Any]) -> Row:
    inputs, outputs = (tuple(Quantity(**quantity) for quantity in entry[side]) for side in ("inputs", "outputs"))
    return Row(entry["id"], entry["paper"], entry["kind"], inputs, outputs, entry["formula"], entry["note"])
