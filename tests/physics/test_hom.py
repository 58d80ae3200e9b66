"""Visibility closed forms against overlap integrals."""

import math

import numpy as np
import pytest
from scipy.integrate import quad

from sim.physics import hom
from sim.physics.cavity import CavityPort, emit
from sim.physics.emission import overlap
from sim.physics.freespace import FreeSpacePort, emit_at
from sim.physics.species import RB87

GAMMA = RB87.d2_linewidth_rad_s
STEP = 0.05e-9
GRID = np.arange(-50e-9, 800e-9, STEP)


def wave(linewidth, start=0.0, detuning=0.0):
    """Return a normalised one-sided exponential amplitude on GRID, half weight at the front."""
    on = (start + STEP / 4 < GRID) + 0.5 * (np.abs(GRID - start) <= STEP / 4)
    psi = on * np.exp(-0.5 * linewidth * np.maximum(GRID - start, 0)) * np.exp(-1j * detuning * GRID)
    return psi * math.sqrt(linewidth)


def visibility(a, b):
    return abs(np.vdot(a, b) * STEP) ** 2


@pytest.mark.parametrize(("ratio", "detuning", "delay"), [
    (1.0, 0.0, 0.0), (0.4, 0.0, 0.0), (1.0, 1.3, 0.0), (0.4, -0.8, 10e-9), (0.4, 0.0, -10e-9)])
def test_two_exponentials_are_their_overlap(ratio, detuning, delay):
    numeric = visibility(wave(GAMMA), wave(ratio * GAMMA, delay, detuning * GAMMA))
    closed = hom.two_exponentials(GAMMA, ratio * GAMMA, detuning * GAMMA, delay)
    assert closed == pytest.approx(numeric, rel=2e-3)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 3.0])
def test_gaussian_detuning_averages_the_lorentzian(ratio):
    s = ratio * GAMMA
    exact = quad(lambda x: math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) / (1 + (x * ratio) ** 2), -12, 12,
                 limit=200)[0]
    assert hom.gaussian_detuning(GAMMA, s) == pytest.approx(exact, rel=1e-8)
    assert hom.gaussian_detuning(GAMMA, 0.0) == 1.0


def test_emission_jitter_averages_the_delay_of_two_nodes():
    sigma = 4e-9
    spread = math.sqrt(2) * sigma
    exact = math.sqrt(2 / math.pi) * quad(lambda x: math.exp(-0.5 * x * x - GAMMA * spread * x), 0, 12)[0]
    assert hom.emission_jitter(GAMMA, sigma) == pytest.approx(exact, rel=1e-8)


def test_pure_dephasing_is_the_double_integral_of_the_coherence():
    """V = int int G e^(-G t) G e^(-G s) e^(-2 gamma* |t - s|): the difference of times is Laplacian with rate G."""
    dephasing = 0.3 * GAMMA
    exact = quad(lambda x: math.exp(-x) * math.exp(-2 * 0.3 * x), 0, 60)[0]
    assert hom.pure_dephasing(GAMMA, dephasing) == pytest.approx(exact, rel=1e-9)


def test_hom_dip_vanishes_for_orthogonal_photons():
    assert hom.coincidence_probability(hom.two_exponentials(GAMMA, GAMMA, 1e4 * GAMMA)) == pytest.approx(0.5, abs=1e-6)
    assert hom.coincidence_probability(hom.two_exponentials(GAMMA, GAMMA)) == 0.0


def test_free_space_emissions_interfere_as_exponentials():
    """Sharp fronts on a grid of 0.1 ns: within 0.5 %."""
    port, t = FreeSpacePort(0.1, 0.5, RB87.d2_gamma_rad_s), np.arange(0, 600e-9, 0.1e-9)
    numeric = abs(overlap(emit_at(port, t, 0.0), emit_at(port, t, 8e-9))) ** 2
    assert numeric == pytest.approx(hom.two_exponentials(GAMMA, GAMMA, 0.0, 8e-9), rel=5e-3)


def test_detuned_cavity_photons_of_one_drive_still_overlap():
    """A detuned cavity changes the efficiency more than the wavepacket: the drive fixes the photon's frequency."""
    mhz = 2 * math.pi * 1e6
    t = np.arange(0, 3e-6, 2e-9)
    drive = 4 * mhz * np.sin(np.pi * np.clip(t / 2.5e-6, 0, 1)) ** 2
    centred, detuned = (emit(CavityPort(5 * mhz, 2.7 * mhz, 0.3 * mhz, 3 * mhz, detuning_rad_s=x * mhz), t, drive)
                        for x in (0.0, 1.0))
    loss = 1 - detuned.efficiency / centred.efficiency
    assert 0 < 1 - abs(overlap(centred, detuned)) ** 2 < 0.05
    assert 0 < loss < 0.1
