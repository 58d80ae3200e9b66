"""Twin of the tweezer AWG: two Spectrum cards in DDS mode, whose blocks the node's tweezer array plays.

There is no wire: a request is (axis, "set" or "get", register, value), as Spectrum's driver library has it, and `Dds`
is the part of `spcm.DDS` that our driver uses, on top of that. A block is handed to the world, which plays it at the
next rising edge of the AWG's trigger, once triggers act and both cards have it. The world plays segments that travel by
the cubic profile: legs between two values that were set are joined into one such segment if they lie on it within 2 %
of the travel; other ramps go leg by leg. Tones that are set at once (exec_now) stand on the card, but nothing moves by
them before the next block.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from sim.instruments.dds_card import (
    AMP,
    AMP_SLOPE,
    COMMAND,
    CORES_ON_CHANNEL_0,
    FREQ,
    FREQ_SLOPE,
    M2CMD,
    NUM_CORES,
    PHASE,
    PRODUCT_NAME,
    QUEUE_COUNT,
    QUEUE_MAX,
    SERIAL,
    SOURCE,
    STATUS,
    TIMER,
    TRANSFER_MODE,
    TRIGGERS,
    Card,
    Fault,
    Floats,
    Leg,
)  # fmt: skip

from .twin import Handle
from .twin import Twin as Base

AXES = ("rows", "columns")
PRODUCT = "M4i.6631-x8"
_CUBIC = 0.02  # of the travel
_STILL_HZ = 1.0
_SAME_S = 1e-12
_QUEUE = (M2CMD, COMMAND, QUEUE_COUNT, STATUS)  # registers that have to do with what is executed
_LISTED = (0x02, 0x04)  # commands that close a group of the list, which is not on the card yet


class Tones(NamedTuple):
    """All tones of one axis in one segment."""

    start_hz: Floats
    stop_hz: Floats
    start_amplitude: Floats
    stop_amplitude: Floats


class Segment(NamedTuple):
    """One piece of waveform for both axes, as the world takes it."""

    duration_s: float
    rows: Tones
    columns: Tones


class Twin(Base):
    """Both cards; `element` is the node's tweezer array, or None where the node has a single tweezer."""

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self.product = PRODUCT
        self.cards = {axis: Card(serial) for axis, serial in zip(AXES, (16631, 16632), strict=True)}
        for card in self.cards.values():
            card.started = True  # as the driver's set-up leaves them
        self._ready: dict[str, list[list[Leg]]] = {axis: [] for axis in AXES}

    @classmethod
    def element_of(cls, world: Any, name: str) -> Any:
        """Return the tweezer array of the row's node (`alice_awg`)."""
        return world.nodes[name.partition("_")[0]].tweezers

    def handle(self, request: Any) -> float | str | Fault | None:
        """Read or write a register of one card ("get", "get_str", "set"); a Fault is what the card says against it."""
        try:
            axis, what, register, value = request
            card, register, value = self.cards[axis], int(register), float(value)
            if what not in ("set", "get", "get_str"):
                raise ValueError
        except (TypeError, ValueError, KeyError, OverflowError):
            return Fault(0, 0, "ERR_CALLTYPE")
        queued = register in _QUEUE and not (register == COMMAND and what == "set" and value in _LISTED)
        if queued:
            self._executed()
        if what == "get_str":
            return self.product if register == PRODUCT_NAME else Fault(register, 0, "ERR_REG")
        if what == "get":
            return card.get(register)
        resets = card.resets
        if not math.isfinite(value):
            return Fault(register, value, "ERR_VALUE")
        fault = card.set(register, value)
        if card.resets != resets:
            self._forget(axis)
        if queued:
            self._hand_over()
        return fault

    def in_process(self, handle: Handle) -> Any:
        """Return the cards as the driver takes them."""
        return Cards(handle)

    # -- to the world --------------------------------------------------------------------------------------------------

    def _executed(self) -> None:
        """Learn how many of the handed blocks the world has played."""
        left = self.element.queued if self.element is not None else 0
        for axis, card in self.cards.items():
            card.keep(left + len(self._ready[axis]))

    def _forget(self, axis: str) -> None:
        """One card was reset: what it would have played with the other is gone."""
        self._ready[axis].clear()
        if self.element is not None:
            self.element.clear()

    def _hand_over(self) -> None:
        if not all(card.armed for card in self.cards.values()):
            return
        for axis, card in self.cards.items():
            while (legs := card.block()) is not None:
                self._ready[axis].append(legs)
        while all(self._ready.values()):
            rows, columns = (self._ready[axis].pop(0) for axis in AXES)
            if self.element is not None:
                self.element.queue(segments(rows, columns))


