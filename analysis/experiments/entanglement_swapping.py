"""Fidelity of the pair of two ends that a swap made. Twin of experiments/network/entanglement_swapping.py.

What the middle's atoms showed, x1 and x2 (0 where one is left), turns the signs: -(-1)^x1 of X Z, -(-1)^x2 of Z X,
(-1)^(x1 + x2) of Y Y. Raw fidelity: a quarter of one and the three correlators, as the images say, lost atoms counted
as they look. Errors: Jeffreys, binomial. The four outcomes of the middle should come equally often. Predicted from what
the lab believes: `analysis.swap`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis import swap
from analysis.estimates import Estimate, binomial, rate
from analysis.figures import ACCENT, INK, PALE, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.result import Result, columns
from analysis.swap import GONE, SETTINGS, correlators
from atomlink.errors import DataError
from atomlink.link_name import LinkName

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Ints = npt.NDArray[np.int64]
MIDDLE = ("left, left", "left, gone", "gone, left", "gone, gone")  # the middle's stored atom, its other one


def counts(run: Run) -> Ints:
    """Return how often each outcome came, shape (3 settings, 16); DataError where a setting has none."""
    (table,) = columns(run, "table")
    total = np.asarray(table, dtype=np.int64).reshape(-1, len(SETTINGS), 16).sum(axis=0)
    if not total.sum(axis=1).all():
        raise DataError(f"Run {run.label} has a setting without a swap, must have one at least of each of "
                        f"{', '.join(SETTINGS)}: take more shots.")  # fmt: skip
    return np.asarray(total)


def analyse(run: Run) -> Result:
    """Return correlators and fidelity of the ends' pair, how often each outcome of the middle came, rate and waits."""
    table = counts(run)
    n = int(table.sum())
    estimates: dict[str, Estimate] = {}
    found = correlators(table)
    estimates |= dict(zip(SETTINGS, found, strict=True))
    raw = (1.0 + found[0] + found[1] + found[2]) * 0.25
    estimates["fidelity_raw"] = Estimate(raw.value, raw.error, n, "as the images say")
    outcomes = table.sum(axis=0)
    for k, said in enumerate(MIDDLE):
        here = outcomes[2 * GONE[:, 1] + GONE[:, 2] == k].sum()
        estimates[f"middle ({said})"] = binomial(int(here), n, "share of swaps")
    stored, pulses, lab, given_up = (float(np.sum(values)) for values in
                                     columns(run, "t_stored_s", "pulses", "t_lab_s", "given_up"))  # fmt: skip
    estimates["rate"] = rate(n, lab, "swaps per s, loading included")
    estimates["given_up"] = binomial(int(given_up), n + int(given_up), "of the stored pairs")
    estimates["t_stored_s"] = Estimate(stored / n, 0.0, n, "mean", "s")
    estimates["pulses"] = Estimate(pulses / n, 0.0, n, "mean of refocusing pulses")
    expected = predicted(run, stored / n)
    if expected is not None:
        estimates["fidelity_predicted"] = Estimate(expected.fidelity, 0.0, 0, "two links, storage, gate as believed")
    above = estimates["fidelity_raw"].sigmas_from(0.5)
    notes = (f"Raw fidelity {above:.1f} standard errors {'above' if above > 0 else 'below'} 1/2, which no separable "
             "pair exceeds.",) if math.isfinite(above) else ()  # fmt: skip
    return Result("Swapped pair", estimates, notes=notes)


def predicted(run: Run, t_stored_s: float) -> swap.Correlators | None:
    """Return what the beliefs in the file make; None where one is missing."""
    links = [LinkName.parse(name) for name in run.text("scan.links").split(",")]
    atoms = run.text("scan.nodes").split(",")
    believed = {name: run.belief(name) for name in swap.beliefs(links, atoms)}
    if any(value is None for value in believed.values()):
        return None
    known = {name: float(value) for name, value in believed.items() if value is not None}
    return swap.predicted(known, links, atoms, [float(t) for t in run.datasets["scan.t_zeeman_s"]], t_stored_s)


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the three correlators and the fidelity beside what the lab believes, and the middle's outcomes."""
    picture, (axes, bars) = canvas(run, 9.6, 3.6, columns=2, share=False)
    names = (*SETTINGS, "fidelity_raw")
    found = [result.estimates[name] for name in names]
    axes.errorbar(range(4), [each.value for each in found], [each.error for each in found], fmt="o", ms=5,
                  color=SIDE_COLOURS[0], ecolor=INK, elinewidth=1.2, label="measured, raw")  # fmt: skip
    expected = predicted(run, result.estimates["t_stored_s"].value)
    if expected is not None:
        values = [expected.xz, expected.zx, expected.yy, expected.fidelity]
        axes.hlines(values, np.arange(4) - 0.3, np.arange(4) + 0.3, color=ACCENT, lw=1.2, label="from beliefs")
    axes.axhline(0.5, color=PALE, lw=0.9, ls="--", label="F of separable pairs: at most 1/2")
    axes.set_xticks(range(4), ["⟨XZ⟩", "⟨ZX⟩", "⟨YY⟩", "F"])
    axes.set(xlim=(-0.6, 3.6), ylim=(0, 1.05), ylabel="correlator, fidelity")
    legend_above(axes, 3)
    shares = [result.estimates[f"middle ({said})"] for said in MIDDLE]
    bars.bar(range(4), [each.value for each in shares], yerr=[each.error for each in shares], width=0.6,
             color=SIDE_COLOURS[1], label="measured")  # fmt: skip
    bars.axhline(0.25, color=ACCENT, lw=1.1, label="each a quarter")
    bars.set_xticks(range(4), list(MIDDLE))
    bars.set(xlabel="atoms of the middle: stored one, other one", ylabel="share of swaps", ylim=(0, 0.5))
    legend_above(bars, 2)
    return picture
