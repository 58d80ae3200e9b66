"""Atoms that scatter and are excited once more: the design's table of square pulses, and populations that add up."""

import math
from dataclasses import replace

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics import cavity, freespace
from sim.physics.cavity import CavityPort
from sim.physics.emission import visibility
from sim.physics.freespace import FreeSpacePort

MHZ = 2 * math.pi * 1e6
T_S = np.arange(-10e-9, 3e-6, 1e-9)
SQUARE = np.where((T_S >= 0) & (T_S < 0.5e-6), 10 * MHZ, 0.0)
DEFAULT = CavityPort(10 * MHZ, 2.5 * MHZ, 0.25 * MHZ, 3.03 * MHZ, branching_back=1 / 15, branching_beside=0.1)
NARROW = CavityPort(5 * MHZ, 2.7 * MHZ, 0.3 * MHZ, 3 * MHZ, branching_back=1 / 15, branching_beside=0.1)


def shares(port: CavityPort, left: float) -> float:
    """Return the share of photons that leave the atom outside the qubit, where pumping left so many beside."""
    good, beside = (emit(port, T_S, SQUARE) for emit in (cavity.emit, cavity.emit_beside))
    after = 0.0 if good.wrong is None else good.wrong.efficiency
    wrong = left * beside.efficiency + (1 - left) * after
    return wrong / (wrong + (1 - left) * good.efficiency)


@pytest.mark.parametrize(("port", "overlap", "sixth", "wrong"), [
    (DEFAULT, 0.9933, 0.9832, 0.0156), (NARROW, 0.9716, 0.9290, 0.0346)])  # fmt: skip
def test_returns_in_a_cavity_are_those_of_the_design(port, overlap, sixth, wrong):
    """V with b = 1/15 and with 1/6; share of photons after a return to F = 2, m = +-1; +-2 in the last digit."""
    photon = cavity.emit(port, T_S, SQUARE)
    assert visibility(photon, photon) == pytest.approx(overlap, abs=2e-4)
    assert shares(port, 0.0) == pytest.approx(wrong, abs=2e-4)
    all_back = cavity.emit(replace(port, branching_back=1 / 6, branching_beside=0.0), T_S, SQUARE)
    assert visibility(all_back, all_back) == pytest.approx(sixth, abs=2e-4) and all_back.wrong is None


@pytest.mark.parametrize(("port", "left", "wrong"), [
    (replace(DEFAULT, branching_back=0.0, branching_beside=0.0), 0.005, 0.0046),
    (DEFAULT, 0.02, 0.0333), (NARROW, 0.02, 0.0487),
])  # fmt: skip
def test_atoms_that_pumping_left_beside_send_wrong_photons(port, left, wrong):
    assert shares(port, left) == pytest.approx(wrong, abs=4e-4)
    if left == 0.005:
        assert (1 - shares(port, left)) ** 2 == pytest.approx(0.991, abs=5e-4)


def test_an_atom_from_beside_is_one_of_weaker_drive_and_coupling():
    weaker = replace(DEFAULT, g_rad_s=DEFAULT.g_rad_s / math.sqrt(2), branching_back=0.05, branching_beside=0.0)
    expected = cavity.emit(weaker, T_S, math.sqrt(0.75) * SQUARE)
    assert cavity.emit_beside(DEFAULT, T_S, SQUARE).efficiency == pytest.approx(expected.efficiency)


@pytest.mark.parametrize("port", [DEFAULT, NARROW])
def test_the_wrong_photons_are_as_many_as_the_atoms_that_came_there_send(port):
    """Slow pulse, long before its end: each decay that goes beside gives eta_beside; what falls there again counts."""
    t = np.arange(0, 6e-6, 1e-9)
    pulse = np.where(t < 5e-6, 10 * MHZ, 0.0)
    found = cavity.emit(port, t, pulse)
    decays = found.scattered / (1 - port.branching_back)  # each chain of returns counts all its decays
    beside = cavity.emit_beside(port, t, pulse).efficiency
    assert found.wrong.efficiency == pytest.approx(0.1 * decays * beside, rel=2e-3)


@pytest.mark.parametrize(("pulse_s", "good", "overlap", "late"), [
    (5e-9, 0.671, 0.9995, 0.911), (20e-9, 0.675, 0.9944, 0.706), (50e-9, 0.658, 0.9807, 0.461),
    (100e-9, 0.597, 0.9648, 0.269),
])  # fmt: skip
def test_a_square_pi_pulse_in_free_space(pulse_s, good, overlap, late):
    """Good photons, V, share of them after the pulse, where they are equal: the design's table, within 2e-3."""
    step = pulse_s / 200
    t = np.arange(0, pulse_s + 400e-9, step)
    port = FreeSpacePort(1.0, 1.0, 3.03 * MHZ, 1 / 3)
    photon = freespace.emit(port, t, np.where(t < pulse_s - step / 2, math.pi / pulse_s, 0.0))
    assert photon.efficiency == pytest.approx(good, abs=2e-3)
    assert visibility(photon, photon) == pytest.approx(overlap, abs=4e-4)
    assert 1 - np.interp(pulse_s, t, photon.cdf) == pytest.approx(late, abs=2e-3)
    modes = photon.components[:, t > pulse_s + step]
    inner = modes.conj() @ modes.T
    assert (np.abs(inner) ** 2).sum() == pytest.approx(float(np.trace(inner).real) ** 2, rel=1e-6)


def test_a_long_pulse_in_free_space_excites_again_and_again():
    t = np.arange(0, 1e-6, 0.5e-9)
    port = FreeSpacePort(1.0, 1.0, 3.03 * MHZ, 1 / 3)
    photon = freespace.emit(port, t, np.where(t < 500e-9, 10 * MHZ, 0.0))
    assert photon.delayed is not None
    assert photon.efficiency == pytest.approx(0.998, abs=5e-4)
    assert float((np.abs(photon.delayed) ** 2).sum()) * 0.5e-9 == pytest.approx(0.332, abs=1e-3)
    assert visibility(photon, photon) == pytest.approx(0.553, abs=1e-3)
    half = freespace.emit(replace(port, collection=0.1), t, np.where(t < 500e-9, 10 * MHZ, 0.0))
    assert half.efficiency + half.scattered == pytest.approx(half.transferred, abs=2e-3)


def test_no_more_can_come_back_or_go_beside_than_decays():
    with pytest.raises(ScenarioError, match=r"branching_beside is 0\.95, but must be a number in \[0, 0\.93"):
        replace(DEFAULT, branching_beside=0.95)
    with pytest.raises(ScenarioError, match=r"FreeSpacePort\.branching_back is -0\.1"):
        FreeSpacePort(0.1, 0.5, 3 * MHZ, -0.1)
