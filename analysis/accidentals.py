"""Heralds that did not come from photons alone: predicted from what the lab believes, bounded from patterns that pairs
cannot make.

Predicted: the closed form of the scheme (`analysis.heralding`) with believed dark rate, gate and visibility, and the
efficiency (equal for both nodes) that gives the measured herald probability. Measured, of the polarisation scheme with
both outputs: a photon and a dark click, or two dark clicks, fill the four patterns that herald twice as often as the
two of one polarisation, c_h & d_h and c_v & d_v. Photon pairs fill those too where interference is imperfect, so this
is an upper bound. The other schemes have no pattern that only accidents make.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis import heralding
from analysis.estimates import Estimate, ratio
from analysis.load import Run
from atomlink.heralds import same_polarisation

SOURCE = "closed form of {}; believed dark rate, gate, visibility; efficiency from the herald probability"


@dataclass(frozen=True)
class Accidentals:
    """Accidental fraction: predicted (with the fidelity it allows) and measured, an upper bound; None where unknown.

    `unmeasured` says why nothing was measured.
    """

    predicted: Estimate | None
    fidelity: Estimate | None
    measured: Estimate | None
    unmeasured: str = ""


def estimate_accidentals(run: Run, probability: Estimate, accepted: tuple[int, ...]) -> Accidentals:
    """Return the accidental fraction of a run with this herald probability and these accepted patterns."""
    predicted, fidelity = _predict(run, probability)
    if run.scheme != "polarisation" or not same_polarisation(run.detectors):
        why = f"scheme {run.scheme}, detectors {', '.join(run.detectors)}: no pattern that only accidents make"
        return Accidentals(predicted, fidelity, None, why)
    measured = _measure(run, accepted)
    return Accidentals(predicted, fidelity, measured, "" if measured else "the file has no `link.pattern_counts`")


def _predict(run: Run, probability: Estimate) -> tuple[Estimate | None, Estimate | None]:
    believed = heralding.of_run(run, eta=(0.0, 0.0))
    if believed is None:
        return None, None
    found = [believed.at_probability(p) for p in (probability.value, probability.value + probability.error)]
    if found[0] is None or found[1] is None:
        return None, None
    source, n = SOURCE.format(run.scheme), probability.n
    fractions = [each.accidental for each in found if each]
    fidelities = [each.closed_form.fidelity for each in found if each]
    return (Estimate(fractions[0], abs(fractions[1] - fractions[0]), n, source),
            Estimate(fidelities[0], abs(fidelities[1] - fidelities[0]), n, source))  # fmt: skip


def _measure(run: Run, accepted: tuple[int, ...]) -> Estimate | None:
    """Bound the fraction: dark clicks fill the accepted patterns twice as often as the two of one polarisation."""
    counts, attempts = (run.datasets.get(f"link.pattern_{name}") for name in ("counts", "attempts"))
    if counts is None:
        return None
    alike = list(same_polarisation(run.detectors))  # interfering photons never make them
    same, heralds = int(np.sum(counts[alike])), int(np.sum(counts[list(accepted)]))
    source = "upper bound: 2 x patterns of one polarisation, which imperfect interference fills too"
    looked = 1.0
    if attempts is not None:  # the gateware looked for them in attempts of their own
        others, own = (max(attempts[list(which)]) for which in (alike, accepted))
        if not others:
            return None
        looked = float(own) / float(others)
    return 2 * looked * ratio(same, heralds, source) if heralds else None
