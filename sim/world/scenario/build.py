"""Frozen dataclasses out of the tables of a scenario: `x_rad_s` may be given as `x_over_2pi_hz`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from atomlink.errors import ScenarioError
from atomlink.from_tables import Builder


def _angular(key: str, value: Any, hints: Mapping[str, Any]) -> tuple[str, Any]:
    angular = key.removesuffix("_over_2pi_hz") + "_rad_s"
    if not key.endswith("_over_2pi_hz") or angular not in hints:
        return key, value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return angular, 2 * math.pi * value if number else value  # what is no number is refused with the other fields


def _frequencies(names: Iterable[str]) -> list[str]:
    return [f"{name.removesuffix('_rad_s')}_over_2pi_hz" for name in names if name.endswith("_rad_s")]


_SCENARIO = Builder(ScenarioError, _angular, _frequencies)
build, unknown = _SCENARIO.build, _SCENARIO.unknown
