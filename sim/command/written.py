"""Values as a person writes them on a command line: PYON as for `artiq_run`, and numbers with units, simple scans.

    f_offset=50kHz                 a number with a unit, also 50*kHz
    t_wait=0:100us:21              21 points from 0 to 100 us, both included
    t_wait=1us,2us,5us             these points;  t_wait=5us is one point
    backend=software               a choice of several
    link=alice-bob@midpoint        names of the lab; other text needs its own quotes

Numbers without a unit are SI. What a unit may be only the argument knows: `Written.value` is asked with its processor.
"""

import ast
import inspect
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from artiq.language import scan, units
from artiq.language.environment import EnumerationValue, NumberValue, StringValue
from artiq.language.scan import ExplicitScan, NoScan, RangeScan, Scannable

from atomlink.errors import UsageError, brief
from sim.artiq_runtime import pyon

EXAMPLE = "0:100us:21 (start:stop:points) or 1us,2us,5us"
LONG_EXAMPLE = '{"ty": "RangeScan", "start": 0.0, "stop": 1.0, "npoints": 11}'
SCAN_IN_PYTHON = re.compile(r"\s*(RangeScan|CenterScan|ExplicitScan|NoScan)\s*\(.*\)\s*")
NUMBER, UNIT = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", r"[A-Za-zµ/][A-Za-z0-9µ/]*"
QUANTITY = re.compile(rf"\s*({NUMBER})\s*\*?\s*({UNIT})?\s*")
WORD = re.compile(r"[A-Za-z][A-Za-z0-9_+. -]{0,60}")
NAMES = re.compile(r"[A-Za-z][A-Za-z0-9_.,@-]{0,200}")  # of nodes, ports, links, stations
DIMENSIONS = (("ps", "ns", "us", "ms", "s"), ("mHz", "Hz", "kHz", "MHz", "GHz"), ("uV", "mV", "V", "kV"),
              ("uA", "mA", "A"), ("nW", "uW", "mW", "W"), ("dB",))  # fmt: skip
LONGEST = 10_000  # characters of a simple scan; what is longer is a slip


@dataclass(frozen=True)
class Quantity:
    """A number with the unit that was written, "" for none."""

    number: float
    unit: str

    def si(self, name: str, processor: Any = None) -> float:
        """Return it in SI; UsageError where the unit is not one of the argument."""
        if not self.unit:
            return self.number
        if processor is not None and self.unit == processor.unit:
            return self.number * float(processor.scale)
        kind = next((kind for kind in DIMENSIONS if self.unit in kind), ())
        if not kind:
            raise UsageError(f"argument `{name}` has the unknown unit `{self.unit}`: {_units_of(processor)}")
        if processor is not None and processor.unit not in kind:
            raise UsageError(f"argument `{name}` is {self.number:g} {self.unit}, but {_units_of(processor)}")
        return self.number * float(getattr(units, self.unit))


def _units_of(processor: Any) -> str:
    if processor is None:
        return f"known are {', '.join(unit for kind in DIMENSIONS for unit in kind)}"
    if not processor.unit:
        return "it is a number without a unit"
    kind = next((kind for kind in DIMENSIONS if processor.unit in kind), (processor.unit,))
    return f"its unit is {processor.unit}" + (f" (or {', '.join(u for u in kind if u != processor.unit)})"
                                              if len(kind) > 1 else "")  # fmt: skip


@dataclass(frozen=True)
class Written:
    """A value that is not PYON: a quantity, several, the ends of a range of `points`, or a word (no quantity)."""

    text: str
    quantities: tuple[Quantity, ...]
    points: int | None = None

    def value(self, name: str, processor: Any) -> Any:
        """Return the plain value that it stands for; UsageError where it is not what the argument takes."""
        if isinstance(processor, EnumerationValue):
            return self.text  # whether it is one of the choices is checked as for others
        if isinstance(processor, StringValue) and not self.quantities and NAMES.fullmatch(self.text):
            return self.text
        if not self.quantities:
            raise self._not_pyon(name)
        if isinstance(processor, Scannable):
            return self._scan(name, processor)
        if isinstance(processor, NumberValue):
            if self.points is not None or len(self.quantities) != 1:
                raise UsageError(f"argument `{name}` is {brief(self.text)}, a scan, must be one number")
            return _whole(self.quantities[0].si(name, processor))
        raise self._not_pyon(name)

    def plain(self, name: str) -> Any:
        """Return the value where nobody knows what the argument takes."""
        if not self.quantities:
            raise self._not_pyon(name)
        if self.points is not None or len(self.quantities) > 1:
            return self._scan(name, None)
        return _whole(self.quantities[0].si(name))

    def _not_pyon(self, name: str) -> UsageError:
        return UsageError(f"argument `{name}`: {brief(self.text)} is not PYON; {_instead(name, self.text)}")

    def _scan(self, name: str, processor: Any) -> dict[str, Any]:
        bare = [each for each in self.quantities if not each.unit and each.number]
        if bare and any(each.unit for each in self.quantities):
            raise UsageError(f"argument `{name}` is {brief(self.text)}: {bare[0].number:g} needs a unit as the others "
                             "have one")  # fmt: skip
        values = [each.si(name, processor) for each in self.quantities]
        if self.points is not None:
            return {"ty": "RangeScan", "start": values[0], "stop": values[1], "npoints": self.points}
        if len(values) == 1:
            return {"ty": "NoScan", "value": values[0], "repetitions": 1}
        return {"ty": "ExplicitScan", "sequence": values}


