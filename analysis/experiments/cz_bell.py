"""Fidelity of a Bell pair made by a CZ gate: populations and parity fringe. Twin of experiments/atoms/cz_bell.py.

    F = (P00 + P11 + C)/2,   parity of a shot = +1 where both atoms are left or none, else -1,
    parity(phi) = offset + C cos(2 phi + phase)                        Sackett et al., Nature 404, 256 (2000)
An atom that is left was in |0>. `raw` numbers are what the images say. The others take the read-out and preparation of
single atoms off, as shots of the same run with both atoms in |1> and in |0> show them: with s0, s1 the share left of an
atom prepared in |0>, |1>, populations are solved for by the inverse of [[s0, s1], [1 - s0, 1 - s1]] of each atom, and
the contrast is divided by (s0 - s1) of both. An atom lost in the gate counts as |1>. Errors: multinomial for
populations, binomial for the fringe.
Predicted: what the believed pulses give with blockade, decay of |r>, Doppler shifts at 20 uK (420 and 1013 nm
counter-propagating) and without anything else (`sim.physics.bell_pair`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis import fits
from analysis.estimates import Estimate, binomial
from analysis.figures import ACCENT, PALE, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.models import fringe
from analysis.result import Result, columns
from atomlink.at_port import belief
from atomlink.errors import DataError
from sim.physics.bell_pair import TwoPulses, fidelity
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.rydberg import pair_shift_rad_s, state
from sim.physics.species import species

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
TEMPERATURE_K = 20e-6  # after molasses: Tuchendler et al., PRA 78, 033425 (2008)
WAVENUMBER_RAD_M = 2 * math.pi * (1 / 420e-9 - 1 / 1013e-9)
ATOMS = ("port", "beside")
OUTCOMES = ("11", "10", "01", "00")  # port, beside; in the order of the counts: who is left was in |0>


def analyse(run: Run) -> Result:
    """Return fidelity, populations and contrast, raw and corrected, and what was to be expected."""
    fit = fits.fit(fringe(2.0), points(run), judged=False)  # no contrast is a result, too
    bell, left = counts(run, "bell"), left_shares(run)
    values = np.array([*(bell / bell.sum()), 1.0, 0.0, 1.0, 0.0, 2 * fit["amplitude"].value])
    covariance = np.zeros((9, 9))
    p = (bell + 0.5) / (bell.sum() + 2)
    covariance[:4, :4] = (np.diag(p) - np.outer(p, p)) / bell.sum()
    covariance[8, 8] = 4 * fit["amplitude"].error ** 2
    n = int(bell.sum() + fit["amplitude"].n)
    raw = _named(values, covariance, n, "as the images say")
    values[4:8] = [left[key].value for key in left]
    covariance[range(4, 8), range(4, 8)] = [left[key].error ** 2 for key in left]
    if min(values[4] - values[5], values[6] - values[7]) < 0.2:
        raise DataError("Atoms prepared in |0> and in |1> look alike: check push-out, microwave and Raman pulses, and "
                        "whether the drives reach both atoms.")  # fmt: skip
    estimates = _named(values, covariance, n, "corrected for read-out and preparation")
    estimates |= {f"{name}_raw": value for name, value in raw.items()}
    estimates |= {f"p{outcome}_raw": binomial(int(k), int(bell.sum()), "share of shots")
                  for outcome, k in zip(OUTCOMES, bell, strict=True)}  # fmt: skip
    estimates |= left
    estimates["fringe_phase"] = fit["phase"]
    return Result("CZ Bell state", estimates | predicted(run), fits={"even parity": fit}, notes=_notes(estimates))


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the populations and the parity against the phase of the last pulse."""
    picture, (bars, curve, numbers) = canvas(run, 9.6, 3.6, columns=3, share=False)
    names = OUTCOMES[::-1]
    found = [result.estimates[f"p{name}_raw"] for name in names]
    bars.bar(range(4), [p.value for p in found], yerr=[p.error for p in found], color=SIDE_COLOURS[0], width=0.6)
    bars.hlines([0.5, 0.0, 0.0, 0.5], np.arange(4) - 0.4, np.arange(4) + 0.4, color=ACCENT, lw=1.1, label="Bell state")
    legend_above(bars, 2, title=f"P$_{{00}}$ + P$_{{11}}$ = {result.estimates['populations_raw'].number()}",
                 alignment="left")  # fmt: skip
    bars.set_xticks(range(4), [f"|{name}⟩" for name in names])
    bars.set(ylabel="share of shots")
    data, fit = points(run), result.fits["even parity"]
    curve.errorbar(data.x / math.pi, 2 * data.y - 1, 2 * data.error, fmt="o", ms=4, color=SIDE_COLOURS[1], elinewidth=1)
    fine = np.linspace(0, max(2 * math.pi, float(data.x.max())), 400)
    curve.plot(fine / math.pi, 2 * fit.curve(fine) - 1, color=ACCENT, lw=1.2)
    curve.set(xlabel="axis of the last pulse (π rad)", ylabel="parity", ylim=(-1.1, 1.1),
              title=f"contrast {result.estimates['contrast_raw'].number()}")  # fmt: skip
    _draw_fidelity(numbers, result)
    return picture


