"""The EIT memory: kernels against the Maxwell-Bloch equations that they are the answer to, and the design's numbers."""

import math

import numpy as np
import pytest
from scipy.linalg import eigh, solve_continuous_lyapunov

from atomlink.errors import ScenarioError
from sim.physics import eit, memory
from sim.physics.memory import Memory, best, efficiency, retrieval

CS = 2 * math.pi * 4.575e6  # Gamma of the D1 line, Steck
SPLITTING_HZ = 9.192631770e9
CS_KG = 132.905451931 * 1.66053906892e-27
D1_M = 894.593e-9


def cloud(optical_depth):
    return eit.Cloud(optical_depth, CS / 2)


def stored(optical_depth, direction="forward", delay=1.7, off=0.95, late=0.0, power=1.0):
    """Store and read the default Gaussian; `late` of the control's end in T, control power relative to the delay's."""
    of = cloud(optical_depth)
    shape = eit.default(of, delay, off)
    t = np.arange(-4, 4, 1 / 40) * shape.fwhm_s
    pulse = eit.gaussian(t, shape.fwhm_s)
    return eit.store_and_retrieve(of, t, pulse, shape.control(of, power), shape.off_s + late * shape.fwhm_s, direction)


def best_retrieval(d, n=300):
    """Maximise the light out of dP/dt = -P - d int_0^z P dz' (time in 1/gamma) over all P(z, 0).

    Output E(1) = i sqrt(d) int P dz; int |E|^2 dt = P0+ X P0 with the Lyapunov equation A+ X + X A = -d w w+.
    """
    h = 1 / n
    inner = h * (np.tril(np.ones((n, n)), -1) + 0.5 * np.eye(n))
    a = -np.eye(n) - d * inner
    w = np.full(n, h)
    x = solve_continuous_lyapunov(a.T, -d * np.outer(w, w))
    return float(eigh(x / h, eigvals_only=True)[-1])


@pytest.mark.parametrize("optical_depth", [0.5, 4.0, 20.0, 80.0])
def test_retrieval_is_the_best_over_all_spin_waves(optical_depth):
    """Midpoint cells of 1/300: error of second order, below 1e-3 at D = 40."""
    assert retrieval(optical_depth) == pytest.approx(best_retrieval(optical_depth / 2), abs=1e-3)


def test_thin_ensemble_retrieves_half_its_depth_and_a_thick_one_all():
    """D -> 0: the kernel is the constant D/2. Large D: 1 - 2.9/D (Gorshkov 2007)."""
    assert retrieval(2e-4) == pytest.approx(0.5e-4, rel=1e-3)
    assert (1 - retrieval(1000.0)) * 500 == pytest.approx(2.9, rel=0.1)
    values = [retrieval(od) for od in (0.0, 1.0, 10.0, 100.0, 1000.0)]
    assert values[0] == 0.0 and np.all(np.diff(values) > 0) and values[-1] < 1


@pytest.mark.parametrize(("direction", "table"), [
    ("backward", (0.4855, 0.8308, 0.9060, 0.9497, 0.9655, 0.9787, 0.9891)),
    ("forward", (0.3903, 0.6953, 0.8008, 0.8785, 0.9114, 0.9418, 0.9682)),
])  # fmt: skip
def test_best_efficiencies_against_optical_depth(direction, table):
    found = [best(od, direction) for od in (10.0, 50.0, 100.0, 200.0, 300.0, 500.0, 1000.0)]
    assert found == pytest.approx(table, abs=1e-4)


@pytest.mark.parametrize(("optical_depth", "direction"), [
    (50.0, "backward"), (50.0, "forward"), (100.0, "backward"), (100.0, "forward"),
])  # fmt: skip
def test_integrated_optimal_pulse_agrees_with_the_eigenvalue(optical_depth, direction):
    """Within 1e-3: a pulse under weak constant control, T D gamma >> 10, cut after 50 T."""
    of = cloud(optical_depth)
    shape = eit.default(of)
    control = shape.control(of, power=0.16)
    t = np.linspace(-50 * shape.fwhm_s, 0, 4001)
    pulse = eit.optimal_pulse(of, direction, control, t)
    found = eit.store_and_retrieve(of, t, pulse, control, t[-1], direction).retrieved
    assert found == pytest.approx(best(optical_depth, direction), abs=1e-3)


