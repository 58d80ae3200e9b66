"""Measurement settings of a pair: which axis each end's atom is measured along, and the pulses that do it.

Conventions. A setting has (polar, azimuth) for each end of the link; an atom is measured along n = (sin polar cos
azimuth, sin polar sin azimuth, cos polar), outcome +1 = still there after push-out = |0> of the rotated basis. A Raman
pulse of area `polar` about the equatorial axis of azimuth `azimuth` - 90 degrees turns n to +z.

CHSH. Psi+ has correlations (XX, YY, ZZ) = (+, +, -), Psi- (-, -, -): within the equator E = +-cos(first azimuth -
second azimuth). So 0, 90 at the first end and 45, -45 degrees at the second give S = E00 + E01 + E10 - E11 = +-2 sqrt
2, the same four settings for both states.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

QUARTER, HALF = math.pi / 4, math.pi / 2
Axis = tuple[float, float]  # polar angle, azimuth


@dataclass(frozen=True)
class Setting:
    """One pair of analysis axes: (polar, azimuth) in rad of each end; the row of `link.settings`."""

    name: str
    axes: tuple[Axis, Axis]

    def turned(self, end: int, azimuth: float) -> "Setting":
        """Return the same setting with the azimuth of one end turned by so much."""
        axes = [(polar, at + azimuth if k == end else at) for k, (polar, at) in enumerate(self.axes)]
        return Setting(self.name, (axes[0], axes[1]))


X, Y, Z = (HALF, 0.0), (HALF, HALF), (0.0, 0.0)
XX, YY, ZZ = Setting("XX", (X, X)), Setting("YY", (Y, Y)), Setting("ZZ", (Z, Z))
CHSH = (
    Setting("CHSH00", (X, (HALF, QUARTER))),
    Setting("CHSH01", (X, (HALF, -QUARTER))),
    Setting("CHSH10", (Y, (HALF, QUARTER))),
    Setting("CHSH11", (Y, (HALF, -QUARTER))),
)
_NAMED = {"X": X, "Y": Y, "Z": Z}
TOMOGRAPHY = tuple(Setting(a + b, (_NAMED[a], _NAMED[b])) for a in _NAMED for b in _NAMED)
CHOICES: dict[str, tuple[Setting, ...]] = {
    "bell+CHSH": (XX, YY, ZZ, *CHSH),
    "bell (XX YY ZZ)": (XX, YY, ZZ),
    "CHSH": CHSH,
    "XX": (XX,),
    "YY": (YY,),
    "ZZ": (ZZ,),
}


def pulse_area_turns(polar: float) -> float:
    """Return the Raman pulse area that a polar angle asks for, as a fraction of a pi pulse."""
    return polar / math.pi


def axis_turns(azimuth: float) -> float:
    """Return the azimuth of the rotation axis, in turns from 0 to 1."""
    return (azimuth / (2 * math.pi) - 0.25) % 1.0


def schedule(
    n_settings: int, calibration_fraction: float, randomise: bool, seed: int
) -> tuple[npt.NDArray[np.int32], ...]:
    """Return (setting, pushout), each int32, shape (shots,): one period of the order in which shots are taken.

    Every setting comes equally often. Shots without push-out are spread evenly over the settings; their share is
    `calibration_fraction`, to 1/(period).
    """
    rounds = max(1, 420 // n_settings)
    rng = np.random.default_rng(seed)
    order = [rng.permutation(n_settings) if randomise else np.arange(n_settings) for _ in range(rounds)]
    setting = np.concatenate(order).astype(np.int32)
    steps = np.floor(np.arange(len(setting) + 1) * calibration_fraction + 1e-9)
    pushout = np.where(np.diff(steps) > 0, 0, 1)
    if randomise:
        pushout = rng.permutation(pushout)
    return setting, pushout.astype(np.int32)