def _whole(value: float) -> float | int:
    """Return a number that is whole as an integer: `n=2k` has no meaning, but 1e3 Hz is 1000."""
    return int(value) if math.isfinite(value) and value == int(value) and abs(value) < 2**53 else value


def parse(texts: Sequence[str]) -> dict[str, Any]:
    """Decode `ARG=VALUE` words into PYON values, and `Written` where VALUE is a quantity or a simple scan."""
    arguments: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"argument `{text[:60]}` must be written ARG=VALUE")
        if name in arguments:
            raise UsageError(f"argument `{name}` is given twice")
        arguments[name] = _decoded(name, value)
    return arguments


def _decoded(name: str, value: str) -> Any:
    try:
        return pyon.decode(value)
    except ValueError as error:
        written = _written(name, value)
        if written is None:
            raise UsageError(f"argument `{name}`: {brief(value)} is not PYON; {_instead(name, value)}") from error
        return written


def _written(name: str, text: str) -> Written | None:
    """Return what is written as a quantity or as a simple scan, None where it is neither."""
    if len(text) > LONGEST:
        return None
    ranged = text.count(":") > 0
    *parts, last = text.split(":") if ranged else [*text.split(","), ""]
    quantities = [_quantity(part) for part in parts]
    if not quantities or any(each is None for each in quantities):
        return Written(text, ()) if WORD.fullmatch(text) or NAMES.fullmatch(text) else None
    points = None
    if ranged:
        points = int(last) if last.strip().isascii() and last.strip().isdigit() and len(last) < 12 else None
        if points is None or len(quantities) != 2:
            raise UsageError(f"argument `{name}` is {brief(text)}, must be start:stop:points, as 0:100us:21")
    return Written(text, tuple(each for each in quantities if each is not None), points)


def _quantity(text: str) -> Quantity | None:
    match = QUANTITY.fullmatch(text)
    return None if match is None else Quantity(float(match.group(1)), (match.group(2) or "").replace("µ", "u"))


def _instead(name: str, value: str) -> str:
    """Say how a value that is neither PYON nor a quantity nor a simple scan is written."""
    written = _scan_in_pyon(value)
    if written is not None:
        return f"a scan is written {name}={EXAMPLE}, in full {name}='{written}'"
    return f"""text needs its own quotes: write '{name}="{value if len(value) < 60 else '…'}"'"""


def _scan_in_pyon(text: str) -> str | None:
    """Return in PYON what is written as a scan in Python, an example where its numbers cannot be read; else None."""
    made = SCAN_IN_PYTHON.fullmatch(text)
    if made is None:
        return None
    kind: Any = getattr(scan, made.group(1))
    try:
        call: Any = ast.parse(text.strip(), mode="eval").body
        values = [ast.literal_eval(each) for each in call.args]
        named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        described = inspect.signature(kind).bind(*values, **named).arguments  # not made: its points may be too many
        return json.dumps({"ty": made.group(1), **described})
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return LONG_EXAMPLE


# -- the other way: how a scan is shown


def scan_text(value: Any, processor: Any) -> str:
    """Return a scan as it may be written on the command line: `5us:125us:25`."""
    if isinstance(value, RangeScan) and not value.randomize:
        return f"{quantity_text(value.start, processor)}:{quantity_text(value.stop, processor)}:{value.npoints}"
    if isinstance(value, NoScan) and value.repetitions == 1:
        return quantity_text(value.value, processor)
    if isinstance(value, ExplicitScan):
        return ",".join(quantity_text(each, processor) for each in value.sequence)
    return json.dumps({key: each for key, each in value.describe().items() if each is not None})


def quantity_text(value: float, processor: Any) -> str:
    """Return a number in the unit that its argument is shown in, as it may be written: `50kHz`."""
    unit = processor.unit if QUANTITY.fullmatch(f"1{processor.unit}") else ""
    return f"{value / (processor.scale if unit else 1.0):.9g}{unit if value else ''}"
