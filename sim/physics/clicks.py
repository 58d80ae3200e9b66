"""Photons of two nodes at one beam splitter with two detectors: what the one-photon and the time-bin schemes share.

The beam splitter makes A -> (c + d)/sqrt(2), B -> (c - d)/sqrt(2): photon k has sign s_x at port x, s = +1 but for B at
d. Per attempt the photons differ by a detuning, each emission by its own jitter and, in all that is not time, by modes
m_A, m_B. Two photons of one excitation leave by one port with probability (1 + I)/2,
I = |<m_A|m_B>|^2 2 Re(D S*)/(|D|^2 + |S|^2), D = psi_A(t1) psi_B(t2), S = psi_A(t2) psi_B(t1); summed over ports the
interference cancels, so times may be drawn as for independent photons. An atom that returned to its prepared state has
scattered a photon and emits a delayed mode (sim/physics/emission.py): drawn per emission. A photon lost on the way is
sampled as if it had been seen where it was lost, so a trajectory is always pure.

Source: Legero et al., Appl. Phys. B 77, 797 (2003), for the time-resolved interference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomlink.errors import ScenarioError
from sim.physics.emission import Emission
from sim.physics.validate import require, require_length

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Complexes = NDArray[np.complex128]

_QUANTILES = 1 << 16
_ROUNDING = 1e-6  # of a grid step


@dataclass(frozen=True)
class Path:
    """One node's photon: `efficiency` from a bright atom to a click of the better detector, `delay_s` from excitation
    to detectors, rms `jitter_s` of each excitation.
    """

    emission: Emission
    efficiency: float
    delay_s: float = 0.0
    jitter_s: float = 0.0

    def __post_init__(self) -> None:
        require(self, "efficiency", 0, 1)
        require(self, "delay_s", 0)
        require(self, "jitter_s", 0)

    @cached_property
    def modes(self) -> Complexes:
        """Return the modes (m, n) of the photon, the one without a return of the atom first; probabilities add to 1."""
        modes = self.emission.components
        return np.asarray(modes / np.sqrt(self._cumulated(modes)[:, -1].sum()))

    @cached_property
    def weights(self) -> Floats:
        """Return the probability (m,) of each mode."""
        return self._cumulated(self.modes)[:, -1]

    @cached_property
    def quantiles_s(self) -> Floats:
        """Return the inverse of each mode's distribution of times (m, k) on a uniform grid of probabilities."""
        at = np.linspace(0.0, 1.0, _QUANTILES + 1)
        return np.array([np.interp(at * total[-1], total, self.emission.t_s) for total in self._cumulated(self.modes)])

    def _cumulated(self, modes: Complexes) -> Floats:
        rate, step = _square(modes), self.emission.t_s[1] - self.emission.t_s[0]
        sums = np.cumsum(rate[:, 1:] + rate[:, :-1], axis=1) * (step / 2)
        return np.concatenate((np.zeros((len(rate), 1)), sums), axis=1)


@dataclass(frozen=True)
class Station:
    """Beam splitter and detectors c, d with their gates.

    overlap: |<m_A|m_B>|^2 of all modes but time. detuning_rad_s: rms between the photons, one value per attempt.
    phase_sigma_rad: rms optical phase of path A against path B (one photon), of its change between the rounds (time
    bins). efficiencies: of c, d relative to the better one. gates_s: (start, stop) of c, d from the excitation.
    """

    overlap: float
    detuning_rad_s: float
    phase_sigma_rad: float
    efficiencies: tuple[float, float]
    dark_rates_hz: tuple[float, float]
    gates_s: tuple[tuple[float, float], tuple[float, float]]

    def __post_init__(self) -> None:
        require(self, "overlap", 0, 1)
        for name in ("detuning_rad_s", "phase_sigma_rad", "dark_rates_hz"):
            require(self, name, 0)
        require(self, "efficiencies", 0, 1)
        for name in ("efficiencies", "dark_rates_hz", "gates_s"):
            require_length(self, name, 2)
        if any(stop < start for start, stop in self.gates_s):
            raise ScenarioError(f"Station.gates_s is {self.gates_s!r}, but each gate must be (start, stop) with start "
                                "<= stop: correct the scenario.")

    def darks(self) -> Floats:
        """Return the probability (2,) of a dark click in each gate."""
        start, stop = np.array(self.gates_s).T
        return np.asarray(-np.expm1(-np.array(self.dark_rates_hz) * (stop - start)))


class Clicks(NamedTuple):
    """n attempts: `first_s` (n, k) first click in each gate after its excitation, or inf, `pattern` (n,) with bit j for
    gate j, `states` (n, 4) of the atoms over |00>, |01>, |10>, |11>.
    """

    first_s: Floats
    pattern: Ints
    states: Complexes

