"""Check the fields of parameter dataclasses, with one message shape for every model."""

import math
from typing import Any

from atomlink.errors import ScenarioError

INF = math.inf


def require(params: Any, field: str, low: float, high: float = INF, *,
            above: bool = False, below: bool = False) -> None:
    """Raise ScenarioError unless `params.field` is a finite number in [low, high].

    `above` excludes the lower bound, `below` the upper one. A tuple is checked element by element.
    """
    value = getattr(params, field)
    for number in value if isinstance(value, tuple) else (value,):
        if not _inside(number, low, high, above, below):
            allowed = f"{'(' if above else '['}{low:g}, {high:g}{')' if below or high == INF else ']'}"
            raise ScenarioError(f"{type(params).__name__}.{field} is {value!r}, but must be a number in {allowed}: "
                                "correct the scenario.")


def require_length(params: Any, field: str, length: int) -> None:
    """Raise ScenarioError unless `params.field` is a tuple of `length` entries."""
    value = getattr(params, field)
    if not isinstance(value, tuple) or len(value) != length:
        raise ScenarioError(f"{type(params).__name__}.{field} is {value!r}, but must be a tuple of {length} numbers: "
                            "correct the scenario.")


def require_grid(t_s: Any) -> float:
    """Return the step of a uniform increasing time grid, in s; raise ScenarioError for any other array."""
    n = len(t_s)
    step = (float(t_s[-1]) - float(t_s[0])) / (n - 1) if n > 1 else 0.0
    if step <= 0 or max(abs(float(t_s[1] - t_s[0]) - step), abs(float(t_s[-1] - t_s[-2]) - step)) > 1e-6 * step:
        raise ScenarioError(f"Argument `t_s` has {n} points and mean step {step:g} s, but must be a uniform "
                            "increasing grid of two points or more: build it with numpy.linspace or arange.")
    return step


def _inside(number: Any, low: float, high: float, above: bool, below: bool) -> bool:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        return False
    return (number > low if above else number >= low) and (number < high if below else number <= high)
