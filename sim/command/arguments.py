"""Arguments of an experiment from the command line: PYON, checked against what the experiment's `build` asks for.

ARTIQ itself does not enforce the range of a NumberValue, truncates 2.7 where an integer is asked for, and reports a
bare word as a JSON error. Here each of these is one line that names the argument, before any device exists.
"""

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from artiq.language import scan, units
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

from atomlink.errors import UsageError
from sim.artiq_runtime import pyon
from sim.suggest import closest

EXAMPLE = '{"ty": "RangeScan", "start": 0.0, "stop": 1.0, "npoints": 11}'
SCAN_IN_PYTHON = re.compile(r"\s*(RangeScan|CenterScan|ExplicitScan|NoScan)\s*\(.*\)\s*")
WITH_UNIT = re.compile(r"([-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*\*?\s*([A-Za-z]+)")


def parse(texts: Sequence[str]) -> dict[str, Any]:
    """Decode `ARG=VALUE` words: VALUE is PYON of either dialect, whichever of them the installed ARTIQ reads."""
    arguments: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"argument `{text}` must be written ARG=VALUE")
        if name in arguments:
            raise UsageError(f"argument `{name}` is given twice")
        try:
            arguments[name] = pyon.decode(value)
        except ValueError as error:
            raise UsageError(f"argument `{name}`: {value!r} is not PYON; {_instead(name, value)}") from error
    return arguments


def _instead(name: str, value: str) -> str:
    """Say how a value that is not PYON is written."""
    written = _scan_in_pyon(value)
    if written is not None:
        return f"a scan is written {name}='{written}'"
    match = WITH_UNIT.fullmatch(value)
    if match is None:
        return f"""text needs its own quotes: write '{name}="{value}"'"""
    scale = getattr(units, match.group(2), None)
    if scale is None:
        return f"unknown unit `{match.group(2)}`, and numbers are written in SI units without one"
    return f"numbers are written in SI units: write {name}={float(match.group(1)) * scale:.12g}"


def _scan_in_pyon(text: str) -> str | None:
    """Return in PYON what is written as a scan in Python, an example where its numbers cannot be read; else None."""
    made = SCAN_IN_PYTHON.fullmatch(text)
    if made is None:
        return None
    kind: Any = getattr(scan, made.group(1))
    try:
        call: Any = ast.parse(text.strip(), mode="eval").body
        values = [ast.literal_eval(each) for each in call.args]
        described = kind(*values, **{each.arg: ast.literal_eval(each.value) for each in call.keywords}).describe()
    except (SyntaxError, ValueError, TypeError, ZeroDivisionError):
        return EXAMPLE
    return json.dumps({key: value for key, value in described.items() if value is not None and value is not False})


class CheckedArguments(ProcessArgumentManager):
    """Argument manager that refuses a value its processor would bend, clip or let through."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(dict(given))
        self.requested: dict[str, tuple[Any, str | None, str | None]] = {}

    def get(self, key: str, processor: Any, group: str | None, tooltip: str | None) -> Any:
        """Return an argument's value, given or default."""
        self.requested[key] = processor, group, tooltip
        if key in self.unprocessed_arguments:
            check(key, processor, self.unprocessed_arguments[key])
        try:
            return super().get(key, processor, group, tooltip)
        except DefaultMissing:
            raise UsageError(f"argument `{key}` has no default: give {key}=VALUE ({describe(processor)})") from None

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


def check(name: str, processor: Any, value: Any) -> None:
    """Raise UsageError where a value is not what the processor of an argument may take."""
    if isinstance(processor, NumberValue):
        _check_number(name, processor, value)
    elif isinstance(processor, BooleanValue) and not isinstance(value, bool):
        raise UsageError(f"argument `{name}` is {value!r}, must be true or false")
    elif isinstance(processor, EnumerationValue) and value not in processor.choices:
        choices = ", ".join(processor.choices)
        hint = closest(str(value), processor.choices)
        raise UsageError(f"argument `{name}` is {value!r}{hint}, must be one of: {choices}")
    elif isinstance(processor, StringValue) and not isinstance(value, str):
        raise UsageError(f"""argument `{name}` is {value!r}, must be text: write '{name}="{value}"'""")
    elif isinstance(processor, PYONValue) and not isinstance(value, str):
        raise UsageError(f"""argument `{name}` must be PYON within a PYON string: write '{name}="{value}"'""")
    elif isinstance(processor, Scannable):
        _check_scan(name, processor, value)


def _check_number(name: str, processor: NumberValue, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not math.isfinite(float(value)):
        raise UsageError(f"argument `{name}` is {value!r}, must be a number ({describe(processor)})")
    if _is_integer(processor) and value != int(value):
        raise UsageError(f"argument `{name}` is {value}, must be an integer")
    _check_range(name, float(value), processor, processor.min, processor.max)


def _is_integer(processor: NumberValue) -> bool:
    """Say whether a NumberValue yields an int: ARTIQ's rule, which has no public name there."""
    whole = processor.precision == 0 and processor.scale == 1 and int(processor.step) == processor.step
    return processor.type == "int" or (processor.type == "auto" and whole)


def _check_scan(name: str, processor: Scannable, value: Any) -> None:
    try:
        processor.process(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"argument `{name}` is {value!r}, must be a scan such as '{EXAMPLE}'") from error
    points = [value[key] for key in ("value", "start", "stop", "center") if key in value]
    for point in (*points, *value.get("sequence", ())):
        _check_range(name, point, processor, processor.global_min, processor.global_max)


def _check_range(name: str, value: float, processor: Any, low: float | None, high: float | None) -> None:
    if (low is None or value >= low) and (high is None or value <= high):
        return
    if low is not None and high is not None:
        allowed = f"{shown(low, processor)} … {shown(high, processor)}"
    else:
        allowed = f">= {shown(low, processor)}" if high is None else f"<= {shown(high, processor)}"
    raise UsageError(f"argument `{name}` is {shown(value, processor)}, must be in the range {allowed}")


def shown(value: Any, processor: Any) -> str:
    """Return a value in the unit that the experiment shows it in, and in SI where that differs."""
    text = f"{value / processor.scale:.9g}" + (f" {processor.unit}" if processor.unit else "")
    return text if processor.scale == 1 else f"{text} ({value:.9g})"


def describe(processor: Any) -> str:
    """Return what an argument may be, in a few words."""
    if isinstance(processor, NumberValue):
        kind = "integer" if _is_integer(processor) else "number"
        low = "" if processor.min is None else f", >= {shown(processor.min, processor)}"
        high = "" if processor.max is None else f", <= {shown(processor.max, processor)}"
        return kind + low + high
    if isinstance(processor, EnumerationValue):
        return "one of " + ", ".join(str(choice) for choice in processor.choices)
    if isinstance(processor, Scannable):
        return "scan" + (f" in {processor.unit}" if processor.unit else "")
    kinds = {"BooleanValue": "true or false", "StringValue": "text", "PYONValue": "PYON"}
    return kinds.get(type(processor).__name__, type(processor).__name__)