class Light:
    """Wavepackets of n attempts with their noise: one detuning per attempt; a mode and a jitter per node and
    excitation.
    """

    def __init__(self, rng: np.random.Generator, paths: tuple[Path, Path], detuning_rad_s: float, n: int,
                 rounds: int = 1) -> None:
        self.paths = paths
        self._detuning = rng.normal(0.0, detuning_rad_s, n) if detuning_rad_s else None
        self._shifts = [[rng.normal(0.0, path.jitter_s, n) if path.jitter_s else None for _ in range(rounds)]
                        for path in paths]
        self._modes = [[_draw_modes(rng, path, n) for _ in range(rounds)] for path in paths]

    def detune(self, detuning_rad_s: Floats) -> None:
        """Let the photons of each attempt (n,) differ by so much, in place of what was drawn."""
        self._detuning = detuning_rad_s

    def times(self, rng: np.random.Generator, node: int, excitation: int, rows: Ints) -> Floats:
        """Draw when the node's photon arrives at the detectors in these attempts, from this excitation."""
        path, shift, modes = self.paths[node], self._shifts[node][excitation], self._modes[node][excitation]
        at = rng.random(len(rows)) * _QUANTILES
        index = at.astype(np.int64)
        mode = 0 if modes is None else modes[rows]
        low = path.quantiles_s[mode, index]
        time = low + (at - index) * (path.quantiles_s[mode, index + 1] - low) + path.delay_s
        return np.asarray(time if shift is None else time + shift[rows])

    def amplitude(self, node: int, excitation: int, rows: Ints, time_s: Floats, *,
                  undelayed: bool = False) -> Complexes:
        """Return psi (r,) of the node's photon at the detectors at these times; A carries the detuning.

        undelayed: of the mode without a return of the atom, whatever was drawn.
        """
        path, shift, modes = self.paths[node], self._shifts[node][excitation], self._modes[node][excitation]
        after = time_s - path.delay_s
        mode = 0 if modes is None or undelayed else modes[rows]
        psi = _interpolate(path, mode, after if shift is None else after - shift[rows])
        if node == 0 and self._detuning is not None:
            psi = psi * np.exp(-1j * self._detuning[rows] * after)
        return psi

    def unmarked(self, node: int, excitation: int, rows: Ints) -> Bools:
        """Return whether the atom emitted without a return: no scattered photon tells that it was this atom."""
        modes = self._modes[node][excitation]
        return np.ones(len(rows), dtype=bool) if modes is None else modes[rows] == 0

    def same_port(self, rng: np.random.Generator, overlap: float, excitation: int, rows: Ints,
                  times_s: tuple[Floats, Floats]) -> Bools:
        """Draw whether two photons of one excitation, A's at times_s[0] and B's at times_s[1], leave by one port."""
        (a1, b1), (a2, b2) = ([self.amplitude(node, excitation, rows, t) for node in (0, 1)] for t in times_s)
        direct, swapped = a1 * b2, a2 * b1
        norm = _square(direct) + _square(swapped)
        cross = 2 * np.real(direct * swapped.conj())
        interference = np.divide(cross, norm, out=np.zeros_like(norm), where=norm > 0)
        return np.asarray(rng.random(len(rows)) < 0.5 * (1 + overlap * interference))


def dark_clicks(rng: np.random.Generator, station: Station, fired: Bools) -> Floats:
    """Return the first dark click (n, k) in each gate that has one, else inf; gates of c first, then those of d."""
    first = np.full(fired.shape, np.inf)
    per_port = fired.shape[1] // 2
    for gate in range(fired.shape[1]):
        rows, port = np.flatnonzero(fired[:, gate]), gate // per_port
        if len(rows):
            # The first of Poisson clicks, given that there is one: an exponential cut off at the gate's end.
            wait = -np.log1p(-rng.random(len(rows)) * station.darks()[port]) / station.dark_rates_hz[port]
            first[rows, gate] = station.gates_s[port][0] + wait
    return first


def photon_clicks(rng: np.random.Generator, station: Station, first_s: Floats, rows: Ints, port: Ints, gate: Ints,
                  time_s: Floats) -> None:
    """Record one photon in each of these rows of first_s, unless its detector misses it or the gate is shut."""
    start, stop = np.array(station.gates_s)[port].T
    kept = (time_s >= start) & (time_s < stop)
    if min(station.efficiencies) < 1:
        kept &= rng.random(len(rows)) < np.array(station.efficiencies)[port]
    rows, gate = rows[kept], gate[kept]
    first_s[rows, gate] = np.minimum(first_s[rows, gate], time_s[kept])


def patterns(first_s: Floats) -> Ints:
    """Return the pattern (n,) of the gates that have a click."""
    return np.asarray(np.isfinite(first_s) @ (1 << np.arange(first_s.shape[1])))


def superpose(states: Complexes, rows: Ints, direct: Complexes, swapped: Complexes) -> None:
    """Put direct |01> + swapped |10>, normalised, into these rows of states (n, 4).

    Where both wavepackets vanish (interpolated times can stray into a gap) the state stays what it was.
    """
    norm = np.sqrt(_square(direct) + _square(swapped))
    some = norm > 0
    rows, norm = rows[some], norm[some]
    states[rows] = 0.0
    states[rows, 1], states[rows, 2] = direct[some] / norm, swapped[some] / norm


def basis_states(index: Ints) -> Complexes:
    """Return the basis state (n, 4) of each index 0..3."""
    states = np.zeros((len(index), 4), dtype=complex)
    states[np.arange(len(index)), index] = 1.0
    return states


def random_signs(rng: np.random.Generator, coherence: float, n: int) -> Floats:
    """Return n signs of mean `coherence`.

    What distinguishes two photons is measured in a basis that leaves the atoms superposed, with one sign or the other.
    """
    return np.where(rng.random(n) < 0.5 * (1 + coherence), 1.0, -1.0)


def _draw_modes(rng: np.random.Generator, path: Path, n: int) -> Ints | None:
    return rng.choice(len(path.weights), n, p=path.weights) if len(path.weights) > 1 else None


def _interpolate(path: Path, mode: Ints | int, after_s: Floats) -> Complexes:
    """Return the wavepacket at these times after the excitation, 0 outside its support (but for rounding)."""
    grid = path.emission.t_s
    at = (after_s - grid[0]) / (grid[1] - grid[0])
    index = np.clip(at.astype(np.int64), 0, len(grid) - 2)
    low, part = path.modes[mode, index], at - index
    psi = low + part * (path.modes[mode, index + 1] - low)
    return np.where((at >= -_ROUNDING) & (at <= len(grid) - 1 + _ROUNDING), psi, 0)


def _square(z: Complexes) -> Floats:
    return np.asarray(z.real**2 + z.imag**2, dtype=float)
