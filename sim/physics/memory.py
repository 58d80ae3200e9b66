"""What an ensemble that stores photons by electromagnetically induced transparency (EIT) gives at best, for how long.

With D = OD/2 the retrieval backwards, out of the end by which the photon came, has over 0..1 the kernel
    K(z, z') = (D/2) e^(-D (z + z')/2) I_0(D sqrt(z z')),
forwards K_f(z, z') = K(1 - z, 1 - z'). Storage is the adjoint of retrieval backwards, so a photon of the best shape
comes back with lambda(K)^2 backwards and lambda(K^1/2 K_f K^1/2) forwards, lambda the top eigenvalue. That holds for
pulses longer than 1/(D gamma) with a control field shaped at best; `sim.physics.eit` has given pulses and controls.
Afterwards motion and gradients dephase the spin wave as e^(-t^2/tau^2).

Sources: A. V. Gorshkov, A. Andre, M. D. Lukin, A. S. Sorensen, PRA 76, 033805 (2007), their d = D (intensity e^(-2d));
B. Zhao et al., Nature Phys. 5, 95 (2009), for the lifetimes of `lifetime_s`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.validate import require

FloatArray = npt.NDArray[np.float64]
_NODES = 200  # Gauss-Legendre points; for this smooth kernel exact to 1e-13 up to OD 1000
DIRECTIONS = ("forward", "backward")
_LIGHT_M_S = 299792458.0


@dataclass(frozen=True)
class Memory:
    """Describe an ensemble by its resonant optical depth (intensity e^-OD) and the 1/e time of the stored spin wave.

    coherence_s defaults to 200 us: the design's number for a thermal ensemble. direction: by which end the photon
    leaves; "backward" has the momentum of the spin wave compensated.
    """

    optical_depth: float
    coherence_s: float = 200e-6
    direction: str = "forward"

    def __post_init__(self) -> None:
        require(self, "optical_depth", 0, 1000)
        require(self, "coherence_s", 0, above=True)
        require_direction(self.direction, "Memory.direction")


def require_direction(direction: str, name: str) -> None:
    """Raise ScenarioError for a direction that there is not."""
    if direction not in DIRECTIONS:
        raise ScenarioError(f"{name} is {direction!r}, but must be one of {', '.join(DIRECTIONS)}: correct it.")


def retrieval(optical_depth: float) -> float:
    """Return the best retrieval (or storage) efficiency, the top eigenvalue of the kernel."""
    return float(np.linalg.eigvalsh(_kernel(optical_depth)[1])[-1])


def best(optical_depth: float, direction: str = "forward") -> float:
    """Return the best efficiency of storage and retrieval together."""
    require_direction(direction, "Argument `direction`")
    if direction == "backward":
        return retrieval(optical_depth) ** 2
    values = np.linalg.eigvalsh(_both_ways(optical_depth)[0])
    return float(values[-1])


def best_spin_wave(optical_depth: float, direction: str, z: FloatArray) -> FloatArray:
    """Return the spin wave, float, of z's shape, whose retrieval backwards, run backwards in time, is the best pulse.

    Normalised to int S^2 dz = 1.
    """
    require_direction(direction, "Argument `direction`")
    nodes, kernel, scale = _kernel(optical_depth)
    if direction == "backward":
        wave = np.linalg.eigh(kernel)[1][:, -1] / scale
    else:
        product, root, reverse = _both_ways(optical_depth)
        wave = reverse @ root @ np.linalg.eigh(product)[1][:, -1] / scale  # K_f K^1/2 u: no division by small values
    wave = wave * np.sign(wave.sum()) / math.sqrt(float((scale * wave) @ (scale * wave)))
    return _interpolated(nodes, wave, z)


def temporal_modes(optical_depth: float) -> float:
    """Return sum lambda^2, the effective number of temporal modes that one cloud holds: about 0.2 sqrt(OD)."""
    return float((np.linalg.eigvalsh(_kernel(optical_depth)[1]) ** 2).sum())


def dephasing(memory: Memory, stored_s: float) -> float:
    """Return by how much the efficiency has fallen after stored_s."""
    return math.exp(-((stored_s / memory.coherence_s) ** 2))


def efficiency(memory: Memory, stored_s: float) -> float:
    """Return the probability to get a photon back after stored_s, pulse and control field shaped at best."""
    return best(memory.optical_depth, memory.direction) * dephasing(memory, stored_s)


def lifetime_s(temperature_k: float, mass_kg: float, wavelength_m: float, angle_rad: float, splitting_hz: float,
               gradient_hz_m: float = 0.0, size_m: float = 0.0) -> float:  # fmt: skip
    """Return tau of e^(-t^2/tau^2) for a thermal cloud whose signal and control light meet at an angle.

    tau^-2 = (dk v)^2 + (2 pi gradient size)^2, v = sqrt(k_B T/m), dk = 2 k sin(angle/2) + splitting 2 pi/c; gradient
    of the two-photon transition in Hz/m, size the cloud's rms length along it. inf for atoms at rest without gradient.
    """
    wavenumber = 2 * 2 * math.pi / wavelength_m * math.sin(angle_rad / 2) + 2 * math.pi * splitting_hz / _LIGHT_M_S
    motion = wavenumber * math.sqrt(BOLTZMANN_J_K * temperature_k / mass_kg)
    rate = math.hypot(motion, 2 * math.pi * gradient_hz_m * size_m)
    return 1 / rate if rate > 0 else math.inf


def four_wave_mixing(optical_depth: float, linewidth_rad_s: float, splitting_rad_s: float) -> float:
    """Return the noise photons per read-out that the control makes off resonance: sinh^2(OD Gamma/(4 Delta_hf)).

    Source: N. Lauk, C. O'Brien, M. Fleischhauer, PRA 88, 013823 (2013), leading order.
    """
    return math.sinh(optical_depth * linewidth_rad_s / (4 * splitting_rad_s)) ** 2


def delay_s(optical_depth: float, linewidth_rad_s: float, control_rad_s: float) -> float:
    """Return the group delay OD Gamma/Omega_c^2 of a pulse in the transparency window; Omega_c the Rabi frequency."""
    return optical_depth * linewidth_rad_s / control_rad_s**2


def control_for_delay_rad_s(optical_depth: float, linewidth_rad_s: float, wanted_s: float) -> float:
    """Return the control's Rabi frequency that delays a pulse by wanted_s."""
    return math.sqrt(optical_depth * linewidth_rad_s / wanted_s)


