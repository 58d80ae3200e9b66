"""What an evaluator hands back: simulated numbers with errors, and an honest word for each.

    reproduced      within two sigma of both errors, or within the published rounding where no error is published
    not reproduced  further away; the difference is stated
    fitted          a parameter was chosen so that this number comes out: it tests nothing
    circular        the number follows from inputs that were derived from it: it tests bookkeeping
    bound holds     the simulation is on the side of the published bound where it must be
    not predicted   what the number depends on is not in the table; both numbers stand side by side
    compared        two different methods, side by side
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.validation.table import Quantity, Row

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
FITTED, CIRCULAR, BOUND_HOLDS = "fitted", "circular", "bound holds"
NOT_PREDICTED, COMPARED = "not predicted", "compared"


@dataclass(frozen=True)
class Finding:
    """One output: what was published, what the twin gives, with the standard error of its sampling (0: exact)."""

    published: Quantity
    simulated: float
    error: float
    verdict: str
    remark: str = ""


@dataclass(frozen=True)
class Outcome:
    """All findings of a row, the unknowns that were fitted, how it was simulated."""

    row: Row
    findings: tuple[Finding, ...]
    fitted: str
    method: str


def judged(published: Quantity, simulated: float, error: float, *, rounding: float = 0.0, remark: str = "") -> Finding:
    """Return a finding that is reproduced or not; rounding: half a unit of the last published digit."""
    assert not isinstance(published.value, str)
    allowed = 2 * math.hypot(error, published.error or 0.0) + rounding
    difference = simulated - published.value
    if abs(difference) <= allowed:
        return Finding(published, simulated, error, REPRODUCED, remark)
    stated = f"difference {difference:+.3g}, allowed {allowed:.2g}"
    return Finding(published, simulated, error, NOT_REPRODUCED, f"{stated}; {remark}" if remark else stated)