@pytest.mark.parametrize(("optical_depth", "direction", "delay", "off", "expected"), [
    (100.0, "forward", 1.7, 0.95, 0.763), (100.0, "backward", 1.7, 0.95, 0.765), (100.0, "backward", 2.03, 0.77, 0.809),
    (300.0, "forward", 1.95, 1.04, 0.870), (300.0, "backward", 2.20, 0.89, 0.893),
])  # fmt: skip
def test_gaussian_pulse_under_constant_control(optical_depth, direction, delay, off, expected):
    found = stored(optical_depth, direction, delay, off).retrieved
    assert found == pytest.approx(expected, abs=0.003)
    assert found < best(optical_depth, direction)


def test_default_pulse_of_caesium():
    assert eit.default(cloud(100.0)).fwhm_s == pytest.approx(139e-9, abs=0.5e-9)


@pytest.mark.parametrize(("power", "factor"), [(0.5, 0.76), (0.8, 0.96), (1.25, 0.95), (2.0, 0.53)])
def test_control_power_beside_the_best_costs_efficiency(power, factor):
    assert stored(100.0, power=power).retrieved / stored(100.0).retrieved == pytest.approx(factor, abs=0.02)


@pytest.mark.parametrize(("late", "factor"), [
    (-1.0, 0.34), (-0.5, 0.81), (-0.25, 0.95), (0.25, 0.96), (0.5, 0.84), (1.0, 0.45),
])  # fmt: skip
def test_mistimed_control_costs_efficiency(late, factor):
    in_time = stored(100.0, delay=1.72)
    assert stored(100.0, delay=1.72, late=late).retrieved / in_time.retrieved == pytest.approx(factor, abs=0.02)


def test_late_control_lets_the_photon_out_at_once():
    assert stored(100.0, delay=1.72, late=0.5).leaked == pytest.approx(0.20, abs=0.02)
    assert stored(100.0, delay=1.72, late=1.0).leaked == pytest.approx(0.50, abs=0.02)


def test_control_that_is_never_off_delays_and_none_absorbs():
    of = cloud(100.0)
    shape = eit.default(of, 1.72)
    t = np.arange(-4, 12, 1 / 40) * shape.fwhm_s
    pulse = eit.gaussian(t, shape.fwhm_s)
    slow = np.abs(eit.passes(of, t, pulse, [(t[0], shape.control(of))])) ** 2
    assert np.trapezoid(slow, t) == pytest.approx(0.859, abs=0.004)
    assert np.trapezoid(t * slow, t) / np.trapezoid(slow, t) == pytest.approx(1.8 * shape.fwhm_s, rel=0.02)
    long = eit.gaussian(10 * t, 10 * shape.fwhm_s)
    dark = np.abs(eit.passes(cloud(4.0), 10 * t, long, [(10 * t[0], eit.OFF)])) ** 2
    assert np.trapezoid(dark, 10 * t) == pytest.approx(math.exp(-4), rel=0.02)  # narrow against the line


def test_energy_is_conserved_up_to_scattering_and_the_grid_does_not_matter():
    coarse, fine = (
        eit.passes(cloud(30.0), t, eit.gaussian(t, 4e-7), [(t[0], eit.Control(3e7)), (0.0, eit.OFF)])
        for t in (np.arange(-1.6e-6, 1.6e-6, 4e-9), np.arange(-1.6e-6, 1.6e-6, 2e-9))
    )
    assert np.abs(fine[::2] - coarse).max() < 1e-3 * np.abs(coarse).max()
    assert np.trapezoid(np.abs(coarse) ** 2, dx=4e-9) < 1


def test_two_photon_detuning_spoils_the_transparency():
    of = cloud(100.0)
    shape = eit.default(of)
    t = np.arange(-4, 12, 1 / 40) * shape.fwhm_s
    off_by = memory.transparency_rad_s(100.0, CS, shape.control(of).rabi_rad_s) / 2
    pulse = eit.gaussian(t, 4 * shape.fwhm_s)
    out = [np.abs(eit.passes(of, t, pulse, [(t[0], shape.control(of)._replace(detuning_rad_s=d))])) ** 2
           for d in (0.0, off_by)]  # fmt: skip
    assert 0.2 < out[1].sum() / out[0].sum() < 0.8  # half the width off, with a pulse of some width itself


@pytest.mark.parametrize("optical_depth", [50.0, 400.0])
def test_delay_and_window_hold_pulses_as_the_root_of_the_depth(optical_depth):
    delay = memory.delay_s(optical_depth, CS, 5e7)
    window = memory.transparency_rad_s(optical_depth, CS, 5e7)
    assert delay * window == pytest.approx(0.83 * math.sqrt(optical_depth), rel=0.01)
    control = memory.control_for_delay_rad_s(optical_depth, CS, delay)
    assert control == pytest.approx(5e7)


