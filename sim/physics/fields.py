"""Magnetic field at the atom from coil voltages, and the precession it drives.

The coil drivers are linear; a matrix holds their gains and their imperfect orthogonality. Source of the splitting:
the species file.
"""

import math
from dataclasses import dataclass

from sim.physics.species import RB87
from sim.physics.validate import require, require_length

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Coils:
    """Describe three coils: gauss at the atom per volt, one vector per coil, and the background field in gauss."""

    x_gauss_per_v: Vector
    y_gauss_per_v: Vector
    z_gauss_per_v: Vector
    background_gauss: Vector = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        for field in ("x_gauss_per_v", "y_gauss_per_v", "z_gauss_per_v", "background_gauss"):
            require_length(self, field, 3)
            require(self, field, -1e4, 1e4)


def field_gauss(coils: Coils, volts: Vector) -> Vector:
    """Return the field vector in gauss for the three coil voltages."""
    gains = (coils.x_gauss_per_v, coils.y_gauss_per_v, coils.z_gauss_per_v)
    x, y, z = (coils.background_gauss[k] + sum(v * gain[k] for v, gain in zip(volts, gains, strict=True))
               for k in range(3))
    return x, y, z


def larmor_hz(field_gauss: Vector, pair_hz_gauss: float = RB87.zeeman_pair_hz_gauss) -> float:
    """Return the splitting of the Zeeman pair in Hz: 1.40 MHz/G times the field's modulus."""
    return pair_hz_gauss * math.hypot(*field_gauss)


def tilt_rad(field_gauss: Vector, axis: Vector = (0.0, 0.0, 1.0)) -> float:
    """Return the angle between the field and the port's axis in rad; 0 for no field, which has no direction."""
    length = math.hypot(*field_gauss) * math.hypot(*axis)
    if length == 0:
        return 0.0
    cosine = sum(a * b for a, b in zip(field_gauss, axis, strict=True)) / length
    return math.acos(max(-1.0, min(1.0, cosine)))
