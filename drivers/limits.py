"""What a set point may be, checked before anything is sent: a value out of range is refused, never clamped."""

import math
import numbers
from dataclasses import dataclass

from atomlink.errors import DeviceError


@dataclass(frozen=True)
class Limits:
    """The range of one channel, in `unit`; `max_step` bounds one change, `max_slew` (unit per second) a ramp."""

    lowest: float
    highest: float
    unit: str
    max_step: float | None = None
    max_slew: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lowest) and math.isfinite(self.highest) and self.lowest <= self.highest):
            raise DeviceError(
                f"Limits of {self.lowest!r} to {self.highest!r} {self.unit} must be finite and in rising order: "
                "correct them where they are written."
            )
        for name in ("max_step", "max_slew"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise DeviceError(f"Limits.{name} is {value!r} but must be > 0 and finite, or None for no limit.")

    def check(self, what: str, value: object, present: float | None = None) -> float:
        """Return `value` as a float; raise DeviceError unless it may be set while `present` is what is set now."""
        number = self.check_range(what, value)
        if self.max_step is not None:
            self._check_step(what, number, present)
        return number

    def check_range(self, what: str, value: object) -> float:
        """Return `value` as a float; raise DeviceError if it is no number or out of range, whatever is set now."""
        number = self._number(what, value)
        if not self.lowest <= number <= self.highest:
            raise DeviceError(
                f"{what} is {number:g} {self.unit} but must be {self.lowest:g} to {self.highest:g} {self.unit}: "
                "nothing was sent."
            )
        return number

    def check_slew(self, what: str, rate: object) -> float:
        """Return the rate of a ramp (unit/s, either sign) as a float; raise DeviceError if it is 0 or too fast."""
        number = self._number(what, rate, "/s")
        highest = math.inf if self.max_slew is None else self.max_slew
        if not 0 < abs(number) <= highest:
            raise DeviceError(
                f"{what} changes by {number:g} {self.unit}/s but must by more than 0 and up to {highest:g} "
                f"{self.unit}/s: nothing was sent."
            )
        return number

    def _check_step(self, what: str, number: float, present: float | None) -> None:
        assert self.max_step is not None
        if present is None:
            step = f"{self.max_step:g} {self.unit}"
            raise DeviceError(f"{what} has a largest step of {step}: read what is set now first.")
        # A step of exactly max_step is allowed, whatever the last bit of the difference says.
        if abs(number - present) > self.max_step * (1 + 1e-9):
            raise DeviceError(
                f"{what} would step from {present:g} to {number:g} {self.unit} but must move by at most "
                f"{self.max_step:g} {self.unit} at once: go there in steps, or ramp. Nothing was sent."
            )

    def _number(self, what: str, value: object, per: str = "") -> float:
        # bool is an int to Python, and a numpy scalar is a Real; text that looks like a number is still no number.
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise DeviceError(f"{what} is {value!r} but must be a number in {self.unit}{per}: nothing was sent.")
        number = float(value)
        if not math.isfinite(number):
            raise DeviceError(f"{what} is {number} but must be a finite number in {self.unit}{per}: nothing was sent.")
        return number
