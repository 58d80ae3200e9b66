"""What the servos leave. Twin of experiments/setup/cavity_lock_quality.py.

The light behind a cavity detuned by D is T/(1 + (D/kappa)^2), and near resonance the error signal is proportional to
D. So light against set point is a Lorentzian, averaged over what the lock leaves (to second order): its width is the
error signal of one kappa, its centre the set point of most light (an offset of the electronics). The spread of the
error signal at the set point nearest to 0, over that width, is the residual detuning in kappa; it contains the noise of
the photodiode and says nothing of what is slower than the readings last or is not in the error signal (residual
amplitude modulation: the cavity scan sees that).
LOCKED, DEGRADED and LOST are the interlock's verdicts there. Sources: E. Black, Am. J. Phys. 69, 79 (2001).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from analysis import fits, scan_figures
from analysis.estimates import Estimate, binomial
from analysis.figures import canvas, colour, legend_above, styled
from analysis.load import Run
from analysis.models import LORENTZIAN, Model
from analysis.result import Result, columns
from atomlink.at_port import belief
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATES = ("locked", "degraded", "lost")
FEWEST = 8  # readings at the set point nearest to 0
CAUGHT = 0.5  # of the full light: the servo has caught the cavity again


def points(run: Run) -> dict[str, fits.Points]:
    """Return the light behind each cavity against the set point: the mean of each row's readings, with the error of all
    rows together. One row's own spread goes with its mean, since the light is skewed on resonance.
    """
    found = {}
    for node in run.nodes:
        setpoint, light = columns(run, "v_setpoint", ("light_v", node))
        if light.ndim != 2 or light.shape[1] < FEWEST:
            raise DataError(f"Run {run.label} has {np.shape(light)[1:]} readings at a set point, must be {FEWEST} at "
                            "least: raise `shots`.")  # fmt: skip
        error = math.sqrt(float(np.mean(light.var(axis=1, ddof=1))) / light.shape[1])
        found[node] = fits.values(setpoint, light.mean(axis=1), np.full(len(setpoint), error))
    return found


def analyse(run: Run) -> Result:
    """Return residual detuning, volts per kappa, light, verdicts, and what holding and catching again did."""
    found, refusals = _fits(run)
    estimates: dict[str, Estimate] = {}
    for node, fit in found.items():
        rms, states = residual(run, node), _states(run, node)
        ratio = rms / fit["width"]
        held, again = (column / fit["amplitude"].value for column in columns(run, ("held_v", node), ("again_v", node)))
        estimates |= {
            f"{node}.rms_kappa": Estimate(ratio.value, ratio.error, rms.n, rms.source),
            f"{node}.v_per_kappa_v": fit["width"],
            f"{node}.v_offset_v": fit["centre"],
            f"{node}.v_transmitted_v": fit["amplitude"],
            **{f"{node}.{name}": binomial(int(states[k]), int(states.sum())) for k, name in enumerate(STATES)},
            f"{node}.light_held": Estimate(float(held.mean()), _error(held), len(held), "mean of the readings"),
            f"{node}.caught_again": binomial(int((again > CAUGHT).sum()), len(again)),
        }
    return Result(
        "Cavity lock quality",
        estimates=estimates,
        updates={belief(node, "v_transmitted_v"): fit["amplitude"] for node, fit in found.items()},
        fits=found,
        refusals=refusals,
    )


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the light against the set point, and the error signals at the one nearest to 0 in kappa."""
    figure, (left, right) = canvas(run, 9.6, 3.4, columns=2, share=False)
    scan_figures.draw_scan(left, {node: (data, result.fits.get(node)) for node, data in points(run).items()}, "V")
    unit = scan_figures.scaled("V", float(np.abs(columns(run, "v_setpoint")[0]).max()))[1]
    left.set(xlabel=f"set point ({unit})", ylabel="light behind the cavity (V)")
    legend_above(left, 2)
    for k, node in enumerate(run.nodes):
        if node not in result.fits:
            continue
        kappa = _deviations(run, node).ravel() / result.fits[node]["width"].value
        rms = result.estimates[f"{node}.rms_kappa"].number()
        right.plot(kappa, ".", ms=4, color=colour(k), label=f"{node}: {rms} κ rms")
    right.set(xlabel="reading", ylabel="error signal (κ)")
    right.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return figure


def averaged(rms_v: float) -> Model:
    """Return a Lorentzian averaged over a Gaussian spread of x, rms_v small against its width."""

    def light(x: Any, offset: float, amplitude: float, centre: float, width: float, rms: float) -> Any:
        u2, s2 = ((x - centre) / width) ** 2, (rms / width) ** 2
        return offset + amplitude * (1 / (1 + u2) + s2 * (3 * u2 - 1) / (1 + u2) ** 3)

    return replace(LORENTZIAN, name="averaged Lorentzian", function=light, constants={"rms": rms_v})


def _fits(run: Run) -> tuple[dict[str, fits.Fit], dict[str, str]]:
    """Fit each cavity, whose spread is its own; none left: FitRefused."""
    found: dict[str, fits.Fit] = {}
    refusals: dict[str, str] = {}
    for node, data in points(run).items():
        try:
            found[node] = fits.fit(averaged(residual(run, node).value), data, unit_x="V", unit_y="V",
                                   fixed={"offset": 0.0}, start={"width": 2.0, "centre": 0.0})  # fmt: skip
        except fits.FitRefused as error:
            refusals[node] = str(error)
    if not found:
        raise fits.FitRefused("; ".join(f"{node}: {why}" for node, why in refusals.items()))
    return found, refusals


def residual(run: Run, node: str) -> Estimate:
    """Return the rms of the error signal about the set point nearest to 0, in V."""
    deviation = _deviations(run, node).ravel()
    rms = float(np.sqrt(np.mean(deviation**2)))
    return Estimate(rms, rms / math.sqrt(2 * len(deviation)), len(deviation), "rms of the error signal", "V")


def _deviations(run: Run, node: str) -> npt.NDArray[np.float64]:
    """Return error signal minus set point (rows, readings) of the rows nearest to 0."""
    setpoint, error = columns(run, "v_setpoint", ("error_v", node))
    here = _nearest(run)
    return np.asarray(error[here] - setpoint[here, None], dtype=float)


def _error(readings: npt.NDArray[np.float64]) -> float:
    """Return the standard error of the mean."""
    return float(readings.std(ddof=1) / math.sqrt(len(readings))) if len(readings) > 1 else math.nan


def _states(run: Run, node: str) -> npt.NDArray[np.int64]:
    return np.asarray(columns(run, ("states", node))[0][_nearest(run)].sum(axis=0))


def _nearest(run: Run) -> npt.NDArray[np.bool_]:
    (setpoint,) = columns(run, "v_setpoint")
    return np.asarray(np.abs(setpoint) <= np.abs(setpoint).min() + 1e-9)
