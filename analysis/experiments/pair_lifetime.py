"""How long a heralded pair stays entangled. Twin of experiments/link/pair_lifetime.py.

The coherence (<XX> + <YY>)/2 of the pairs is fitted with c exp(-(t/T2*)^2 - t/T2): both nodes' slow field noise adds
1/T2*^2, their fast noise 1/T2. Two decays of one curve cannot be told apart, so T2 is held at what the lab believes
(1/T2 = sum over the nodes) and T2* of the pair is found. The fidelity (1 + <XX> + <YY> - <ZZ>)/4 falls below 1/2 where
the coherence no longer makes up for the populations. Source: the models of `sim.physics.coherence`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import fits
from analysis.estimates import Estimate
from analysis.figures import ACCENT, SIDE_COLOURS, canvas, styled
from analysis.fits import Fit, Points
from analysis.load import Run
from analysis.models import DECAY, Model
from analysis.pair_rows import WEIGHTS, PairRows
from analysis.result import Result, columns
from analysis.scan_figures import draw_scan, scaled
from atomlink.at_port import belief
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COHERENCE = {"XX": 0.5, "YY": 0.5}


def model(rate_hz: float) -> Model:
    """Return amplitude exp(-(x/decay)^2 - rate x) with a rate that is known."""
    return Model(
        "Gaussian decay of the coherence",
        lambda x, amplitude, decay: amplitude * np.exp(-((x / decay) ** 2) - rate_hz * x),
        lambda x, y, error: {key: value for key, value in DECAY.start(x, y, error).items() if key != "offset"},
        {"amplitude": "y", "decay": "x"},
        key="decay",
    )


def believed(run: Run) -> tuple[float, float]:
    """Return T2* and T2 of a pair in s from what the lab believes of its nodes; DataError where the file lacks it."""
    found = {}
    for name in ("t2_star_s", "t2_s"):
        found[name] = [run.belief(belief(node, name)) for node in run.nodes]
        if None in found[name]:
            raise DataError(f"The file has no `param.*.{name}` of both nodes: this analysis needs them.")
    return (sum(float(t) ** -2 for t in found["t2_star_s"]) ** -0.5, 1 / sum(1 / float(t) for t in found["t2_s"]))


def points(run: Run, rows: PairRows, weights: dict[str, float], offset: float = 0.0) -> Points:
    """Return a combination of correlators against the waiting time, rows of equal time added up."""
    (t,) = columns(run, "t_wait")
    at = np.unique(t)
    found = [rows.combined(weights, offset, np.flatnonzero(t == value)) for value in at]
    return fits.values(at, [e.value for e in found], [e.error for e in found])


def fitted(run: Run, rows: PairRows, rate_hz: float) -> Fit:
    """Fit the decay. The retention moves all points together: what its error does is added to the fit's errors."""

    def at(shift: Any) -> Points:
        return points(run, rows.with_retention(shift), COHERENCE)

    law = model(rate_hz)
    fit = fits.fit(law, at(0.0), unit_x="s")
    moved = [fits.fit(law, at(shift), start=fit.values, judged=False) for shift in rows.shifts()]
    by_retention = np.array([[other[name].value - fit[name].value for name in fit.estimates] for other in moved])
    covariance = fit.covariance + (by_retention.T @ by_retention if moved else 0.0)
    errors = dict(zip(fit.estimates, np.sqrt(np.diag(covariance)), strict=True))
    estimates = {name: replace(estimate, error=float(errors[name])) for name, estimate in fit.estimates.items()}
    return replace(fit, estimates=estimates, covariance=covariance)


def analyse(run: Run) -> Result:
    """Return the coherence time of a pair; FitRefused where the scan does not show one."""
    t2_star, t2 = believed(run)
    rows = PairRows.of(run)
    fit = fitted(run, rows, 1 / t2)
    t = columns(run, "t_wait")[0]
    lifetime = _where(lambda x: float(fit.curve(x)) - fit["amplitude"].value / math.e, fit)
    slope = -2 * lifetime / fit["decay"].value ** 2 - 1 / t2
    by_decay = -2 * lifetime**2 / fit["decay"].value ** 3 / slope  # d lifetime/d decay
    return Result(
        "Lifetime of a pair",
        estimates={
            "pair.t2_star_s": fit["decay"],
            "pair.t2_star_believed_s": Estimate(t2_star, 0.0, 0, "believed of the nodes", "s"),
            "pair.coherence_time_s": Estimate(lifetime, abs(by_decay) * fit["decay"].error, fit["decay"].n,
                                              "1/e of the coherence, T2 as believed", "s"),
            "coherence_at_0": fit["amplitude"],
            "zz": rows.combined({"ZZ": 1.0}),
            "fidelity_first": rows.fidelity(np.flatnonzero(t == t.min())),
            "fidelity_last": rows.fidelity(np.flatnonzero(t == t.max())),
        },
        fits={"coherence": fit},
        notes=(f"Held at what the lab believes: T2 of the pair, {t2 * 1e3:.3g} ms. Read-out corrected where there are "
               "shots without push-out.",),
    )  # fmt: skip


def _where(falling: Callable[[float], float], fit: Fit) -> float:
    """Return where a falling function is 0."""
    low, high = 0.0, 10 * fit["decay"].value
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return 0.5 * (low + high)


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw coherence, populations and fidelity against the waiting time."""
    figure, (left, right) = canvas(run, 9.6, 3.6, columns=2, share=False)
    fit = result.fits["coherence"]
    rows = PairRows.of(run)
    coherence, zz = points(run, rows, COHERENCE), points(run, rows, {"ZZ": -1.0})
    draw_scan(left, {"(⟨XX⟩ + ⟨YY⟩)/2": (coherence, fit), "−⟨ZZ⟩": (zz, None)}, "s")
    fidelity = points(run, rows, WEIGHTS, 0.25)
    draw_scan(right, {"fidelity": (fidelity, None)}, "s")
    factor, unit = scaled("s", float(coherence.x.max()))
    fine = np.linspace(coherence.x.min(), coherence.x.max(), 200)
    t2_star, t2 = believed(run)
    expected = fit["amplitude"].value * np.exp(-((fine / t2_star) ** 2) - fine / t2)
    left.plot(fine * factor, expected, color=ACCENT, lw=1, ls="--", label="believed T2*")
    right.plot(fine * factor, (1 - result.estimates["zz"].value) / 4 + fit.curve(fine) / 2, lw=1.2,
               color=SIDE_COLOURS[0])  # fmt: skip
    right.axhline(0.5, color=ACCENT, lw=1)
    for axes in (left, right):
        axes.set(xlabel=f"wait ({unit})")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
    left.set(ylabel="correlation")
    right.set(ylabel="fidelity with Ψ⁺")
    return figure
