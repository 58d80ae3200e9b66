"""A pulse of light stored and retrieved in a cloud of three-level atoms: the Maxwell-Bloch equations, integrated.

With time in 1/gamma (gamma the half width of the optical line), length over 0..1, D = OD/2 and w = Omega_c/2 gamma
    dE/dz = i sqrt(D) P,   dP/dt = -P + i sqrt(D) E + i w S,   dS/dt = i w* P - i delta S
in the frame that moves with the light; P the optical, S the spin coherence, int |E|^2 dt photons. Along z the fields
are polynomials through Gauss-Legendre points (E is the integral of P), in time each stretch of constant control is a
matrix exponential with a field that is linear between two points of the grid: the only errors are the grid's.
Retrieved backwards the spin wave is turned round, z -> 1 - z, its momentum compensated.

Source: A. V. Gorshkov, A. Andre, M. D. Lukin, A. S. Sorensen, PRA 76, 033805 (2007), eqs. 17 to 19.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.memory import best_spin_wave, control_for_delay_rad_s, require_direction
from sim.physics.validate import require

ComplexArray = npt.NDArray[np.complex128]
FloatArray = npt.NDArray[np.float64]
_BLOCK = 32  # steps taken at once
_TERMS = 10  # of the Taylor series: 0.25^11/11! = 6e-15


@dataclass(frozen=True)
class Cloud:
    """Describe the atoms by their resonant optical depth and the half width gamma of their line in rad/s."""

    optical_depth: float
    gamma_rad_s: float

    def __post_init__(self) -> None:
        require(self, "optical_depth", 0, 1000)
        require(self, "gamma_rad_s", 0, above=True)

    @property
    def linewidth_rad_s(self) -> float:
        """Return the full width Gamma = 2 gamma in rad/s."""
        return 2 * self.gamma_rad_s


class Coherences(NamedTuple):
    """P and S at the nodes of a `Grid`, complex, shape (n,) each."""

    optical: ComplexArray
    spin: ComplexArray

    @property
    def dark(self) -> bool:
        """Whether nothing is left of the optical coherence."""
        return float(np.abs(self.optical).max()) < 1e-9


class Control(NamedTuple):
    """The control light: Rabi frequency and two-photon detuning in rad/s."""

    rabi_rad_s: float
    detuning_rad_s: float = 0.0


OFF = Control(0.0)


class _Block(NamedTuple):
    """What b steps do to a state (2n,) and the light at their ends (b + 1,): the state after, the light out (b,)."""

    through: ComplexArray
    of_light: ComplexArray
    out_of_state: ComplexArray
    out_of_light: ComplexArray


class Grid:
    """Places along one cloud, and how the coherences there go on from one point of time to the next."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        n = 40 + math.ceil(cloud.optical_depth / 8)
        points, weights = np.polynomial.legendre.leggauss(n)
        self.z, self.weights = 0.5 * (points + 1), 0.5 * weights
        self._inner = _integration(points)
        self._depth = math.sqrt(cloud.optical_depth / 2)
        self._steps: dict[tuple[Control, float], tuple[ComplexArray, ComplexArray, ComplexArray]] = {}
        self._blocks: dict[tuple[Control, float, int], _Block] = {}

    def empty(self) -> Coherences:
        """Return the cloud without a photon."""
        return Coherences(*(np.zeros(len(self.z), dtype=np.complex128) for _ in range(2)))

    def stored(self, state: Coherences) -> float:
        """Return the probability that the photon is in the spin wave."""
        return float(self.weights @ np.abs(state.spin) ** 2)

    def reversed(self, state: Coherences) -> Coherences:
        """Return the cloud as light from the other end sees it."""
        return Coherences(state.optical[::-1].copy(), state.spin[::-1].copy())

    def advance(self, state: Coherences, field: ComplexArray, control: Control,
                step_s: float) -> tuple[Coherences, ComplexArray]:  # fmt: skip
        """Let a field, complex, shape (m,), in sqrt(photons/s), come in on a grid of step_s; return (state at the last
        point, field out, shape (m,)).
        """
        n, steps = len(self.z), len(field) - 1
        root = math.sqrt(self.cloud.gamma_rad_s)
        inside = np.asarray(field, dtype=np.complex128) / root
        y = np.concatenate(state)
        out = np.empty(len(inside), dtype=np.complex128)
        out[0] = 1j * self._depth * (self.weights * y[:n]).sum()
        done = 0
        while done < steps:
            length = _BLOCK if steps - done >= _BLOCK else 1
            block = self._block(control, step_s, length)
            light = inside[done : done + length + 1]
            out[done + 1 : done + length + 1] = _times(block.out_of_state, y) + _times(block.out_of_light, light)
            y = _times(block.through, y) + _times(block.of_light, light)
            done += length
        return Coherences(y[:n], y[n:]), np.multiply(out + inside, root)  # the oldest stubs take `*` for real

    def _block(self, control: Control, step_s: float, length: int) -> _Block:
        """Return what so many steps at once do: to the state, and out of the cloud."""
        key = control, step_s, length
        if key not in self._blocks:
            if len(self._blocks) > 64:
                self._blocks.clear()
            self._blocks[key] = self._several(*self._step(control, step_s), length)
        return self._blocks[key]

    def _several(self, through: ComplexArray, early: ComplexArray, late: ComplexArray, length: int) -> _Block:
        """Return what `length` steps do, a power of two, out of what one does."""
        n, size = len(self.z), len(through)
        read = np.concatenate((1j * self._depth * self.weights, np.zeros(n)))
        of_light = np.zeros((size, length + 1), dtype=np.complex128)
        out_of_state = np.empty((length, size), dtype=np.complex128)
        out_of_light = np.zeros((length, length + 1), dtype=np.complex128)
        first, second, whole = early, late, through
        for k in range(length):  # light that came k steps before the end
            of_light[:, length - 1 - k] += first
            of_light[:, length - k] += second
            rows = np.arange(k, length)
            out_of_light[rows, rows - k] += (read * first).sum()
            out_of_light[rows, rows - k + 1] += (read * second).sum()
            first, second = _times(through, first), _times(through, second)
            out_of_state[k] = _times(through.T, out_of_state[k - 1] if k else read)
        while length > 1:
            whole, length = _product(whole, whole), length // 2
        return _Block(whole, of_light, out_of_state, out_of_light)

    def _step(self, control: Control, step_s: float) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        """Return the propagator of (P, S) over one step, and what the field at its ends adds."""
        key = control, step_s
        if key not in self._steps:
            if len(self._steps) > 64:
                self._steps.clear()
            n, gamma = len(self.z), self.cloud.gamma_rad_s
            w, h = control.rabi_rad_s / (2 * gamma), step_s * gamma
            one = np.eye(n)
            # Two more rows: the field at the step's beginning, and its slope, which feeds it.
            a = np.zeros((2 * n + 2, 2 * n + 2), dtype=np.complex128)
            a[:n, :n] = -one - self._depth**2 * self._inner
            a[:n, n : 2 * n] = a[n : 2 * n, :n] = 1j * w * one
            a[n : 2 * n, n : 2 * n] = -1j * control.detuning_rad_s / gamma * one
            a[:n, 2 * n] = 1j * self._depth
            a[2 * n, 2 * n + 1] = 1 / h
            whole = _exponential(a * h)
            late = whole[: 2 * n, 2 * n + 1]
            self._steps[key] = whole[: 2 * n, : 2 * n], whole[: 2 * n, 2 * n] - late, late
        return self._steps[key]


