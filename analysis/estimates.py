"""A number that leaves the analysis: value, standard error, how many events it rests on, and how it was made.

Errors of counts are the standard deviation of the Jeffreys posterior (Dirichlet with 1/2 per outcome), so that 0 of
n and n of n have an error too; values are the plain estimators (k/n), which are unbiased. Source: Brown, Cai,
DasGupta, Stat. Sci. 16, 101 (2001).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from atomlink.errors import DataError

FEWEST_INTERVALS = 10


@dataclass(frozen=True)
class Estimate:
    """A value with its standard error; operators treat two estimates as independent, add up n and drop the unit."""

    value: float
    error: float
    n: int = 0
    source: str = ""
    unit: str = ""

    def __str__(self) -> str:
        count = f" (n = {self.n})" if self.n else ""
        return f"{self.number()}{count}"

    def number(self) -> str:
        """Return `0.871 ± 0.012`: the error to two digits, the value to the same decimals."""
        if not (math.isfinite(self.value) and math.isfinite(self.error)):
            return "–"
        if self.error == 0.0:
            return f"{self.value:g} ± 0"
        size = max(abs(self.value), self.error)
        if not 1e-2 < size < 1e6:
            power = math.floor(math.log10(size))
            mantissa = Estimate(self.value / 10**power, self.error / 10**power).number()
            return f"({mantissa}) × 10{str(power).translate(_SUPERSCRIPT)}"
        decimals = max(0, 1 - math.floor(math.log10(float(f"{self.error:.1e}"))))  # 0.0996 is 0.10
        value = f"{self.value:.{decimals}f}"
        if not float(value):
            value = value.removeprefix("-")  # -0.04 with an error of 0.3 is 0.0
        return f"{value} ± {self.error:.{decimals}f}"

    def quantity(self) -> str:
        """Return `10.02 ± 0.03 µs`: the number with its unit, scaled to the prefix that reads best."""
        if self.error == 0.0 and self.unit not in _PREFIXED:
            return f"{self.value:.6g} {self.unit}".rstrip()
        if self.unit not in _PREFIXED or not (math.isfinite(self.value) and math.isfinite(self.error)):
            return f"{self.number()} {self.unit}".rstrip()
        size = max(abs(self.value), self.error)
        power = min(max(3 * math.floor(math.log10(size) / 3), -12), 9) if size > 0 else 0
        scaled = Estimate(self.value / 10**power, self.error / 10**power)
        number = scaled.number() if scaled.error else f"{scaled.value:.6g}"
        return f"{number} {_PREFIXES[power]}{self.unit}"

    def sigmas_from(self, reference: float) -> float:
        """Return by how many standard errors the value lies above the reference."""
        return (self.value - reference) / self.error if self.error > 0 else math.nan

    def __add__(self, other: Estimate | float) -> Estimate:
        right = _estimate(other)
        return self._with(self.value + right.value, math.hypot(self.error, right.error), right)

    def __sub__(self, other: Estimate | float) -> Estimate:
        return self + -_estimate(other)

    def __mul__(self, other: Estimate | float) -> Estimate:
        right = _estimate(other)
        error = math.hypot(self.error * right.value, right.error * self.value)
        return self._with(self.value * right.value, error, right)

    def __truediv__(self, other: Estimate | float) -> Estimate:
        right = _estimate(other)
        if right.value == 0:
            raise DataError(f"Estimate {self} cannot be divided by 0: the ratio has no value.")
        value = self.value / right.value
        return self._with(value, math.hypot(self.error, right.error * value) / abs(right.value), right)

    def __neg__(self) -> Estimate:
        return replace(self, value=-self.value)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: float) -> Estimate:
        return _estimate(other) - self

    def _with(self, value: float, error: float, other: Estimate) -> Estimate:
        return Estimate(value, error, self.n + other.n, self.source or other.source)


PER_S = "/s"  # of a rate of events: heralds, clicks, dark counts; Hz is of frequencies
_PREFIXED = ("s", "Hz", "K", "W", "V", "m", "T")
_PREFIXES = {-12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _estimate(value: Estimate | float) -> Estimate:
    return value if isinstance(value, Estimate) else Estimate(float(value), 0.0)


def binomial(k: int, n: int, source: str = "") -> Estimate:
    """Return k/n with the standard deviation of its Jeffreys posterior; 0 <= k <= n and n > 0, else DataError."""
    if not 0 <= k <= n or n == 0:
        raise DataError(f"A binomial estimate needs 0 <= k <= n and n > 0, but k = {k} and n = {n}.")
    a, b = k + 0.5, n - k + 0.5
    return Estimate(k / n, math.sqrt(a * b / (a + b + 1)) / (a + b), n, source or "k/n, Jeffreys error")


def rate(k: int, duration_s: float, source: str = "") -> Estimate:
    """Return k/duration in 1/s with a Poisson error (Jeffreys: sqrt(k + 1/2)/duration)."""
    if not duration_s > 0:
        raise DataError(f"A rate needs a duration > 0 s, but it is {duration_s}: check the run's time counters.")
    return Estimate(k / duration_s, math.sqrt(k + 0.5) / duration_s, k, source or "counts/time, Poisson error")


def ratio(k: int, m: int, source: str = "") -> Estimate:
    """Return k/m of two independent counts: var = (k/m)^2 (1/k + 1/m), k + 1/2 in the error so that k = 0 has one."""
    if m <= 0:
        raise DataError(f"A ratio of counts needs a denominator > 0, but it is {m}.")
    smooth = (k + 0.5) / m
    return Estimate(
        k / m, smooth * math.sqrt(1 / (k + 0.5) + 1 / m), k + m, source or "ratio of counts, Poisson errors"
    )


def renewal(k: int, total: float, intervals: npt.ArrayLike, source: str) -> Estimate:
    """Return k/total of events whose intervals were measured: error (k/total) spread/mean/sqrt(k) of these intervals.

    Poisson where they are independent and exponential; larger where events cease for a while (a lost atom that nobody
    has noticed yet), smaller where each one takes a fixed time. Below 10 events: Poisson. Source: D. R. Cox, "Renewal
    Theory" (1962), ch. 3.
    """
    between = np.asarray(intervals, dtype=float)
    return renewal_of_sums(k, total, (len(between), float(between.sum()), float(between @ between)), source)


def renewal_of_sums(k: int, total: float, sums: tuple[int, float, float], source: str) -> Estimate:
    """Return the same where only sums of the intervals were kept: their number, sum and sum of squares."""
    n, first, second = sums
    if n < FEWEST_INTERVALS or not first > 0:
        return replace(rate(k, total, source), source=source)
    mean = first / n
    spread = math.sqrt(max(second - n * mean**2, 0.0) / (n - 1)) / mean
    return Estimate(k / total, k / total * spread / math.sqrt(k), k, source)


def half_period(frequency: Estimate) -> Estimate:
    """Return 1/(2 f) in s: the time from one pole to the other."""
    value = 0.5 / frequency.value
    return Estimate(value, value * frequency.error / frequency.value, frequency.n, frequency.source, "s")
