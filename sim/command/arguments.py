"""Arguments of an experiment from the command line, checked against what the experiment's `build` asks for.

ARTIQ itself does not enforce the range of a NumberValue, truncates 2.7 where an integer is asked for, and reports a
bare word as a JSON error. Here each of these is one line that names the argument, before any device exists.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from artiq.language.environment import (
    BooleanValue,
    DefaultMissing,
    EnumerationValue,
    NumberValue,
    ProcessArgumentManager,
    PYONValue,
    StringValue,
)
from artiq.language.scan import Scannable

from atomlink.errors import UsageError, brief
from sim.artiq_runtime import pyon
from sim.command.written import EXAMPLE, Written
from sim.suggest import closest

MOST_POINTS = 1_000_000  # of a scan; more are a slip, and fill the memory


_SCAN_PARTS: dict[Any, tuple[str, ...]] = {
    "NoScan": ("value",),
    "RangeScan": ("start", "stop", "npoints"),
    "CenterScan": ("center", "span", "step"),
    "ExplicitScan": ("sequence",),
}


class CheckedArguments(ProcessArgumentManager):
    """Argument manager that refuses a value its processor would bend, clip or let through."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(dict(given))
        self.requested: dict[str, tuple[Any, str | None, str | None]] = {}

    def get(self, key: str, processor: Any, group: str | None, tooltip: str | None) -> Any:
        """Return an argument's value, given or default."""
        self.requested[key] = processor, group, tooltip
        if key in self.unprocessed_arguments:
            self.unprocessed_arguments[key] = plain(key, processor, self.unprocessed_arguments[key])
            check(key, processor, self.unprocessed_arguments[key])
        try:
            return super().get(key, processor, group, tooltip)
        except DefaultMissing:
            raise UsageError(f"argument `{key}` has no default: give {key}=VALUE ({describe(processor)})") from None

    def plain(self) -> dict[str, Any]:
        """Return what was given, as ARTIQ takes it, where the experiment has asked for it or not."""
        return {key: value.plain(key) if isinstance(value, Written) else value
                for key, value in self.unprocessed_arguments.items()}  # fmt: skip

    def check_all_used(self, class_name: str) -> None:
        """Refuse arguments that the experiment did not ask for."""
        for name in self.unprocessed_arguments:
            if name not in self.requested:
                known = ", ".join(self.requested) or "none"
                hint = closest(name, self.requested)
                raise UsageError(f"unknown argument `{name}`{hint}: the arguments of {class_name} are {known}")

    def get_interactive(self, interactive_arglist: Any, title: str) -> Any:
        """Refuse: nobody is there to answer."""
        raise UsageError(f"interactive arguments ({title!r}) need ARTIQ's dashboard or artiq_run")


def plain(name: str, processor: Any, value: Any) -> Any:
    """Return a value as ARTIQ takes it: with units worked out; a number or a list of numbers is a scan of these."""
    if isinstance(value, Written):
        return value.value(name, processor)
    if isinstance(processor, Scannable) and _is_number(value):
        return {"ty": "NoScan", "value": value, "repetitions": 1}
    if isinstance(processor, Scannable) and isinstance(value, (list, tuple)) and value and all(map(_is_number, value)):
        return {"ty": "ExplicitScan", "sequence": list(value)}
    return value


def check(name: str, processor: Any, value: Any) -> None:
    """Raise UsageError where a value is not what the processor of an argument may take."""
    if isinstance(processor, NumberValue):
        _check_number(name, processor, value)
    elif isinstance(processor, BooleanValue) and not isinstance(value, bool):
        raise UsageError(f"argument `{name}` is {brief(value)}, must be true or false")
    elif isinstance(processor, EnumerationValue) and not (isinstance(value, str) and value in processor.choices):
        choices = ", ".join(processor.choices)
        hint = closest(value, processor.choices) if isinstance(value, str) and len(value) < 80 else ""
        raise UsageError(f"argument `{name}` is {brief(value)}{hint}, must be one of: {choices}")
    elif isinstance(processor, StringValue) and not isinstance(value, str):
        raise UsageError(f"""argument `{name}` is {brief(value)}, must be text: write '{name}="{brief(value)}"'""")
    elif isinstance(processor, PYONValue):
        _check_pyon(name, value)
    elif isinstance(processor, Scannable):
        _check_scan(name, processor, value)


def _check_pyon(name: str, value: Any) -> None:
    if not isinstance(value, str):
        wanted = f"""must be PYON within a PYON string: write '{name}="{brief(value)}"'"""
        raise UsageError(f"argument `{name}` is {brief(value)}, {wanted}")
    try:
        pyon.decode(value)
    except ValueError as error:
        raise UsageError(f"argument `{name}` is the text {brief(value)}, must be PYON itself") from error