def segments(rows: list[Leg], columns: list[Leg]) -> list[Segment]:
    """Return the segments that two cards' legs make, one after the other; they begin together."""
    axes = [(legs, np.concatenate(([0.0], np.cumsum([leg.length_s for leg in legs])))) for legs in (rows, columns)]
    joints = sorted({t for legs, edges in axes for t in _joints(legs, edges)})
    times = [t for k, t in enumerate(joints) if k == 0 or t - joints[k - 1] > _SAME_S]
    return [Segment(stop - start, *(_tones(legs, edges, start, stop) for legs, edges in axes))
            for start, stop in pairwise(times)]  # fmt: skip


def _joints(legs: list[Leg], edges: Floats) -> list[float]:
    """Return the times between which one segment runs: where values were set, and every knot of what is no cubic."""
    cuts = [0, *(k for k, leg in enumerate(legs) if leg.joint and k), len(legs)]
    found = [float(edges[-1])]
    for first, last in pairwise(cuts):
        run = legs[first:last]
        whole = _is_cubic(run) and _is_straight(run)
        found += [float(edges[first])] if whole else [float(t) for t in edges[first:last]]
    return found


def _is_cubic(legs: list[Leg]) -> bool:
    start, travel = legs[0].start_hz, legs[-1].stop_hz - legs[0].start_hz
    s = np.cumsum([leg.length_s for leg in legs]) / sum(leg.length_s for leg in legs)
    knots = np.array([leg.stop_hz for leg in legs])
    cubic = start + np.outer(s * s * (3 - 2 * s), travel)
    return bool(np.all(np.abs(knots - cubic) <= _CUBIC * np.abs(travel) + _STILL_HZ))


def _is_straight(legs: list[Leg]) -> bool:
    start, rise = legs[0].start_amplitude, legs[-1].stop_amplitude - legs[0].start_amplitude
    s = np.cumsum([leg.length_s for leg in legs]) / sum(leg.length_s for leg in legs)
    knots = np.array([leg.stop_amplitude for leg in legs])
    return bool(np.all(np.abs(knots - start - np.outer(s, rise)) <= 1e-6))


def _tones(legs: list[Leg], edges: Floats, start_s: float, stop_s: float) -> Tones:
    """Return the cores that are on between two times; one silent tone if none is."""
    first = int(np.searchsorted(edges, start_s + _SAME_S)) - 1  # where two legs meet, the later one begins the segment
    last = int(np.searchsorted(edges, stop_s - _SAME_S)) - 1
    (start_hz, start), (stop_hz, stop) = _at(legs, edges, first, start_s), _at(legs, edges, last, stop_s)
    on = np.flatnonzero((start > 0) | (stop > 0))
    on = on if len(on) else np.array([0])
    return Tones(start_hz[on], stop_hz[on], start[on], stop[on])


def _at(legs: list[Leg], edges: Floats, k: int, t_s: float) -> tuple[Floats, Floats]:
    """Return frequencies and amplitudes of one leg at a time; a card that is done stays where it is."""
    if k >= len(legs):
        return legs[-1].stop_hz, legs[-1].stop_amplitude
    leg = legs[k]
    s = min(max((t_s - float(edges[k])) / leg.length_s, 0.0), 1.0)
    return (leg.start_hz + s * (leg.stop_hz - leg.start_hz),
            leg.start_amplitude + s * (leg.stop_amplitude - leg.start_amplitude))  # fmt: skip


# -- what the driver is given ------------------------------------------------------------------------------------------


_NO_REGISTER = 2.0**63


class CardError(Exception):
    """What `spcm.SpcmException` is for the cards of the twin."""


