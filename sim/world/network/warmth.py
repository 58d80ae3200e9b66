"""Steps of temperature in which the statistics of an attempt are taken, so that attempts of one step share them.

Within a step everything is as at its middle on a logarithmic scale; the steps are laid so that the temperature after
cooling is the middle of one. A step of 20 % changes a default photon's efficiency by 2.5 %: its edges are off by half.
"""

from __future__ import annotations

import math

_STEP = math.log(1.2)
_COLDEST_K = 1e-7  # far below the trap's ground state


def middle_k(temperature_k: float, cooled_k: float) -> float:
    """Return the middle of the step that a temperature is in."""
    return max(cooled_k, _COLDEST_K) * math.exp(_STEP * _number(temperature_k, cooled_k))


def cycles_within(temperature_k: float, cooled_k: float, rise_k: float) -> int | None:
    """Return after how many rises the temperature has left its step; None if it stays."""
    if rise_k <= 0:
        return None
    edge = max(cooled_k, _COLDEST_K) * math.exp(_STEP * (_number(temperature_k, cooled_k) + 0.5))
    return max(1, math.ceil((edge - temperature_k) / rise_k))


def _number(temperature_k: float, cooled_k: float) -> int:
    return round(math.log(max(temperature_k, _COLDEST_K) / max(cooled_k, _COLDEST_K)) / _STEP)