def transparency_rad_s(optical_depth: float, linewidth_rad_s: float, control_rad_s: float) -> float:
    """Return the full width at half maximum of the transparency window, sqrt(ln 2) Omega_c^2/(Gamma sqrt(OD)).

    Times the delay it is 0.83 sqrt(OD): the cloud holds so many pulses of the shortest kind.
    """
    return math.sqrt(math.log(2)) * control_rad_s**2 / (linewidth_rad_s * math.sqrt(optical_depth))


def two_rail_fidelity(rails: tuple[float, float], phase_rms_rad: float, noise: float, exactly_one: bool) -> float:
    """Return the mean fidelity of a polarisation qubit stored as one photon in two rails.

    rails: efficiency of each. noise: noise photons in the read window, over both rails and polarisations, unpolarised.
    Counting every click F = [eta b + n/2]/(eta + n), b = 2/3 + sqrt(eta1 eta2) e^(-sigma^2/2)/(3 eta), eta the mean;
    keeping read-outs with exactly one click drops those with both.
    """
    first, second = rails
    mean = (first + second) / 2
    b = 2 / 3 + math.sqrt(first * second) * math.exp(-(phase_rms_rad**2) / 2) / (3 * mean)
    false = noise * (1 - mean) if exactly_one else noise
    return (mean * b + false / 2) / (mean + false)


def entanglement_fidelity(fidelity: float) -> float:
    """Return the fidelity of half of a Bell pair in a channel of this mean fidelity of a qubit: (3 F - 1)/2."""
    return (3 * fidelity - 1) / 2


def _kernel(optical_depth: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (nodes, symmetric kernel with the weights' roots on both sides, these roots)."""
    from scipy.special import ive

    d = optical_depth / 2
    points, weights = np.polynomial.legendre.leggauss(_NODES)
    nodes = 0.5 * (points + 1)
    root = np.sqrt(nodes)
    # I_0 grows as fast as the exponential falls: together e^(-D (sqrt z - sqrt z')^2/2).
    kernel = d / 2 * np.exp(-d / 2 * (root[:, None] - root) ** 2) * ive(0, d * np.outer(root, root))
    scale = np.sqrt(0.5 * weights)
    return nodes, scale[:, None] * kernel * scale, scale


def _both_ways(optical_depth: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return K^1/2 K_f K^1/2, K^1/2 and K_f."""
    _, kernel, _ = _kernel(optical_depth)
    reverse = kernel[::-1, ::-1]
    values, turns = np.linalg.eigh(kernel)
    root = (turns * np.sqrt(np.clip(values, 0, None))) @ turns.T
    return root @ reverse @ root, root, reverse


def _interpolated(nodes: FloatArray, values: FloatArray, z: FloatArray) -> FloatArray:
    """Return the polynomial through the nodes at z, from its Legendre series: exact between the nodes."""
    degree = min(len(nodes) - 1, 120)
    return np.asarray(np.polynomial.legendre.Legendre.fit(nodes, values, degree, domain=[0, 1])(z))
