"""Closed forms for the probability and fidelity of a herald.

They check the click-level simulation, which does not use them. Symbols: eta_a, eta_b probability that a bright atom
gives a click, end to end; d probability of a dark click per detector and window, q = 1 - d; V = <|<psi_A|psi_B>|^2>
two-photon visibility. Detectors do not resolve photon number. Sources: counted case by case in
tests/physics/README.md; for the schemes C. Cabrillo et al., PRA 59, 1025 (1999) (one photon), S. Barrett, P. Kok, PRA
71, 060310 (2005) (two rounds), C. Simon, W. Irvine, PRL 91, 110405 (2003) (polarisation).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sim.physics.validate import require


@dataclass(frozen=True)
class TwoPhoton:
    """Describe a two-photon link: efficiencies, dark probability per detector and window, visibility.

    phase_sigma_rad: rms drift of the optical phase between the two rounds (Barrett-Kok only; the polarisation scheme
    has one round).
    """

    eta_a: float
    eta_b: float
    dark_probability: float
    visibility: float
    phase_sigma_rad: float = 0.0

    def __post_init__(self) -> None:
        for name in ("eta_a", "eta_b", "visibility"):
            require(self, name, 0, 1)
        require(self, "dark_probability", 0, 1, below=True)
        require(self, "phase_sigma_rad", 0)


@dataclass(frozen=True)
class OnePhoton:
    """Describe a one-photon link: equal efficiencies, bright fraction, mode overlap, rms path phase.

    visibility V = <|<psi_A|psi_B>|^2> and overlap M = |<<psi_A|psi_B>>| differ: M = sqrt(V) for fixed pure modes, M =
    V for Gaussian detuning.
    """

    eta: float
    bright_fraction: float
    dark_probability: float
    visibility: float
    overlap: float
    phase_sigma_rad: float = 0.0

    def __post_init__(self) -> None:
        for name in ("eta", "bright_fraction", "visibility", "overlap"):
            require(self, name, 0, 1)
        require(self, "dark_probability", 0, 1, below=True)
        require(self, "phase_sigma_rad", 0)


@dataclass(frozen=True)
class HeraldPrediction:
    """Hold the probability per attempt, the mean fidelity of the heralded pair, and the probability of each cause.

    fidelity is nan where nothing can herald.
    """

    probability: float
    fidelity: float
    parts: Mapping[str, float]


def two_photon_polarisation(link: TwoPhoton) -> HeraldPrediction:
    """Predict the polarisation Bell measurement: exactly one H and one V click at four detectors.

    parts: true (both photons), bunched (two photons at one detector and a dark click; fidelity 0), one_dark,
    two_dark.
    """
    return _two_photon(link, coherence=link.visibility)


def barrett_kok(link: TwoPhoton) -> HeraldPrediction:
    """Predict the time-bin scheme with two detectors: exactly one click in each of two rounds.

    Bins take the place of polarisations, so the counting is the same; phase drift between the rounds lowers the
    coherent term.
    """
    return _two_photon(link, coherence=link.visibility * math.exp(-0.5 * link.phase_sigma_rad**2))


def one_photon(link: OnePhoton) -> HeraldPrediction:
    """Predict exactly one click at two detectors, both atoms bright with probability bright_fraction.

    parts: one_bright (one atom bright and its photon seen), one_bright_dark (its photon lost, a dark click),
    two_bright, none_bright.
    """
    eta, alpha, d = link.eta, link.bright_fraction, link.dark_probability
    q = 1 - d
    single = 2 * alpha * (1 - alpha)
    both_clicks = 2 * eta * (1 - eta) + eta**2 * (1 + link.visibility) / 2 + 2 * (1 - eta) ** 2 * d
    parts = {
        "one_bright": q * single * eta,
        "one_bright_dark": q * single * 2 * (1 - eta) * d,
        "two_bright": q * alpha**2 * both_clicks,
        "none_bright": q * 2 * (1 - alpha) ** 2 * d,
    }
    coherence = link.overlap * math.exp(-0.5 * link.phase_sigma_rad**2)
    good = parts["one_bright"] * (1 + coherence) / 2 + parts["one_bright_dark"] / 2
    return _prediction(parts, good)


def _two_photon(link: TwoPhoton, coherence: float) -> HeraldPrediction:
    a, b, d = link.eta_a, link.eta_b, link.dark_probability
    q2 = (1 - d) ** 2
    parts = {
        "true": q2 * a * b / 2,
        "bunched": q2 * d * a * b * (1 + link.visibility) / 2,
        "one_dark": 2 * d * q2 * (a * (1 - b) + b * (1 - a)),
        "two_dark": 4 * d**2 * q2 * (1 - a) * (1 - b),
    }
    good = parts["true"] * (1 + coherence) / 2 + (parts["one_dark"] + parts["two_dark"]) / 4
    return _prediction(parts, good)


def _prediction(parts: dict[str, float], good: float) -> HeraldPrediction:
    total = sum(parts.values())
    return HeraldPrediction(total, good / total if total > 0 else math.nan, MappingProxyType(parts))
