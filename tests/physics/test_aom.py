"""Diffraction and edges of switched light."""

import math

import numpy as np
import pytest

from sim.physics.aom import Aom, envelope, rf_fraction


def test_saturation_power_diffracts_everything_and_more_diffracts_less():
    aom = Aom(saturation_w=1.0, full_scale_w=2.0)
    assert aom.diffraction(0.5) == pytest.approx(1.0)
    assert aom.diffraction(1.0) < 1.0
    assert aom.diffraction(0.0) == 0.0


def test_weak_drive_diffracts_in_proportion_to_rf_power():
    aom = Aom(saturation_w=1.0, full_scale_w=1.0)
    assert aom.diffraction(1e-6) == pytest.approx(math.pi**2 / 4 * 1e-6, rel=1e-5)


def test_ten_decibels_equal_an_amplitude_of_one_over_root_ten():
    assert rf_fraction(1.0, 10.0) == pytest.approx(rf_fraction(math.sqrt(0.1), 0.0))


def test_edges_follow_the_error_function_with_the_stated_rise():
    t = np.linspace(-100e-9, 100e-9, 2001)
    power = envelope(t, 0.0, 1.0, 25e-9)
    rise = np.interp(0.9, power, t) - np.interp(0.1, power, t)
    assert rise == pytest.approx(25e-9, rel=1e-3)
    width = 25e-9 / (2 * 1.2815515655)
    exact = [0.5 * (1 + math.erf(x / (math.sqrt(2) * width))) for x in t]
    assert np.abs(power - exact).max() < 2e-7


def test_pulse_passes_one_half_at_its_edges_and_keeps_its_area():
    t = np.linspace(-0.2e-6, 1.2e-6, 14001)
    power = envelope(t, 0.0, 1.0e-6, 25e-9)
    assert np.interp([0.0, 1.0e-6], t, power) == pytest.approx([0.5, 0.5], abs=1e-6)
    assert power.sum() * (t[1] - t[0]) == pytest.approx(1.0e-6, rel=1e-6)


def test_pulse_shorter_than_the_rise_does_not_reach_full_power():
    t = np.linspace(-50e-9, 60e-9, 1101)
    assert envelope(t, 0.0, 10e-9, 25e-9).max() < 0.5


def test_no_rise_is_a_square_pulse():
    assert envelope([-1e-9, 1e-9, 11e-9], 0.0, 10e-9, 0.0).tolist() == [0.0, 1.0, 0.0]