@lru_cache(maxsize=32)
def grid(cloud: Cloud) -> Grid:
    """Return the places along a cloud; the same object for an equal one, with the propagators it has made."""
    return Grid(cloud)


def _integration(points: FloatArray) -> FloatArray:
    """Return J with (J f)_i = int_0^{z_i} f dz for the polynomial f through Gauss-Legendre points of -1..1."""
    n = len(points)
    legendre = np.polynomial.legendre.legvander(points, n)
    _, weights = np.polynomial.legendre.leggauss(n)
    project = (legendre[:, :n] * weights[:, None]).T * (np.arange(n) + 0.5)[:, None]
    # int_{-1}^x P_k = (P_{k+1} - P_{k-1})/(2k + 1); for k = 0 it is x + 1.
    integrals = np.empty((n, n))
    integrals[:, 0] = points + 1
    for k in range(1, n):
        integrals[:, k] = (legendre[:, k + 1] - legendre[:, k - 1]) / (2 * k + 1)
    return np.asarray(0.5 * integrals @ project)


class Stored(NamedTuple):
    """What became of a photon: `leaked` came out before it was read, `stored` was in the spin wave then, `retrieved`
    came out afterwards; probabilities.
    """

    leaked: float
    stored: float
    retrieved: float


def store_and_retrieve(cloud: Cloud, t_s: FloatArray, field: ComplexArray, control: Control, off_s: float,
                       direction: str = "forward", read_s: float | None = None) -> Stored:  # fmt: skip
    """Store a field on a uniform grid t_s with a control that is on until off_s, then read it out with the same.

    The field is that at the cloud's entrance. read_s: how long is read, by default until nothing is left.
    """
    require_direction(direction, "Argument `direction`")
    if not t_s[0] < off_s:
        raise ScenarioError(f"Argument `off_s` is {off_s:g}, but must be > {t_s[0]:g}: the control is on at first.")
    places, step = grid(cloud), float(t_s[1] - t_s[0])
    cut = int(np.clip(round((off_s - float(t_s[0])) / step) + 1, 1, len(t_s)))
    state, first = places.advance(places.empty(), field[:cut], control, step)
    # Dark until the optical coherence is gone, with whatever of the pulse comes late.
    tail = np.concatenate((field[cut - 1 :], _nothing(math.ceil(20 / (cloud.gamma_rad_s * step)))))
    state, second = places.advance(state, tail, OFF, step)
    kept = places.stored(state)
    state = Coherences(np.zeros_like(state.optical), state.spin)
    if direction == "backward":
        state = places.reversed(state)
    reach = read_s if read_s is not None else 6 * cloud.optical_depth * cloud.linewidth_rad_s / control.rabi_rad_s**2
    _, out = places.advance(state, _nothing(math.ceil(reach / step) + 1), control, step)
    return Stored(_photons(first, step) + _photons(second, step), kept, _photons(out, step))


