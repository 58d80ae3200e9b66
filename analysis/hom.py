"""Two-photon interference against delay. Twin of experiments/photons/hom_interference.py.

Two photons of one polarisation leave a balanced splitter at different outputs with probability (1 - V)/2, two of
crossed polarisation with 1/2; both kinds are counted in the same gates, so at each delay V = 1 -
N_parallel/N_orthogonal. Accidental coincidences of detectors i and j, in N attempts with click probabilities s and
dark probabilities d: A = N (s_i d_j + s_j d_i - d_i d_j); they are subtracted, and the result is stated beside the
raw one. Their own error (far below that of the counts) is left out. Fit: V(tau) about a centre, by maximum likelihood
of the split parallel : orthogonal (binomial deviance), with the best of three shapes, x = (tau - centre)/width:
    Gaussian       exp(-x^2/2)
    rounded        (1 + |x|)^2 exp(-2 |x|): photons whose amplitude rises and falls with one time constant, t exp(-t/w)
    exponential    exp(-|x|): photons that start at once
None of them is the photons' shape to the last percent. So the visibility is the mean of all three, each with its
likelihood as weight, and its error holds what they differ by; where chi2 is improbable (p < 1 %) errors are scaled by
the root of chi2/dof; and what a link experiences at one delay is told by that delay's counts alone (`at`). V cannot
exceed one: value and error are those of the interval below it (`bounded`). Source: C. K. Hong, Z. Y. Ou, L. Mandel, PRL
59, 2044 (1987).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, xlogy

from analysis import schema
from analysis.bounded import at_most
from analysis.estimates import Estimate, ratio
from analysis.fits import SCALED_BELOW
from analysis.load import Run
from atomlink.errors import DataError

if TYPE_CHECKING:
    import lmfit

Floats = npt.NDArray[np.float64]
SHAPES = ("Gaussian", "rounded", "exponential")
PARALLEL, ORTHOGONAL = ((0, 2), (1, 3)), ((0, 3), (1, 2))  # pairs of detectors c_h, c_v, d_h, d_v
NEEDED = tuple(entry.key for entry in schema.DATASETS if entry.key.startswith("hom.") and entry.required)


@dataclass(frozen=True)
class Dip:
    """A fitted V(tau): visibility at the top, centre, width of the shape, goodness of fit. `height` is the top of this
    shape's fit, which may lie above one by chance.
    """

    shape: str
    height: float
    visibility: Estimate
    centre_s: Estimate
    width_s: Estimate
    chi2: float
    dof: int

    def curve(self, delay_s: Floats) -> Floats:
        """Return V at the delays (k,)."""
        return _shape(self.shape, delay_s, self.height, self.centre_s.value, self.width_s.value)


@dataclass(frozen=True)
class Curve:
    """Visibility per delay (nan where nothing coincided) and the fit, None with fewer than 4 such delays."""

    visibility: tuple[Estimate, ...]
    fit: Dip | None


@dataclass(frozen=True)
class HomResult:
    """Visibility against delay, raw and accidentals subtracted; `accidental_fraction` of all parallel coincidences."""

    delay_s: Floats
    coincidences: int
    raw: Curve
    subtracted: Curve
    accidental_fraction: float | None
    accidental_source: str

    def at(self, delay_s: float, within_s: float) -> Estimate | None:
        """Return the visibility at one delay, accidentals subtracted, from that delay's counts alone; None without."""
        k = int(np.argmin(np.abs(self.delay_s - delay_s)))
        found = self.subtracted.visibility[k]
        return found if abs(self.delay_s[k] - delay_s) <= within_s and math.isfinite(found.value) else None


def analyse(run: Run) -> HomResult:
    """Return the visibility curves of a run; DataError where a dataset is missing or nothing coincided."""
    data = run.datasets
    schema.require(data, NEEDED, "the analysis of two-photon interference")
    parallel, orthogonal = data["hom.coincidences_parallel"], data["hom.coincidences_orthogonal"]
    if not orthogonal.any():
        raise DataError(
            f"Run {run.label} has no coincidence of crossed polarisation: measure longer or check the gates."
        )
    order = np.argsort(data["hom.delay_s"])
    delay, counts = data["hom.delay_s"][order], np.stack((parallel, orthogonal))[:, order]
    dark, source = _dark(run)
    none = np.zeros(counts.shape)
    expected = none if dark is None else _accidentals(data["hom.attempts"][order], data["hom.singles"][order], dark)
    fraction = float(expected[0].sum() / max(int(counts[0].sum()), 1))
    return HomResult(
        delay_s=delay,
        coincidences=int(counts.sum()),
        raw=_curve(delay, counts, none),
        subtracted=_curve(delay, counts, expected),
        accidental_fraction=None if dark is None else fraction,
        accidental_source=source,
    )


def _dark(run: Run) -> tuple[Floats | None, str]:
    """Return the dark probability per gate of the four detectors and where it is from."""
    clicks, gates = run.datasets.get("hom.dark_clicks"), run.datasets.get("hom.dark_gates", 0)
    if clicks is not None and gates > 0:
        return np.asarray(clicks / gates), f"measured in {int(gates):,} gates without excitation light"
    rate_hz = run.belief(run.link.of_station("dark_rate_hz"))
    gate_s = run.belief("hom.t_gate_s", run.link.of_station("t_gate_s"))
    if rate_hz is None or gate_s is None:
        return None, "not known: the file has neither dark counts nor believed dark rates"
    return np.full(4, -math.expm1(-rate_hz * gate_s)), f"believed dark rate {rate_hz:g} /s and gate {gate_s * 1e9:g} ns"


