"""Quantum frequency conversion of the photons for a long fibre: efficiency, wavelength, noise.

Difference-frequency mixing in a waveguide of length L converts sin^2(L sqrt(eta_n P)), all of it at the pump power
P_max; coupling and filters take the rest. Pump-induced photons (Raman scattering) leave the converter at a rate
proportional to the pump power and reach the detectors unpolarised, where they count as dark clicks.
Sources: S. Zaske et al., PRL 109, 147404 (2012), for the sin^2 and the noise; T. van Leent et al., PRL 124, 010510
(2020), arXiv 1909.01006, for a polarisation-preserving converter with an external efficiency of 0.57.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from atomlink.errors import ScenarioError
from sim.physics.validate import require


@dataclass(frozen=True)
class Converter:
    """Describe a converter.

    external_efficiency: photon in to photon out at pump_max_w. noise_hz_w: noise photons per second and watt of pump
    that leave the filters. pump_w: the power in use.
    """

    wavelength_in_m: float
    wavelength_pump_m: float
    external_efficiency: float
    pump_max_w: float
    pump_w: float
    noise_hz_w: float

    def __post_init__(self) -> None:
        for field in ("wavelength_in_m", "pump_max_w"):
            require(self, field, 0, above=True)
        require(self, "external_efficiency", 0, 1)
        require(self, "pump_w", 0)
        require(self, "noise_hz_w", 0)
        require(self, "wavelength_pump_m", 0, above=True)
        if self.wavelength_pump_m <= self.wavelength_in_m:
            raise ScenarioError(f"Converter.wavelength_pump_m is {self.wavelength_pump_m!r}, but must be above "
                                f"wavelength_in_m = {self.wavelength_in_m!r}: the pump takes a part of the photon's "
                                "energy.")


def wavelength_out_m(converter: Converter) -> float:
    """Return the converted wavelength: 1/out = 1/in - 1/pump."""
    return 1 / (1 / converter.wavelength_in_m - 1 / converter.wavelength_pump_m)


def efficiency(converter: Converter) -> float:
    """Return the probability that a photon that enters leaves converted: eta sin^2(pi/2 sqrt(P/P_max))."""
    angle = math.pi / 2 * math.sqrt(converter.pump_w / converter.pump_max_w)
    return converter.external_efficiency * math.sin(angle) ** 2


def noise_hz(converter: Converter) -> float:
    """Return the rate of noise photons behind the converter's filters, both polarisations together."""
    return converter.noise_hz_w * converter.pump_w


def added_dark_hz(converter: Converter, transmission: float, detector_efficiency: float) -> float:
    """Return the dark clicks per second that one converter adds to each of four detectors (two outputs x H, V).

    transmission: from the converter to the detectors, splitter not counted; each detector sees a quarter of the noise.
    """
    for name, value in (("transmission", transmission), ("detector_efficiency", detector_efficiency)):
        if not 0 <= value <= 1:
            raise ScenarioError(f"Argument `{name}` must be in [0, 1], but is {value!r}.")
    return 0.25 * noise_hz(converter) * transmission * detector_efficiency


def noisy_pair_fidelity(click_probability: float, noise_probability: float, fidelity: float) -> float:
    """Return the fidelity of an atom-photon pair whose photon clicks are mixed with noise: (SNR F + 1/4)/(SNR + 1)."""
    ratio = click_probability / noise_probability
    return (ratio * fidelity + 0.25) / (ratio + 1)
