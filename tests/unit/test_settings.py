"""Settings, their pulses and the order of shots, against the physics and against counting."""

import math

import numpy as np
import pytest

from experiments.sequences import settings as axes
from sim.physics import rotations

EVERY = sorted({setting for chosen in axes.CHOICES.values() for setting in chosen}, key=lambda setting: setting.name)
PAULI = (np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1]))


def plus_state(polar: float, azimuth: float) -> np.ndarray:
    """Return the +1 state of an axis, over three levels."""
    return np.array([math.cos(polar / 2), math.sin(polar / 2) * np.exp(1j * azimuth), 0])


@pytest.mark.parametrize("setting", EVERY, ids=lambda setting: setting.name)
def test_the_pulse_of_a_setting_turns_its_axis_to_z(setting: axes.Setting) -> None:
    for polar, azimuth in setting.axes:
        area = axes.pulse_area_turns(polar) * math.pi
        pulse = rotations.raman(area, 0.0, 2 * math.pi * axes.axis_turns(azimuth), 1.0)
        assert abs((pulse @ plus_state(polar, azimuth))[0]) ** 2 == pytest.approx(1.0)


def spin(polar: float, azimuth: float) -> np.ndarray:
    """Return the observable with outcomes +-1 along an axis."""
    axis = (math.sin(polar) * math.cos(azimuth), math.sin(polar) * math.sin(azimuth), math.cos(polar))
    return np.asarray(sum(component * pauli for component, pauli in zip(axis, PAULI, strict=True)))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_chsh_settings_give_two_root_two_for_both_states(sign: int) -> None:
    psi = np.array([0, 1, sign, 0]) / math.sqrt(2)
    pairs = [setting.axes for setting in axes.CHSH]
    e00, e01, e10, e11 = (float((psi @ np.kron(spin(*first), spin(*second)) @ psi).real) for first, second in pairs)
    assert e00 + e01 + e10 - e11 == pytest.approx(sign * 2 * math.sqrt(2))


@pytest.mark.parametrize("randomise", [True, False])
@pytest.mark.parametrize("n_settings", [1, 3, 4, 7])
def test_settings_are_balanced_and_calibration_shots_have_their_share(n_settings: int, randomise: bool) -> None:
    setting, pushout = axes.schedule(n_settings, 0.05, randomise, seed=5)
    assert len(set(np.bincount(setting, minlength=n_settings).tolist())) == 1
    assert np.mean(pushout == 0) == pytest.approx(0.05, abs=1 / len(setting))


def test_no_calibration_shots_means_none() -> None:
    assert axes.schedule(3, 0.0, True, seed=5)[1].all()
