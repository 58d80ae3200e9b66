"""What an analysis twin returns, and how it finds its points: the common form behind report, datasets and updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis import schema
from analysis.estimates import Estimate
from analysis.fits import Fit, Points, shares
from analysis.load import Run
from atomlink.errors import DataError


@dataclass(frozen=True)
class Result:
    """The outcome of one run.

    `estimates`: what was measured, by name, each with error and unit. `updates`: what a belief should become, by the
    name of its parameter, in the parameter's unit. `fits`: the fits behind them by name (a node, a curve); `refusals`:
    why one of these was refused; its estimates and updates are then left out.
    """

    title: str
    estimates: Mapping[str, Estimate]
    updates: Mapping[str, Estimate] = field(default_factory=dict)
    fits: Mapping[str, Fit] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def shares_by_node(run: Run, axis: str, left: str = "bright") -> dict[str, Points]:
    """Return the share of atoms left against what was scanned, by node (column `left` of `n`)."""
    return {node: shares(*columns(run, axis, (left, node), "n")) for node in run.nodes}


def columns(run: Run, *names: str | tuple[str, str]) -> tuple[Any, ...]:
    """Return the columns `scan.{name}` of a run, one entry per row; (name, node) is that node's part of a column.

    DataError names what is missing.
    """
    wanted = [(name, None) if isinstance(name, str) else name for name in names]
    schema.require(run.datasets, [f"scan.{name}" for name, _ in wanted], f"the analysis of {run.class_name}")
    return tuple(_part(run, np.asarray(run.datasets[f"scan.{name}"]), node) for name, node in wanted)


def _part(run: Run, column: Any, node: str | None) -> Any:
    """Return a column whole, or one node's part: of each row, or of a value of the whole run."""
    if node is None:
        return column
    if node not in run.nodes or column.ndim == 0:
        raise DataError(f"Run {run.label} has no node {node!r}; it has {', '.join(run.nodes)}.")
    return np.take(column, run.nodes.index(node), axis=min(1, column.ndim - 1))
