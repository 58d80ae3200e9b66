"""Limits refuse what may not be set, with the unit, and never change a value."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomlink.errors import DeviceError
from drivers.limits import Limits

CURRENT = Limits(0.0, 150.0, "mA", max_step=10.0, max_slew=5.0)
WIDE = Limits(-10.0, 10.0, "V")


@given(st.floats(-10.0, 10.0))
def test_a_value_within_the_limits_passes_unchanged(value: float) -> None:
    assert WIDE.check("voltage", value) == value


@given(st.floats(allow_nan=False).filter(lambda v: not -10.0 <= v <= 10.0))
def test_a_value_outside_is_refused_never_clamped(value: float) -> None:
    with pytest.raises(DeviceError, match="voltage is .* V"):
        WIDE.check("voltage", value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, False, "1.0", None, [1.0], 1j, np.bool_(True)])
def test_what_is_no_finite_number_is_refused_with_the_unit(value: object) -> None:
    with pytest.raises(DeviceError, match="voltage is .* must be a (finite )?number in V"):
        WIDE.check("voltage", value)


@pytest.mark.parametrize("value", [1, 1.0, np.float64(1.0), np.int32(1), np.float32(1.0)])
def test_numbers_of_every_type_pass_as_floats(value: object) -> None:
    checked = WIDE.check("voltage", value)
    assert type(checked) is float and checked == 1.0


def test_a_step_up_to_the_largest_passes_and_a_larger_one_is_refused() -> None:
    assert CURRENT.check("current", 90.0, present=80.0) == 90.0
    with pytest.raises(DeviceError, match=r"step from 80 to 90\.1 mA .* at most 10 mA"):
        CURRENT.check("current", 90.1, present=80.0)


def test_a_step_that_cannot_be_judged_is_refused() -> None:
    with pytest.raises(DeviceError, match="read what is set now first"):
        CURRENT.check("current", 5.0)


@pytest.mark.parametrize("rate", [5.0, -5.0, 0.1])
def test_ramps_up_to_the_largest_slew_pass_either_way(rate: float) -> None:
    assert CURRENT.check_slew("current", rate) == rate


@pytest.mark.parametrize("rate", [5.01, -6.0, 0.0, math.nan, "2", True])
def test_faster_ramps_and_ramps_that_never_end_are_refused(rate: object) -> None:
    with pytest.raises(DeviceError, match="mA/s"):
        CURRENT.check_slew("current", rate)


def test_limits_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        WIDE.highest = 1e9  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [{"lowest": 2.0, "highest": 1.0}, {"lowest": math.nan, "highest": 1.0}, {"lowest": 0.0, "highest": math.inf},
     {"lowest": 0.0, "highest": 1.0, "max_step": 0.0}, {"lowest": 0.0, "highest": 1.0, "max_slew": -1.0}],
)  # fmt: skip
def test_limits_that_limit_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(DeviceError):
        Limits(unit="V", **wrong)
