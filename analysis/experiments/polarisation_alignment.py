"""The angles of each node's fibre from atom-photon correlations. Twin of experiments/setup/polarisation_alignment.py.

The fibre is Rz(alpha) Ry(beta) Rz(gamma) on (H, V), in front of it the compensator Rz(p) Ry(t) with t, p the believed
angle per volt times its voltages. A photon and its atom agree (H and |0>, V and |1>) with probability (1 + E)/2,

    E = V [cos(beta) cos(t) - sin(beta) sin(t) cos(gamma + p)] = a cos(t) - sin(t) [b cos(p) - c sin(p)],

linear in a = V cos(beta), b = V sin(beta) cos(gamma), c = V sin(beta) sin(gamma); V is what pumping, read-out and dark
clicks leave. t = -beta, p = -gamma undo both. Detectors of H and V do not see alpha, which comes behind all that mixes
the two, and where beta is small they hardly see gamma + p either: what is left of these turns the phase of the heralded
pairs, which `analysis/experiments/pair_phase.py` measures and takes out. So the error of gamma costs no photons, but
the phase has to be measured afterwards.
Fit: binomial maximum likelihood with V <= 1. Source of the matrices: R. C. Jones, J. Opt. Soc. Am. 31, 488 (1941).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import optimize
from scipy.special import chdtrc

from analysis.estimates import Estimate
from analysis.figures import SIDE_COLOURS, canvas, legend_above, styled
from analysis.fits import IMPROBABLE, WORST_REDUCED_CHI2, FitRefused
from analysis.load import Run
from analysis.result import Result, columns
from atomlink.at_port import belief
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_VISIBILITY = 5.0  # errors by which correlations must be seen
SOURCE = "fit of atom-photon correlations"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fibre:
    """What a fit found: a, b, c with their covariance; `n` clicks, `turn`, `phase` rad per volt of the compensator."""

    values: Floats
    covariance: Floats
    chi2: float
    dof: int
    n: int
    turn: float
    phase: float

    def of(self, function: str) -> Estimate:
        """Return beta, gamma (rad), visibility; errors by linear propagation."""
        a, b, c = self.values
        side = math.copysign(math.hypot(b, c), b)  # |gamma| <= pi/2: the smaller of the two retardances
        total = float(np.linalg.norm(self.values))
        small = math.hypot(b, c) or 1e-12
        value, slope = {
            "beta": (math.atan2(side, a), np.array([-side, a * b / side, a * c / side]) / total**2),
            "gamma": (math.atan2(c * math.copysign(1, b), abs(b)), np.array([0, -c, b]) / small**2),
            "visibility": (total, self.values / total),
        }[function]
        error = math.sqrt(float(slope @ self.covariance @ slope))
        return Estimate(value, min(error, math.pi), self.n, SOURCE, "" if function == "visibility" else "rad")

    def misaligned(self, v_turn: float, v_phase: float) -> Estimate:
        """Return the share of photons that arrive in the wrong polarisation at these voltages."""
        row = design(self, np.array([v_turn]), np.array([v_phase]))[0]
        total = float(np.linalg.norm(self.values))
        value = float(row @ self.values) / total
        slope = (row - value * self.values / total) / total
        # At the optimum the slope vanishes: what is left is the second order, the mean of the squared errors.
        second = float(np.trace(self.covariance)) / (2 * total**2)
        error = math.hypot(math.sqrt(float(slope @ self.covariance @ slope)), second)
        return Estimate((1 - value) / 2, error / 2, self.n, SOURCE)


def design(fibre: Fibre, v_turn: Floats, v_phase: Floats) -> Floats:
    """Return what multiplies (a, b, c) in E at these voltages."""
    return _design(v_turn * fibre.turn, v_phase * fibre.phase)


def fit(run: Run, node: str) -> Fibre:
    """Fit one node's correlations; FitRefused where there are too few, or none."""
    v_turn, v_phase, agree, n = (np.asarray(c, float) for c in columns(run, "v_turn", "v_phase", ("agree", node), "n"))
    turn, phase = (_belief(run, belief(node, f"{name}_rad_per_v")) for name in ("turn", "phase"))
    rows, y = _design(v_turn * turn, v_phase * phase), 2 * agree / n - 1
    if len(np.unique(rows.round(6), axis=0)) < 4 or np.linalg.matrix_rank(rows, tol=0.1) < 3:
        raise FitRefused("Fit of polarisation refused: the points do not tell the angles apart; scan at least two "
                         "voltages of either axis, a quarter turn apart.")  # fmt: skip
    values = _most_likely(rows, agree, n)
    weights = n / np.maximum(1 - (rows @ values) ** 2, 2 / (n + 2))
    chi2, dof = float(np.sum(weights * (y - rows @ values) ** 2)), len(y) - 3
    covariance = np.linalg.inv(rows.T @ (rows * weights[:, None]))
    found = Fibre(values, np.asarray(covariance, dtype=float), chi2, dof, int(n.sum()), turn, phase)
    _judge(found)
    return found


