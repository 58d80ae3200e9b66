"""Is the link still what it was? Control charts of herald rate and fidelity, and what they say to do.

Two one-sided CUSUM charts over looks at the link, for a fall of rate or fidelity from the reference r to a fraction f
of it. Each look adds the logarithm of the likelihood ratio of "fallen to f r" against "as it was", and the sum starts
again from 0 where it falls below:

    rate       n heralds in a time T (Poisson)         n ln f + (1 - f) r T
    fidelity   F ± s (normal), s as r F would have it  (1 - f) r [(1 + f) r/2 - F]/s^2

The alarm is a sum above h. Whatever the chart, the mean number of looks up to a false alarm is at least e^h (Lorden);
with two charts h = ln(2 N) gives at least N looks, in fact some times more. A fall to f adds (for 150 heralds a look,
f = 0.9) 0.8 a look, one to 0.8 adds 2.4: the delay is h over that. What stays above about (1 + f)/2 of the reference
never adds up. Sources: E. S. Page, Biometrika 41, 100 (1954); G. Lorden, Ann. Math. Stat. 42, 1897 (1971).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from atomlink.errors import UsageError

RATE, FIDELITY = "rate", "fidelity"


@dataclass(frozen=True)
class Look:
    """One look: heralds in a time of attempting, and the fidelity with how many pairs each correlator rests on."""

    heralds: int
    t_attempting_s: float
    fidelity: float
    pairs: tuple[int, ...]  # in XX, YY, ZZ


@dataclass(frozen=True)
class Reference:
    """What the link is held against, and how."""

    rate_hz: float
    fidelity: float
    fraction: float = 0.9  # the fall that is to be found
    looks_to_false_alarm: float = 500.0  # at least, on average

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise UsageError(f"Health: the fraction is {self.fraction}, must lie between 0 and 1.")
        if not (self.rate_hz > 0 and 0.25 < self.fidelity < 1 and self.looks_to_false_alarm > 1):
            raise UsageError(
                f"Health: reference {self.rate_hz} Hz, fidelity {self.fidelity}, {self.looks_to_false_alarm} looks to "
                "a false alarm; must be > 0 Hz, between 0.25 and 1, > 1."
            )

    @property
    def threshold(self) -> float:
        """Return the sum at which a chart alarms."""
        return math.log(2 * self.looks_to_false_alarm)


@dataclass(frozen=True)
class Verdict:
    """What the charts say after the last look: the quantity that has fallen ("" if none), and both charts."""

    fallen: str
    rate: tuple[float, ...]
    fidelity: tuple[float, ...]


def judge(looks: Sequence[Look], reference: Reference) -> Verdict:
    """Return the verdict on all looks since the last calibration, oldest first."""
    rate = _cusum([rate_evidence(look, reference) for look in looks])
    fidelity = _cusum([fidelity_evidence(look, reference) for look in looks])
    last = {RATE: rate[-1], FIDELITY: fidelity[-1]} if looks else {"": 0.0}
    worst = max(last, key=lambda name: last[name])
    return Verdict(worst if last[worst] > reference.threshold else "", rate, fidelity)


def rate_evidence(look: Look, reference: Reference) -> float:
    """Return the log likelihood ratio of a fallen rate."""
    f = reference.fraction
    return look.heralds * math.log(f) + (1 - f) * reference.rate_hz * look.t_attempting_s


def fidelity_evidence(look: Look, reference: Reference) -> float:
    """Return the log likelihood ratio of a fallen fidelity; 0 where a setting has no pair."""
    if not all(look.pairs):
        return 0.0
    r, f = reference.fidelity, reference.fraction
    # The error is that of the fallen fidelity, the larger one: a chart that is sure of itself alarms in error.
    correlation = (4 * max(f * r, 0.25) - 1) / 3
    variance = sum((1 - correlation**2) / n for n in look.pairs) / 16
    return (1 - f) * r * ((1 + f) * r / 2 - look.fidelity) / variance


def _cusum(evidence: Sequence[float]) -> tuple[float, ...]:
    total, sums = 0.0, []
    for step in evidence:
        total = max(0.0, total + step)
        sums.append(total)
    return tuple(sums)
