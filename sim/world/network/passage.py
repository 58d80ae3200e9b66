"""How one photon goes through a memory, whatever its control light does: what has come out until when.

A photon's history is the list of changes of the control after its first light. Between two changes the Maxwell-Bloch
equations are integrated once, on a grid of 1 ns; whoever comes by with the same history finds the result. What comes
out is a cumulative probability, so one uniform number drawn for a photon says when it leaves, whenever it is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.physics import eit

FloatArray = npt.NDArray[np.float64]
Change = tuple[int, eit.Control, float]  # ns after first light, the control from then on, share of its atoms left
_STEP_S = 1e-9
_CHUNK, _MOST = 384, 8_000  # points of one integration, and of all of a stretch
_LEFT = 1e-4  # probability that is not followed any further
_KEPT = 200


class Stretch(NamedTuple):
    """From `start_ns` on: the coherences then, and the cumulative probability (n,) that the photon has come out since
    first light, by ns; at the end nothing comes out any more.
    """

    start_ns: int
    state: eit.Coherences
    out: FloatArray


@dataclass(frozen=True)
class Ensemble:
    """What the passage depends on besides pulse and control."""

    cloud: eit.Cloud
    coherence_s: float
    backward: bool


class Passage:
    """The histories of one shape of photon, complex, shape (n,), in sqrt(photons/s) on a grid of 1 ns, in a cloud."""

    def __init__(self, ensemble: Ensemble, field: npt.NDArray[np.complex128]) -> None:
        self._ensemble, self._field = ensemble, field
        self._places = eit.grid(ensemble.cloud)
        self._stretches: dict[tuple[Change, ...], Stretch] = {}

    def until(self, history: tuple[Change, ...], t_ns: int) -> float:
        """Return the probability that the photon has come out by t_ns; `history` up to then, its first entry at 0."""
        return _at(self._stretch(history), t_ns)

    def when(self, history: tuple[Change, ...], u: float) -> float:
        """Return when (ns) the cumulative probability passes u, which it has by the last stretch's end."""
        stretch = self._stretch(history)
        return stretch.start_ns + float(np.searchsorted(stretch.out, u))

    def never(self, history: tuple[Change, ...], u: float) -> bool:
        """Return whether the probability will never pass u, if the control stays as it is and lets everything out."""
        stretch = self._stretch(history)
        return history[-1][1].rabi_rad_s > 0 and len(stretch.out) < _MOST and float(stretch.out[-1]) <= u

    def _stretch(self, history: tuple[Change, ...]) -> Stretch:
        if history not in self._stretches:
            if len(self._stretches) >= _KEPT:
                self._stretches.clear()
            self._stretches[history] = self._integrated(history)
        return self._stretches[history]

    def _integrated(self, history: tuple[Change, ...]) -> Stretch:
        (start, control, atoms), before = history[-1], history[:-1]
        if not before:
            state, gone = self._places.empty(), 0.0
        else:
            earlier = self._stretch(before)
            state, gone = self._state_at(earlier, before, start, atoms), _at(earlier, start)
            if self._ensemble.backward and control.rabi_rad_s > 0 and before[-1][1].rabi_rad_s == 0:
                state = self._places.reversed(state)
        return Stretch(start, state, self._out(state, start, control, gone))

    def _state_at(self, stretch: Stretch, history: tuple[Change, ...], t_ns: int, atoms: float) -> eit.Coherences:
        """Return the coherences at the end of a stretch; the spin wave has dephased, and lost atoms, since it began."""
        run = min(t_ns - stretch.start_ns, len(stretch.out) - 1)
        field = self._incoming(stretch.start_ns, run + 1)
        state, _ = self._places.advance(stretch.state, field, history[-1][1], _STEP_S)
        ages = (stretch.start_ns * _STEP_S / self._ensemble.coherence_s, t_ns * _STEP_S / self._ensemble.coherence_s)
        kept = math.exp(-(ages[1] ** 2 - ages[0] ** 2) / 2) * math.sqrt(min(1.0, atoms / history[-1][2]))
        optical = state.optical if run == t_ns - stretch.start_ns else np.zeros_like(state.optical)
        return eit.Coherences(optical, kept * state.spin)

    def _out(self, state: eit.Coherences, start: int, control: eit.Control, gone: float) -> FloatArray:
        """Follow what comes out from `start` on until nothing does."""
        parts = [np.zeros(1)]
        at = start
        while True:
            state, field = self._places.advance(state, self._incoming(at, _CHUNK + 1), control, _STEP_S)
            power = np.abs(field) ** 2
            parts.append(parts[-1][-1] + np.cumsum(0.5 * (power[1:] + power[:-1])) * _STEP_S)
            at += _CHUNK
            ended = at >= len(self._field)
            inside = float(self._places.weights @ np.abs(state.optical) ** 2)
            if control.rabi_rad_s > 0:
                inside += self._places.stored(state)
            if (ended and inside < _LEFT) or at - start >= _MOST:
                return np.asarray(gone + np.concatenate(parts))

    def _incoming(self, start: int, points: int) -> npt.NDArray[np.complex128]:
        field = np.zeros(points, dtype=np.complex128)
        part = self._field[start : start + points]
        field[: len(part)] = part
        return field


def _at(stretch: Stretch, t_ns: int) -> float:
    return float(stretch.out[min(max(0, t_ns - stretch.start_ns), len(stretch.out) - 1)])
