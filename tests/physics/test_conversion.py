"""Frequency conversion: energy, efficiency against pump power, noise as dark clicks."""

import math
from dataclasses import replace

import pytest

from atomlink.errors import ScenarioError
from sim.physics.conversion import (
    Converter,
    added_dark_hz,
    efficiency,
    noise_hz,
    noisy_pair_fidelity,
    wavelength_out_m,
)

CONVERTER = Converter(780.24e-9, 1606.6e-9, 0.57, 0.3, 0.3, 500.0)


def test_780_nm_pumped_at_1607_nm_becomes_1517_nm() -> None:
    assert wavelength_out_m(CONVERTER) == pytest.approx(1517e-9, abs=0.5e-9)


def test_efficiency_peaks_at_the_pump_power_of_full_conversion() -> None:
    assert efficiency(CONVERTER) == pytest.approx(0.57)
    assert efficiency(replace(CONVERTER, pump_w=0.0)) == 0.0
    assert efficiency(replace(CONVERTER, pump_w=0.29)) < 0.57 > efficiency(replace(CONVERTER, pump_w=0.31))


def test_efficiency_solves_the_coupled_mode_equations() -> None:
    """a' = -i k b, b' = -i k a over the length 1 with k = pi/2 sqrt(P/P_max): |b|^2 = sin^2 k, by small steps."""
    pump = 0.11
    k, a, b, n = math.pi / 2 * math.sqrt(pump / 0.3), 1 + 0j, 0j, 20_000
    for _ in range(n):
        middle_a, middle_b = a - 0.5j * k / n * b, b - 0.5j * k / n * a
        a, b = a - 1j * k / n * middle_b, b - 1j * k / n * middle_a
    assert efficiency(replace(CONVERTER, pump_w=pump)) == pytest.approx(0.57 * abs(b) ** 2, rel=1e-6)


def test_noise_is_shared_by_four_detectors() -> None:
    assert noise_hz(CONVERTER) == pytest.approx(150.0)
    assert 4 * added_dark_hz(CONVERTER, 0.5, 0.8) == pytest.approx(150.0 * 0.4)


def test_noise_takes_the_fidelity_to_one_quarter() -> None:
    assert noisy_pair_fidelity(1.0, 1e-12, 0.9) == pytest.approx(0.9)
    assert noisy_pair_fidelity(1e-12, 1.0, 0.9) == pytest.approx(0.25)
    assert noisy_pair_fidelity(1.0, 1.0, 0.75) == pytest.approx(0.5)


@pytest.mark.parametrize(("field", "value"), [("external_efficiency", 1.1), ("noise_hz_w", -1.0), ("pump_w", -0.1),
                                              ("wavelength_pump_m", 700e-9), ("wavelength_in_m", 0.0)])
def test_unphysical_converters_are_refused(field: str, value: float) -> None:
    with pytest.raises(ScenarioError, match=f"Converter.{field} is"):
        replace(CONVERTER, **{field: value})


def test_more_transmission_than_light_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"`transmission` must be in \[0, 1\], but is 1.2"):
        added_dark_hz(CONVERTER, 1.2, 0.8)
