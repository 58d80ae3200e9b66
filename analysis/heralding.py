"""What a link's heralds are, as the lab believes: how likely, in which state, and how many of them by accident.

The closed forms of `sim.physics.heralding`, one for each scheme:

    polarisation             one H and one V click; knows no optical phase
    time_bin, barrett_kok    one click in each of two rounds; the phase's walk between them costs coherence
    one_photon               exactly one click, both atoms bright with the bright fraction, in full and not to its first
                             order; the phase's walk since it was read costs coherence. The photons' overlap is sqrt(V),
                             of pure modes. Ends that differ: the click comes from either with its own efficiency, which
                             leaves 2 sqrt(eta_a eta_b)/(eta_a + eta_b) of the coherence

Accidental is a herald that there would not be without dark clicks. A station that sees a part of its scheme's patterns
has that part of the heralds, their states alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from analysis.load import Run
from atomlink.errors import DataError
from atomlink.heralds import TWO_ROUNDS, share_seen
from atomlink.link_name import LinkName
from sim.physics.heralding import (
    HeraldPrediction,
    OnePhoton,
    TwoPhoton,
    barrett_kok,
    one_photon,
    two_photon_polarisation,
)

# Belief of the station, and under which name a run of pairs files what it went by.
OF_STATION = {"dark_rate_hz": "link.dark_rate_belief_hz", "t_gate_s": "link.t_gate_s",
              "visibility": "link.visibility_belief"}  # fmt: skip


@dataclass(frozen=True)
class Heralds:
    """The heralds of a scheme with these photons; `seen`: of its patterns, those that the station's detectors see."""

    scheme: str
    photons: TwoPhoton
    seen: float = 1.0
    bright_fraction: float | None = None

    def __post_init__(self) -> None:
        if (self.scheme == "one_photon") != (self.bright_fraction is not None):
            raise DataError(f"Scheme {self.scheme!r} must not have bright_fraction={self.bright_fraction}: one photon "
                            "needs a fraction, and no other scheme has it.")  # fmt: skip

    @property
    def closed_form(self) -> HeraldPrediction:
        """Return the closed form of the scheme, for a station that sees all its patterns."""
        if self.bright_fraction is not None:
            return self._one_photon(self.bright_fraction)
        return (barrett_kok if self.scheme in TWO_ROUNDS else two_photon_polarisation)(self.photons)

    @property
    def probability(self) -> float:
        """Return the herald probability of an attempt with both atoms."""
        return self.seen * self.closed_form.probability

    @property
    def state(self) -> tuple[float, float]:
        """Return <XX> = <YY> and <ZZ> of a herald in the frame of Psi+; nan where nothing heralds."""
        found = self.closed_form
        if not found.probability > 0:
            return math.nan, math.nan
        share = {part: value / found.probability for part, value in found.parts.items()}
        v, fringe = self.photons.visibility, math.exp(-0.5 * self.photons.phase_sigma_rad**2)
        if self.bright_fraction is not None:
            differ = share["one_bright"] + share["one_bright_dark"]
            return share["one_bright"] * math.sqrt(v) * self._balance() * fringe, 1 - 2 * differ
        if self.scheme == "polarisation":
            fringe = 1.0
        return share["true"] * v * fringe, share["bunched"] - share["true"]

    @property
    def accidental(self) -> float:
        """Return the share of heralds that there would not be without dark clicks."""
        silent = 1 if self.scheme == "one_photon" else 2  # gates that must stay dark beside those that click
        alone = self.changed(dark_probability=0.0).closed_form.probability
        return 1 - (1 - self.photons.dark_probability) ** silent * alone / self.closed_form.probability

    @property
    def first_round(self) -> float:
        """Return the probability of exactly one click in the first of two rounds, in which half of the atoms emit."""
        return self._one_photon(0.5).probability

    def changed(self, **photons: float) -> Heralds:
        """Return the heralds of photons that differ in this."""
        return replace(self, photons=replace(self.photons, **photons))

    def at_probability(self, p: float) -> Heralds | None:
        """Return the heralds with the efficiency, equal at both ends, that gives this probability; None where none."""

        def at(eta: float) -> Heralds:
            return self.changed(eta_a=eta, eta_b=eta)

        if not at(0.0).probability < p < at(1.0).probability:
            return None
        return at(float(brentq(lambda eta: at(eta).probability - p, 0.0, 1.0, xtol=1e-12)))

    def _one_photon(self, bright_fraction: float) -> HeraldPrediction:
        link = self.photons
        return one_photon(OnePhoton(0.5 * (link.eta_a + link.eta_b), bright_fraction, link.dark_probability,
                                    link.visibility, math.sqrt(link.visibility) * self._balance(),
                                    link.phase_sigma_rad))  # fmt: skip

    def _balance(self) -> float:
        a, b = self.photons.eta_a, self.photons.eta_b
        return 2 * math.sqrt(a * b) / (a + b) if a + b > 0 else 1.0


def believed(link: LinkName, scheme: str, roles: Sequence[str], belief: Callable[[str], float],
             bright_fraction: float | None = None) -> Heralds:  # fmt: skip
    """Return the heralds of a link by beliefs; `belief` returns that of a name, `roles` are the station's detectors."""
    eta = [belief(link.of_channel(end, "efficiency")) for end in range(2)]
    dark_hz, gate_s, visibility = (belief(link.of_station(key)) for key in OF_STATION)
    return Heralds(scheme, _photons(eta, dark_hz, gate_s, visibility), share_seen(scheme, roles), bright_fraction)


def of_run(run: Run, eta: Sequence[float] | None = None) -> Heralds | None:
    """Return the heralds that a run of pairs believed in; None where its file lacks what they rest on.

    `eta`: efficiencies in place of those believed. The phase had the time to walk that the run says.
    """
    link, bright = run.link, run.datasets.get("link.bright_fraction")
    found = [run.belief(filed, link.of_station(key)) for key, filed in OF_STATION.items()]
    ends = [run.belief(link.of_channel(end, "efficiency")) for end in range(2)] if eta is None else list(eta)
    if None in ends or any(value is None for value in found) or (run.scheme == "one_photon") != (bright is not None):
        return None
    dark_hz, gate_s, visibility = (float(np.mean(value)) for value in found)
    walk = run.belief(link.of_station("phase_walk_rad2_s"))
    sigma_rad = math.sqrt(float(walk or 0.0) * phase_age_s(run))
    photons = _photons([float(end) for end in ends], dark_hz, gate_s, visibility, sigma_rad)
    seen = share_seen(run.scheme, run.detectors)
    return Heralds(run.scheme, photons, seen, None if bright is None else float(bright))


def phase_age_s(run: Run) -> float:
    """Return the time that the optical phase had to walk: since it was read, or between two rounds; else 0."""
    return float(run.datasets.get("link.t_phase_s", run.datasets.get("link.t_rounds_s", 0.0)))


def _photons(eta: Sequence[float], dark_hz: float, gate_s: float, visibility: float,
             sigma_rad: float = 0.0) -> TwoPhoton:  # fmt: skip
    first, second = (min(max(value, 0.0), 1.0) for value in eta)
    return TwoPhoton(first, second, -math.expm1(-dark_hz * gate_s), visibility, sigma_rad)