def analyse(run: Run) -> Result:
    """Return angles, visibility, and the wrong share at the voltages believed, with what would be best."""
    found, refusals = _fit_all(run)
    estimates: dict[str, Estimate] = {}
    updates: dict[str, Estimate] = {}
    for node, fibre in found.items():
        names = {axis: belief(node, f"v_paddle_{axis}_v") for axis in ("turn", "phase")}
        beta, gamma = fibre.of("beta"), fibre.of("gamma")
        estimates |= {
            f"{node}.beta_rad": beta,
            f"{node}.gamma_rad": gamma,
            f"{node}.visibility": fibre.of("visibility"),
            f"{node}.misaligned": fibre.misaligned(*(_belief(run, name) for name in names.values())),
        }
        updates |= {names["turn"]: _volts(beta, fibre.turn), names["phase"]: _volts(gamma, fibre.phase)}
    return Result("Polarisation alignment", estimates=estimates, updates=updates, refusals=refusals)


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the share of agreement against the rotator's voltage, one curve for each retardance."""
    import matplotlib as mpl

    figure, panels = canvas(run, 9.6, 3.4, columns=2)
    v_turn, v_phase, n = columns(run, "v_turn", "v_phase", "n")
    fine = np.linspace(v_turn.min(), v_turn.max(), 200)
    found, _ = _fit_all(run)
    for axes, node in zip(panels, run.nodes, strict=True):
        agree = columns(run, ("agree", node))[0] / n
        phases = np.unique(v_phase)
        for k, volts in enumerate(phases):
            colour = mpl.colormaps["viridis"](0.85 * k / max(len(phases) - 1, 1))
            here = v_phase == volts
            error = np.sqrt((agree * n + 0.5) * (n - agree * n + 0.5) / (n + 2)) / (n + 1)
            axes.errorbar(v_turn[here], agree[here], error[here], fmt="o", ms=4, color=colour, elinewidth=1,
                          label=f"retarder {volts:.3g} V")  # fmt: skip
            if node in found:
                rows = design(found[node], fine, np.full(len(fine), volts))
                axes.plot(fine, (1 + rows @ found[node].values) / 2, color=colour, lw=1.2)
        if belief(node, "v_paddle_turn_v") in result.updates:
            axes.axvline(result.updates[belief(node, "v_paddle_turn_v")].value, color=SIDE_COLOURS[1], lw=1, ls="--")
        axes.set(xlabel="compensator's rotator (V)", ylabel="photon agrees with atom", ylim=(-0.02, 1.02))
        legend_above(axes, len(phases), title=node, alignment="left", fontsize=7.5, columnspacing=1.0)
    return figure


def _fit_all(run: Run) -> tuple[dict[str, Fibre], dict[str, str]]:
    found: dict[str, Fibre] = {}
    refusals: dict[str, str] = {}
    for node in run.nodes:
        try:
            found[node] = fit(run, node)
        except FitRefused as error:
            refusals[node] = str(error)
    if not found:
        raise FitRefused("; ".join(f"{node}: {why}" for node, why in refusals.items()))
    return found, refusals


def _most_likely(rows: Floats, agree: Floats, n: Floats) -> Floats:
    """Return (a, b, c) of the greatest likelihood within the unit sphere, where every probability is one."""

    def inside(u: Floats) -> Floats:
        return np.asarray(u / math.sqrt(1 + float(u @ u)))

    def cost(u: Floats) -> float:
        share = np.clip((1 + rows @ inside(u)) / 2, 1e-9, 1 - 1e-9)
        return -float(np.sum(agree * np.log(share) + (n - agree) * np.log1p(-share)))

    start = np.linalg.lstsq(rows, 2 * agree / n - 1, rcond=None)[0]
    start *= min(1.0, 0.9 / float(np.linalg.norm(start)))
    found = optimize.minimize(cost, start / math.sqrt(1 - float(start @ start)), method="BFGS")
    return inside(found.x)


def _judge(fibre: Fibre) -> None:
    visibility = fibre.of("visibility")
    if visibility.value < LEAST_VISIBILITY * visibility.error:
        raise FitRefused(f"Fit of polarisation refused: visibility {visibility.number()}, must be {LEAST_VISIBILITY:g} "
                         "errors from 0; take more shots, look at pumping and push-out.")  # fmt: skip
    if fibre.chi2 > WORST_REDUCED_CHI2 * fibre.dof and chdtrc(fibre.dof, fibre.chi2) < IMPROBABLE:
        raise FitRefused(f"Fit of polarisation refused: chi2/dof is {fibre.chi2 / fibre.dof:.1f}, must be below "
                         f"{WORST_REDUCED_CHI2:g}; are the radians per volt as believed?")  # fmt: skip


def _design(turn: Floats, phase: Floats) -> Floats:
    return np.stack([np.cos(turn), -np.sin(turn) * np.cos(phase), np.sin(turn) * np.sin(phase)], axis=1)


def _volts(angle: Estimate, rad_per_v: float) -> Estimate:
    return Estimate(-angle.value / rad_per_v, angle.error / abs(rad_per_v), angle.n, angle.source, "V")


def _belief(run: Run, name: str) -> float:
    value = run.belief(name)
    if value is None or not math.isfinite(float(value)) or (name.endswith("rad_per_v") and not float(value)):
        raise DataError(f"The file has `{name}` = {value!r}, must be a finite number: the analysis needs it.")
    return float(value)
