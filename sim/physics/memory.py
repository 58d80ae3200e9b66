"""A photon stored in an ensemble by electromagnetically induced transparency (EIT).

The best retrieval backwards from an ensemble of optical depth OD is the top eigenvalue of the kernel over 0..1
    K(z, z') = (D/2) e^(-D (z + z')/2) I_0(D sqrt(z z')),    D = OD/2,
and storage is its time reverse: both together at best the square. It holds for any pulse shorter than the coherence and
longer than 1/(D gamma). Afterwards motion dephases the spin wave as e^(-t^2/tau^2). Default tau 200
us: the design's number for a thermal ensemble. Source: A. V. Gorshkov, A. Andre, M. D. Lukin, A. S. Sorensen, PRA 76,
033805 (2007), their d = D: intensity transmission e^(-2d).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sim.physics.validate import require

_NODES = 200  # Gauss-Legendre points; for this smooth kernel exact to 1e-13 up to OD 1000


@dataclass(frozen=True)
class Memory:
    """Describe an ensemble by its resonant optical depth (intensity e^-OD) and the 1/e time of the stored spin wave."""

    optical_depth: float
    coherence_s: float = 200e-6

    def __post_init__(self) -> None:
        require(self, "optical_depth", 0, 1000)
        require(self, "coherence_s", 0, above=True)


def retrieval(optical_depth: float) -> float:
    """Return the best retrieval (or storage) efficiency, the top eigenvalue of the kernel."""
    from scipy.special import ive

    d = optical_depth / 2
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    root = np.sqrt(0.5 * (nodes + 1))
    # I_0 grows as fast as the exponential falls: together e^(-D (sqrt z - sqrt z')^2/2).
    kernel = d / 2 * np.exp(-d / 2 * (root[:, None] - root) ** 2) * ive(0, d * np.outer(root, root))
    scale = np.sqrt(0.5 * weights)
    return float(np.linalg.eigvalsh(scale[:, None] * kernel * scale)[-1])


def efficiency(memory: Memory, stored_s: float) -> float:
    """Return the probability to get a photon back after stored_s, pulse and control field shaped at best."""
    return retrieval(memory.optical_depth) ** 2 * math.exp(-((stored_s / memory.coherence_s) ** 2))
