"""Interlocks in software: what must hold while light is on, what happens when it does not, and who may go on after.

    lock monitor    LOCKED <-> DEGRADED --> LOST --[ hold, shutters ]--[ relock, a bounded number ]--> LOCKED
                                               or --> tripped: latched until a person resets it
Software never replaces the hardware interlock: it keeps data honest and detectors alive. A latch has the states of an
rf amplifier that trips (Sinara Booster): once tripped it stays so, whatever the cause does, until `reset(who)`.
Times are monotonic seconds, given by the caller; RTIO times are mu. What happened goes to an `InterlockLog`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from atomlink.errors import DeviceError
from drivers.interlock_log import InterlockLog

FOREVER_MU = (1 << 63) - 1


class Latch:
    """Something that trips once and stays tripped; `cause` is one line."""

    def __init__(self, name: str, log: InterlockLog | None = None) -> None:
        self.name, self._log = name, log
        self.cause: str | None = None

    def trip(self, cause: str) -> None:
        """Trip; the first cause stays."""
        if self.cause is None:
            self.cause = cause
            if self._log is not None:
                self._log.trip(self.name, cause)

    def reset(self, who: str) -> None:
        """Reset by a person, whose name goes into the log."""
        if not who.strip():
            raise DeviceError(f"{self.name} is reset by {who!r} but must be by a person with a name.")
        if self._log is not None and self.cause is not None:
            self._log.reset(self.name, who, self.cause)
        self.cause = None

    def require(self) -> None:
        """Raise DeviceError while tripped."""
        if self.cause is not None:
            raise DeviceError(f"{self.name} has tripped: {self.cause}. Remove the cause, then reset it by name.")


class LockState(IntEnum):
    """How a lock is; the larger, the worse."""

    LOCKED = 0
    DEGRADED = 1
    LOST = 2


class Reading(NamedTuple):
    """How far a lock is from perfect (0; infinite or NaN: it does not hold), when that was measured, and why it is."""

    deviation: float
    t_s: float
    why: str = ""


@dataclass(frozen=True)
class LockLimits:
    """Deviations from which a lock is degraded or lost; it recovers below `hysteresis` times these.

    A reading older than `stale_s` is none. The monitor trips after `relocks` attempts in a row that did not help, and
    when it is lost more than `losses` times, however often it came back.
    """

    degraded: float
    lost: float
    stale_s: float
    hysteresis: float = 0.8
    relocks: int = 3
    losses: int = 10

    def __post_init__(self) -> None:
        if not (0 < self.degraded <= self.lost < math.inf and 0 < self.hysteresis <= 1 and 0 < self.stale_s < math.inf
                and self.relocks >= 0 and self.losses >= 0):  # fmt: skip
            raise DeviceError(
                f"{self} must have 0 < degraded <= lost, 0 < hysteresis <= 1, stale_s > 0, relocks, losses >= 0."
            )


class LockMonitor:
    """One lock. `read` returns the last reading or raises; `relock` tries once and says whether it helped.

    `on_lost` is called once each time the lock is lost, before any relock: hold the servo, close shutters there.
    """

    def __init__(self, name: str, limits: LockLimits, read: Callable[[], Reading],
                 relock: Callable[[], bool] | None = None, on_lost: Callable[[], None] | None = None,
                 log: InterlockLog | None = None) -> None:  # fmt: skip
        self.name, self.limits = name, limits
        self.state, self.reason = LockState.LOST, "it has not been read yet"
        self.latch = Latch(name, log)
        self._read, self._relock, self._on_lost, self._log = read, relock, on_lost, log
        self._attempts = self._losses = 0
        self._was_lost = False

    def check(self, now_s: float) -> LockState:
        """Read the lock and return its state; a tripped monitor stays LOST until it is reset."""
        before, self.state = self.state, self._judged(now_s)
        if self.latch.cause is not None:
            self.state, self.reason = LockState.LOST, f"tripped: {self.latch.cause}"
        if self.state is LockState.LOST and not self._was_lost:
            self._lose()
        self._was_lost = self.state is LockState.LOST
        if self.state is not LockState.LOST:
            self._attempts = 0
            if self.state is not before:
                self._note("locked" if self.state is LockState.LOCKED else f"degraded: {self.reason}")
        return self.state

    def recover(self, now_s: float) -> LockState:
        """Try to relock a lost lock, up to the bound in all since it last held; trip when that is used up."""
        while self.check(now_s) is LockState.LOST and self.latch.cause is None:
            if self._losses > self.limits.losses:
                self.latch.trip(f"{self.reason}; lost {self._losses} times, may be at most {self.limits.losses}")
                continue
            if self._relock is None or self._attempts >= self.limits.relocks:
                tried = f"{self._attempts} attempts to bring it back did not help"
                self.latch.trip(f"{self.reason}; {tried if self._attempts else 'nothing brings it back'}")
                continue
            self._attempts += 1
            text = f"attempt {self._attempts} of {self.limits.relocks} to bring it back"
            try:
                self._note(f"{text}: {'done' if self._relock() else 'failed'}")
            except Exception as error:  # noqa: BLE001 - whatever it is, the lock is still lost
                self._note(f"{text}: {error}")
        return self.state

    def reset(self, who: str) -> None:
        """Reset a tripped monitor by a person; the next check says how the lock is."""
        self.latch.reset(who)
        self._attempts = self._losses = 0

    def _judged(self, now_s: float) -> LockState:
        try:
            deviation, t_s, why = self._read()
        except Exception as error:  # noqa: BLE001 - a controller's have no class of ours; nobody knows now
            self.reason = f"it cannot be read ({error})"
            return LockState.LOST
        if self._log is not None:
            self._log.telemetry(self.name, deviation, t_s)
        if not now_s - t_s <= self.limits.stale_s:
            self.reason = f"the last reading is {now_s - t_s:.1f} s old, more than {self.limits.stale_s:g} s"
            return LockState.LOST
        state = self._by_deviation(deviation)
        if state is not LockState.LOCKED:
            self.reason = why or f"it is {state.name}: deviation {deviation:.3g}, lost from {self.limits.lost:g} on"
        return state

    def _by_deviation(self, deviation: float) -> LockState:
        """Return the state; one that is bad gets better only well below the limit it crossed."""
        size = abs(deviation)
        lost = self.limits.lost * (self.limits.hysteresis if self.state is LockState.LOST else 1)
        degraded = self.limits.degraded * (self.limits.hysteresis if self.state is not LockState.LOCKED else 1)
        # `not <` so that a deviation that is no number is a lost lock.
        if not size < lost:
            return LockState.LOST
        return LockState.LOCKED if size < degraded else LockState.DEGRADED

    def _lose(self) -> None:
        self._losses += 1
        self._note(f"lost: {self.reason}")
        try:
            if self._on_lost is not None:
                self._on_lost()
        except Exception as error:  # noqa: BLE001 - it may be what broke the lock; it stays LOST
            self._note(f"could not be made safe: {error}")

    def _note(self, text: str) -> None:
        if self._log is not None:
            self._log.event(self.name, text)


class LostTime:
    """The times (mu) in which nobody can say that a lock held: from its last good check to the next good one.

    `analysis.veto.is_vetoed` says which shots lie in them.
    """

    def __init__(self) -> None:
        self._intervals: list[tuple[int, int]] = []
        self._good_mu = 0

    def note(self, t_mu: int, good: bool) -> None:
        """A check at t_mu found the lock good or not."""
        if t_mu < self._good_mu:
            raise DeviceError(f"A lock was checked at {t_mu} mu after one at {self._good_mu} mu; times must rise.")
        if not good and (not self._intervals or self._intervals[-1][1] != FOREVER_MU):
            self._intervals.append((self._good_mu, FOREVER_MU))
        elif good and self._intervals and self._intervals[-1][1] == FOREVER_MU:
            self._intervals[-1] = (self._intervals[-1][0], t_mu)
        if good:
            self._good_mu = t_mu

    def intervals_mu(self) -> list[tuple[int, int]]:
        """Return (start, stop) of each, and last what has not been checked yet, to the end of time."""
        if self._intervals and self._intervals[-1][1] == FOREVER_MU:
            return list(self._intervals)
        return [*self._intervals, (self._good_mu, FOREVER_MU)]


@dataclass(frozen=True)
class AmplitudeSum:
    """The limit of a tweezer generator: tones add up in the amplifier, so it is the sum of amplitudes that counts."""

    highest: float

    def check(self, amplitudes: Sequence[float]) -> float:
        """Return the sum of the amplitudes (fractions of full scale); DeviceError if it may not be played."""
        for amplitude in amplitudes:
            if not 0 <= amplitude <= 1:
                raise DeviceError(f"A tone's amplitude is {amplitude!r} but must be 0 to 1: nothing was sent.")
        total = math.fsum(amplitudes)
        if total > self.highest:
            raise DeviceError(
                f"The amplitudes of {len(amplitudes)} tones add up to {total:g} but must to at most {self.highest:g} "
                "of full scale: take fewer or weaker tones. Nothing was sent."
            )
        return total


class Shutter(Protocol):
    """What keeps light from a detector or an atom."""

    def close(self) -> None:
        """Close it."""

    def is_closed(self) -> bool:
        """Tell whether it is closed."""


class DetectorElectronics(Protocol):
    """What biases nanowire detectors: `drivers.instruments.websq`."""

    def bias_ua(self, channel: int) -> float:
        """Return the bias in uA."""

    def set_bias_ua(self, channel: int, value: float) -> float:
        """Set the bias in uA."""

    def latched(self, channel: int) -> bool:
        """Tell from its resistance whether a wire is normal."""

    def delatch(self, channel: int) -> bool:
        """Take the bias to zero and back; say whether the wire is superconducting again."""


class DetectorGuard:
    """Nanowire detectors: no change of bias in the light, and a latched wire is found and reset.

    A latched wire is found by its resistance, not by its silence: while the gateware repeats attempts nobody else sees
    a click. `shutter` keeps the light off while a bias changes. A `LockMonitor` bounds how often `delatch` tries.
    """

    def __init__(self, electronics: DetectorElectronics, shutter: Shutter, channels: Iterable[int] = range(4),
                 log: InterlockLog | None = None) -> None:  # fmt: skip
        self._electronics, self._shutter, self._log = electronics, shutter, log
        self._bias_ua = {channel: electronics.bias_ua(channel) for channel in channels}

    def set_bias_ua(self, channel: int, value: float) -> float:
        """Set a bias in uA behind a closed shutter; return what reads back."""
        self._require_dark(f"biasing detector {channel}")
        self._bias_ua[channel] = self._electronics.set_bias_ua(channel, value)
        return self._bias_ua[channel]

    def blind(self) -> list[int]:
        """Return the detectors that have latched, or are left without the bias they had: a reset failed half-way."""
        return [channel for channel, bias in self._bias_ua.items()
                if self._electronics.latched(channel) or (bias and not self._electronics.bias_ua(channel))]  # fmt: skip

    def delatch(self) -> bool:
        """Close the shutter and reset every blind detector once; return whether all see again."""
        found = self.blind()
        if found:
            self._shutter.close()
            self._require_dark("resetting a latched wire")
        for channel in found:
            self._electronics.delatch(channel)
            if not self._electronics.bias_ua(channel):
                self._electronics.set_bias_ua(channel, self._bias_ua[channel])
        left = self.blind()
        if found and self._log is not None:
            self._log.event("detectors", f"reset {found}, still blind {left}")
        return not left

    def _require_dark(self, what: str) -> None:
        if not self._shutter.is_closed():
            raise DeviceError(f"The shutter is open but must be closed before {what}: nothing was sent.")
