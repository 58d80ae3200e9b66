"""Scans: sequences of values that an experiment steps through, and the argument that asks for one."""

import inspect
import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from artiq.language.arguments import DefaultMissing, NoDefault, precision_or_deprecated, scale_of_unit

__all__ = [
    "CenterScan", "ExplicitScan", "MultiScanManager", "NoScan", "RangeScan", "ScanObject", "Scannable",
]  # fmt: skip


class ScanObject:
    """A sweep of one variable: iterate over it, as often as wanted, always with the same values."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Return the scan as a dict that `Scannable.process` understands."""
        raise NotImplementedError


class NoScan(ScanObject):
    """One value, repeated."""

    def __init__(self, value: Any, repetitions: int = 1) -> None:
        self.value = value
        self.repetitions = repetitions

    def __iter__(self) -> Iterator[Any]:
        return (self.value for _ in range(self.repetitions))

    def __len__(self) -> int:
        return self.repetitions

    def describe(self) -> dict[str, Any]:
        """Return the scan as a dict."""
        return {"ty": "NoScan", "value": self.value, "repetitions": self.repetitions}


class RangeScan(ScanObject):
    """`npoints` evenly spaced values from `start` to `stop`, both included; shuffled if `randomize`."""

    def __init__(
        self, start: float, stop: float, npoints: int, randomize: bool = False, seed: int | None = None
    ) -> None:
        self.start = start
        self.stop = stop
        self.npoints = npoints
        self.randomize = randomize
        self.seed = seed
        if npoints == 1:
            self.sequence = [start]
        else:
            step = (stop - start) / (npoints - 1)
            self.sequence = [i * step + start for i in range(npoints)]
        if randomize:
            random.Random(seed).shuffle(self.sequence)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.sequence)

    def __len__(self) -> int:
        return self.npoints

    def describe(self) -> dict[str, Any]:
        """Return the scan as a dict."""
        names = ("start", "stop", "npoints", "randomize", "seed")
        return {"ty": "RangeScan"} | {name: getattr(self, name) for name in names}


class CenterScan(ScanObject):
    """Values `step` apart within `span` around `center`, in the order c, c-s, c+s, c-2s, …; shuffled if `randomize`."""

    def __init__(
        self, center: float, span: float, step: float, randomize: bool = False, seed: int | None = None
    ) -> None:
        self.center = center
        self.span = span
        self.step = step
        self.randomize = randomize
        self.seed = seed
        self.sequence: list[float] = []
        if step != 0.0:
            # A negative span gives no point at all, not even the centre.
            for i in range(1 + int(span / (2.0 * step))):
                self.sequence += [center - i * step, center + i * step] if i else [center + 0 * step]
        if randomize:
            random.Random(seed).shuffle(self.sequence)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.sequence)

    def __len__(self) -> int:
        return len(self.sequence)

    def describe(self) -> dict[str, Any]:
        """Return the scan as a dict."""
        names = ("center", "step", "span", "randomize", "seed")
        return {"ty": "CenterScan"} | {name: getattr(self, name) for name in names}


class ExplicitScan(ScanObject):
    """The values of a given sequence."""

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence

    def __iter__(self) -> Iterator[Any]:
        return iter(self.sequence)

    def __len__(self) -> int:
        return len(self.sequence)

    def describe(self) -> dict[str, Any]:
        """Return the scan as a dict."""
        return {"ty": "ExplicitScan", "sequence": self.sequence}


_SCANS: dict[str, type[ScanObject]] = {
    scan.__name__: scan for scan in (NoScan, RangeScan, CenterScan, ExplicitScan)
}


class Scannable:
    """An argument that is a scan; `default` is one scan, or a list whose first is the one selected.

    `unit` and `scale` are as for NumberValue; `global_min`, `global_max` and `global_step` guide the interface.
    """

    def __init__(
        self,
        default: Any = NoDefault,
        unit: str = "",
        *,
        scale: float | None = None,
        global_step: float | None = None,
        global_min: float | None = None,
        global_max: float | None = None,
        precision: int = 2,
        ndecimals: int | None = None,
    ) -> None:
        self.unit = unit
        self.scale = scale_of_unit(unit) if scale is None else scale
        self.global_step = self.scale / 10.0 if global_step is None else global_step
        self.global_min = global_min
        self.global_max = global_max
        self.precision = precision_or_deprecated(precision, ndecimals)
        if default is not NoDefault:
            self.default_values = default if isinstance(default, list) else [default]

    def default(self) -> Any:
        """Return the default scan, or raise DefaultMissing."""
        if not hasattr(self, "default_values"):
            raise DefaultMissing
        return self.default_values[0]

    def process(self, x: Any) -> ScanObject:
        """Return the scan that the dict `x` describes; what the scan does not know is left aside."""
        scan = _SCANS[x["ty"]]
        known = inspect.getfullargspec(scan).args[1:]
        return scan(**{name: x[name] for name in known if name in x})

    def describe(self) -> dict[str, Any]:
        """Return what an interface must know to ask for this argument."""
        description: dict[str, Any] = {"ty": "Scannable"}
        if hasattr(self, "default_values"):
            description["default"] = [scan.describe() for scan in self.default_values]
        names = ("unit", "scale", "global_step", "global_min", "global_max", "precision")
        return description | {name: getattr(self, name) for name in names}


class ScanPoint:
    """One point of a combined scan, with an attribute per scanned variable."""

    def __init__(self, **values: Any) -> None:
        self.attr = set(values)
        for name, value in values.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        values = " ".join(f"{name}={getattr(self, name)}" for name in sorted(self.attr))
        return f"<ScanPoint {values}>"


class MultiScanManager:
    """Several scans as one: every combination, the last variable running fastest.

    Takes tuples (name, scan); iteration gives points with an attribute per name.
    """

    def __init__(self, *args: tuple[str, Any]) -> None:
        self.names = [name for name, _ in args]
        self.scan_objects = [scan for _, scan in args]

    def __iter__(self) -> Iterator[ScanPoint]:
        return (ScanPoint(**dict(zip(self.names, values, strict=True))) for values in product(*self.scan_objects))
