"""Fit a model to measured points through lmfit, judge the fit, and refuse it when it is poor.

Shares k of n and counts are fitted by maximum likelihood (least squares of the signed roots of the binomial or Poisson
deviance), so that 0 of n and n of n need no made-up error; errors are those of the Fisher information. Points with
errors are fitted by least squares. Where chi2 is improbably large (p < 1 %), errors are scaled by sqrt(chi2/dof), as
the Particle Data Group does. Sources: P. McCullagh, J. A. Nelder, "Generalized Linear Models", 2nd ed., ch. 4; R. L.
Workman et al. (PDG), PTEP 2022, 083C01, section 5.2.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, xlogy

from analysis import masked
from analysis.estimates import Estimate
from analysis.models import Model
from atomlink.errors import DataError

Floats = npt.NDArray[np.float64]

WORST_REDUCED_CHI2 = 4.0  # above this, and improbable, the model is not what was measured
IMPROBABLE = 1e-4
SCALED_BELOW = 0.01  # p of chi2 below which errors are scaled
NO_FEATURE = 1e-3  # p above which a constant explains the points
NO_SEARCHED_FEATURE = 1e-5  # the same where a frequency was searched for in the noise
LARGEST_RELATIVE_ERROR = 0.3
_EDGE = 1e-9  # probabilities keep this distance from 0 and 1


class FitRefused(DataError):  # noqa: N818 - a verdict, named as the rest of the project calls it
    """A fit that must not be believed, and why."""


@dataclass(frozen=True)
class Points:
    """Measured points: x, y, standard errors (of shares and counts: for the eye).

    `successes` of `trials` where y is a share; `successes` in an exposure `per` where y is a rate or a count.
    """

    x: Floats
    y: Floats
    error: Floats
    successes: Floats | None = None
    trials: Floats | None = None
    per: Floats | None = None

    @property
    def n(self) -> int:
        """Return the number of events the points rest on."""
        if self.trials is not None:
            return int(self.trials.sum())
        return len(self.x) if self.successes is None else int(self.successes.sum())

    def part(self, which: slice) -> Points:
        """Return some of the points."""
        columns = (self.successes, self.trials, self.per)
        return Points(self.x[which], self.y[which], self.error[which],
                      *(None if column is None else column[which] for column in columns))  # fmt: skip


@dataclass(frozen=True)
class Fit:
    """A fitted model: an estimate per free parameter, the goodness of the fit, and whether errors were scaled."""

    model: Model
    estimates: Mapping[str, Estimate]
    fixed: Mapping[str, float]
    covariance: Floats  # in the order of `estimates`, scaled as their errors
    chi2: float
    dof: int
    scale: float
    p_constant: float  # how probable the points are, or worse ones, if nothing depends on x
    span: tuple[float, float]  # from the lowest to the highest fitted x

    @property
    def reduced_chi2(self) -> float:
        """Return chi2 per degree of freedom."""
        return self.chi2 / self.dof if self.dof else math.nan

    @property
    def p_value(self) -> float:
        """Return how probable this chi2 or a larger one is if the model holds."""
        return float(chdtrc(self.dof, self.chi2)) if self.dof else 1.0

    @property
    def values(self) -> dict[str, float]:
        """Return the value of every parameter."""
        return {**self.fixed, **{name: estimate.value for name, estimate in self.estimates.items()}}

    def __getitem__(self, name: str) -> Estimate:
        """Return the estimate of one parameter."""
        return self.estimates[name]

    def curve(self, x: Any) -> Floats:
        """Return the fitted y at x."""
        return self.model(x, **self.values)

    def error_of(self, function: Callable[[dict[str, float]], float]) -> float:
        """Return the standard error of a function of the values: spans of one error to either side, with covariance."""
        slopes = []
        for name, estimate in self.estimates.items():
            high, low = (function({**self.values, name: estimate.value + side * estimate.error}) for side in (1, -1))
            slopes.append((high - low) / (2 * estimate.error) if estimate.error else 0.0)
        slope = np.array(slopes)
        return math.sqrt(max(float(slope @ self.covariance @ slope), 0.0))

    def summary(self) -> dict[str, Any]:
        """Return what a parameter's history records of the fit."""
        return {
            "model": self.model.name,
            "values": self.values,
            "errors": {name: estimate.error for name, estimate in self.estimates.items()},
            "chi2": self.chi2,
            "dof": self.dof,
        }


