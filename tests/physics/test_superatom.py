"""The Rydberg superatom: closed forms against simulations made here, and the design's numbers."""

import math

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics import superatom
from sim.physics.superatom import Cavity

MHZ = 2 * math.pi * 1e6
RB_KG = 86.909180527 * 1.66053906892e-27
C6_100S = 5.6e4 * 1e9 * 1e-36
LAB = Cavity(6.0, 0.9, 10 * MHZ, 3 * MHZ, 0.01 * 3 * MHZ)


def test_number_of_atoms_spoils_the_pi_pulse_as_one_over_it():
    assert superatom.pulse_error(400.0) == pytest.approx(math.pi**2 / (16 * 400), rel=0.02)
    assert superatom.pulse_error(400.0) == pytest.approx(1.54e-3, abs=0.03e-3)
    assert superatom.collective_rabi_rad_s(0.05 * MHZ, 400) == pytest.approx(MHZ)


def test_rabi_oscillation_of_poissonian_numbers():
    """Against numbers drawn one by one; 4 sigma of their mean."""
    numbers = np.random.default_rng(2).poisson(100, 20_000)
    t = np.linspace(0, 3 / 1e6, 7)
    each = np.sin(0.5 * 0.1 * MHZ * np.sqrt(numbers)[:, None] * t) ** 2
    error = each.std(axis=0) / math.sqrt(len(numbers)) + 1e-12
    assert np.all(np.abs(superatom.rabi(t, 0.1 * MHZ, 100.0) - each.mean(axis=0)) < 4 * error + 1e-9)


def test_cloud_of_100s_is_blockaded_when_it_is_small():
    """<r^12> against pairs drawn from the cloud, 5 %; P_2 of the design."""
    assert superatom.blockade_rad_s(C6_100S, 3e-6) / MHZ == pytest.approx(26, abs=0.5)
    assert superatom.blockade_rad_s(C6_100S, 5e-6) / MHZ == pytest.approx(1.3, abs=0.1)
    rng = np.random.default_rng(3)
    r = np.linalg.norm(rng.normal(0, 3e-6, (2_000_000, 3)) - rng.normal(0, 3e-6, (2_000_000, 3)), axis=1)
    drawn = 2 * math.pi * C6_100S / math.sqrt(np.mean(r**12))
    assert superatom.blockade_rad_s(C6_100S, 3e-6) == pytest.approx(drawn, rel=0.05)
    blockade = superatom.blockade_rad_s(C6_100S, 3e-6)
    assert superatom.double_excitation(400, 0.5 * MHZ, blockade) == pytest.approx(1.8e-4, abs=0.05e-4)


def driven_pairs(n, blockade):
    """Return the mean over time of P_2 of n atoms under Omega_N = 1, all pairs shifted by `blockade`: integrated."""
    couplings = [0.5, 0.5 * math.sqrt(2 * (n - 1) / n)]
    h = np.diag([0.0, 0.0, blockade]) + np.diag(couplings, 1) + np.diag(couplings, -1)
    energies, states = np.linalg.eigh(h)
    t = np.linspace(0, 40 * math.pi, 40_001)
    psi = (states * states[0]) @ np.exp(-1j * np.outer(energies, t))
    return float(np.mean(np.abs(psi[2]) ** 2))


def test_double_excitation_is_that_of_the_three_level_ladder():
    mean = superatom.double_excitation(4, 1.0, 20.0) / 2
    assert mean == pytest.approx(4.7e-4, abs=0.05e-4)
    assert driven_pairs(4, 20.0) == pytest.approx(mean, rel=0.05)
    assert superatom.g2(0.6, 0.0) == 0 and superatom.g2(0.6, 1e-4) == pytest.approx(2e-4 / 0.36, rel=1e-3)


@pytest.mark.parametrize(("temperature", "tau"), [(2e-6, 14.4e-6), (5e-6, 9.1e-6), (10e-6, 6.4e-6)])
def test_motion_dephases_the_excitation(temperature, tau):
    assert superatom.dephasing_s(temperature, RB_KG, (780e-9, 480e-9)) == pytest.approx(tau, rel=0.01)
    assert superatom.dephasing_s(0.0, RB_KG, (780e-9, 480e-9)) == math.inf
    both = superatom.dephasing_s(temperature, RB_KG, (780e-9, 480e-9), 1 / tau)
    assert both == pytest.approx(tau / math.sqrt(2), rel=0.01)


@pytest.mark.parametrize(("drive", "contrast"), [(6.0, 0.18), (10.0, 0.907)])
def test_strong_drive_protects_the_excitation(drive, contrast):
    assert superatom.driven_contrast(drive, 25.0) == pytest.approx(contrast, abs=0.02)


def test_photon_comes_out_with_the_efficiency_of_its_factors():
    assert superatom.efficiency(LAB, 0.95, 1e-6, 11e-6) == pytest.approx(0.783, abs=0.001)


def test_reflection_tells_the_excitation_by_its_sign():
    present = complex(superatom.reflection(LAB, True, 2 * LAB.gamma_rad_s))
    absent = complex(superatom.reflection(LAB, False, 2 * LAB.gamma_rad_s))
    assert present == pytest.approx(0.862, abs=1e-3) and absent == pytest.approx(-0.609, abs=1e-3)
    assert superatom.transmission_ratio(LAB) == pytest.approx(1 / 169)
    perfect = Cavity(6.0, 0.9, 10 * MHZ, 3 * MHZ)
    assert complex(superatom.reflection(perfect, False, MHZ)) == pytest.approx(1 - 2 * 0.9)


def test_reflection_is_that_of_the_coupled_amplitudes():
    """Solve cavity, atoms and Rydberg coherence in steady state."""
    c, kappa, gamma, control = LAB.cooperativity, LAB.kappa_rad_s, LAB.gamma_rad_s, 1.3 * LAB.gamma_rad_s
    delta, small = 0.4 * kappa, 0.3 * gamma
    g = math.sqrt(2 * c * kappa * gamma)
    matrix = np.array([[kappa - 1j * delta, 1j * g, 0], [1j * g, gamma - 1j * small, 0.5j * control],
                       [0, 0.5j * control, LAB.rydberg_rad_s - 1j * small]])  # fmt: skip
    field = np.linalg.solve(matrix, [math.sqrt(2 * LAB.outcoupling * kappa), 0, 0])[0]
    expected = 1 - math.sqrt(2 * LAB.outcoupling * kappa) * field
    assert complex(superatom.reflection(LAB, False, control, delta, small)) == pytest.approx(expected)


def test_transmission_detects_the_excitation():
    found = superatom.detection(15.0, 1.0, 6, 0.05)
    assert found.mean == pytest.approx(0.0175, abs=0.0005)
    rng = np.random.default_rng(4)
    n = 200_000
    decay = np.minimum(rng.exponential(1 / 0.05, n), 1.0)
    clicks = rng.poisson(1.0 * decay + 15.0 * (1 - decay))
    assert found.missed == pytest.approx(np.mean(clicks >= 6), abs=4 * math.sqrt(found.missed / n))


def test_impossible_cavities_are_refused():
    with pytest.raises(ScenarioError, match=r"Cavity\.outcoupling is 1\.1, but must be a number in \[0, 1\]"):
        Cavity(6.0, 1.1, MHZ, MHZ)
