"""Published values of the scenarios that model an experiment, beside what a run gave. Values: `published.toml`.

No published fidelity follows from the published inputs alone: one unknown is fitted to one observable, and that is
named.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from analysis.estimates import Estimate
from atomlink.errors import DataError

ROLES = ("fitted", "predicted", "consistency")


@dataclass(frozen=True)
class Value:
    """One published number; error 0 where none is published. `role` says what agreement with it means."""

    observable: str
    value: float
    role: str
    error: float = 0.0
    unit: str = ""
    note: str = ""


@dataclass(frozen=True)
class Publication:
    """What a scenario is compared with, and the unknown that was fitted to make it."""

    paper: str
    setup: str
    fitted: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Comparison:
    """A published value beside the run's; `sigmas` of both errors together, nan where none is published."""

    published: Value
    found: Estimate

    @property
    def sigmas(self) -> float:
        """Return (found - published)/combined error."""
        if self.published.error == 0:
            return math.nan
        error = math.hypot(self.published.error, self.found.error)
        return (self.found.value - self.published.value) / error


def publication(scenario: str) -> Publication | None:
    """Return what is published for a scenario, by its name; None where it models no experiment."""
    return _table().get(scenario)


def compare(scenario: str, found: Mapping[str, Estimate | None]) -> tuple[Comparison, ...]:
    """Return the published values of a scenario for which the run has an estimate, by observable."""
    known = publication(scenario)
    pairs = [(value, found.get(value.observable)) for value in (known.values if known else ())]
    return tuple(Comparison(value, estimate) for value, estimate in pairs if estimate is not None)


@cache
def _table() -> dict[str, Publication]:
    path = Path(__file__).with_name("published.toml")
    rows = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: _publication(name, row) for name, row in rows.items()}


def _publication(name: str, row: Mapping[str, object]) -> Publication:
    try:
        values = tuple(Value(**entry) for entry in row["values"])  # type: ignore[attr-defined]
        known = Publication(str(row["paper"]), str(row["setup"]), str(row["fitted"]), values)
    except (KeyError, TypeError) as error:
        raise DataError(f"published.toml, [{name}]: {error}; it must have paper, setup, fitted and values.") from None
    wrong = [value.role for value in values if value.role not in ROLES]
    if wrong:
        raise DataError(f"published.toml, [{name}]: role is {wrong[0]!r}, but must be one of {', '.join(ROLES)}.")
    return known
