"""The Bell pair that two pulses of Rydberg light with darkness between them make of two atoms: the fidelity to expect.

pi/2 on |11>, the gate, pi/4 about the same axis: with a = (a00, a01, a10, a11) the amplitudes with which the gate
returns its inputs, ideally (1, z, z, -z^2), the pair is (|00> - |11>)/sqrt(2) up to a phase. In the dark the light goes
on against the atoms by detuning x time, which is the jump of phase of `sim.physics.rydberg.two_pulse`.
Sources: H. Levine et al., PRL 123, 170503 (2019), arXiv 1908.06101; C. Sackett et al., Nature 404, 256 (2000) (parity).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.physics.evolution import propagator
from sim.physics.rotations import raman
from sim.physics.validate import require

Complexes = npt.NDArray[np.complex128]
_KNOTS = 5  # of Gauss and Hermite, for each atom's velocity: Doppler shifts are small against the Rabi frequency


@dataclass(frozen=True)
class TwoPulses:
    """Rabi frequency and detuning of the light, time of a pulse and of the darkness, shift of a pair in |rr>, lifetime
    of |r>, rms Doppler shift of an atom.
    """

    rabi_rad_s: float
    detuning_rad_s: float
    pulse_s: float
    dark_s: float
    pair_shift_rad_s: float
    lifetime_s: float
    doppler_rad_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rabi_rad_s", "pulse_s", "lifetime_s"):
            require(self, name, 0, above=True)
        for name in ("dark_s", "pair_shift_rad_s", "doppler_rad_s"):
            require(self, name, 0)
        require(self, "detuning_rad_s", -math.inf)


def amplitudes(light: TwoPulses, shifts_rad_s: tuple[float, float] = (0.0, 0.0)) -> Complexes:
    """Return (a00, a01, a10, a11), shape (4,), for atoms with these Doppler shifts."""
    first, second = shifts_rad_s
    return np.array([1.0, _returned(light, (second,)), _returned(light, (first,)), _returned(light, shifts_rad_s)])


def pair(gate: Complexes, phase_rad: float) -> Complexes:
    """Return the amplitudes of |00>, |01>, |10>, |11> of the pair, shape (4,), where the gate is believed to give each
    atom `phase_rad`.
    """
    psi = _both(raman(math.pi / 2, 0.0, 0.0, 1.0)) @ np.array([0, 0, 0, 1], dtype=complex)
    return np.asarray(_both(raman(math.pi / 4, 0.0, phase_rad, 1.0)) @ (gate * psi))


def fidelity(light: TwoPulses, phase_rad: float) -> float:
    """Return (P00 + P11 + C)/2, C the contrast of the parity fringe, mean over both atoms' velocities.

    C is 2 |rho(00, 11)|, what is left of the coherence, as the fringe's part in twice the axis' angle shows it.
    """
    at, weight = np.polynomial.hermite_e.hermegauss(_KNOTS)
    populations, coherence = 0.0, 0j
    for x, wx in zip(at, weight / weight.sum(), strict=True):
        for y, wy in zip(at, weight / weight.sum(), strict=True):
            psi = pair(amplitudes(light, (x * light.doppler_rad_s, y * light.doppler_rad_s)), phase_rad)
            populations += wx * wy * float(abs(psi[0]) ** 2 + abs(psi[3]) ** 2)
            coherence += wx * wy * complex(psi[0] * np.conj(psi[3]))
    return 0.5 * populations + abs(coherence)


def _returned(light: TwoPulses, shifts: tuple[float, ...]) -> complex:
    """Return the amplitude with which one or two atoms that begin in |1> are there again, frame of the light."""
    excited = [0, 1] if len(shifts) == 1 else [0, 1, 1, 2]
    energies = [0.0, shifts[0]] if len(shifts) == 1 else [0.0, shifts[0], shifts[1], sum(shifts)]
    static = np.diag([e - n * (light.detuning_rad_s + 0.5j / light.lifetime_s)
                      for e, n in zip(energies, excited, strict=True)])  # fmt: skip
    if len(shifts) == 2:
        static[3, 3] += light.pair_shift_rad_s
    flip = np.array([[0, 1], [1, 0]])
    drive = flip if len(shifts) == 1 else np.kron(flip, np.eye(2)) + np.kron(np.eye(2), flip)
    lit = propagator(static + 0.5 * light.rabi_rad_s * drive, light.pulse_s)
    return complex((lit @ propagator(static, light.dark_s) @ lit)[0, 0])


def _both(one: Complexes) -> Complexes:
    """Return a pulse on |0>, |1> of both atoms, shape (4, 4)."""
    return np.asarray(np.kron(one[:2, :2], one[:2, :2]))
