"""Photons from an atom in free space, collected by a lens and a single-mode fibre.

Source: W. Rosenfeld et al., PRL 119, 010402 (2017), for such a node. The collected fraction integrates the dipole
pattern (J. D. Jackson, "Classical Electrodynamics", ch. 9) over the cone of the lens.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics import returns
from sim.physics.emission import Emission, FloatArray, from_amplitude, propagate, step_by_step
from sim.physics.validate import require


@dataclass(frozen=True)
class FreeSpacePort:
    """Describe free-space collection. collection: fraction of the good photons that reach the lens (see `collection`).
    branching_back: fraction of the decays that end in the prepared state again by a photon that the fibre does not
    take (F = 1, m = 0 by way of F' = 0: 1/3, of pi polarisation), from which the pulse excites once more.
    """

    collection: float
    fibre_coupling: float
    gamma_rad_s: float
    branching_back: float = 0.0

    def __post_init__(self) -> None:
        require(self, "collection", 0, 1)
        require(self, "fibre_coupling", 0, 1)
        require(self, "gamma_rad_s", 0, above=True)
        require(self, "branching_back", 0, 1)


def collection(numerical_aperture: float, pattern: str = "isotropic") -> float:
    """Return the fraction of the light within a lens of the given numerical aperture in vacuum.

    pattern: "isotropic"; "sigma": dipole rotating about the lens axis or lying across it; "pi": dipole along it.
    """
    if not 0 <= numerical_aperture <= 1:
        raise ScenarioError(f"Argument `numerical_aperture` is {numerical_aperture!r}, but must be in [0, 1] (vacuum).")
    cosine = math.sqrt(1 - numerical_aperture**2)
    if pattern == "isotropic":
        return (1 - cosine) / 2
    if pattern == "sigma":
        # 3/(16 pi) (1 + cos^2 theta) integrated from the axis to the rim.
        return 0.5 - (3 * cosine + cosine**3) / 8
    if pattern == "pi":
        # 3/(8 pi) sin^2 theta, likewise.
        return 0.5 - (3 * cosine - cosine**3) / 4
    raise ScenarioError(f"Argument `pattern` is {pattern!r}, but must be isotropic, sigma or pi.")


def two_photon_probability(gamma_rad_s: float, pulse_s: float) -> float:
    """Return p2 = Gamma t_p/8, the probability that a short square pi pulse excites twice (first order in Gamma t_p).

    A decay at t, at rate Gamma sin^2(pi t/2 t_p), is followed by an excitation with probability cos^2(pi t/2 t_p).
    """
    return 2 * gamma_rad_s * pulse_s / 8


def emit_at(port: FreeSpacePort, t_s: FloatArray, t_excite_s: float) -> Emission:
    """Return the exponential wavepacket of an atom excited at once at t_excite_s, before the grid's end."""
    if t_excite_s >= t_s[-1]:
        raise ScenarioError(f"Argument `t_excite_s` is {t_excite_s:g}, but must be < {t_s[-1]:g}, the grid's end in s.")
    since = np.maximum(t_s - t_excite_s, 0)
    field = np.where(t_s >= t_excite_s, np.exp(-port.gamma_rad_s * since), 0).astype(np.complex128)
    decayed = -np.expm1(-2 * port.gamma_rad_s * since)
    # Efficiency and cdf in closed form: a sum over the grid would err by half a step at the sharp front.
    return replace(from_amplitude(t_s, field, 1.0, float(decayed[-1]) * (1 - port.collection)),
                   efficiency=float(decayed[-1]) * port.collection, cdf=decayed / decayed[-1])


def emit(port: FreeSpacePort, t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float = 0.0) -> Emission:
    """Return the photon of an atom driven by a pulse; arguments as in `sim.physics.cavity.emit`.

    Without `branching_back` decay ends the drive (no second excitation): add `two_photon_probability` for the pulse's
    error. With it, the photons after a return come as a mixture (`sim.physics.returns`).
    """
    if port.branching_back:
        return _emit_with_returns(port, t_s, rabi_rad_s, delta_rad_s)
    states = propagate(t_s, rabi_rad_s, delta_rad_s, 0.0, 0.0, port.gamma_rad_s, 0.0)
    total = math.sqrt(2 * port.gamma_rad_s) * states[:, 1]
    decayed = float((np.abs(total) ** 2).sum() * (t_s[1] - t_s[0]))
    return from_amplitude(t_s, math.sqrt(port.collection) * total, 1 - float(abs(states[-1, 0])) ** 2,
                          decayed * (1 - port.collection))


def _emit_with_returns(port: FreeSpacePort, t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float) -> Emission:
    steps = step_by_step(t_s, rabi_rad_s, delta_rad_s, 0.0, 0.0, port.gamma_rad_s, 0.0)
    drive = np.abs(np.broadcast_to(np.asarray(rabi_rad_s), t_s.shape))
    found = returns.follow(t_s, steps, drive, port.gamma_rad_s, port.branching_back, source=returns.EXCITED)
    good = 2 * port.gamma_rad_s * (1 - port.branching_back)
    decayed = good * float(t_s[1] - t_s[0]) * float(found.populations[:, returns.EXCITED].sum())
    return returns.photon(t_s, found, good * port.collection, decayed * (1 - port.collection))
