"""Pound-Drever-Hall lock of a cavity: error signal, residual detuning, what it costs in photons.

With the reflection F(D) = 1 - 2 kappa_ext/(kappa + i D) at the detuning D of laser minus cavity, kappa a field rate as
everywhere, sidebands at +- Omega_m give
    eps = 2 sqrt(P_c P_s) Im[F(D) F*(D + Omega_m) - F*(D) F(D - Omega_m)].
Sources: E. Black, Am. J. Phys. 69, 79 (2001); D. Walls, G. Milburn, "Quantum Optics" (2008), ch. 7,
for F. The residual detuning is a `sim.physics.drift.Drift`; 0.05 kappa rms and 10 ms are the design's numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.cavity import CavityPort, adiabatic_efficiency
from sim.physics.validate import require

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Beyond this many kappa the signal has become too small to pull the cavity back (design table).
CAPTURE_KAPPA = 3.0


@dataclass(frozen=True)
class Modulation:
    """Describe the probe: power in the carrier and in each first sideband, modulation frequency."""

    carrier_w: float
    sideband_w: float
    modulation_rad_s: float

    def __post_init__(self) -> None:
        require(self, "carrier_w", 0)
        require(self, "sideband_w", 0)
        require(self, "modulation_rad_s", 0, above=True)


def reflection(detuning_rad_s: npt.ArrayLike, port: CavityPort) -> ComplexArray:
    """Return the reflected over the incident amplitude at the output mirror, shape of detuning_rad_s; no atom."""
    detuning = np.asarray(detuning_rad_s, dtype=float)
    return np.asarray(1 - 2 * port.kappa_ext_rad_s / (port.kappa_rad_s + 1j * detuning))


def error_signal_w(detuning_rad_s: npt.ArrayLike, port: CavityPort, light: Modulation) -> FloatArray:
    """Return the demodulated error signal in W on the photodiode, shape of detuning_rad_s (laser minus cavity)."""
    detuning = np.asarray(detuning_rad_s, dtype=float)
    carrier = reflection(detuning, port)
    upper = reflection(detuning + light.modulation_rad_s, port)
    lower = reflection(detuning - light.modulation_rad_s, port)
    beat = carrier * upper.conj() - carrier.conj() * lower
    return np.asarray(2 * math.sqrt(light.carrier_w * light.sideband_w) * beat.imag)


def slope_w_s(port: CavityPort, light: Modulation) -> float:
    """Return d eps/dD on resonance in W per rad/s: 4 sqrt(P_c P_s) Re[a F*(Om) - F(0) 2 kappa_ext/(kappa - i Om)^2],
    a = 2 kappa_ext/kappa^2; for Om >> kappa simply 8 sqrt(P_c P_s) kappa_ext/kappa^2.
    """
    kappa, om = port.kappa_rad_s, light.modulation_rad_s
    a = 2 * port.kappa_ext_rad_s / kappa**2
    side = complex(reflection(om, port)).conjugate()
    centre = complex(reflection(0.0, port)).real
    bracket = a * side - centre * 2 * port.kappa_ext_rad_s / (kappa - 1j * om) ** 2
    return 4 * math.sqrt(light.carrier_w * light.sideband_w) * bracket.real


def is_locked(detuning_rad_s: float, port: CavityPort) -> bool:
    """Tell whether the lock still holds: |D| <= 3 kappa."""
    return abs(detuning_rad_s) <= CAPTURE_KAPPA * port.kappa_rad_s


def mean_adiabatic_efficiency(port: CavityPort, rms_rad_s: float) -> float:
    """Return the adiabatic extraction efficiency averaged over a Gaussian residual detuning around 0.

    With A = 1 + 2C and s = rms/kappa, <1/(A + x^2)> = sqrt(pi/(2A)) erfcx(sqrt(A/2)/s)/s. The port's own detuning_rad_s
    must be 0.
    """
    if rms_rad_s == 0:
        return adiabatic_efficiency(port)
    if port.detuning_rad_s != 0:
        raise ScenarioError(f"CavityPort.detuning_rad_s is {port.detuning_rad_s!r}, but must be 0 for the average over "
                            "the lock's detuning: leave it out.")
    from scipy.special import erfcx

    a, s = 1 + 2 * port.cooperativity, rms_rad_s / port.kappa_rad_s
    mean = math.sqrt(math.pi / (2 * a)) * float(erfcx(math.sqrt(a / 2) / s)) / s
    return port.escape * (a - 1) * mean
