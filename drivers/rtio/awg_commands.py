"""Segments of tone ramps as commands of a DDS card: per core frequency, amplitude, and the slopes of both.

    trigger --[ start values, first slopes ]--[ timer: next slopes ] ... --[ timer: stop values ]-- next trigger

The card knows linear ramps only. Amplitudes are linear anyway; a frequency that travels by the cubic profile becomes a
chain of chords of equal duration h. A chord errs by at most h^2/8 max|f''|, and the cubic has max|f''| = 6 |f1 - f0|/
T^2, so n chords err by at most 0.75 |f1 - f0|/n^2: n follows from the error that is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from drivers.rtio.awg_ramps import Segment, Tones, frequency_hz

CARD, TIMER = "card", "timer"
_CHORD = 0.75  # see above


class Command(NamedTuple):
    """One command: `what` is a method of the card's DDS object, `core` is None where it acts on the whole card."""

    what: str
    core: int | None
    value: float | str | None = None


@dataclass
class Cores:
    """What the cores of one card were last told, so that nothing is told twice (nan: not known); `number` of them."""

    number: int
    state: dict[tuple[str, int], float] = field(default_factory=dict)

    def told(self, what: str, core: int, value: float) -> Iterator[Command]:
        """Yield the command unless the core has this value already; a fresh core is silent and does not ramp."""
        if self.state.get((what, core), math.nan if what == "freq" else 0.0) != value:
            self.state[what, core] = value
            yield Command(what, core, value)

    def forget(self) -> None:
        """Know nothing of the cores any more, so that everything is told afresh."""
        for core in range(self.number):
            self.state |= dict.fromkeys([(what, core) for what in ("freq", "amp", "freq_slope", "amp_slope")], math.nan)


def chords(segment: Segment, error_hz: float) -> int:
    """Return into how many pieces the segment falls so that no tone is more than error_hz off the cubic profile."""
    travel = max(float(np.abs(tones.stop_hz - tones.start_hz).max(initial=0.0)) for tones in segment[1:])
    return max(1, math.ceil(math.sqrt(_CHORD * travel / error_hz) - 1e-9))


def block(parts: Sequence[tuple[Tones, int, float]], cores: Cores) -> list[Command]:
    """Return the commands of one axis for one block: parts are (tones, number of pieces, seconds per piece), played one
    after the other from one trigger.

    The parts' own values are told at their joints, so whoever reads the commands sees where a part ends.
    """
    commands: list[Command] = []
    for k, (tones, pieces, piece_s) in enumerate(parts):
        steps = np.array([frequency_hz(tones, j / pieces) for j in range(pieces + 1)])
        slopes = np.diff(steps, axis=0) / piece_s
        commands += [*_stand(tones.start_hz, tones.start_amplitude, cores, joint=k > 0),
                     *_slopes("amp_slope", (tones.stop_amplitude - tones.start_amplitude) / (pieces * piece_s), cores),
                     *_slopes("freq_slope", slopes[0], cores), Command("trg_timer", None, piece_s)]  # fmt: skip
        commands += [Command("trg_src", None, TIMER)] if k == 0 else []
        commands.append(Command("exec_at_trg", None))
        for j in range(1, pieces):
            commands += [*_slopes("freq_slope", slopes[j], cores), Command("exec_at_trg", None)]
        _ramped(tones, cores)
    last = parts[-1][0]
    rest = np.zeros(len(last.stop_hz))
    return [*commands, *_slopes("freq_slope", rest, cores), *_slopes("amp_slope", rest, cores),
            *_stand(last.stop_hz, last.stop_amplitude, cores, joint=True), Command("trg_src", None, CARD),
            Command("exec_at_trg", None)]  # fmt: skip


def _ramped(tones: Tones, cores: Cores) -> None:
    """Forget what ramps have changed: the card rounds slopes, so the exact values are told where a ramp ends."""
    for core in range(len(tones.stop_hz)):
        for what, start, stop in (("freq", tones.start_hz, tones.stop_hz),
                                  ("amp", tones.start_amplitude, tones.stop_amplitude)):  # fmt: skip
            if start[core] != stop[core]:
                cores.state[what, core] = math.nan


def _stand(hz: np.ndarray, amplitude: np.ndarray, cores: Cores, joint: bool) -> list[Command]:
    """Return what puts the first cores on these tones and silences the others; at a joint, at least one value."""
    commands: list[Command] = []
    for core in range(cores.number):
        if core < len(hz):
            commands += cores.told("freq", core, float(hz[core]))
            commands += cores.told("amp", core, float(amplitude[core]))
        else:
            commands += [*cores.told("amp_slope", core, 0.0), *cores.told("freq_slope", core, 0.0),
                         *cores.told("amp", core, 0.0)]  # fmt: skip
    if joint and not commands:
        commands.append(Command("amp", 0, float(amplitude[0])))
    return commands


def _slopes(what: str, slopes: np.ndarray, cores: Cores) -> Iterator[Command]:
    for core, slope in enumerate(slopes.tolist()):
        yield from cores.told(what, core, float(slope))
