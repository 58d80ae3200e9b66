"""Wavepackets of both photon ports against closed forms and an independent integrator."""

import math

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.stats import expon, kstest

from atomlink.errors import ScenarioError
from sim.physics import cavity, emission, freespace
from sim.physics.species import RB87

MHZ = 2 * math.pi * 1e6
# S. Ritter et al., Nature 484, 195 (2012), arXiv 1202.5955 (validation row V11): g, kappa, gamma = 2 pi (5, 3, 3) MHz.
RITTER = cavity.CavityPort(5 * MHZ, 3 * MHZ, 0.0, 3 * MHZ)
LOSSY = cavity.CavityPort(5 * MHZ, 2.7 * MHZ, 0.3 * MHZ, 3 * MHZ)


def pulse(t, length_s, peak_rad_s):
    return peak_rad_s * np.sin(np.pi * np.clip(t / length_s, 0, 1)) ** 2


def started_excited(port, step_s=0.05e-9, length_s=1e-6):
    """Integrate from |e> without a drive, and return the emission into the output mirror."""
    t = np.arange(0, length_s, step_s)
    states = emission.propagate(t, 0.0, 0.0, port.g_rad_s, port.kappa_rad_s, port.gamma_rad_s, port.detuning_rad_s,
                                start=(0, 1, 0))
    return emission.from_amplitude(t, math.sqrt(2 * port.kappa_ext_rad_s) * states[:, 2], 1.0, 0.0)


def test_ritter2012_cooperativity_and_efficiencies():
    assert RITTER.cooperativity == pytest.approx(1.39, abs=0.005)
    assert cavity.adiabatic_efficiency(RITTER) == pytest.approx(0.735, abs=0.0005)
    assert cavity.fast_efficiency(RITTER) == pytest.approx(0.368, abs=0.0005)


@pytest.mark.parametrize("port", [RITTER, LOSSY, cavity.CavityPort(0.4 * MHZ, 2 * MHZ, 1 * MHZ, 3 * MHZ)])
def test_atom_put_into_e_emits_with_the_fast_efficiency(port):
    assert started_excited(port).efficiency == pytest.approx(cavity.fast_efficiency(port), rel=1e-4)


@pytest.mark.parametrize("detuning_kappas", [0.0, 0.5, 2.0])
def test_weak_slow_pulse_reaches_the_adiabatic_efficiency(detuning_kappas):
    """The closed form is the limit of weak drive, where the photon's line is narrow: efficiency per atom that left."""
    port = cavity.CavityPort(5 * MHZ, 2.7 * MHZ, 0.3 * MHZ, 3 * MHZ, detuning_rad_s=detuning_kappas * 3 * MHZ)
    t = np.arange(0, 12e-6, 4e-9)
    photon = cavity.emit(port, t, pulse(t, 11.5e-6, 0.5 * MHZ))
    assert photon.transferred > 0.2
    assert photon.efficiency == pytest.approx(cavity.adiabatic_efficiency(port) * photon.transferred, rel=1e-3)


def test_amplitudes_agree_with_an_adaptive_integrator():
    t = np.arange(0, 1e-6, 1e-9)
    delta, detuning = -20 * MHZ, 1.5 * MHZ
    port = cavity.CavityPort(5 * MHZ, 2.7 * MHZ, 0.3 * MHZ, 3 * MHZ, detuning_rad_s=detuning)

    def slope(time, y):
        half = pulse(np.array(time), 0.8e-6, 30 * MHZ) / 2
        u, e, c = y
        return [-1j * half * e,
                -1j * half * u + (1j * delta - port.gamma_rad_s) * e - 1j * port.g_rad_s * c,
                -1j * port.g_rad_s * e - (1j * detuning + port.kappa_rad_s) * c]

    exact = solve_ivp(slope, (0, t[-1]), [1 + 0j, 0j, 0j], t_eval=t, rtol=1e-9, atol=1e-12, max_step=5e-9).y.T
    ours = emission.propagate(t, pulse(t, 0.8e-6, 30 * MHZ), delta, port.g_rad_s, port.kappa_rad_s, port.gamma_rad_s,
                              detuning)
    assert np.abs(ours - exact).max() < 1e-3
    assert np.abs(exact[:, 2]).max() > 0.1


def test_error_of_the_grid_is_of_second_order():
    def final(step_s):
        t = np.linspace(0, 0.5e-6, round(0.5e-6 / step_s) + 1)
        return emission.propagate(t, pulse(t, 0.5e-6, 20 * MHZ), 0.0, 5 * MHZ, 3 * MHZ, 3 * MHZ, 0.0)[-1]

    best = final(0.125e-9)
    errors = [np.abs(final(step) - best).max() for step in (4e-9, 2e-9)]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)


def test_every_excitation_ends_as_a_photon_a_mirror_loss_or_a_decay():
    t = np.arange(0, 3e-6, 0.25e-9)
    photon = cavity.emit(LOSSY, t, pulse(t, 2e-6, 10 * MHZ))
    assert photon.efficiency / LOSSY.escape + photon.scattered == pytest.approx(photon.transferred, abs=1e-4)


