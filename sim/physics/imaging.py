"""Fluorescence of one trapped atom on a photon counter.

Sources: H. Metcalf, P. van der Straten, "Laser Cooling and Trapping" (1999), for the scattering rate; A. Fuhrmanek et
al., PRL 106, 133003 (2011) for the histogram of an atom that may leave during the exposure. An atom lost at time s
counts at the bright rate until s and at the dark rate after it: the shelf between the two peaks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sim.physics.validate import require


@dataclass(frozen=True)
class Imaging:
    """Describe the counter: atom_hz clicks of one atom, background_hz clicks without it, loss_hz rate of losing it.

    loss_hz = -ln(survival)/exposure; a survival of 0.995 in 20 ms is 0.25 /s.
    """

    atom_hz: float
    background_hz: float
    loss_hz: float

    def __post_init__(self) -> None:
        for field in ("atom_hz", "background_hz", "loss_hz"):
            require(self, field, 0)


def scattering_rate(saturation: float, detuning_rad_s: float, gamma_rad_s: float) -> float:
    """Return the two-level scattering rate in 1/s: (Gamma/2) s/(1 + s + 4 Delta^2/Gamma^2), Gamma = 2 gamma."""
    return gamma_rad_s * saturation / (1 + saturation + (detuning_rad_s / gamma_rad_s) ** 2)


def click_rate(scattering_hz: float, collection: float, transmission: float, quantum_efficiency: float) -> float:
    """Return the counter's clicks per second from one atom; collection: see `sim.physics.freespace.collection`."""
    return scattering_hz * collection * transmission * quantum_efficiency


def counts(rng: np.random.Generator, exposure_s: float, present: npt.ArrayLike,
           params: Imaging) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Draw (clicks, still present) for each atom; present, bool, any shape, both results of that shape."""
    here = np.asarray(present, dtype=bool)
    lives_s = rng.exponential(size=here.shape) / params.loss_hz if params.loss_hz else np.full(here.shape, np.inf)
    bright_s = np.where(here, np.minimum(lives_s, exposure_s), 0.0)
    clicks = rng.poisson(params.atom_hz * bright_s + params.background_hz * exposure_s)
    return np.asarray(clicks, dtype=np.int64), here & (lives_s > exposure_s)


def error_rates(exposure_s: float, threshold: float, params: Imaging) -> tuple[float, float]:
    """Return (P(called absent | present at the start), P(called present | absent)) for "clicks > threshold"."""
    from scipy.special import pdtr

    dark = params.background_hz * exposure_s
    bright = params.atom_hz * exposure_s
    # Gauss-Legendre over the time of loss: the integrand is smooth, 64 points are exact to rounding for < 1000 counts.
    nodes, weights = _gauss_legendre()
    times = 0.5 * exposure_s * (nodes + 1)
    density = params.loss_hz * np.exp(-params.loss_hz * times) * weights * 0.5 * exposure_s
    lost_early = float((density * pdtr(threshold, dark + params.atom_hz * times)).sum())
    missed = math.exp(-params.loss_hz * exposure_s) * float(pdtr(threshold, dark + bright)) + lost_early
    return missed, 1 - float(pdtr(threshold, dark))


@lru_cache(maxsize=1)
def _gauss_legendre() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.polynomial.legendre.leggauss(64)


def best_threshold(exposure_s: float, params: Imaging) -> int:
    """Return the threshold in clicks that minimises the sum of both error rates."""
    highest = max(1, int((params.atom_hz + params.background_hz) * exposure_s))
    return min(range(highest + 1), key=lambda threshold: sum(error_rates(exposure_s, threshold, params)))
