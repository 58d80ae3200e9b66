"""Evaluate every required row of the validation table; a row without an evaluator is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np

from atomlink.errors import DataError, UsageError
from sim.validation import arrays, gates, links
from sim.validation.outcome import Outcome
from sim.validation.table import Row

EVALUATORS: Mapping[str, Callable[[Row, np.random.Generator], Outcome]] = MappingProxyType({
    "V01": links.stephenson2020,
    "V06": links.hofmann2012,
    "V08": links.van_leent2022,
    "V11": gates.ritter2012,
    "V12": links.noelleke2013,
    "V16": gates.main2025,
    "V17": gates.evered2023,
    "V18": gates.levine2019,
    "V22": arrays.manetsch2025,
    "V23": arrays.lin2025,
    "V32": arrays.brown2019,
})


def evaluate(rows: Iterable[Row], seed: int) -> list[Outcome]:
    """Return the outcome of each row, in order of id; every row draws from its own stream, keyed by its number.

    Raises UsageError for a negative seed, DataError where a row has no evaluator or an evaluator leaves out an output.
    """
    if seed < 0:
        raise UsageError(f"--seed is {seed}, but must be 0 or more")
    ordered = sorted(rows, key=lambda row: row.id)
    missing = [row.id for row in ordered if row.id not in EVALUATORS]
    if missing:
        raise DataError(f"required rows {', '.join(missing)} of the validation table have no evaluator: add one to "
                        "sim/validation/run.py.")
    return [_evaluated(row, seed) for row in ordered]


def chosen(rows: list[Row], ids: list[str]) -> list[Row]:
    """Return the rows called `ids`, all rows where the list is empty; raise UsageError for an id that is not there."""
    unknown = [name for name in ids if name not in {row.id for row in rows}]
    if unknown:
        raise UsageError(f"no row {', '.join(unknown)} is required; must be one of {', '.join(r.id for r in rows)}")
    return [row for row in rows if not ids or row.id in ids]


def _evaluated(row: Row, seed: int) -> Outcome:
    outcome = EVALUATORS[row.id](row, np.random.default_rng([seed, int(row.id[1:])]))
    found = [finding.published.name for finding in outcome.findings]
    left_out = [quantity.name for quantity in row.outputs if quantity.name not in found]
    if left_out:
        raise DataError(f"row {row.id}: the evaluator gives nothing for {', '.join(left_out)}: every published output "
                        "needs a finding.")
    return outcome
