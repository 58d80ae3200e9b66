"""Say whether what a node measured agrees with what is believed."""

from collections.abc import Mapping
from typing import Any

from experiments.calibration.graph import Node, Verdict

SIGNIFICANT = 2.0  # standard errors by which a departure must exceed chance


def judge(
    node: Node, result: Any, believed: Mapping[str, float], refused: str = "", measured: bool = False
) -> tuple[Verdict, str]:
    """Return the verdict on an analysis result and its reason; `measured`: the beliefs have been set to it."""
    if result is None:
        return Verdict.BAD_DATA, refused or "no estimate"
    for name, tolerance in node.tolerances.items():
        estimate = result.updates.get(name)
        if estimate is None:
            return Verdict.BAD_DATA, f"no estimate of {name}: {refused or 'the analysis gave none'}"
        departure = estimate.value - believed[name]
        text = f"{name} departs by {departure:.3g} ± {estimate.error:.2g}, may by {tolerance:.3g}"
        if not measured and abs(departure) > tolerance and abs(departure) > SIGNIFICANT * estimate.error:
            return Verdict.OUT_OF_SPEC, text
        if not measured and estimate.error > tolerance:
            return Verdict.OUT_OF_SPEC, f"{text}: the check is too short to tell"
    for name, (low, high) in node.limits.items():
        estimate = result.estimates.get(name)
        if estimate is None:
            return Verdict.BAD_DATA, f"no estimate {name}"
        margin = SIGNIFICANT * estimate.error
        if estimate.value + margin < low or estimate.value - margin > high:
            return Verdict.OUT_OF_SPEC, f"{name} = {estimate.quantity()}, must be in {low:g} … {high:g}"
    return Verdict.IN_SPEC, ""
