"""Photons from an atom in an optical cavity.

Conventions: g, kappa, gamma are field (HWHM) rates in rad/s, kappa = kappa_ext + kappa_in, C = g^2/(2 kappa gamma),
so 2C is the Purcell factor. Sources: C. K. Law, H. J. Kimble, J. Mod. Opt. 44, 2067 (1997) for the closed forms; H.
Goto et al., PRA 99, 053843 (2019) for the best output mirror; `sim.physics.emission` for the integration.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sim.physics import returns
from sim.physics.emission import (
    ComplexArray,
    Emission,
    FloatArray,
    from_amplitude,
    mixture,
    propagate,
    step_by_step,
)
from sim.physics.motion import Spread, coupling_rule
from sim.physics.validate import require

_LOCK_POINTS = (3, 7)  # exact for polynomials of the detuning up to order 5; 13 for a poor lock
_POOR_LOCK = 0.2  # kappa
_DROPPED = 1e-4  # of a photon averaged over motion, with its weakest modes


@dataclass(frozen=True)
class CavityPort:
    """Describe an atom-cavity system as a source of photons.

    detuning_rad_s is the cavity minus the photon's frequency at two-photon (Raman) resonance. fibre_coupling: mode
    matching from the cavity's output to the fibre. branching_back: fraction of the spontaneous decays that end in the
    prepared state again, from which the pulse excites once more; branching_beside: of those that end in F = 2, m = +-1,
    from where it excites, too, but the atom ends outside the qubit (`sim.physics.returns`). lock_rms_rad_s: rms by
    which the detuning varies from one attempt to the next, because the lock of the cavity leaves so much.
    standing_wave_m, mode_waist_m: wavelength of the standing wave and waist of its mode where the atom is, which feels
    them as it strays; 0: it does not, and g is what it is on average.
    """

    g_rad_s: float
    kappa_ext_rad_s: float
    kappa_in_rad_s: float
    gamma_rad_s: float
    detuning_rad_s: float = 0.0
    fibre_coupling: float = 1.0
    branching_back: float = 0.0
    lock_rms_rad_s: float = 0.0
    standing_wave_m: float = 0.0
    mode_waist_m: float = 0.0
    branching_beside: float = 0.0

    def __post_init__(self) -> None:
        for field in ("g_rad_s", "kappa_in_rad_s"):
            require(self, field, 0)
        for field in ("kappa_ext_rad_s", "gamma_rad_s"):
            require(self, field, 0, above=True)
        require(self, "detuning_rad_s", -math.inf)
        require(self, "fibre_coupling", 0, 1)
        require(self, "branching_back", 0, 1)
        require(self, "branching_beside", 0, 1 - self.branching_back)
        require(self, "lock_rms_rad_s", 0)
        require(self, "standing_wave_m", 0, 1e-4)
        require(self, "mode_waist_m", 0, 1e-2)

    @property
    def kappa_rad_s(self) -> float:
        """Return the total field decay rate in rad/s."""
        return self.kappa_ext_rad_s + self.kappa_in_rad_s

    @property
    def feels_motion(self) -> bool:
        """Return whether it matters how far the atom strays."""
        return self.standing_wave_m > 0 or self.mode_waist_m > 0

    @property
    def escape(self) -> float:
        """Return the probability kappa_ext/kappa that a photon in the cavity leaves through the output mirror."""
        return self.kappa_ext_rad_s / self.kappa_rad_s

    @property
    def cooperativity(self) -> float:
        """Return C = g^2/(2 kappa gamma)."""
        return self.g_rad_s**2 / (2 * self.kappa_rad_s * self.gamma_rad_s)


def fast_efficiency(port: CavityPort) -> float:
    """Return the extraction efficiency of an atom put into |e> at once; exact on resonance."""
    purcell = 2 * port.cooperativity
    return port.escape * port.kappa_rad_s / (port.kappa_rad_s + port.gamma_rad_s) * purcell / (1 + purcell)


def adiabatic_efficiency(port: CavityPort) -> float:
    """Return the extraction efficiency of a slow Raman pulse, cavity detuning included."""
    purcell = 2 * port.cooperativity
    return port.escape * purcell / (1 + purcell + (port.detuning_rad_s / port.kappa_rad_s) ** 2)


def best_mirror(g_rad_s: float, kappa_in_rad_s: float, gamma_rad_s: float) -> tuple[float, float]:
    """Return (kappa_ext in rad/s, efficiency) of the output mirror that maximises the adiabatic efficiency."""
    root = math.sqrt(1 + g_rad_s**2 / (kappa_in_rad_s * gamma_rad_s))
    return kappa_in_rad_s * root, 1 - 2 / (1 + root)


def emit(port: CavityPort, t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float = 0.0,
         moved: Spread | None = None) -> Emission:
    """Return the photon that a Raman pulse draws from the prepared atom into the output mirror.

    t_s: uniform grid, float, shape (n,), long enough for the cavity to empty. rabi_rad_s: number or shape (n,), the
    field Rabi frequency (proportional to the square root of the power). delta_rad_s: laser minus atomic frequency of
    |u>-|e>. moved: how far the atom strays; None: not at all. With `branching_back`, `lock_rms_rad_s` or a moving atom
    the result is a mixture: see `sim.physics.emission`, for the motion `sim.physics.motion`.

    The residual detuning of a lock changes within some 10 ms, so it is constant during an attempt (1 us) and any value
    of its Gaussian between two pairs that are heralded: the photon of one attempt is the average over it, by
    Gauss-Hermite quadrature. What neighbouring attempts have in common is neglected (the efficiency varies by (rms/
    kappa)^2/(1 + 2C)).
    """
    if moved is not None and port.feels_motion:
        couplings, weights = coupling_rule(moved, port.standing_wave_m, port.mode_waist_m)
        still = [replace(port, g_rad_s=port.g_rad_s * float(coupling)) for coupling in couplings]
        return mixture([emit(each, t_s, rabi_rad_s, delta_rad_s) for each in still], weights, _DROPPED)
    if port.lock_rms_rad_s:
        number = _LOCK_POINTS[port.lock_rms_rad_s > _POOR_LOCK * port.kappa_rad_s]
        points, weights = np.polynomial.hermite_e.hermegauss(number)
        detunings = port.detuning_rad_s + port.lock_rms_rad_s * points
        quiet = [replace(port, lock_rms_rad_s=0.0, detuning_rad_s=float(detuning)) for detuning in detunings]
        return mixture([emit(each, t_s, rabi_rad_s, delta_rad_s) for each in quiet], weights / weights.sum())
    if port.branching_back or port.branching_beside:
        return _emit_with_returns(port, t_s, rabi_rad_s, delta_rad_s)
    states = propagate(t_s, rabi_rad_s, delta_rad_s, port.g_rad_s, port.kappa_rad_s, port.gamma_rad_s,
                       port.detuning_rad_s)
    step = float(t_s[1] - t_s[0])
    scattered = float(2 * port.gamma_rad_s * step * (np.abs(states[:, 1]) ** 2).sum())
    leak = math.sqrt(2 * port.kappa_ext_rad_s) * states[:, 2]
    return from_amplitude(t_s, leak, 1 - float(abs(states[-1, 0])) ** 2, scattered)


def emit_beside(port: CavityPort, t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float = 0.0,
                moved: Spread | None = None) -> Emission:
    """Return the photon of an atom that pumping left in F = 2, m = +-1; arguments as in `emit`.

    It is that of an atom of weaker drive and coupling, whose returns are to its own level.
    """
    again = returns.BESIDE_AGAIN * port.branching_beside
    weaker = replace(port, g_rad_s=returns.BESIDE_COUPLING * port.g_rad_s, branching_back=again, branching_beside=0.0)
    return emit(weaker, t_s, returns.BESIDE_RABI * np.asarray(rabi_rad_s), delta_rad_s, moved)


def _emit_with_returns(port: CavityPort, t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float) -> Emission:
    steps, beside = _propagators(port, t_s, rabi_rad_s, delta_rad_s), None
    if port.branching_beside:
        beside = _beside(port, t_s, rabi_rad_s, delta_rad_s), port.branching_beside
    drive = np.abs(np.broadcast_to(np.asarray(rabi_rad_s), t_s.shape))
    found = returns.follow(t_s, steps, drive, port.gamma_rad_s, port.branching_back, beside)
    decayed = 2 * port.gamma_rad_s * float(t_s[1] - t_s[0]) * float(found.populations[:, 1].sum())
    return returns.photon(t_s, found, 2 * port.kappa_ext_rad_s, (1 - port.branching_back) * decayed)


def _propagators(port: CavityPort, t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float) -> ComplexArray:
    return step_by_step(t_s, rabi_rad_s, delta_rad_s, port.g_rad_s, port.kappa_rad_s, port.gamma_rad_s,
                       port.detuning_rad_s)


def _beside(port: CavityPort, t_s: FloatArray, rabi_rad_s: npt.ArrayLike, delta_rad_s: float) -> ComplexArray:
    """Return the propagators of an atom in F = 2, m = +-1."""
    weaker = replace(port, g_rad_s=returns.BESIDE_COUPLING * port.g_rad_s)
    return _propagators(weaker, t_s, returns.BESIDE_RABI * np.asarray(rabi_rad_s), delta_rad_s)