def _accidentals(attempts: Any, singles: Any, dark: Floats) -> Floats:
    """Return expected accidental coincidences, shape (2, k): parallel, orthogonal."""
    s = singles / np.maximum(attempts, 1)[:, None]
    return np.stack([
        attempts * sum(s[:, i] * dark[j] + s[:, j] * dark[i] - dark[i] * dark[j] for i, j in pairs)
        for pairs in (PARALLEL, ORTHOGONAL)
    ])  # fmt: skip


def _curve(delay_s: Floats, counts: Any, accidental: Floats) -> Curve:
    points = tuple(_point(*counts[:, k], *accidental[:, k]) for k in range(len(delay_s)))
    return Curve(points, _fit(delay_s, counts, accidental))


def _point(parallel: int, orthogonal: int, accidental_p: float, accidental_o: float) -> Estimate:
    if orthogonal - accidental_o <= 0:
        return Estimate(math.nan, math.nan, int(parallel + orthogonal), "no coincidence of crossed polarisation")
    raw = ratio(int(parallel), int(orthogonal))
    signal = orthogonal - accidental_o
    value = 1 - (parallel - accidental_p) / signal
    slope_o = (1 - value) / signal
    error = math.hypot(math.sqrt(parallel + 0.5) / signal, slope_o * math.sqrt(orthogonal))
    return at_most(1.0, Estimate(value, error, raw.n, "1 - parallel/orthogonal, Poisson errors"))


def _shape(shape: str, delay_s: Floats, visibility: float, centre_s: float, width_s: float) -> Floats:
    x = (delay_s - centre_s) / width_s
    if shape == "rounded":
        return np.asarray(visibility * (1 + np.abs(x)) ** 2 * np.exp(-2 * np.abs(x)))
    return visibility * np.exp(-0.5 * x**2 if shape == "Gaussian" else -np.abs(x))


def _fit(delay_s: Floats, counts: Any, accidental: Floats) -> Dip | None:
    seen = counts[1] > accidental[1]
    if seen.sum() < 4:
        return None
    dips = [_fit_shape(shape, delay_s[seen], counts[:, seen], accidental[:, seen]) for shape in SHAPES]
    best = min(dips, key=lambda dip: dip.chi2)
    top = _averaged([dip.visibility for dip in dips], [dip.chi2 for dip in dips])
    return replace(best, visibility=at_most(1.0, top))


def _averaged(tops: list[Estimate], chi2: list[float]) -> Estimate:
    """Return the mean over shapes with weights exp(-chi2/2), its error with what the shapes differ by."""
    weights = np.exp(-0.5 * (np.array(chi2) - min(chi2)))
    weights /= weights.sum()
    values, errors = (np.array([getattr(top, name) for top in tops]) for name in ("value", "error"))
    mean = float(weights @ values)
    return replace(tops[0], value=mean, error=math.sqrt(float(weights @ (errors**2 + (values - mean) ** 2))),
                   source="mean over shapes of the dip, maximum likelihood")  # fmt: skip


def _fit_shape(shape: str, delay_s: Floats, counts: Any, accidental: Floats) -> Dip:
    """Fit by the signed root of the binomial deviance: its least squares are the maximum of the likelihood."""
    import lmfit  # a second of the processor: only where there is something to fit

    parallel, total = counts[0], counts.sum(axis=0)
    background = accidental / counts[1]  # relative to all crossed coincidences

    def residuals(p: lmfit.Parameters) -> Floats:
        v = _shape(shape, delay_s, p["visibility"].value, p["centre"].value, p["width"].value)
        share = (1 - v) * (1 - background[1]) + background[0]
        f = np.clip(share / (1 + share), 1e-9, 1 - 1e-9)
        k, n = parallel, total
        deviance = 2 * (xlogy(k, k / n) + xlogy(n - k, 1 - k / n) - k * np.log(f) - (n - k) * np.log1p(-f))
        return np.asarray(np.sign(k - n * f) * np.sqrt(np.maximum(deviance, 0.0)))

    found = lmfit.minimize(residuals, _start(delay_s, counts), scale_covar=False)
    n, chi2, dof = int(counts.sum()), float(found.chisqr), int(found.nfree)
    scale = math.sqrt(chi2 / dof) if dof and chdtrc(dof, chi2) < SCALED_BELOW else 1.0
    height, centre, width = (_parameter(found.params[name], n, shape, scale)
                             for name in ("visibility", "centre", "width"))  # fmt: skip
    return Dip(shape, height.value, height, centre, width, chi2, dof)


def _start(delay_s: Floats, counts: Any) -> lmfit.Parameters:
    """Start at the centre of gravity of the dip; the width may lie between the step and the span."""
    import lmfit

    depth = np.clip(1 - counts[0] / counts[1], 0.0, 1.0)
    weight = np.where(depth > 0.5 * depth.max(), depth, 0.0) + 1e-12
    centre = float(np.sum(weight * delay_s) / weight.sum())
    span, step = float(np.ptp(delay_s)), float(np.min(np.diff(np.unique(delay_s))))
    parameters = lmfit.Parameters()
    parameters.add("visibility", value=float(np.clip(depth.max(), 0.05, 0.98)), min=-0.5, max=1.2)
    parameters.add("centre", value=centre, min=float(delay_s.min()), max=float(delay_s.max()))
    parameters.add("width", value=span / 6, min=step / 20, max=3 * span)
    return parameters


def _parameter(parameter: Any, n: int, shape: str, scale: float) -> Estimate:
    error = math.nan if parameter.stderr is None else float(parameter.stderr) * scale
    return Estimate(float(parameter.value), error, n, f"{shape} fit, maximum likelihood")