def _draw_fidelity(axes: Axes, result: Result) -> None:
    """Draw the fidelity raw and corrected, beside what the believed gate makes and what no separable pair exceeds."""
    for k, (name, colour) in enumerate((("fidelity_raw", PALE), ("fidelity", SIDE_COLOURS[0]))):
        found = result.estimates[name]
        axes.errorbar([k], [found.value], [found.error], fmt="o", ms=5, color=colour, elinewidth=1.2)
    expected = result.estimates.get("fidelity_predicted")
    if expected is not None:
        axes.axhline(expected.value, color=ACCENT, lw=1.1, label=f"predicted {expected.value:.3f}")
    axes.axhline(0.5, color=PALE, lw=0.9, ls="--", label="separable pairs: 1/2")
    axes.set(xlim=(-0.6, 1.6), ylim=(0, 1.05), ylabel="fidelity")
    axes.set_xticks([0, 1], ["raw", "corrected"])
    legend_above(axes, title=f"F = {result.estimates['fidelity'].number()}", alignment="left")


def points(run: Run) -> fits.Points:
    """Return the share of shots of even parity against the axis of the last pulse in rad."""
    phase, even, n = columns(run, "phase", "even", "n")
    return fits.shares(2 * math.pi * phase, even, n)


def counts(run: Run, kind: str) -> Floats:
    """Return how often none, only the atom beside, only the port's, both were left: shots of one kind, all rows."""
    (table,) = columns(run, kind)
    total = np.asarray(table, dtype=float).reshape(-1, 4).sum(axis=0)
    if not total.sum():
        raise DataError(f"Run {run.label} has no shots of the kind `{kind}`: let it take at least one row.")
    return np.asarray(total)


def left_shares(run: Run) -> dict[str, Estimate]:
    """Return the shares of atoms left of those prepared in |0> and in |1>: port 0, port 1, beside 0, beside 1."""
    out = {}
    for atom, which in zip(ATOMS, ((2, 3), (1, 3)), strict=True):
        for level, kind in enumerate(("zero", "one")):
            table = counts(run, kind)
            k, n = int(table[list(which)].sum()), int(table.sum())
            out[f"left_{atom}_{level}"] = binomial(k, n, "share of atoms left")
    return out


def predicted(run: Run) -> dict[str, Estimate]:
    """Return the fidelity that the believed gate makes; nothing where its light was off."""
    if not int(run.datasets["scan.rydberg_light"]):
        return {}
    node = str(run.datasets["scan.node"])
    believed = {name: _belief(run, belief(node, name))
                for name in ("rydberg_n", "f_rydberg_rabi_hz", "f_cz_detuning_hz", "t_cz_pulse_s", "t_cz_dark_s",
                             "cz_phase_turns", "site_m")}  # fmt: skip
    rydberg, turn = state("Rb-87", round(believed["rydberg_n"])), 2 * math.pi
    speed = math.sqrt(BOLTZMANN_J_K * TEMPERATURE_K / species("Rb-87").mass_kg)
    light = TwoPulses(
        turn * believed["f_rydberg_rabi_hz"], turn * believed["f_cz_detuning_hz"], believed["t_cz_pulse_s"],
        believed["t_cz_dark_s"], pair_shift_rad_s(rydberg.c6_hz_m6, believed["site_m"]), rydberg.lifetime_s,
        WAVENUMBER_RAD_M * speed,
    )  # fmt: skip
    value = fidelity(light, turn * believed["cz_phase_turns"])
    return {"fidelity_predicted": Estimate(value, 0.0, 0, "blockade, decay, Doppler shifts of the believed gate")}


def _belief(run: Run, name: str) -> float:
    value = run.belief(name)
    if value is None:
        raise DataError(f"The file has no `{name}`: the prediction needs it.")
    return float(value)


def _named(values: Floats, covariance: Floats, n: int, source: str) -> dict[str, Estimate]:
    """Return populations, contrast and fidelity with errors to first order."""
    at = _corrected(values)
    step = 1e-6
    slope = np.array([(_corrected(values + step * unit) - at) / step for unit in np.eye(len(values))]).T
    errors = np.sqrt(np.diag(slope @ covariance @ slope.T))
    found = zip(("populations", "contrast", "fidelity"), at, errors, strict=True)
    return {name: Estimate(float(value), float(error), n, source) for name, value, error in found}


def _corrected(values: Floats) -> Floats:
    """Return P00 + P11, C and F of (four shares; s0, s1 of the port's atom, of the one beside; C as seen)."""
    s0, s1 = values[[4, 6]], values[[5, 7]]
    port, beside = (np.linalg.inv([[1 - low, 1 - high], [low, high]]) for high, low in zip(s0, s1, strict=True))
    shares = np.kron(port, beside) @ values[:4]
    populations, contrast = shares[0] + shares[3], values[8] / np.prod(s0 - s1)
    return np.array([populations, contrast, 0.5 * (populations + contrast)])


def _notes(estimates: dict[str, Estimate]) -> tuple[str, ...]:
    above = estimates["fidelity_raw"].sigmas_from(0.5)
    return (f"Raw fidelity {above:.1f} standard errors {'above' if above > 0 else 'below'} 1/2, which no separable "
            "pair exceeds.",) if math.isfinite(above) else ()  # fmt: skip
