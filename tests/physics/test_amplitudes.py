"""Long steps under a changing pulse, and what lies between their ends, beside many short ones."""

import numpy as np
import pytest

from sim.physics import amplitudes

MHZ = 2e6 * np.pi
RATES = amplitudes.Rates(5 * MHZ, 3 * MHZ, 3 * MHZ, -4 * MHZ, 1.5 * MHZ)


def states(step_s: float, span: int | None = None) -> np.ndarray:
    """Return u, e, c on 1 us of a grid under a pulse whose phase turns, in steps that span so many intervals."""
    t_s = np.linspace(0, 1e-6, round(1e-6 / step_s) + 1)
    rabi = 20 * MHZ * np.sin(np.pi * np.clip(t_s / 400e-9, 0, 1)) ** 2 * np.exp(2j * MHZ * t_s)
    span = amplitudes.stride(step_s, len(t_s), rabi, RATES) if span is None else span
    steps = amplitudes.propagators(step_s, rabi, RATES, span)
    return amplitudes.between(amplitudes.chain(steps, (1, 0, 0)).T, span, len(t_s)).T


def test_long_steps_and_what_is_between_them_are_those_of_short_steps() -> None:
    exact = states(0.125e-9, 1)[::8]
    assert np.abs(states(1e-9) - exact).max() < 5e-5
    assert np.abs(states(1e-9, 3) - exact).max() < 5e-5  # 1,000 intervals are not a multiple of 3


def test_a_step_is_of_fourth_order() -> None:
    """Twice the length, 16 times the error; samples lie so close that straight lines between them do not matter."""
    exact = states(0.125e-9, 1)[::64]
    errors = [np.abs(states(0.125e-9, span)[::64] - exact).max() for span in (128, 64)]
    assert 8 < errors[0] / errors[1] < 32, errors


def test_steps_are_as_long_as_the_rates_allow_and_no_longer_than_the_grid() -> None:
    rabi = np.full(1001, 20 * MHZ)
    largest = 10 * MHZ + 3 * MHZ + 4 * MHZ + 5 * MHZ
    assert amplitudes.stride(1e-9, 1001, rabi, RATES) == int(0.5 / (largest * 1e-9))
    assert amplitudes.stride(1e-6, 1001, rabi, RATES) == 1
    assert amplitudes.stride(1e-12, 101, rabi, RATES) == 4


@pytest.mark.parametrize("size", [1e-6, 0.3, 20.0])
def test_the_exponential_is_scipys(size: float) -> None:
    from scipy.linalg import expm

    rng = np.random.default_rng(1)
    a = size * (rng.standard_normal((5, 3, 3)) + 1j * rng.standard_normal((5, 3, 3)))
    for ours, one in zip(amplitudes.exponential(a), a, strict=True):
        theirs = expm(one)
        assert np.abs(ours - theirs).max() < 1e-7 * np.abs(theirs).max()