def shares(x: Any, successes: Any, trials: Any) -> Points:
    """Return points k/n at x, those of the same x added up; DataError where a point has no trial."""
    x, k, n = masked.floats(x, successes, trials)
    if not len(x) == len(k) == len(n) or not len(x):
        raise DataError(f"Points need as many x as counts and at least one, but have {len(x)}, {len(k)} and {len(n)}.")
    if not np.isfinite(x).all() or (k < 0).any() or (k > n).any() or (n <= 0).any():
        raise DataError("Points must have finite x, 0 <= successes <= trials and trials > 0: check the scan's rows.")
    at, index = np.unique(x, return_inverse=True)
    k, n = (np.bincount(index.ravel(), column).astype(float) for column in (k, n))
    a, b = k + 0.5, n - k + 0.5  # Jeffreys
    return Points(at, k / n, np.sqrt(a * b / (n + 2)) / (n + 1), k, n)


def values(x: Any, y: Any, error: Any) -> Points:
    """Return points y ± error at x, sorted; DataError where one is not finite or an error is not > 0."""
    x, y, error = masked.floats(x, y, error)
    if not len(x) == len(y) == len(error) or not len(x):
        raise DataError(f"Points need as many x as y and errors and at least one: {len(x)}, {len(y)}, {len(error)}.")
    if not (np.isfinite(x) & np.isfinite(y) & np.isfinite(error) & (error > 0)).all():
        raise DataError("Points must have finite x, y and errors > 0: check the scan's rows.")
    order = np.argsort(x, kind="stable")
    return Points(x[order], y[order], error[order])


def counts(x: Any, n: Any, per: Any = 1.0) -> Points:
    """Return points n/per at x (Poisson: a model must stay > 0), those of the same x added up."""
    if np.ndim(per) == 0:
        per = np.full(np.size(n), per)
    x, n, per = masked.floats(x, n, per)
    alike = len(x) == len(n) == len(per) > 0
    if not alike or not np.isfinite(x).all() or (n < 0).any() or not (per > 0).all():
        raise DataError("Points must have finite x, counts >= 0 and an exposure > 0, as many of each: check the rows.")
    at, index = np.unique(x, return_inverse=True)
    total, time = (np.bincount(index.ravel(), column).astype(float) for column in (n, per))
    return Points(at, total / time, np.sqrt(total + 0.5) / time, total, per=time)


def fit(
    model: Model,
    points: Points,
    *,
    unit_x: str = "",
    unit_y: str = "",
    fixed: Mapping[str, float] | None = None,
    start: Mapping[str, float] | None = None,
    judged: bool = True,
    relative_error: float = LARGEST_RELATIVE_ERROR,
    among: Points | None = None,
) -> Fit:
    """Fit a model; FitRefused where it is poor, unless `judged` is False (then only what cannot be fitted at all).

    `fixed` parameters keep the value given; `start` overrides start values; `relative_error` is the largest
    that the model's key parameter may have (a located one: relative to the scanned range). `among`: all that was
    measured, where the fitted points are only those near a feature; a constant must then not explain all of it.
    """
    fixed = dict(fixed or {})
    free = [name for name in model.parameters if name not in fixed]
    if len(points.x) < len(free) + 1:
        raise FitRefused(
            f"Fit of {model.name} refused: {len(points.x)} points, must be more than its {len(free)} free parameters; "
            "scan more points."
        )
    found, cost = _minimise(model, points, fixed, dict(start or {}))
    dof = len(points.x) - len(free)
    p_value = float(chdtrc(dof, cost))
    scale = math.sqrt(cost / dof) if p_value < SCALED_BELOW else 1.0
    covariance = _covariance(model, points, {**fixed, **found}, free) * scale**2
    errors = np.sqrt(np.diag(covariance))
    estimates = {
        name: Estimate(found[name], float(error), points.n, f"fit of {model.name}", _unit(model, name, unit_x, unit_y))
        for name, error in zip(free, errors, strict=True)
    }
    if among is None:
        p_constant = float(chdtrc(max(len(free) - 1, 1), max(_constant_chi2(points) - cost, 0.0) / scale**2))
    else:
        p_constant = float(chdtrc(max(len(among.x) - 1, 1), _constant_chi2(among)))
    span = (float(points.x.min()), float(points.x.max()))
    result = Fit(model, estimates, fixed, covariance, cost, dof, scale, p_constant, span)
    if judged:
        reason = verdict(result, points, relative_error)
        if reason:
            raise FitRefused(f"Fit of {model.name} refused: {reason}")
    return result


