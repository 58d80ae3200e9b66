"""Tweezer AWG: two Spectrum M4i.66xx cards in DDS mode, one per axis of the AOD, both triggered by the node's TTL line.

    write_segments() --[ limits ]--[ queue: one block ]    arm() --[ trigger on ]-- TTL: one block each

The transport holds one DDS object per card (`spcm.DDS`, Spectrum's own package): amplitudes are fractions of full
scale, phases degrees to the card, radians here. One card has some 20 cores, hence one card per axis. What protects
amplifier and crystal is the SUM of the amplitudes of an axis, whatever the phases: it is checked before anything is
sent.
A block whose commands do not fit the card's queue is refused as a whole.
Sources: spcm 1.10, `classes_dds.py` and its examples 9 (external trigger) and 12 (complex ramps). Not in them, to be
checked on the card: time steps of 6.4 ns (8 samples at 1.25 GS/s).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from atomlink.errors import DeviceError
from drivers.interlock import AmplitudeSum
from drivers.limits import Limits
from drivers.rtio.awg_commands import CARD, TIMER, Command, Cores, block, chords
from drivers.rtio.awg_ramps import Segment, Tones

from .instrument import Instrument
from .spcm_cards import Cards, SpcmCards

AXES = ("rows", "columns")
STEP_S = 6.4e-9
BAND = Limits(50e6, 150e6, "Hz")  # what an AOD around 100 MHz deflects; the axes of a lab are narrower
AMPLITUDE = Limits(0.0, 1.0, "of full scale")  # of one tone
AMPLITUDE_SUM = AmplitudeSum(1.0)  # beyond 1 the card's adder saturates
_TRIGGER = {"none": 0, TIMER: 1, CARD: 2}  # SPCM_DDS_TRG_SRC_…
_DMA = 1  # SPCM_DDS_DTM_DMA: the queue is the card's memory
_CORES, _QUEUE, _STATUS = Limits(1, 1024, "cores"), Limits(0, 2**31, "commands"), Limits(0, 2**31, "(register)")
_UNDERRUN, _OVERRUN = 0x02, 0x04  # SPCM_DDS_STAT_QUEUE_…


class Driver(Instrument):
    """Tones of both axes of a crossed AOD; see the module for units. `error_hz` bounds the deviation from the cubic."""

    KIND = "Spectrum M4i.66xx AWG with DDS option, two cards"
    IDENTITY = r"^M[45][ix]\.66\d\d\S* sn \d+, M[45][ix]\.66\d\d\S* sn \d+$"

    def __init__(self, name: str, transport: Cards, *, rows: Limits = BAND, columns: Limits = BAND,
                 amplitude_sum: AmplitudeSum = AMPLITUDE_SUM, error_hz: float = 5e3) -> None:  # fmt: skip
        super().__init__(name, transport)
        self.band = {"rows": rows, "columns": columns}
        self.amplitude_sum, self.error_hz = amplitude_sum, error_hz
        self._cores: dict[str, Cores] = {}
        self._amplitudes: dict[str, tuple[float, ...]] = {}
        self._tones: dict[str, tuple[float, ...]] = {}
        self._armed = False

    @classmethod
    def connect(cls, device: str, library: Any = "@py") -> Cards:
        """Return the cards at `ROWS,COLUMNS`, such as `/dev/spcm0,/dev/spcm1`."""
        return SpcmCards(device)

    def _protect(self) -> None:
        """Start from silence, with nothing in the queues."""
        self.silence()

    # -- tones that stand ----------------------------------------------------------------------------------------------

    def set_tones(self, axis: str, frequencies_hz: Sequence[float], amplitudes: Sequence[float],
                  phases_rad: Sequence[float] | None = None) -> None:  # fmt: skip
        """Put an axis on these tones now, and silence its other cores; amplitudes are fractions of full scale."""
        phases = [0.0] * len(frequencies_hz) if phases_rad is None else list(phases_rad)
        self._check_axis(axis)
        if not len(frequencies_hz) == len(amplitudes) == len(phases):
            raise DeviceError(
                f"{self.name} {axis}: {len(frequencies_hz)} frequencies, {len(amplitudes)} amplitudes and "
                f"{len(phases)} phases must be equally many: nothing was sent."
            )
        self._check(f"{self.name} {axis}", axis, frequencies_hz, amplitudes)
        for phase in phases:
            Limits(-1e6, 1e6, "rad").check(f"{self.name} {axis} phase", phase)
        self._require_empty()
        dds, cores = self._dds(axis), self._cores[axis]
        cores.forget()
        with self._card():
            for core in range(cores.number):
                self._stand(dds, core, frequencies_hz, amplitudes, phases)
            dds.exec_now()
            dds.write_to_card()
            found = [(self._json_number(dds.get_freq(core), f"{axis} frequency"),
                      self._json_number(dds.get_amp(core), f"{axis} amplitude"))
                     for core in range(len(amplitudes))]  # fmt: skip
        self._tones[axis] = tuple(float(hz) for hz in frequencies_hz)
        self._amplitudes[axis] = tuple(float(amplitude) for amplitude in amplitudes)
        self._read_back(axis, list(zip(frequencies_hz, amplitudes, strict=True)), found)

    def ramp(self, axis: str, slopes_hz_s: Sequence[float], duration_s: float) -> None:
        """Let the tones of an axis travel by these slopes for a while from now on; they stop by themselves."""
        self._check_axis(axis)
        start = self._tones.get(axis, ())
        if len(slopes_hz_s) != len(start):
            raise DeviceError(f"{self.name} {axis}: {len(slopes_hz_s)} slopes for {len(start)} tones, but each tone "
                              "needs one: set_tones() first. Nothing was sent.")  # fmt: skip
        Limits(STEP_S, 1.0, "s").check(f"{self.name} {axis} duration", duration_s)
        steps = round(duration_s / STEP_S)
        stop = [hz + Limits(-1e15, 1e15, "Hz/s").check(f"{self.name} {axis} slope", slope) * steps * STEP_S
                for hz, slope in zip(start, slopes_hz_s, strict=True)]  # fmt: skip
        self._check(f"{self.name} {axis}, at the end of the ramp", axis, stop, self._amplitudes[axis])
        self._require_empty()
        dds = self._dds(axis)
        with self._card():
            for core, slope in enumerate(slopes_hz_s):
                dds.freq_slope(core, float(slope))
            dds.trg_timer(steps * STEP_S)
            dds.trg_src(_TRIGGER[TIMER])
            dds.exec_now()
            for core, hz in enumerate(stop):
                dds.freq_slope(core, 0.0)
                dds.freq(core, hz)
            dds.trg_src(_TRIGGER[CARD])
            dds.exec_at_trg()
            dds.write_to_card()
        self._tones[axis] = tuple(stop)
        self._cores[axis].forget()
        self._healthy()
        self._log(f"{axis} ramp", "Hz", str(list(slopes_hz_s)), str(list(slopes_hz_s)), str(stop))

    def silence(self) -> None:
        """Reset both cards: no tones, nothing in the queues, triggers off."""
        with self._card():
            self.transport.triggers(False)
        self._armed = False
        for axis in AXES:
            with self._card():
                dds = self._dds(axis)
                dds.reset()
                dds.data_transfer_mode(_DMA)
                dds.trg_src(_TRIGGER[CARD])
                dds.exec_now()  # the source, too, takes effect only when it is executed
                dds.write_to_card()
                self._cores[axis] = Cores(self._register(dds.num_cores(), f"{axis} cores", _CORES))
            self._tones[axis] = self._amplitudes[axis] = ()
        self._log("tones", "", "none", "none", "none")

    # -- ramps that wait for the trigger -------------------------------------------------------------------------------

    def write_segments(self, segments: Sequence[Segment]) -> None:
        """Queue a block of segments, played one after the other at one trigger; each trigger plays one block.

        Everything is checked first: bands, sums of amplitudes, cores, room in the queues.
        """
        segments = [self._segment(k, segment) for k, segment in enumerate(segments)]
        if not segments:
            raise DeviceError(f"{self.name}: a block must have at least one segment: nothing was sent.")
        for k, segment in enumerate(segments):
            self._check_segment(f"{self.name} segment {k}", segment)
        programs = self._programs(segments)
        with self._card():
            before = {axis: int(self._dds(axis).queue_cmd_count()) for axis in AXES}
            room = {axis: int(self._dds(axis).queue_cmd_max()) - before[axis] for axis in AXES}
        for axis, (commands, _) in programs.items():
            if len(commands) > room[axis]:
                raise DeviceError(
                    f"{self.name} {axis}: {len(segments)} segments make {len(commands)} commands but the card's queue "
                    f"has room for {room[axis]}: write fewer, or allow a larger error_hz. Nothing was sent."
                )
        for axis, (commands, cores) in programs.items():
            self._send(axis, commands)
            self._cores[axis] = cores
        self._count(before, programs)

    def arm(self) -> None:
        """Let triggers act: from now on each plays the next block."""
        with self._card():
            self.transport.triggers(True)
        self._armed = True
        self._healthy()
        self._log("trigger", "", "armed", "armed", "armed")

    def waiting(self) -> int:
        """Return how many commands wait in the fuller queue."""
        with self._card():
            return max(self._queued(axis) for axis in AXES)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _segment(self, k: int, segment: Any) -> Segment:
        """Return a segment, which may have come over a wire as plain tuples."""
        try:
            duration, rows, columns = segment
            axes = [Tones(*(np.asarray(part, dtype=np.float64).reshape(-1) for part in axis))
                    for axis in (rows, columns)]  # fmt: skip
        except (TypeError, ValueError) as error:
            raise DeviceError(f"{self.name} segment {k} must be (duration in s, rows, columns), each axis with 4 lists "
                              f"of numbers ({error}): nothing was sent.") from None  # fmt: skip
        return Segment(duration, axes[0], axes[1])

    def _programs(self, segments: Sequence[Segment]) -> dict[str, tuple[list[Command], Cores]]:
        numbers = [chords(segment, self.error_hz) for segment in segments]
        times = [max(1, round(segment.duration_s / n / STEP_S)) * STEP_S
                 for segment, n in zip(segments, numbers, strict=True)]  # fmt: skip
        programs: dict[str, tuple[list[Command], Cores]] = {}
        for axis in AXES:
            cores = Cores(self._cores[axis].number, dict(self._cores[axis].state))
            tones = [getattr(segment, axis) for segment in segments]
            programs[axis] = block(list(zip(tones, numbers, times, strict=True)), cores), cores
        return programs

    def _send(self, axis: str, commands: list[Command]) -> None:
        dds = self._dds(axis)
        with self._card():
            for what, core, value in commands:
                method = getattr(dds, what)
                if core is not None:
                    method(core, value)
                elif value is not None:
                    method(_TRIGGER[value] if isinstance(value, str) else value)
                else:
                    method()
            dds.write_to_card()

    def _count(self, before: dict[str, int], programs: dict[str, tuple[list[Command], Cores]]) -> None:
        """Read back that the queues hold what was written; once triggers act, some of it may have been played."""
        with self._card():
            found = {axis: self._queued(axis) - before[axis] for axis in AXES}
        for axis, (commands, _) in programs.items():
            self._log(f"{axis} queue", "commands", len(commands), len(commands), found[axis])
            if found[axis] > len(commands) or found[axis] < len(commands) and not self._armed:
                raise DeviceError(f"{self.name} {axis}: {len(commands)} commands were written but the queue grew by "
                                  f"{found[axis]}: silence() and look at the card.")  # fmt: skip
        self._healthy()

    def _check_axis(self, axis: str) -> None:
        if axis not in AXES:
            raise DeviceError(f"{self.name}: the axis is {axis!r} but must be rows or columns: nothing was sent.")

    def _check_segment(self, what: str, segment: Segment) -> None:
        Limits(STEP_S, 10.0, "s").check(f"{what}, duration", segment.duration_s)
        for axis in AXES:
            tones: Tones = getattr(segment, axis)
            if len({len(part) for part in tones}) != 1 or not len(tones.start_hz):
                raise DeviceError(f"{what}, {axis}: frequencies and amplitudes must be equally many, at least one: "
                                  "nothing was sent.")  # fmt: skip
            self._check(f"{what}, {axis}, start", axis, tones.start_hz, tones.start_amplitude)
            self._check(f"{what}, {axis}, stop", axis, tones.stop_hz, tones.stop_amplitude)

    def _check(self, what: str, axis: str, hz: Sequence[float] | np.ndarray,
               amplitudes: Sequence[float] | np.ndarray) -> None:  # fmt: skip
        number = self._cores[axis].number if axis in self._cores else 0
        if len(hz) > number:
            raise DeviceError(f"{what}: {len(hz)} tones but the card has {number} cores: nothing was sent.")
        for frequency in hz:
            self.band[axis].check(f"{what}: frequency", frequency)
        try:
            self.amplitude_sum.check([AMPLITUDE.check(f"{what}: amplitude", amplitude) for amplitude in amplitudes])
        except DeviceError as error:
            raise DeviceError(f"{what}: {error}" if what not in str(error) else str(error)) from None

    def _require_empty(self) -> None:
        waiting = self.waiting()
        if waiting:
            raise DeviceError(f"{self.name}: {waiting} commands wait for the trigger, and tones would come after them: "
                              "play them, or silence(). Nothing was sent.")  # fmt: skip

    def _stand(self, dds: Any, core: int, hz: Sequence[float], amplitudes: Sequence[float],
               phases: Sequence[float]) -> None:  # fmt: skip
        lit = core < len(hz)
        dds.freq_slope(core, 0.0)
        dds.amp_slope(core, 0.0)
        if lit:
            dds.freq(core, float(hz[core]))
            dds.phase(core, math.degrees(phases[core]) % 360)
        dds.amp(core, float(amplitudes[core]) if lit else 0.0)

    def _read_back(self, axis: str, wanted: list[tuple[float, float]], found: list[tuple[float, float]]) -> None:
        self._log(f"{axis} tones", "Hz, of full scale", str(wanted), str(wanted), str(found))
        for (hz, amplitude), (hz_found, amplitude_found) in zip(wanted, found, strict=True):
            if not (abs(hz - hz_found) <= 1.0 and abs(amplitude - amplitude_found) <= 1e-4):
                raise DeviceError(
                    f"{self.name} {axis}: a tone was set to {hz:g} Hz, {amplitude:g} but reads back {hz_found:g} Hz, "
                    f"{amplitude_found:g}: look at the card."
                )
        self._healthy()

    def _dds(self, axis: str) -> Any:
        return getattr(self.transport, axis)

    def _healthy(self) -> None:
        found = self._drain()
        if found:
            raise DeviceError(f"{self.name}: {'; '.join(found)}. silence() and write the segments again.")

    def _drain(self) -> list[str]:
        found = []
        for axis in AXES:
            with self._card():
                status = self._register(self._dds(axis).status(), f"{axis} status", _STATUS)
            found += [f"{axis}: DDS queue {text}" for bit, text in ((_UNDERRUN, "underrun"), (_OVERRUN, "overrun"))
                      if status & bit]  # fmt: skip
        return found

    def _read_identity(self) -> str:
        with self._card():
            return self.transport.identity()

    def _queued(self, axis: str) -> int:
        return self._register(self._dds(axis).queue_cmd_count(), f"{axis} queue", _QUEUE)

    def _register(self, value: Any, what: str, limits: Limits) -> int:
        """Return what a register of the card says as a whole number."""
        number = self._json_number(value, what, limits)
        if number != int(number):
            raise self._misread(f"{what} = {value}", "no whole number")
        return int(number)

    @contextmanager
    def _card(self) -> Iterator[None]:
        try:
            yield
        except self.transport.errors as error:
            raise DeviceError(f"{self.name}: the card says: {error}") from error