def test_best_mirror_is_the_maximum_over_mirrors():
    g, kappa_in, gamma = 5 * MHZ, 0.3 * MHZ, 3 * MHZ
    best, efficiency = cavity.best_mirror(g, kappa_in, gamma)
    scan = [cavity.adiabatic_efficiency(cavity.CavityPort(g, best * x, kappa_in, gamma))
            for x in (0.5, 0.9, 1.0, 1.1, 2.0)]
    assert scan[2] == pytest.approx(efficiency, rel=1e-12)
    assert max(scan) == scan[2]


def test_amplitude_is_normalised_and_cdf_runs_from_zero_to_one():
    t = np.arange(0, 1e-6, 1e-9)
    photon = cavity.emit(LOSSY, t, pulse(t, 0.6e-6, 20 * MHZ))
    assert (np.abs(photon.amplitude) ** 2).sum() * 1e-9 == pytest.approx(1.0, rel=1e-9)
    assert photon.cdf[0] == 0.0 and photon.cdf[-1] == 1.0
    assert np.all(np.diff(photon.cdf) >= 0)


def test_dark_port_emits_nothing_and_keeps_the_atom():
    photon = cavity.emit(LOSSY, np.arange(0, 1e-7, 1e-9), 0.0)
    assert (photon.efficiency, photon.transferred, photon.scattered) == (0.0, 0.0, 0.0)


def test_optical_phase_of_the_drive_passes_to_the_photon():
    t = np.arange(0, 1e-6, 1e-9)
    drive = pulse(t, 0.6e-6, 20 * MHZ)
    plain, turned = cavity.emit(LOSSY, t, drive), cavity.emit(LOSSY, t, drive * np.exp(0.7j))
    assert np.angle(emission.overlap(turned, plain)) == pytest.approx(0.7, abs=1e-9)
    assert abs(emission.overlap(turned, plain)) == pytest.approx(1.0, abs=1e-9)


def test_sampled_times_follow_the_wavepacket():
    """Kolmogorov-Smirnov against the exponential; p > 1e-3 with the seed fixed."""
    port = freespace.FreeSpacePort(0.1, 0.5, RB87.d2_gamma_rad_s)
    t = np.arange(0, 400e-9, 0.1e-9)
    times = emission.sample_times(freespace.emit_at(port, t, 0.0), np.random.default_rng(1), 20000)
    assert kstest(times, expon(scale=1 / RB87.d2_linewidth_rad_s).cdf).pvalue > 1e-3


def test_rubidium_decays_in_26_nanoseconds():
    assert 1 / RB87.d2_linewidth_rad_s == pytest.approx(26.23e-9, abs=0.02e-9)


@pytest.mark.parametrize(("pattern", "weight"), [
    ("isotropic", lambda c: 0.5), ("sigma", lambda c: 3 / 8 * (1 + c * c)), ("pi", lambda c: 3 / 4 * (1 - c * c))])
def test_collection_integrates_the_dipole_pattern(pattern, weight):
    for aperture in (0.1, 0.5, 0.9):
        exact = quad(weight, math.sqrt(1 - aperture**2), 1)[0]
        assert freespace.collection(aperture, pattern) == pytest.approx(exact, rel=1e-9)
    assert freespace.collection(1.0, pattern) == pytest.approx(0.5)


def test_unknown_pattern_and_impossible_aperture_are_refused():
    with pytest.raises(ScenarioError, match="must be isotropic, sigma or pi"):
        freespace.collection(0.5, "linear")
    with pytest.raises(ScenarioError, match=r"1\.2, but must be in \[0, 1\]"):
        freespace.collection(1.2)


def test_short_pi_pulse_leaves_the_exponential_wavepacket():
    port = freespace.FreeSpacePort(0.1, 0.5, RB87.d2_gamma_rad_s)
    t = np.arange(0, 400e-9, 0.05e-9)
    photon = freespace.emit(port, t, np.where(t < 0.4e-9, math.pi / 0.4e-9, 0.0))
    assert abs(emission.overlap(photon, freespace.emit_at(port, t, 0.25e-9))) ** 2 > 0.995
    assert photon.efficiency == pytest.approx(0.1 * photon.transferred, rel=1e-3)
    assert photon.efficiency + photon.scattered == pytest.approx(photon.transferred, rel=1e-3)


def test_efficiency_of_the_sharp_front_does_not_depend_on_the_grid():
    port = freespace.FreeSpacePort(0.1, 0.5, RB87.d2_gamma_rad_s)
    for step in (0.1e-9, 1e-9, 5e-9):
        assert freespace.emit_at(port, np.arange(0, 1e-6, step), 0.0).efficiency == pytest.approx(0.1, rel=1e-9)


def test_two_photon_probability_of_a_square_pi_pulse():
    """Count exactly: a decay at t, then at least one more from the rest of the pulse; agreement to first order."""
    gamma, length = RB87.d2_gamma_rad_s, 0.5e-9
    t = np.linspace(0, length, 1001)
    states = emission.propagate(t, math.pi / length, 0.0, 0.0, 0.0, gamma, 0.0)
    excited = np.abs(states[:, 1]) ** 2
    remaining_excited = excited[::-1]
    exact = 2 * gamma * (excited * remaining_excited).sum() * (t[1] - t[0])
    assert freespace.two_photon_probability(gamma, length) == pytest.approx(exact, rel=0.02)


def test_uneven_grid_is_refused():
    with pytest.raises(ScenarioError, match="uniform increasing grid"):
        cavity.emit(LOSSY, np.array([0.0, 1e-9, 3e-9]), 0.0)