def fit_each(
    model: Model, series: Mapping[str, Points], **options: Any
) -> tuple[dict[str, Fit], dict[str, str]]:
    """Fit several series (nodes, detectors); return the fits and why others were refused. None left: FitRefused."""
    found: dict[str, Fit] = {}
    refusals: dict[str, str] = {}
    for name, points in series.items():
        try:
            found[name] = fit(model, points, **options)
        except FitRefused as error:
            refusals[name] = str(error)
    if not found:
        raise FitRefused(" ".join(f"{name}: {why}" for name, why in refusals.items()))
    return found, refusals


def verdict(fit: Fit, points: Points, relative_error: float = LARGEST_RELATIVE_ERROR) -> str:
    """Return why a fit must not be believed, or "" for a good one."""
    key = fit.estimates.get(fit.model.key)
    low, high = float(points.x.min()), float(points.x.max())
    if not all(math.isfinite(e.value) and math.isfinite(e.error) for e in fit.estimates.values()):
        return "a parameter is not determined by these points; scan a wider range or more points."
    if fit.reduced_chi2 > WORST_REDUCED_CHI2 and fit.p_value < IMPROBABLE:
        return (f"chi2/dof is {over(fit.reduced_chi2, WORST_REDUCED_CHI2)}, must be {WORST_REDUCED_CHI2:g} at most; "
                "another law is at work.")
    chance = NO_SEARCHED_FEATURE if fit.model.searched else NO_FEATURE
    if fit.p_constant > chance:
        searched = " (it was searched for at many frequencies)" if fit.model.searched else ""
        return (f"nothing sure is seen: a constant looks like this with p = {over(fit.p_constant, chance)}, must be "
                f"{chance:g} at most{searched}; take more shots or another range.")
    for name in fit.model.located:
        if name in fit.estimates and not low <= fit[name].value <= high:
            return f"{name} {fit[name].value:.6g} lies outside the scanned range {low:.6g} … {high:.6g}; move the scan."
    if key is not None:
        size = high - low if fit.model.key in fit.model.located else abs(key.value)
        if key.error > relative_error * size:
            share = f"{100 * relative_error:g} % of {'the range' if fit.model.key in fit.model.located else 'it'}"
            return (f"{fit.model.key} = {key.number()} is too uncertain, its error must be {share} at most; take more "
                    "shots or a wider range.")
    return ""


def over(value: float, limit: float) -> str:
    """Return a value above a limit with the digits that show it to be above."""
    texts = (f"{value:.{digits}g}" for digits in (2, 3, 4, 6, 9))
    return next((text for text in texts if float(text) > limit), repr(value))


