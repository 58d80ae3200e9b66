"""Light switched by an acousto-optic modulator.

Source: A. Yariv, P. Yeh, "Optical Waves in Crystals" (1984), ch. 9: in the Bragg regime the diffracted power is
sin^2(pi/2 sqrt(P_rf/P_sat)). Sound crossing a Gaussian beam of waist w switches it as an error function in time.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.physics.validate import require

# 10-90 % of an error-function edge, in units of the standard deviation of its derivative.
_RISE_SIGMAS = 2 * 1.2815515655446004


@dataclass(frozen=True)
class Aom:
    """Describe one beam's modulator.

    saturation_w is the rf power of full diffraction; full_scale_w the rf power at the modulator for DDS amplitude 1
    and no attenuation. rise_s: 10-90 % of the optical power, 0.64 w/v for a beam of 1/e^2 diameter 2w = 160 um in
    TeO2 (v = 4.2 km/s). latency_s: sound travel of 2.1 mm from transducer to beam. Both measured per beam in a real
    lab.
    """

    saturation_w: float
    full_scale_w: float
    rise_s: float = 25e-9
    latency_s: float = 0.5e-6

    def __post_init__(self) -> None:
        require(self, "saturation_w", 0, above=True)
        require(self, "full_scale_w", 0)
        require(self, "rise_s", 0, 1e-5)
        require(self, "latency_s", 0, 1e-4)

    def diffraction(self, rf_fraction: float) -> float:
        """Return P/P0 of the diffracted light for an rf power of `rf_fraction` of full_scale_w."""
        drive = math.sqrt(rf_fraction * self.full_scale_w / self.saturation_w)
        return math.sin(math.pi / 2 * drive) ** 2


def rf_fraction(amplitude: float, attenuation_db: float) -> float:
    """Return the rf power relative to full scale, for a DDS amplitude in [0, 1] and a step attenuation in dB."""
    return amplitude**2 * 10 ** (-attenuation_db / 10)


def envelope(t_s: npt.ArrayLike, t_on_s: float, t_off_s: float, rise_s: float) -> npt.NDArray[np.float64]:
    """Return the optical power, 0 to 1, of a pulse whose edges pass one half at t_on_s and t_off_s.

    t_s, float, any shape; the result has the same shape. A pulse shorter than rise_s does not reach 1.
    """
    t = np.asarray(t_s, dtype=np.float64)
    return _edge(t - t_on_s, rise_s) - _edge(t - t_off_s, rise_s)


def _edge(t: npt.NDArray[np.float64], rise_s: float) -> npt.NDArray[np.float64]:
    if rise_s == 0:
        return (t >= 0).astype(np.float64)
    return 0.5 * (1 + _erf(t * (_RISE_SIGMAS / (math.sqrt(2) * rise_s))))


def _erf(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return erf(x) to 1.5e-7 (Abramowitz and Stegun 7.1.26); numpy has none and scipy takes long to import."""
    y = np.abs(x)
    k = 1 / (1 + 0.3275911 * y)
    poly = k * (0.254829592 + k * (-0.284496736 + k * (1.421413741 + k * (-1.453152027 + k * 1.061405429))))
    return np.sign(x) * (1 - poly * np.exp(-y * y))
