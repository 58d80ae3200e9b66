"""The registers of one Spectrum card in DDS mode: what `spcm.DDS` writes and reads, and the queue behind it.

Values collect in a list until EXEC_AT_TRG or EXEC_NOW closes a group; WRITE_TO_CARD moves the list into the queue.
Groups that are executed now act at once. The others wait: from a group that the card's trigger executes, through those
that the timer executes, to the one that gives the trigger back to the card is a *block*, which becomes linear ramps
between knots (`Leg`). Register numbers and bits: spcm 1.10, `spcm_core/regs.py`. Not in public sources, hence this
twin's own: 20 cores, time steps of 6.4 ns, 4096 commands in the queue (65536 by DMA), ranges and steps of values.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CORES = 20
STEP_S = 6.4e-9
ROOM = {0: 4096, 1: 65536}  # by data transfer mode: single, DMA
DDS_OPTION = 0x10  # SPCM_FEAT_EXTFW_DDS20
M2CMD, PRODUCT_NAME, SERIAL, FEATURES = 100, 2000, 2030, 2121
FREQ, FREQ_SLOPE, AMP, AMP_SLOPE, PHASE = 603000, 604000, 605000, 606000, 607000
SOURCE, TIMER, COMMAND, STATUS = 608000, 608001, 608003, 608004
QUEUE_MAX, QUEUE_COUNT, NUM_CORES, TRANSFER_MODE, TRIGGERS = 608005, 608006, 608007, 608012, 608013
CORES_ON_CHANNEL_0 = 608040
_AVAILABLE = 608500  # minimum, maximum, step of freq, freq slope, amp, amp slope, phase
_CMD_RESET, _CMD_AT_TRIGGER, _CMD_NOW, _CMD_WRITE = 0x01, 0x02, 0x04, 0x08
_START, _ENABLE, _DISABLE, _STOP, _CARD_RESET = 0x04, 0x08, 0x20, 0x40, 0x01
WAITING = 0x01
BY_TIMER, BY_CARD = 1, 2
_SLOPE = 1e15
RANGES = {FREQ: (0.0, 400e6, 1.25e9 / 2**32), FREQ_SLOPE: (-_SLOPE, _SLOPE, 1e-3), AMP: (0.0, 1.0, 2.0**-24),
          AMP_SLOPE: (-1e9, 1e9, 1e-6), PHASE: (0.0, 360.0, 360 / 2**32)}  # fmt: skip
_DOUBLES = {bank + core for bank in RANGES for core in range(CORES)} | {TIMER}
_INTEGERS = {SOURCE: (0, 1, 2), TRANSFER_MODE: (0, 1)}
BAD_REGISTER, BAD_VALUE, BAD_SEQUENCE = "ERR_REG", "ERR_VALUE", "ERR_SEQUENCE"


class Fault(NamedTuple):
    """What the card says against a call: the register, the value, the text."""

    register: int
    value: float
    text: str

    def __str__(self) -> str:
        return f"register {self.register}, value {self.value:g}: {self.text}"


class Leg(NamedTuple):
    """A linear ramp of all cores: its length, frequencies and amplitudes at both ends, float, shape (cores,) each, and
    whether values were set where it begins.
    """

    length_s: float
    start_hz: Floats
    stop_hz: Floats
    start_amplitude: Floats
    stop_amplitude: Floats
    joint: bool


@dataclass
class Group:
    """What one execution sets: (register, value) in order."""

    values: list[tuple[int, float]] = field(default_factory=list)
    now: bool = False

    @property
    def size(self) -> int:
        """Return how many commands it takes in the queue."""
        return len(self.values) + 1


class Card:
    """One card: `set` and `get` of registers, and the blocks that wait for the trigger."""

    def __init__(self, serial: int) -> None:
        self.serial = serial
        self.armed = self.started = False
        self.dds_reset()

    def dds_reset(self) -> None:
        """Go to silence with nothing in the queue."""
        self.told: dict[int, float] = {}
        self._state = {bank: np.zeros(CORES) for bank in RANGES}
        self._source, self._period_s, self._mode = 0, STEP_S, 0
        self._group = Group()
        self._listed: list[Group] = []
        self._queue: deque[Group] = deque()
        self._handed: deque[int] = deque()  # sizes of blocks that the world holds
        self.executed = 0
        self.resets = getattr(self, "resets", -1) + 1

    # -- registers -----------------------------------------------------------------------------------------------------

    def set(self, register: int, value: float) -> Fault | None:
        """Write a register."""
        if register == M2CMD:
            return self._card_command(int(value))
        if register == COMMAND:
            return self._dds_command(int(value))
        fault = self._refusal(register, value)
        if fault is not None:
            return fault
        value = self._rounded(register, value)
        self.told[register] = value
        if register == TRANSFER_MODE:
            self._mode = int(value)
        else:
            self._group.values.append((register, value))
        return None

    def get(self, register: int) -> float | Fault:
        """Read a register."""
        readings: dict[int, float] = {
            SERIAL: self.serial, FEATURES: DDS_OPTION, NUM_CORES: CORES, QUEUE_MAX: ROOM[self._mode],
            QUEUE_COUNT: self.commands, TRIGGERS: self.executed, STATUS: WAITING if self.armed and self.commands else 0,
            TRANSFER_MODE: self._mode, CORES_ON_CHANNEL_0: 2**CORES - 1,
        }  # fmt: skip
        if register in readings:
            return readings[register]
        if _AVAILABLE <= register < _AVAILABLE + 15:
            bank, what = divmod(register - _AVAILABLE, 3)
            return list(RANGES.values())[bank][what]
        if register in _DOUBLES or register in _INTEGERS:
            return self.told.get(register, 0.0)
        return Fault(register, 0, BAD_REGISTER)

    @property
    def commands(self) -> int:
        """Return how many commands wait in the queue, those of blocks that are ready included."""
        return sum(self._handed) + sum(group.size for group in self._queue)

    def _refusal(self, register: int, value: float) -> Fault | None:
        if register not in _DOUBLES and register not in _INTEGERS:
            return Fault(register, value, BAD_REGISTER)
        if register in _INTEGERS:
            return None if value in _INTEGERS[register] else Fault(register, value, BAD_VALUE)
        lowest, highest, _ = (STEP_S, 1e3, STEP_S) if register == TIMER else RANGES[register // 1000 * 1000]
        return None if lowest <= value <= highest else Fault(register, value, BAD_VALUE)

    @staticmethod
    def _rounded(register: int, value: float) -> float:
        if register in _INTEGERS:
            return value
        step = STEP_S if register == TIMER else RANGES[register // 1000 * 1000][2]
        return round(value / step) * step

    def _card_command(self, bits: int) -> Fault | None:
        if bits & _CARD_RESET:
            self.started = self.armed = False
            self.dds_reset()
        if bits & _START:
            self.started = True
        if bits & _ENABLE:
            if not self.started:
                return Fault(M2CMD, bits, BAD_SEQUENCE)
            self.armed = True
        if bits & (_DISABLE | _STOP):
            self.armed = False
        if bits & _STOP:
            self.started = False
        return None

    def _dds_command(self, bits: int) -> Fault | None:
        if bits & _CMD_RESET:
            self.dds_reset()
        if bits & (_CMD_AT_TRIGGER | _CMD_NOW):
            self._group.now = bool(bits & _CMD_NOW)
            self._listed.append(self._group)
            self._group = Group()
        if bits & _CMD_WRITE:
            return self._write()
        return None

    def _write(self) -> Fault | None:
        size = sum(group.size for group in self._listed)
        if self.commands + size > ROOM[self._mode]:
            self._listed.clear()
            return Fault(COMMAND, size, "the command queue is full")
        self._queue += self._listed
        self._listed.clear()
        while self._queue and (self._queue[0].now or self._source == BY_TIMER):
            self._execute(self._queue.popleft())
        return None

    # -- execution -----------------------------------------------------------------------------------------------------

    def _execute(self, group: Group) -> None:
        self.executed += 1
        for register, value in group.values:
            if register == SOURCE:
                self._source = int(value)
            elif register == TIMER:
                self._period_s = value
            else:
                bank, core = divmod(register, 1000)
                self._state[bank * 1000][core] = value

    def block(self) -> list[Leg] | None:
        """Take the next block out of the queue as legs; None if there is none that is whole."""
        size = self._whole()
        if size is None:
            return None
        groups = [self._queue.popleft() for _ in range(size)]
        self._handed.append(sum(group.size for group in groups))
        return list(self._play(groups))

    def keep(self, blocks: int) -> None:
        """The world has that many blocks left to play: the others are done."""
        while len(self._handed) > blocks:
            self._handed.popleft()

    def _whole(self) -> int | None:
        """Return how many groups the next block has, if its end is there."""
        if self._source != BY_CARD:
            return None
        source = BY_CARD
        for k, group in enumerate(self._queue):
            source = next((int(v) for r, v in reversed(group.values) if r == SOURCE), source)
            if source == BY_CARD:
                return k + 1
        return None

    def _play(self, groups: list[Group]) -> Iterator[Leg]:
        """Execute the groups; between two of them everything ramps for one period of the timer."""
        for k, group in enumerate(groups):
            self._execute(group)
            if k == len(groups) - 1:
                break
            start = {bank: values.copy() for bank, values in self._state.items()}
            for bank, slope in ((FREQ, FREQ_SLOPE), (AMP, AMP_SLOPE)):
                lowest, highest, _ = RANGES[bank]
                self._state[bank] = np.clip(start[bank] + start[slope] * self._period_s, lowest, highest)
            joint = any(register // 1000 * 1000 in (FREQ, AMP) for register, _ in group.values)
            yield Leg(self._period_s, start[FREQ], self._state[FREQ].copy(), start[AMP], self._state[AMP].copy(), joint)
        if len(groups) == 1:
            hz, amplitude = self._state[FREQ].copy(), self._state[AMP].copy()
            yield Leg(STEP_S, hz, hz, amplitude, amplitude, joint=True)
