"""Coil fields, precession, fibre loss, delay and polarisation."""

import math

import numpy as np
import pytest

from sim.physics.fibre import Fibre, delay_s, jones, retarder, transmission
from sim.physics.fields import Coils, field_gauss, larmor_hz, tilt_rad


def test_coils_add_to_the_background():
    coils = Coils((0.2, 0.0, 0.01), (0.0, 0.2, 0.0), (0.0, 0.0, 0.5), background_gauss=(0.1, -0.2, 0.3))
    assert field_gauss(coils, (-0.5, 1.0, 2.0)) == pytest.approx((0.0, 0.0, 1.295))


def test_one_gauss_splits_the_pair_by_1_40_megahertz():
    assert larmor_hz((0.0, 0.0, 1.0)) == pytest.approx(1.40e6)
    assert larmor_hz((0.6, 0.0, -0.8)) == pytest.approx(1.40e6)


def test_field_along_the_axis_is_not_tilted():
    assert tilt_rad((0.0, 0.0, 2.0)) == 0.0
    assert tilt_rad((1.0, 0.0, 1.0)) == pytest.approx(math.pi / 4)
    assert tilt_rad((0.0, 0.0, 0.0)) == 0.0


def test_one_kilometre_at_780_nm_loses_three_and_a_half_decibels():
    assert -10 * math.log10(transmission(Fibre(1000.0))) == pytest.approx(3.5)
    assert transmission(Fibre(0.0, insertion=0.9)) == 0.9


def test_twenty_metres_take_98_nanoseconds():
    assert delay_s(Fibre(20.0)) == pytest.approx(97.9e-9, abs=0.05e-9)


def test_jones_matrix_is_unitary_and_reaches_every_polarisation():
    matrix = jones(0.3, 1.1, -2.0)
    assert np.abs(matrix @ matrix.conj().T - np.eye(2)).max() < 1e-12
    assert np.linalg.det(matrix) == pytest.approx(1.0)
    assert abs(matrix[1, 0]) ** 2 == pytest.approx(math.sin(0.55) ** 2)
    assert np.array_equal(jones(0.0, 0.0, 0.0), np.eye(2))


def test_jones_factors_into_z_y_z_rotations():
    z = np.diag(np.exp(np.array([-0.5j, 0.5j]) * 0.3))
    z2 = np.diag(np.exp(np.array([-0.5j, 0.5j]) * -2.0))
    y = np.array([[math.cos(0.55), -math.sin(0.55)], [math.sin(0.55), math.cos(0.55)]])
    assert np.abs(jones(0.3, 1.1, -2.0) - z @ y @ z2).max() < 1e-12


def test_half_wave_plate_at_45_degrees_swaps_h_and_v():
    assert np.abs(retarder(math.pi, math.pi / 4)) == pytest.approx(np.array([[0, 1], [1, 0]]), abs=1e-12)


def test_half_wave_plate_turns_linear_light_by_twice_its_angle():
    out = retarder(math.pi, 0.2) @ np.array([1.0, 0.0])
    assert np.abs(out) == pytest.approx([math.cos(0.4), math.sin(0.4)])
