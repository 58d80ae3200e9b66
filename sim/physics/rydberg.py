"""Rydberg blockade and the CZ gates that two equal atoms make under one common laser.

H = Omega/2 (e^{i phi(t)} |1><r| + h.c.) - Delta |r><r| for each atom, |0> is dark; both atoms in |r> shift by V =
C6/r^6. |00> does nothing, |01> and |10> are one two-level system, |11> is one of three levels (four if
the atoms differ), so the gate is the numbers a01, a10, a11 with which these states return, up to equal single-qubit
phases:  a01 = a10 = e^{i theta},  a11 = -e^{2 i theta}.

Sources: H. Levine et al., PRL 123, 170503 (2019), arXiv 1908.06101 (two pulses); S. Evered et al., Nature 622, 268
(2023), arXiv 2304.05420 (time-optimal, phase modulated); M. Saffman, T. Walker, K. Moelmer, RMP 82, 2313 (2010)
(blockade radius, C6 ~ n^11); I. Beterov et al., PRA 79, 052504 (2009) (lifetimes at 300 K); L. Pedersen, N. Moeller,
K. Moelmer, Phys. Lett. A 367, 47 (2007) (average fidelity with leakage).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.constants import BOLTZMANN_J_K
from sim.physics.validate import require

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

# Magnus steps per radian of the fastest frequency: the fourth order leaves less than 1e-9 in the amplitudes.
_STEPS_PER_RAD = 20


class RydbergState(NamedTuple):
    """One nS state: C6/h of a pair in Hz m^6 (repulsive), lifetime at 300 K in s."""

    c6_hz_m6: float
    lifetime_s: float


_GHZ_UM6 = 1e9 * 1e-36
STATES: Mapping[tuple[str, int], RydbergState] = MappingProxyType({
    ("Rb-87", 53): RydbergState(31.3 * _GHZ_UM6, 72.6e-6),
    ("Rb-87", 60): RydbergState(139 * _GHZ_UM6, 99.7e-6),
    ("Rb-87", 70): RydbergState(863 * _GHZ_UM6, 146e-6),
    ("Cs", 60): RydbergState(102 * _GHZ_UM6, 94e-6),
    ("Cs", 70): RydbergState(646 * _GHZ_UM6, 139e-6),
})


def state(species: str, n: int) -> RydbergState:
    """Return the constants of `species` nS; raise ScenarioError for a state that is not in the table."""
    if (species, n) not in STATES:
        known = ", ".join(f"{name} {number}S" for name, number in STATES)
        raise ScenarioError(f"Rydberg state is {species} {n}S, but must be one of {known}: correct the scenario.")
    return STATES[species, n]


def blockade_radius_m(c6_hz_m6: float, rabi_rad_s: float) -> float:
    """Return the distance (C6/(hbar Omega))^(1/6) at which the pair shift equals the Rabi frequency, in m."""
    return float((2 * math.pi * c6_hz_m6 / rabi_rad_s) ** (1 / 6))


def pair_shift_rad_s(c6_hz_m6: float, distance_m: float) -> float:
    """Return the van der Waals shift V = 2 pi C6/r^6 of a pair, in rad/s."""
    return 2 * math.pi * c6_hz_m6 / distance_m**6


@dataclass(frozen=True)
class Pulse:
    """Describe a gate's drive in units of its Rabi frequency: times are Omega t, detunings Delta/Omega.

    phase_rad(Omega t) of the laser; jumps: times Omega t at which it is not smooth.
    """

    duration: float
    detuning: float
    phase_rad: Callable[[float], float]
    jumps: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require(self, "duration", 0, above=True)
        require(self, "detuning", -math.inf)
        require(self, "jumps", 0, self.duration)


def time_optimal(duration: float = 7.634, amplitude_rad: float = 2 * math.pi * 0.1122002, frequency: float = 1.0431,
                 offset_rad: float = -0.7318) -> Pulse:
    """Return the gate with phase A cos(w t - phi0); the defaults are those of Evered et al. 2023, w in units of Omega.
    """
    return Pulse(duration, 0.0, lambda t: amplitude_rad * math.cos(frequency * t - offset_rad))


def two_pulse(pulse_duration: float = 4.29268, detuning: float = 0.377371, jump_rad: float = 3.90242) -> Pulse:
    """Return the gate of two equal detuned pulses with a jump of phase between them (Levine et al. 2019)."""
    return Pulse(2 * pulse_duration, detuning, lambda t: jump_rad if t >= pulse_duration else 0.0, (pulse_duration,))


@dataclass(frozen=True)
class Imperfection:
    """Describe what differs from the ideal: V/Omega (inf: perfect blockade), each atom's extra detuning over Omega,
    relative error of the Rabi frequency.
    """

    blockade: float = math.inf
    detunings: tuple[float, float] = (0.0, 0.0)
    rabi_error: float = 0.0

    def __post_init__(self) -> None:
        if self.blockade != math.inf:
            require(self, "blockade", 0, above=True)
        require(self, "detunings", -math.inf)
        require(self, "rabi_error", -1)


class Gate(NamedTuple):
    """What a pulse does: amplitudes (a00, a01, a10, a11) of return, complex, shape (4,); rydberg_time, Omega times the
    time spent in |r>, summed over atoms, for each of the four inputs, shape (4,).
    """

    amplitudes: ComplexArray
    rydberg_time: FloatArray


IDEAL = Imperfection()


def cz(pulse: Pulse, imperfection: Imperfection = IDEAL) -> Gate:
    """Integrate the Schroedinger equation of |01>, |10> and |11> and return the gate."""
    first, second = imperfection.detunings
    results = [(1 + 0j, 0.0)]
    for detunings in ((second,), (first,), (first, second)):
        results.append(_integrate(pulse, detunings, imperfection))
    return Gate(np.array([a for a, _ in results]), np.array([t for _, t in results]))


def infidelity(gate: Gate) -> float:
    """Return 1 - average fidelity with CZ after the best equal single-qubit phases.

    F = [sum |a|^2 + |sum a_k u_k*|^2]/20, with u = (1, e^{i theta}, e^{i theta}, -e^{2 i theta}).
    """
    from scipy.optimize import minimize_scalar

    a = gate.amplitudes
    middle = a[1] + a[2]
    returned = float((np.abs(a) ** 2).sum())

    def loss(theta: float) -> float:
        overlap = a[0] + middle * np.exp(-1j * theta) - a[3] * np.exp(-2j * theta)
        return 1 - (returned + float(abs(overlap)) ** 2) / 20

    guess = float(np.angle(middle))
    return float(minimize_scalar(loss, bounds=(guess - 1, guess + 1), method="bounded", options={"xatol": 1e-10}).fun)


def mean_rydberg_time(gate: Gate) -> float:
    """Return Omega times the time in |r|, mean over the four inputs: about 2.94 (time-optimal), 3.29 (two pulses)."""
    return float(gate.rydberg_time.mean())


@dataclass(frozen=True)
class GateConditions:
    """Describe the lab a gate runs in: Rabi frequency, pair shift, |r> lifetime, temperature and mass of the atoms,
    k of the Rydberg excitation (the difference of counter-propagating beams), rms relative error of the Rabi frequency
    from shot to shot, probability per gate of scattering from the intermediate state.
    """

    rabi_rad_s: float
    pair_shift_rad_s: float
    lifetime_s: float
    temperature_k: float
    mass_kg: float
    wavenumber_rad_m: float
    rabi_rms: float = 0.0
    scattering_probability: float = 0.0

    def __post_init__(self) -> None:
        for field in ("rabi_rad_s", "pair_shift_rad_s", "lifetime_s", "mass_kg"):
            require(self, field, 0, above=True)
        for field in ("temperature_k", "wavenumber_rad_m", "rabi_rms"):
            require(self, field, 0)
        require(self, "scattering_probability", 0, 1)


def error_budget(pulse: Pulse, lab: GateConditions) -> Mapping[str, float]:
    """Return the infidelity of each cause to lowest order; their sum is the gate's.

    decay: mean time in |r> over its lifetime, which is the loss of average fidelity when the atom leaves the qubit.
    blockade: the shift V is finite, (Omega/V)^2 times about 0.2. doppler: the atoms' velocities are independent.
    """
    ideal = infidelity(cz(pulse))
    doppler = lab.wavenumber_rad_m * math.sqrt(BOLTZMANN_J_K * lab.temperature_k / lab.mass_kg) / lab.rabi_rad_s
    return MappingProxyType({
        "pulse": ideal,
        "decay": mean_rydberg_time(cz(pulse)) / (lab.rabi_rad_s * lab.lifetime_s),
        "scattering": lab.scattering_probability,
        "blockade": infidelity(cz(pulse, Imperfection(blockade=lab.pair_shift_rad_s / lab.rabi_rad_s))) - ideal,
        "doppler": 2 * doppler**2 * curvature(pulse, lambda x: Imperfection(detunings=(x, 0.0))),
        "rabi": lab.rabi_rms**2 * curvature(pulse, lambda x: Imperfection(rabi_error=x)),
    })


def curvature(pulse: Pulse, imperfection: Callable[[float], Imperfection], size: float = 3e-3) -> float:
    """Return c of infidelity(x) = infidelity(0) + c x^2 for a small imperfection of either sign."""
    up, down = (infidelity(cz(pulse, imperfection(x))) for x in (size, -size))
    return (0.5 * (up + down) - infidelity(cz(pulse))) / size**2


def _integrate(pulse: Pulse, detunings: tuple[float, ...], imperfection: Imperfection) -> tuple[complex, float]:
    """Return (amplitude of return, Rydberg time) of one or two coupled atoms that start in |1>."""
    static, raising, excited = _operators(pulse, detunings, imperfection)
    fastest = float(np.abs(static).max()) + 1.5 * len(detunings)
    psi = np.zeros(len(static), dtype=np.complex128)
    psi[0] = 1
    time_in_r = 0.0
    edges = (0.0, *pulse.jumps, pulse.duration)
    for begin, end in zip(edges[:-1], edges[1:], strict=True):
        n = max(64, math.ceil(_STEPS_PER_RAD * fastest * (end - begin)))
        step = (end - begin) / n
        population = [float(excited @ np.abs(psi) ** 2)]
        starts = np.asarray(begin + step * np.arange(n), dtype=np.float64)
        for propagator in _propagators(pulse, static, raising, starts, step):
            psi = propagator @ psi
            population.append(float(excited @ np.abs(psi) ** 2))
        time_in_r += step * (sum(population) - 0.5 * (population[0] + population[-1]))
    return complex(psi[0]), time_in_r


def _operators(pulse: Pulse, detunings: tuple[float, ...],
               imperfection: Imperfection) -> tuple[ComplexArray, ComplexArray, FloatArray]:
    """Return (H without the drive, raising part of the drive, number of atoms in |r>); hbar = Omega = 1.

    Basis |1>, |r> for one atom; |11>, |r1>, |1r> and, with a finite blockade, |rr> for two.
    """
    bits: list[tuple[int, ...]] = [(0,), (1,)] if len(detunings) == 1 else [(0, 0), (1, 0), (0, 1)]
    if len(detunings) == 2 and imperfection.blockade != math.inf:
        bits.append((1, 1))
    energies = [sum(-(pulse.detuning + d) * bit for d, bit in zip(detunings, word, strict=True)) for word in bits]
    if len(bits) == 4:
        energies[3] += imperfection.blockade
    raising = np.array([[0.5 * (1 + imperfection.rabi_error) * _raises(after, before) for before in bits]
                        for after in bits], dtype=np.complex128)
    return np.diag(np.array(energies, dtype=np.complex128)), raising, np.array([float(sum(word)) for word in bits])


def _raises(after: tuple[int, ...], before: tuple[int, ...]) -> bool:
    """Tell whether exactly one atom more is in |r> and no other has changed."""
    return sum(after) == sum(before) + 1 and all(a >= b for a, b in zip(after, before, strict=True))


def _propagators(pulse: Pulse, static: ComplexArray, raising: ComplexArray, starts: FloatArray,
                 step: float) -> ComplexArray:
    """Return the propagators of all steps, shape (n, d, d), by the fourth-order Magnus series at two Gauss points."""
    nodes = starts[:, None] + step * (0.5 + np.array([-1, 1]) * math.sqrt(3) / 6)
    drive = np.exp(-1j * np.vectorize(pulse.phase_rad)(nodes))[:, :, None, None] * raising
    hamiltonian = static + drive + np.conj(np.swapaxes(drive, -1, -2))
    one, two = hamiltonian[:, 0], hamiltonian[:, 1]
    exponent = step / 2 * (one + two) + 1j * math.sqrt(3) / 12 * step**2 * (one @ two - two @ one)
    values, vectors = np.linalg.eigh(exponent)
    return np.asarray((vectors * np.exp(-1j * values)[:, None, :]) @ np.conj(np.swapaxes(vectors, -1, -2)))
