"""Heralds of several links, counted: what the twins of `LinkRates` and `ParallelLinks` read.

A rate is heralds per second of blocks of attempts, recooling and looks at the atoms included, loading left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.estimates import PER_S, Estimate, binomial, rate
from analysis.load import Run
from analysis.result import columns
from atomlink.errors import DataError


@dataclass(frozen=True)
class Counted:
    """What one link gave: heralds, attempts, seconds."""

    heralds: int
    attempts: int
    t_s: float

    @property
    def rate(self) -> Estimate:
        """Return heralds per second of blocks of attempts, recooling and looks at the atoms included."""
        return replace(rate(self.heralds, self.t_s, "with recooling and looks, no loading"), unit=PER_S)

    @property
    def probability(self) -> Estimate:
        """Return heralds per attempt, n the heralds."""
        return replace(binomial(self.heralds, self.attempts, "heralds per attempt"), n=self.heralds)


def links_of(run: Run) -> tuple[str, ...]:
    """Return the names of the links."""
    return tuple(run.text("scan.links").split(","))


def counted(run: Run, turns: int = 1) -> list[list[Counted]]:
    """Return what each link gave, all rows added up, in each of so many turns; DataError where one made no attempt."""
    n = len(links_of(run))
    totals = [np.asarray(values, dtype=float).reshape(-1, turns * n).sum(axis=0)
              for values in columns(run, "heralds", "attempts", "t_s")]  # fmt: skip
    found = [Counted(int(heralds), int(attempts), float(t_s)) for heralds, attempts, t_s in zip(*totals, strict=True)]
    for name, each in zip(links_of(run) * turns, found, strict=True):
        if not (each.attempts > 0 and each.t_s > 0):
            raise DataError(f"Run {run.label} made {each.attempts} attempts on {name} in {each.t_s:g} s, must make one "
                            "at least on every link: take more shots.")  # fmt: skip
    return [found[k * n : (k + 1) * n] for k in range(turns)]
