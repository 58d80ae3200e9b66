"""Bell states and what is measured of them.

Basis order |00>, |01>, |10>, |11>, first qubit alice. Z|0> = +|0>. Sources: M. Nielsen, I. Chuang (2010), section
1.3.6; J. Clauser et al., PRL 23, 880 (1969).
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError

ComplexArray = npt.NDArray[np.complex128]

_HALF = 1 / math.sqrt(2)
_VECTORS = {
    "phi+": (_HALF, 0, 0, _HALF),
    "phi-": (_HALF, 0, 0, -_HALF),
    "psi+": (0, _HALF, _HALF, 0),
    "psi-": (0, _HALF, -_HALF, 0),
}

# Signs of (XX, YY, ZZ).
CORRELATOR_SIGNS: Mapping[str, tuple[int, int, int]] = MappingProxyType(
    {"phi+": (1, -1, 1), "phi-": (-1, 1, 1), "psi+": (1, 1, -1), "psi-": (-1, -1, -1)})


def bell_state(name: str) -> ComplexArray:
    """Return the state phi+, phi-, psi+ or psi-; complex, shape (4,)."""
    _known(name)
    return np.array(_VECTORS[name], dtype=np.complex128)


def fidelity(state: ComplexArray, name: str) -> float:
    """Return <Bell|rho|Bell> of a vector, shape (4,), or a density matrix, shape (4, 4)."""
    target = bell_state(name)
    if state.ndim == 1:
        return float(abs(np.vdot(target, state)) ** 2)
    return float((target.conj() @ state @ target).real)


def fidelity_from_correlators(xx: float, yy: float, zz: float, name: str) -> float:
    """Return the fidelity with a Bell state from its three correlators: F = [1 + sum of sign * correlator]/4."""
    _known(name)
    return 0.25 * (1 + sum(s * c for s, c in zip(CORRELATOR_SIGNS[name], (xx, yy, zz), strict=True)))


def axis_operator(polar_rad: float, azimuth_rad: float) -> ComplexArray:
    """Return n.sigma for n = (sin polar cos azimuth, sin polar sin azimuth, cos polar); complex, shape (2, 2)."""
    c, s = math.cos(polar_rad), math.sin(polar_rad)
    turn = complex(math.cos(azimuth_rad), math.sin(azimuth_rad))
    return np.array([[c, s * turn.conjugate()], [s * turn, -c]])


def correlator(state: ComplexArray, polar_a: float, azimuth_a: float, polar_b: float, azimuth_b: float) -> float:
    """Return <n_a.sigma x n_b.sigma> of a vector, shape (4,), or a density matrix, shape (4, 4)."""
    observable = np.kron(axis_operator(polar_a, azimuth_a), axis_operator(polar_b, azimuth_b))
    if state.ndim == 1:
        return float(np.vdot(state, observable @ state).real)
    return float(np.trace(observable @ state).real)


def chsh(e_ab: float, e_ab2: float, e_a2b: float, e_a2b2: float) -> float:
    """Return S = |E(a,b) + E(a,b') + E(a',b) - E(a',b')|.

    At most 2 for local realism, 2 sqrt 2 for quantum mechanics. Arguments in the order (a,b), (a,b'), (a',b), (a',b').
    """
    return abs(e_ab + e_ab2 + e_a2b - e_a2b2)


def _known(name: str) -> None:
    if name not in _VECTORS:
        raise ScenarioError(f"Argument `name` is {name!r}, but must be one of {', '.join(_VECTORS)}.")