class Dds:
    """The part of `spcm.DDS` that the driver uses, with its names and arguments, over the registers of one card."""

    def __init__(self, axis: str, handle: Callable[[Any], Any]) -> None:
        self._axis, self._handle = axis, handle

    def set_i(self, register: int, value: int) -> None:
        """Write an integer register."""
        self._answer(self._handle((self._axis, "set", register, value)))

    def set_d(self, register: int, value: float) -> None:
        """Write a register of floating point."""
        self._answer(self._handle((self._axis, "set", register, value)))

    def get_i(self, register: int) -> int:
        """Read an integer register."""
        value = self._number(register)
        if value != int(value):
            raise CardError(f"register {register} reads {value:g}, must be a whole number")
        return int(value)

    def get_d(self, register: int) -> float:
        """Read a register of floating point."""
        return self._number(register)

    def get_str(self, register: int) -> str:
        """Read a register that holds text."""
        return str(self._answer(self._handle((self._axis, "get_str", register, 0))))

    def _number(self, register: int) -> float:
        reply = self._handle((self._axis, "get", register, 0))
        self._answer(reply)
        if isinstance(reply, bool) or not isinstance(reply, int | float) or not abs(reply) < _NO_REGISTER:
            raise CardError(f"register {register} reads {str(reply)[:40]!r}, must be a number")
        return float(reply)

    def freq(self, core_index: int, frequency: float) -> None:
        """Set a frequency in Hz."""
        self.set_d(FREQ + core_index, frequency)

    def amp(self, core_index: int, amplitude: float) -> None:
        """Set an amplitude as a fraction of full scale."""
        self.set_d(AMP + core_index, amplitude)

    def phase(self, core_index: int, phase: float) -> None:
        """Set a phase in degrees."""
        self.set_d(PHASE + core_index, phase)

    def freq_slope(self, core_index: int, slope: float) -> None:
        """Set a frequency slope in Hz/s."""
        self.set_d(FREQ_SLOPE + core_index, slope)

    def amp_slope(self, core_index: int, slope: float) -> None:
        """Set an amplitude slope in 1/s."""
        self.set_d(AMP_SLOPE + core_index, slope)

    def get_freq(self, core_index: int) -> float:
        """Return a frequency in Hz as the card rounded it."""
        return self.get_d(FREQ + core_index)

    def get_amp(self, core_index: int) -> float:
        """Return an amplitude as the card rounded it."""
        return self.get_d(AMP + core_index)

    def trg_src(self, src: int) -> None:
        """Choose what executes the next groups: 0 nothing, 1 the timer, 2 the card's trigger."""
        self.set_i(SOURCE, src)

    def trg_timer(self, period: float) -> None:
        """Set the timer's period in s."""
        self.set_d(TIMER, period)

    def data_transfer_mode(self, mode: int) -> None:
        """Choose single commands (0) or DMA (1)."""
        self.set_i(TRANSFER_MODE, mode)

    def exec_at_trg(self) -> None:
        """Close a group that is executed at a trigger."""
        self.set_i(COMMAND, 0x02)

    def exec_now(self) -> None:
        """Close a group that is executed as soon as it is on the card."""
        self.set_i(COMMAND, 0x04)

    def write_to_card(self, flags: int = 0) -> None:
        """Send the list to the card."""
        self.set_i(COMMAND, 0x08 | flags)

    def reset(self) -> None:
        """Reset the DDS part of the card."""
        self.set_i(COMMAND, 0x01)

    def num_cores(self) -> int:
        """Return how many cores the card has."""
        return self.get_i(NUM_CORES)

    def queue_cmd_max(self) -> int:
        """Return how many commands the queue holds."""
        return self.get_i(QUEUE_MAX)

    def queue_cmd_count(self) -> int:
        """Return how many commands are in the queue."""
        return self.get_i(QUEUE_COUNT)

    def get_cores_on_channel(self, channel: int) -> int:
        """Return the cores on an output as a mask."""
        return self.get_i(CORES_ON_CHANNEL_0 + channel)

    def status(self) -> int:
        """Return the status bits."""
        return self.get_i(STATUS)

    def trg_count(self) -> int:
        """Return how many groups were executed."""
        return self.get_i(TRIGGERS)

    def _answer(self, reply: Any) -> Any:
        if isinstance(reply, Fault):
            raise CardError(str(reply))
        return 0 if reply is None else reply


class Cards:
    """Both cards in the driver's process."""

    errors: tuple[type[Exception], ...] = (CardError,)

    def __init__(self, handle: Callable[[Any], Any]) -> None:
        self.rows, self.columns = Dds("rows", handle), Dds("columns", handle)

    def identity(self) -> str:
        """Return product names and serial numbers."""
        return ", ".join(f"{dds.get_str(PRODUCT_NAME)} sn {dds.get_i(SERIAL)}" for dds in self._both())

    def triggers(self, on: bool) -> None:
        """Let the trigger inputs act, or not."""
        for dds in self._both():
            dds.set_i(M2CMD, 0x08 if on else 0x20)

    def clear(self) -> None:
        """Do nothing: registers answer at once."""

    def reopen(self) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _both(self) -> tuple[Dds, Dds]:
        return self.rows, self.columns
