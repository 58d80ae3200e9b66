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


def shares_by_node(run: Run, axis: str) -> dict[str, Points]:
    """Return the share of atoms left against what was scanned, by node (`bright_alice`, `bright_bob` of `n`)."""
    x, n = columns(run, axis, "n")
    return {node: shares(x, columns(run, f"bright_{node}")[0], n) for node in ("alice", "bob")}


def columns(run: Run, *names: str) -> tuple[Any, ...]:
    """Return the columns `scan.{name}` of a run, one entry per row; DataError names what is missing."""
    schema.require(run.datasets, [f"scan.{name}" for name in names], f"the analysis of {run.class_name}")
    return tuple(np.asarray(run.datasets[f"scan.{name}"]) for name in names)