def _minimise(
    model: Model, points: Points, fixed: dict[str, float], start: dict[str, float]
) -> tuple[dict[str, float], float]:
    """Return the best parameters and their chi2."""
    import lmfit  # a second of the processor: only where there is something to fit

    guesses = model.start(points.x, points.y, points.error)
    parameters = lmfit.Parameters()
    for name, (value, low, high) in guesses.items():
        chosen = fixed.get(name, start.get(name, value))
        low, high = min(low, chosen), max(high, chosen)
        # lmfit's bounds are sines: at a bound nothing moves.
        if name not in fixed and math.isfinite(low) and math.isfinite(high):
            margin = 1e-6 * (high - low)
            chosen = min(max(chosen, low + margin), high - margin)
        parameters.add(name, value=chosen, min=low, max=high, vary=name not in fixed)

    def residuals(p: lmfit.Parameters) -> Floats:
        return _residuals(points, model(points.x, **{name: p[name].value for name in guesses}))

    # The signed root of a deviance near 0 is noisy at 1e-8: the step of the derivatives must be well above.
    result = lmfit.minimize(residuals, parameters, scale_covar=False, epsfcn=1e-9, max_nfev=4000)
    if not np.isfinite(result.chisqr):
        raise FitRefused(f"Fit of {model.name} refused: it did not converge; scan more points around the feature.")
    found = {name: float(result.params[name].value) for name in guesses if name not in fixed}
    return found, float(result.chisqr)


def _residuals(points: Points, y: Floats) -> Floats:
    if points.successes is None:
        return np.asarray((points.y - y) / points.error)
    k, n = points.successes, points.trials
    if n is None:
        return _poisson_residuals(k, np.asarray(y if points.per is None else y * points.per))
    p = np.clip(y, _EDGE, 1 - _EDGE)
    deviance = 2 * (xlogy(k, k / n) + xlogy(n - k, 1 - k / n) - k * np.log(p) - (n - k) * np.log1p(-p))
    beyond = 1e3 * (y - p)  # outside 0 … 1 the likelihood is flat: lead back
    return np.asarray(np.sign(k - n * p) * np.sqrt(np.maximum(deviance, 0.0)) - beyond)


def _poisson_residuals(n: Floats, wanted: Floats) -> Floats:
    mean = np.maximum(wanted, _EDGE)
    deviance = 2 * (xlogy(n, n / mean) - (n - mean))
    beyond = 1e3 * (wanted - mean)
    return np.asarray(np.sign(n - mean) * np.sqrt(np.maximum(deviance, 0.0)) - beyond)


def _covariance(model: Model, points: Points, at: dict[str, float], free: list[str]) -> Floats:
    """Return the inverse of the Fisher information at the fitted parameters; infinite where it has none."""
    y = model(points.x, **at)
    sigma = points.error
    if points.trials is not None:
        # A fitted 0 or 1 would say that a point is known exactly; half an event is what n trials can tell.
        p = np.clip(y, 0.5 / (points.trials + 1), 1 - 0.5 / (points.trials + 1))
        sigma = np.sqrt(p * (1 - p) / points.trials)
    elif points.per is not None:
        sigma = np.sqrt(np.maximum(y * points.per, 0.5)) / points.per
    columns = []
    for name in free:
        h = 1e-5 * (abs(at[name]) or 1e-3)
        up, down = model(points.x, **{**at, name: at[name] + h}), model(points.x, **{**at, name: at[name] - h})
        columns.append((up - down) / (2 * h) / sigma)
    design = np.stack(columns, axis=1)
    size = np.linalg.norm(design, axis=0)
    if not np.isfinite(design).all() or (size == 0).any():
        return np.full((len(free), len(free)), math.inf)
    information = (design / size).T @ (design / size)
    if np.linalg.cond(information) > 1e12:
        return np.full((len(free), len(free)), math.inf)
    return np.asarray(np.linalg.inv(information) / np.outer(size, size))


def _constant_chi2(points: Points) -> float:
    size = points.per if points.trials is None else points.trials
    if points.successes is not None and size is not None:
        level = float(points.successes.sum() / size.sum())
    else:
        level = float(np.average(points.y, weights=points.error**-2))
    return float(np.sum(_residuals(points, np.full(len(points.x), level)) ** 2))


_INVERSE = {"s": "Hz", "Hz": "s", "": ""}


def _unit(model: Model, name: str, unit_x: str, unit_y: str) -> str:
    kind = model.units[name]
    inverse = _INVERSE.get(unit_x, f"1/{unit_x}")
    per = f"{unit_y or '1'}/{unit_x}" if unit_x else unit_y
    return {"x": unit_x, "1/x": inverse, "y": unit_y, "y/x": per}.get(kind, kind)
