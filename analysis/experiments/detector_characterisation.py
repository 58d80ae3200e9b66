"""Dark rates, recovery and after-pulses. Twin of experiments/setup/detector_characterisation.py.

Under steady light a click that came w ago leaves the click rate at rate (1 - exp(-w/recovery)): a nanowire's bias
returns exponentially. The rate after a wait w is the number of next clicks that came there over the time that clicks
spent waiting there, so waits that the gate's end cut off count as far as they went. After-pulses: how many dark clicks
are followed by another within the bins, less those that darkness brings by itself. Fits: Poisson maximum likelihood.
Source: A. J. Kerman et al., APL 88, 111116 (2006), for the recovery.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis import fits, scan_figures
from analysis.estimates import PER_S, Estimate, binomial, rate
from analysis.figures import INK, canvas, colour, legend_above, styled
from analysis.load import Run
from analysis.models import RECOVERY
from analysis.result import Result, columns
from atomlink.errors import DataError
from atomlink.link_name import of_station

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 200  # clicks of a detector under light
EDGES = (*range(1, 61, 6), *range(61, 121, 12), *range(121, 321, 40))  # bins of the fit, in bins of the waits


def points(run: Run) -> dict[str, fits.Points]:
    """Return the click rate against the time since the last click, by detector."""
    followed, unfollowed, longer, t_bin = columns(run, "followed", "unfollowed", "longer_mu", "t_bin_s")
    width_s = float(t_bin)
    followed, unfollowed = (np.asarray(waits).reshape(-1, len(run.detectors), waits.shape[-1]).sum(axis=0)
                            for waits in (followed, unfollowed))  # fmt: skip
    beyond = np.asarray(longer).reshape(-1, len(run.detectors)).sum(axis=0)
    found = {}
    for k, name in enumerate(run.detectors):
        waiting = np.cumsum((followed[k] + unfollowed[k])[::-1])[::-1].astype(float)  # still waiting in each bin
        waiting[-1] += float(beyond[k])
        starts = [start for start in EDGES if start < len(waiting) - 1]
        n, exposure = (np.add.reduceat(column, [*starts, len(waiting) - 1]) for column in (followed[k], waiting))
        if n.sum() < FEWEST:
            raise DataError(f"Run {run.label} has {n.sum()} waits of {name} under light, must be {FEWEST}: take more "
                            "gates, and look at the calibration light.")  # fmt: skip
        middle = [(a + b - 1) / 2 for a, b in zip(starts, [*starts[1:], len(waiting) - 1], strict=True)]
        found[name] = fits.counts(np.array([*middle, len(waiting) - 1]) * width_s, n, exposure * width_s)
    return found


def analyse(run: Run) -> Result:
    """Return dark rate, recovery, shortest wait, click rate under light and after-pulses of each detector."""
    dark = dark_rates(run)
    followers, stamped = (sums(run, name) for name in ("followers", "stamped"))
    found, refusals = fits.fit_each(RECOVERY, points(run), unit_x="s", unit_y=PER_S)
    span_s = _bins(run) * float(columns(run, "t_bin_s")[0])
    estimates: dict[str, Estimate] = {}
    for k, name in enumerate(run.detectors):
        estimates[f"{name}.dark_rate_hz"] = dark[name]
        if name in found:
            estimates[f"{name}.t_recovery_s"] = found[name]["recovery"]
            estimates[f"{name}.lit_rate_hz"] = found[name]["rate"]
        if stamped[k]:
            chance = dark[name].value * span_s  # that another dark click comes by itself
            after = binomial(int(followers[k]), int(stamped[k]), "followers/clicks")
            estimates[f"{name}.p_afterpulse"] = after - chance
    mean = replace(rate(int(sums(run, "dark").sum()), float(sums(run, "t_dark_s").sum())), unit=PER_S)
    stamp_ns = float(columns(run, "t_bin_s")[0]) * 1e9
    notes = (f"Jitter: not seen. Time stamps have {stamp_ns:g} ns, an rms of {0.29 * stamp_ns:.2g} ns by themselves.",
             f"After-pulses: within {span_s * 1e9:.0f} ns.")  # fmt: skip
    return Result("Detector characterisation", estimates=estimates | {"dark_rate_hz": mean},
                  updates={of_station(run.text("scan.station"), "dark_rate_hz"): mean},
                  fits=found, refusals=refusals, notes=notes)  # fmt: skip


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the click rate after a click for each detector, and their dark rates."""
    figure, (left, right) = canvas(run, 9.6, 3.4, columns=2, share=False)
    series: dict[str, Any] = {name: (data, result.fits.get(name)) for name, data in points(run).items()}
    scan_figures.draw_scan(left, series, "s")
    left.set(xlabel="time since the last click (ns)", ylabel="clicks per µs under light")
    left.yaxis.set_major_formatter(lambda per_s, _: f"{per_s * 1e-6:g}")
    legend_above(left, 2)
    rates = dark_rates(run)
    for k, name in enumerate(run.detectors):
        right.errorbar(k, rates[name].value, rates[name].error, fmt="o", ms=4, color=colour(k))
    mean = result.estimates["dark_rate_hz"]
    right.axhline(mean.value, color=INK, lw=0.8, ls="--", label=f"mean {mean.quantity()}")
    right.set(xticks=range(len(run.detectors)), xticklabels=run.detectors, ylabel="dark clicks per second",
              xlim=(-0.5, len(run.detectors) - 0.5))  # fmt: skip
    legend_above(right, 2)
    return figure


def sums(run: Run, name: str) -> Any:
    """Return a column (rows, detectors) added up over the rows."""
    return np.asarray(columns(run, name)[0]).reshape(-1, len(run.detectors)).sum(axis=0)


def dark_rates(run: Run) -> dict[str, Estimate]:
    """Return the dark counts per second of each detector."""
    counts, times = sums(run, "dark"), sums(run, "t_dark_s")
    rates = (replace(rate(int(n), float(t)), unit=PER_S) for n, t in zip(counts, times, strict=True))
    return dict(zip(run.detectors, rates, strict=True))


def _bins(run: Run) -> int:
    return int(np.shape(columns(run, "followed")[0])[-1]) - 1
