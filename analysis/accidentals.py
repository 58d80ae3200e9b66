"""Heralds that did not come from two photons: predicted from what the lab believes, bounded from patterns that pairs
cannot make.

Predicted: the closed form of `sim.physics.heralding` for two photons with believed dark rate, gate and visibility,
and the efficiency (equal for both nodes) that gives the measured herald probability. Everything but "both photons,
one H and one V" is accidental. Measured: a photon and a dark click, or two dark clicks, fill the four patterns that
herald twice as often as the two of one polarisation, c_h & d_h and c_v & d_v. Photon pairs fill those too where
interference is imperfect, so this is an upper bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from analysis.estimates import Estimate, ratio
from analysis.load import Run
from atomlink.heralds import same_polarisation
from sim.physics.heralding import HeraldPrediction, TwoPhoton, two_photon_polarisation

BELIEFS = (
    ("link.dark_rate_belief_hz", "dark_rate_hz"),
    ("link.t_gate_s", "t_gate_s"),
    ("link.visibility_belief", "visibility"),
)


@dataclass(frozen=True)
class Accidentals:
    """Accidental fraction: predicted (with the fidelity it allows) and measured, an upper bound; None where unknown."""

    predicted: Estimate | None
    fidelity: Estimate | None
    measured: Estimate | None


def estimate_accidentals(run: Run, probability: Estimate, accepted: tuple[int, ...]) -> Accidentals:
    """Return the accidental fraction of a run with this herald probability and these accepted patterns."""
    predicted, fidelity = _predict(run, probability)
    return Accidentals(predicted, fidelity, _measure(run, accepted))


def _predict(run: Run, probability: Estimate) -> tuple[Estimate | None, Estimate | None]:
    beliefs = [run.belief(key, run.link.of_station(belief)) for key, belief in BELIEFS]
    if any(belief is None for belief in beliefs):
        return None, None
    rate_hz, gate_s, visibility = (float(np.mean(belief)) for belief in beliefs)
    dark = -math.expm1(-rate_hz * gate_s)
    centre, high = (
        _at_probability(p, dark, visibility) for p in (probability.value, probability.value + probability.error)
    )
    if centre is None or high is None:
        return None, None
    source = "closed form; believed dark rate, gate, visibility; efficiency from the herald probability"
    fractions = [1 - prediction.parts["true"] / prediction.probability for prediction in (centre, high)]
    return (
        Estimate(fractions[0], abs(fractions[1] - fractions[0]), probability.n, source),
        Estimate(centre.fidelity, abs(high.fidelity - centre.fidelity), probability.n, source),
    )


def _at_probability(p: float, dark: float, visibility: float) -> HeraldPrediction | None:
    """Return the closed form at the efficiency, equal for both nodes, that gives this probability, if any."""

    def at(eta: float) -> HeraldPrediction:
        return two_photon_polarisation(TwoPhoton(eta, eta, dark, visibility))

    if not at(0.0).probability < p < at(1.0).probability:
        return None
    return at(float(brentq(lambda eta: at(eta).probability - p, 0.0, 1.0, xtol=1e-12)))


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
        others, heralding = (max(attempts[list(which)]) for which in (alike, accepted))
        if not others:
            return None
        looked = float(heralding) / float(others)
    return 2 * looked * ratio(same, heralds, source) if heralds else None
