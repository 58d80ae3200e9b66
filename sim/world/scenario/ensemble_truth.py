"""What is true of an ensemble memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sim.physics.aom import Aom
from sim.physics.memory import require_direction
from sim.physics.validate import require


@dataclass(frozen=True)
class EnsembleTruth:
    """A cloud in the way behind a port: its atoms, its control light, its rails, its noise.

    `optical_depth` right after the MOT, which fills the cloud within `fill_s` and from whose end it falls within
    `decay_s`; `gamma_rad_s` half width of the line, `coherence_s` 1/e of the stored spin wave; `control_rad_s` Rabi
    frequency of the control at full diffraction, `carrier_hz` of its AOM on two-photon resonance; `rails` what each
    polarisation's way lets through, `rail_phase_rad` the rms of the phase between them from shot to shot;
    `noise_photons` in `noise_window_s` at full control and depth.
    """

    optical_depth: float
    gamma_rad_s: float
    control_rad_s: float
    aom: Aom
    coherence_s: float = 200e-6
    direction: str = "forward"
    carrier_hz: float = 80e6
    decay_s: float = 5e-3
    fill_s: float = 10e-3
    rails: tuple[float, ...] = (1.0, 1.0)
    rail_phase_rad: float = 0.0
    noise_photons: float = field(default=3e-3)
    noise_window_s: float = 1e-6

    def __post_init__(self) -> None:
        require(self, "optical_depth", 0, 1000)
        for name in ("gamma_rad_s", "coherence_s", "decay_s", "fill_s", "noise_window_s"):
            require(self, name, 0, above=True)
        for name in ("control_rad_s", "carrier_hz"):
            require(self, name, 0)
        require(self, "rails", 0, 1)
        require(self, "rail_phase_rad", 0, math.pi)
        require(self, "noise_photons", 0, 1)
        require_direction(self.direction, "EnsembleTruth.direction")