def gaussian(t_s: FloatArray, fwhm_s: float, peak_s: float = 0.0) -> ComplexArray:
    """Return the field of one photon, complex, t_s's shape, whose intensity is a Gaussian of this width."""
    sigma = fwhm_s / (2 * math.sqrt(2 * math.log(2)))
    field = np.exp(-((t_s - peak_s) ** 2) / (4 * sigma**2)) / (2 * math.pi * sigma**2) ** 0.25
    return np.asarray(field, dtype=np.complex128)


class Default(NamedTuple):
    """The pulse and control that a lab begins with; times in s."""

    fwhm_s: float
    delay_s: float
    off_s: float

    def control(self, cloud: Cloud, power: float = 1.0) -> Control:
        """Return the control light at a part of the power that makes the delay."""
        rabi = control_for_delay_rad_s(cloud.optical_depth, cloud.linewidth_rad_s, self.delay_s)
        return Control(rabi * math.sqrt(power))


def default(cloud: Cloud, delay: float = 1.7, off: float = 0.95) -> Default:
    """Return a Gaussian of FWHM T = 100/(D gamma), delayed by `delay` T, the control off `off` T after its peak."""
    fwhm = 200 / (cloud.optical_depth * cloud.gamma_rad_s)
    return Default(fwhm, delay * fwhm, off * fwhm)


def optimal_pulse(cloud: Cloud, direction: str, control: Control, t_s: FloatArray) -> ComplexArray:
    """Return the best pulse under a constant control that is switched off at t_s's last point.

    The light that leaves backwards of the best spin wave, run backwards in time. Normalised to the one photon that it
    is for an endless t_s; complex, t_s's shape.
    """
    places, step = grid(cloud), float(t_s[1] - t_s[0])
    # The wave as light that leaves by the entrance sees it: from the other end.
    spin = best_spin_wave(cloud.optical_depth, direction, places.z)[::-1].astype(np.complex128)
    state = Coherences(np.zeros_like(spin), spin)
    _, out = places.advance(state, _nothing(len(t_s)), control, step)
    pulse = np.conj(out[::-1])
    return np.asarray(pulse / math.sqrt(_photons(pulse, step)))


def passes(cloud: Cloud, t_s: FloatArray, field: ComplexArray,
           controls: Sequence[tuple[float, Control]]) -> ComplexArray:  # fmt: skip
    """Return the field out of a cloud, complex, t_s's shape, whose control changes at the given times (s, Control)."""
    places, step = grid(cloud), float(t_s[1] - t_s[0])
    edges = [int(np.clip(round((when - float(t_s[0])) / step), 0, len(t_s) - 1)) for when, _ in controls]
    state, out = places.empty(), np.zeros(len(t_s), dtype=np.complex128)
    for begin, end, (_, control) in zip(edges, [*edges[1:], len(t_s) - 1], controls, strict=True):
        if end > begin:
            state, part = places.advance(state, field[begin : end + 1], control, step)
            out[begin : end + 1] = part
    return out


def late_read_visibility(late_s: float, sigma_s: float) -> float:
    """Return |<a|b>|^2 of two Gaussian photons of rms width sigma (intensity), one of them late_s later."""
    return math.exp(-(late_s**2) / (4 * sigma_s**2))


def _times(matrix: ComplexArray, vector: ComplexArray) -> ComplexArray:
    """Return a product without BLAS, which would start threads for so little: a hundred times as long."""
    return np.asarray((matrix * vector).sum(axis=1))


def _product(left: ComplexArray, right: ComplexArray) -> ComplexArray:
    return np.asarray(np.einsum("ij,jk->ik", left, right))


def _exponential(a: ComplexArray) -> ComplexArray:
    """Return exp of a matrix by scaling, Taylor series and squaring; without BLAS for the same reason."""
    norm = float(np.abs(a).sum(axis=1).max())
    squarings = max(0, math.ceil(math.log2(norm / 0.25))) if norm > 0 else 0
    scaled, identity = a / 2**squarings, np.eye(len(a), dtype=np.complex128)
    result = identity + scaled / _TERMS
    for k in range(_TERMS - 1, 0, -1):
        result = identity + _product(scaled, result) / k
    for _ in range(squarings):
        result = _product(result, result)
    return result


def _nothing(points: int) -> ComplexArray:
    return np.zeros(points, dtype=np.complex128)


def _photons(field: ComplexArray, step_s: float) -> float:
    return float(np.trapezoid(np.abs(field) ** 2, dx=step_s))