def _is_number(value: Any) -> bool:
    """Return whether a value is a finite real number, small enough for a float; True and False are none."""
    numbers = (int, float, np.integer, np.floating)
    if isinstance(value, (bool, np.timedelta64)) or not isinstance(value, numbers):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _check_number(name: str, processor: NumberValue, value: Any) -> None:
    if not _is_number(value):
        raise UsageError(f"argument `{name}` is {brief(value)}, must be a number ({describe(processor)})")
    if is_integer(processor) and value != int(value):
        raise UsageError(f"argument `{name}` is {value}, must be an integer")
    if is_integer(processor) and abs(value) >= 2**63:
        raise UsageError(f"argument `{name}` is {brief(value)}, must be an integer of 64 bits")
    _check_range(name, float(value), processor, processor.min, processor.max)


def is_integer(processor: NumberValue) -> bool:
    """Say whether a NumberValue yields an int: ARTIQ's rule, which has no public name there."""
    whole = processor.precision == 0 and processor.scale == 1 and int(processor.step) == processor.step
    return processor.type == "int" or (processor.type == "auto" and whole)


def _check_scan(name: str, processor: Scannable, value: Any) -> None:
    parts = _SCAN_PARTS.get(value.get("ty")) if isinstance(value, dict) and isinstance(value.get("ty"), str) else None
    if parts is None:
        raise UsageError(f"argument `{name}` is {brief(value)}, must be a scan: {EXAMPLE}")
    for part in parts:
        if part not in value:
            what = f"a {value['ty']} without `{part}`"
            raise UsageError(f"argument `{name}` is {what}, must be a scan: {EXAMPLE}")
    points = [value[key] for key in ("value", "start", "stop", "center") if key in parts]
    if "sequence" in parts:
        if not isinstance(value["sequence"], (list, tuple, np.ndarray)):
            raise UsageError(f"argument `{name}` has sequence {brief(value['sequence'])}, must be a list of numbers")
        points += list(value["sequence"])
    for point in (*points, *(value[key] for key in ("npoints", "span", "step") if key in parts)):
        if not _is_number(point):
            raise UsageError(f"argument `{name}` has the value {brief(point)} in its scan, must be finite numbers")
    for point in points:
        _check_range(name, point, processor, processor.global_min, processor.global_max)
    _check_size(name, value)
    try:
        processor.process(value)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"argument `{name}` is {brief(value)}, must be a scan: {EXAMPLE}") from error


def _check_size(name: str, value: Mapping[str, Any]) -> None:
    """Refuse a scan of too many points before it is made."""
    for key in ("npoints", "repetitions"):
        number = value.get(key, 1)
        if not _is_number(number) or isinstance(number, float) or number < 0:
            raise UsageError(f"argument `{name}` has {key} = {brief(number)} in its scan, must be a whole number >= 0")
    points = value.get("npoints", value.get("repetitions", 1))
    if value["ty"] == "CenterScan":
        points = value["span"] / value["step"] if value["step"] else math.inf
        if not points >= 0:
            both = f"span {value['span']:g} and step {value['step']:g}"
            raise UsageError(f"argument `{name}` has {both} in its scan, must have the same sign")
    if points > MOST_POINTS:
        raise UsageError(f"argument `{name}` is a scan of {points:.3g} points, must be {MOST_POINTS:,} at most")


def _check_range(name: str, value: float, processor: Any, low: float | None, high: float | None) -> None:
    if (low is None or value >= low) and (high is None or value <= high):
        return
    if low is not None and high is not None:
        allowed = f"{shown(low, processor)} … {shown(high, processor)}"
    else:
        allowed = f">= {shown(low, processor)}" if high is None else f"<= {shown(high, processor)}"
    given = shown(value, processor)
    given = repr(float(value)) if given in (shown(end, processor) for end in (low, high) if end is not None) else given
    raise UsageError(f"argument `{name}` is {given}, must be in the range {allowed}")


def shown(value: Any, processor: Any) -> str:
    """Return a value in the unit that the experiment shows it in, and in SI where that differs."""
    text = f"{value / processor.scale:.9g}" + (f" {processor.unit}" if processor.unit else "")
    return text if processor.scale == 1 else f"{text} ({value:.9g})"


def describe(processor: Any) -> str:
    """Return what an argument may be, in a few words."""
    if isinstance(processor, NumberValue):
        kind = "integer" if is_integer(processor) else "number"
        low = "" if processor.min is None else f", >= {shown(processor.min, processor)}"
        high = "" if processor.max is None else f", <= {shown(processor.max, processor)}"
        return kind + low + high
    if isinstance(processor, EnumerationValue):
        return "one of " + ", ".join(str(choice) for choice in processor.choices)
    if isinstance(processor, Scannable):
        return "scan" + (f" in {processor.unit}" if processor.unit else "")
    kinds = {"BooleanValue": "true or false", "StringValue": "text", "PYONValue": "PYON"}
    return kinds.get(type(processor).__name__, type(processor).__name__)
