"""What all DDS channels share: a phase accumulator that runs with the chip's clock, and the tone it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from atomlink.signals import Tone

NS_PER_S = 1_000_000_000

TonePort = Callable[[int, Tone], None]


class Dds:
    """One DDS channel behind a CPLD: subclasses hold the chip's registers and call `_retune`."""

    accumulator_bits = 32

    def __init__(self, port: TonePort) -> None:
        self.profile = 0
        self.attenuation_db = 0.0
        self.switch = False
        self._port = port
        self._clock_hz = 0
        self._word = 0
        self._accumulator = 0
        self._accumulator_mu = 0
        self._offset_turns = 0.0
        self._amplitude = 0.0
        self._sent: tuple[Any, ...] | None = None

    @property
    def locked(self) -> bool:
        """Return whether the chip's PLL has locked."""
        return False

    def transfer(self, bits: int, length: int) -> int:
        """Shift bits through the serial port."""
        raise NotImplementedError

    def release(self, t_mu: int) -> None:
        """End a serial transaction."""

    def update(self, t_mu: int) -> None:
        """Let the registers written since the last IO_UPDATE take effect."""
        raise NotImplementedError

    def reset(self, t_mu: int) -> None:
        """Return to the state after power-up."""
        raise NotImplementedError

    def set_reference(self, t_mu: int, reference_hz: float) -> None:
        """Take the reference clock that the CPLD hands on."""
        raise NotImplementedError

    def monitored(self) -> int:
        """Return the frequency word in effect, its highest 32 bits: what the core device's monitor shows."""
        return self._word >> (self.accumulator_bits - 32)

    def phase_turns(self, t_mu: int) -> float:
        """Return the phase of the output at `t_mu`, 0 to 1."""
        return (self._accumulated(t_mu) / (1 << self.accumulator_bits) + self._offset_turns) % 1.0

    def emit(self, t_mu: int) -> None:
        """Tell the world the tone, if it is another than the one it knows."""
        state = (self._clock_hz, self._word, self._offset_turns, self._amplitude, self.attenuation_db, self.switch)
        if state == self._sent:
            return
        self._sent = state
        frequency_hz = self._word * self._clock_hz / (1 << self.accumulator_bits)
        # The output is coupled through a transformer: nothing comes out at 0 Hz.
        amplitude = self._amplitude if self._word else 0.0
        self._port(t_mu, Tone(frequency_hz, amplitude, self.phase_turns(t_mu), self.attenuation_db, self.switch))

    def _accumulated(self, t_mu: int) -> int:
        # Whole clock ticks, counted from time 0 so that no rounding adds up; 1 mu is 1 ns.
        ticks = t_mu * self._clock_hz // NS_PER_S - self._accumulator_mu * self._clock_hz // NS_PER_S
        return (self._accumulator + self._word * ticks) & ((1 << self.accumulator_bits) - 1)

    def _retune(self, t_mu: int, clock_hz: int, word: int, offset_turns: float, amplitude: float, clear: bool) -> None:
        """Go on from the present phase (or from 0 if `clear`) with another word, offset and amplitude."""
        self._accumulator = 0 if clear else self._accumulated(t_mu)
        self._accumulator_mu = t_mu
        self._clock_hz, self._word = clock_hz, word
        self._offset_turns, self._amplitude = offset_turns, amplitude
        if clear:
            self._sent = None  # the phase jumps even where all else stays
        self.emit(t_mu)
