"""Argument processors: what an argument may be, and how it is shown.

ARTIQ has these in `artiq.language.environment`, from where they are to be imported.
A processor turns what the user gave into the value (`process`), knows its default, and describes itself to a screen.
"""

# ruff: noqa: N818 - the names are ARTIQ's

from typing import Any

from artiq.language import units

from sim.artiq_runtime import pyon


class NoDefault:
    """Stand for the absence of a default value."""


class DefaultMissing(Exception):
    """Raised by `default()` of a processor that was given none."""


class _SimpleArgProcessor:
    """Base of the processors, passing the value on as it is."""

    def __init__(self, default: Any = NoDefault) -> None:
        if isinstance(default, list):
            raise NotImplementedError("A list as default would mean several defaults, which this argument has not.")
        if default is not NoDefault:
            self.default_value = self.process(default)

    def default(self) -> Any:
        """Return the default value, or raise DefaultMissing."""
        if not hasattr(self, "default_value"):
            raise DefaultMissing
        return self.default_value

    def process(self, x: Any) -> Any:
        """Return the argument's value for what the user gave."""
        return x

    def describe(self) -> dict[str, Any]:
        """Return what an interface must know to ask for this argument."""
        description: dict[str, Any] = {"ty": type(self).__name__}
        if hasattr(self, "default_value"):
            description["default"] = self.default_value
        return description


class PYONValue(_SimpleArgProcessor):
    """An argument that can be anything PYON can write."""

    def __init__(self, default: Any = NoDefault) -> None:
        # Not the base's: a list is a good default here, and the default is a value, not text.
        if default is not NoDefault:
            self.default_value = default

    def process(self, x: Any) -> Any:
        """Return the value that the PYON text `x` stands for."""
        return pyon.decode(x)

    def describe(self) -> dict[str, Any]:
        """Return the description, with the default as PYON text."""
        description: dict[str, Any] = {"ty": type(self).__name__}
        if hasattr(self, "default_value"):
            description["default"] = pyon.encode(self.default_value)
        return description


class BooleanValue(_SimpleArgProcessor):
    """A truth value; nothing but True and False will do."""

    def process(self, x: Any) -> Any:
        """Return `x` if it is a bool."""
        if type(x) is not bool:
            raise ValueError("Invalid BooleanValue value")
        return x


class EnumerationValue(_SimpleArgProcessor):
    """One of the strings in `choices`; `quickstyle` asks a graphical interface for a row of buttons."""

    def __init__(self, choices: Any, default: Any = NoDefault, quickstyle: bool = False) -> None:
        self.choices = choices
        self.quickstyle = quickstyle
        super().__init__(default)

    def process(self, x: Any) -> Any:
        """Return `x` if it is one of the choices."""
        if x not in self.choices:
            raise ValueError("Invalid EnumerationValue value")
        return x

    def describe(self) -> dict[str, Any]:
        """Return the description, with the choices."""
        return super().describe() | {"choices": self.choices, "quickstyle": self.quickstyle}


class NumberValue(_SimpleArgProcessor):
    """A number, in SI in the code and in `unit` (a number `scale` times the SI unit) on the screen.

    It is an int if `type` is "int", or "auto" with precision 0, scale 1 and an integral step; else a float.
    `min`, `max`, `step` and `precision` guide the interface; nothing enforces them here, as in ARTIQ.
    """

    valid_types = ("auto", "float", "int")

    def __init__(
        self,
        default: Any = NoDefault,
        unit: str = "",
        *,
        scale: float | None = None,
        step: float | None = None,
        min: float | None = None,
        max: float | None = None,
        precision: int = 2,
        type: str = "auto",
        ndecimals: int | None = None,
    ) -> None:
        self.unit = unit
        self.scale = scale_of_unit(unit) if scale is None else scale
        self.step = self.scale / 10.0 if step is None else step
        self.min = min
        self.max = max
        self.precision = precision_or_deprecated(precision, ndecimals)
        self.type = type
        if type not in self.valid_types:
            raise TypeError("type must be 'float', 'int' or 'auto'")
        if type == "int" and not self._is_int_compatible():
            raise ValueError(
                "Value marked as integer but settings are not compatible. "
                "Please set precision = 0, scale = 1 and step to an integer"
            )
        super().__init__(default)

    def _is_int_compatible(self) -> bool:
        return self.precision == 0 and int(self.step) == self.step and self.scale == 1

    def _is_int(self) -> bool:
        return self.type == "int" or (self.type == "auto" and self._is_int_compatible())

    def process(self, x: Any) -> Any:
        """Return `x` as an int or a float."""
        return int(x) if self._is_int() else float(x)

    def describe(self) -> dict[str, Any]:
        """Return the description, with unit, scale, step, limits, precision and type."""
        names = ("unit", "scale", "step", "min", "max", "precision", "type")
        return super().describe() | {name: getattr(self, name) for name in names}


class StringValue(_SimpleArgProcessor):
    """A string."""


def scale_of_unit(unit: str) -> float:
    """Return the SI value of a unit that `artiq.language.units` knows; 1 for no unit."""
    if unit == "":
        return 1.0
    try:
        return getattr(units, unit)
    except AttributeError:
        raise KeyError(f"Unit {unit} is unknown, you must specify the scale manually") from None


def precision_or_deprecated(precision: int, ndecimals: int | None) -> int:
    """Return the precision, accepting its name of ARTIQ 7 with ARTIQ's notice."""
    if ndecimals is None:
        return precision
    print("DeprecationWarning: 'ndecimals' is deprecated. Please use 'precision' instead.")
    return ndecimals