@pytest.mark.parametrize(("optical_depth", "modes"), [(100.0, 1.9), (300.0, 3.4), (1000.0, 6.2)])
def test_one_cloud_holds_a_few_temporal_modes(optical_depth, modes):
    assert memory.temporal_modes(optical_depth) == pytest.approx(modes, abs=0.05)


def test_lifetimes_of_thermal_caesium():
    def motion(degrees):
        return memory.lifetime_s(20e-6, CS_KG, D1_M, math.radians(degrees), SPLITTING_HZ)

    assert motion(0.5) == pytest.approx(460e-6, rel=0.01)
    assert motion(1.0) == pytest.approx(230e-6, rel=0.01)
    assert motion(0.0) == pytest.approx(0.15, rel=0.03)
    at_rest = memory.lifetime_s(0.0, CS_KG, D1_M, 0.0, SPLITTING_HZ, 0.7e6 * 1e-3 * 100, 3e-3)  # 0.7 MHz/G, 1 mG/cm
    assert at_rest == pytest.approx(758e-6, rel=0.01)
    assert memory.lifetime_s(0.0, CS_KG, D1_M, 0.0, SPLITTING_HZ) == math.inf


def test_stored_photon_dephases_as_a_gaussian():
    kept = Memory(optical_depth=50.0, direction="backward")
    assert efficiency(kept, 0.0) == pytest.approx(retrieval(50.0) ** 2)
    assert efficiency(kept, 200e-6) / efficiency(kept, 0.0) == pytest.approx(math.exp(-1))


def test_four_wave_mixing_of_dense_caesium():
    noise = memory.four_wave_mixing(300.0, CS, 2 * math.pi * SPLITTING_HZ)
    assert noise == pytest.approx(1.4e-3, abs=0.05e-3)


def test_two_rails_keep_a_qubit():
    every, one = (memory.two_rail_fidelity((0.87, 0.80), 0.1, 0.003, kept) for kept in (False, True))
    assert every == pytest.approx(0.9963, abs=1e-4) and one == pytest.approx(0.9977, abs=1e-4)
    assert memory.two_rail_fidelity((0.5, 0.5), 0.0, 0.0, False) == pytest.approx(1.0)
    assert memory.entanglement_fidelity(2 / 3) == pytest.approx(0.5)  # one rail alone measures the qubit


def test_two_rail_fidelity_is_the_mean_over_states_of_what_comes_back():
    """Average the overlap over random qubits: diag(sqrt(eta1), sqrt(eta2) e^{i phi}), phases drawn; 3 sigma."""
    rng = np.random.default_rng(5)
    rails, sigma, n = (0.6, 0.9), 0.3, 100_000
    psi = rng.normal(size=(n, 2)) + 1j * rng.normal(size=(n, 2))
    psi /= np.linalg.norm(psi, axis=1)[:, None]
    out = psi * np.sqrt(rails)
    out[:, 1] *= np.exp(1j * sigma * rng.normal(size=n))
    overlap = np.abs((psi.conj() * out).sum(axis=1)) ** 2
    found = overlap.mean() / np.mean((np.abs(out) ** 2).sum(axis=1))
    assert memory.two_rail_fidelity(rails, sigma, 0.0, False) == pytest.approx(found, abs=3 * overlap.std() / 300)


def test_late_read_out_is_told_apart():
    sigma = 59e-9
    t = np.arange(-1e-6, 1e-6, 1e-9)
    a, b = (eit.gaussian(t, sigma * 2.354820045, peak) for peak in (0.0, 50e-9))
    overlap = abs(np.trapezoid(a.conj() * b, t)) ** 2
    assert eit.late_read_visibility(50e-9, sigma) == pytest.approx(overlap, rel=1e-3)


def test_impossible_memories_are_refused():
    with pytest.raises(ScenarioError, match=r"Memory\.optical_depth is -1\.0, but must be a number in \[0, 1000\]"):
        Memory(-1.0)
    with pytest.raises(ScenarioError, match=r"Memory\.direction is 'up', but must be one of forward, backward"):
        Memory(1.0, direction="up")
    with pytest.raises(ScenarioError, match=r"Argument `off_s` is -1, but must be > 0"):
        eit.store_and_retrieve(cloud(10.0), np.arange(5) * 1e-9, np.zeros(5, dtype=complex), eit.Control(1e7), -1.0)
