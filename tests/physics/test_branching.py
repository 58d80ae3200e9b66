"""Decay back to |u> and re-excitation: wavepackets and visibility against a Lindblad equation integrated here."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from atomlink.errors import ScenarioError
from sim.physics import cavity, emission
from sim.physics.emission import Emission, overlap, visibility

MHZ = 2 * math.pi * 1e6
STEP_S, LENGTH_S = 0.5e-9, 1e-6
U, E, C, DARK = range(4)  # |u,0>, |e,0>, |g,1>, and every state that a photon or a decay elsewhere leads to


def port(g, kappa_ext, kappa_in, gamma, detuning, back):
    return cavity.CavityPort(g * MHZ, kappa_ext * MHZ, kappa_in * MHZ, gamma * MHZ, detuning * MHZ, 1.0, back)


# (port, pulse length in s, peak Rabi frequency, laser detuning in rad/s): the last atom always returns.
CASES = [
    (port(5.0, 2.7, 0.3, 3.0, 0.0, 0.5), 400e-9, 20 * MHZ, 0.0),
    (port(2.0, 2.0, 0.5, 3.0, 0.0, 0.7), 300e-9, 12 * MHZ, 0.0),
    (port(8.0, 3.0, 0.2, 3.0, 0.0, 0.3), 600e-9, 60 * MHZ, -40 * MHZ),
    (port(5.0, 2.7, 0.3, 3.0, 3.0, 0.5), 500e-9, 15 * MHZ, 5 * MHZ),
    (port(3.0, 2.5, 0.5, 3.0, 1.0, 1.0), 200e-9, 30 * MHZ, 0.0),
]


def grid():
    return np.arange(0, LENGTH_S, STEP_S)


def pulse(t, length_s, peak_rad_s):
    return peak_rad_s * np.sin(np.pi * np.clip(t / length_s, 0, 1)) ** 2


def photon(case):
    source, length_s, peak, delta = case
    return cavity.emit(source, grid(), pulse(grid(), length_s, peak), delta)


def ket_bra(row, column):
    out = np.zeros((4, 4), dtype=complex)
    out[row, column] = 1
    return out


def operators(case, time):
    """Return (Hamiltonian over hbar, collapse operators) of the four-level system."""
    source, length_s, peak, delta = case
    half = pulse(np.array(time), length_s, peak) / 2
    hamiltonian = half * (ket_bra(U, E) + ket_bra(E, U)) + source.g_rad_s * (ket_bra(E, C) + ket_bra(C, E))
    hamiltonian += source.detuning_rad_s * ket_bra(C, C) - delta * ket_bra(E, E)
    rates = ((2 * source.kappa_rad_s, DARK, C), (2 * source.gamma_rad_s * source.branching_back, U, E),
             (2 * source.gamma_rad_s * (1 - source.branching_back), DARK, E))
    return hamiltonian, [math.sqrt(rate) * ket_bra(to, of) for rate, to, of in rates]


def lindblad(hamiltonian, collapse, rho):
    slope = -1j * (hamiltonian @ rho - rho @ hamiltonian)
    for c in collapse:
        slope += c @ rho @ c.conj().T - 0.5 * (c.conj().T @ c @ rho + rho @ c.conj().T @ c)
    return slope


@cache
def density_matrices(index):
    """Integrate the Lindblad equation from |u> with an adaptive solver; complex, shape (n, 4, 4)."""
    case = CASES[index]

    def slope(time, y):
        return lindblad(*operators(case, time), y.reshape(4, 4)).ravel()

    solution = solve_ivp(slope, (0, grid()[-1]), ket_bra(U, U).ravel(), t_eval=grid(), rtol=1e-8, atol=1e-10,
                         max_step=10e-9)
    return solution.y.T.reshape(-1, 4, 4)


@pytest.mark.parametrize("index", range(len(CASES)))
def test_efficiency_and_wavepacket_solve_the_master_equation(index):
    source = CASES[index][0]
    ours, exact = photon(CASES[index]), density_matrices(index)
    rate = 2 * source.kappa_ext_rad_s * exact[:, C, C].real
    assert ours.efficiency == pytest.approx(np.trapezoid(rate, grid()), abs=1e-3)
    density = np.gradient(ours.cdf, STEP_S) * ours.efficiency
    assert np.abs(density - rate).max() < 1e-3 * rate.max()
    assert ours.transferred == pytest.approx(1 - exact[-1, U, U].real, abs=1e-3)


def liouvillian(case, time):
    identity = np.eye(4)
    hamiltonian, collapse = operators(case, time)
    out = -1j * (np.kron(hamiltonian, identity) - np.kron(identity, hamiltonian.T))
    for c in collapse:
        square = c.conj().T @ c
        out += np.kron(c, c.conj()) - 0.5 * (np.kron(square, identity) + np.kron(identity, square.T))
    return out


def two_time_correlation(case, step_s=2.5e-9, length_s=0.8e-6):
    """Return <a^+(t) a(t')> by the quantum regression theorem, up to the rate's factor; shape (n, n)."""
    times = np.arange(0, length_s, step_s)
    propagators = expm(np.array([liouvillian(case, t + step_s / 2) for t in times[:-1]]) * step_s)
    lower, raised = ket_bra(DARK, C), ket_bra(C, DARK)
    rho = ket_bra(U, U).ravel()
    columns = np.zeros((16, len(times)), dtype=complex)
    g1 = np.zeros((len(times), len(times)), dtype=complex)
    for k in range(len(times)):
        if k:
            rho, columns[:, :k] = propagators[k - 1] @ rho, propagators[k - 1] @ columns[:, :k]
        columns[:, k] = (rho.reshape(4, 4) @ raised).ravel()
        g1[: k + 1, k] = lower.T.ravel() @ columns[:, : k + 1]
    return g1 + np.triu(g1, 1).conj().T


@pytest.mark.parametrize("index", [0, 3, 4])
def test_visibility_is_the_purity_found_by_quantum_regression(index):
    """The two-time correlation knows nothing of returns; a grid of 2.5 ns limits it to 1e-4."""
    g1 = two_time_correlation(CASES[index])
    purity = (np.abs(g1) ** 2).sum() / g1.trace().real ** 2
    ours = photon(CASES[index])
    assert purity < 0.95
    assert visibility(ours, ours) == pytest.approx(purity, abs=2e-4)


def test_without_branching_nothing_changes():
    source, length_s, peak, delta = CASES[0]
    closed = photon((replace(source, branching_back=0.0), length_s, peak, delta))
    drive = pulse(grid(), length_s, peak)
    states = emission.propagate(grid(), drive, delta, source.g_rad_s, source.kappa_rad_s, source.gamma_rad_s, 0.0)
    expected = emission.from_amplitude(grid(), math.sqrt(2 * source.kappa_ext_rad_s) * states[:, 2], 0.0, 0.0)
    assert closed.delayed is None
    assert np.array_equal(closed.amplitude, expected.amplitude) and closed.efficiency == expected.efficiency
    assert visibility(closed, closed) == pytest.approx(1.0, abs=1e-12)


def test_vanishing_branching_joins_the_pure_photon_smoothly():
    source, length_s, peak, delta = CASES[0]
    pure, nearly = (photon((replace(source, branching_back=b), length_s, peak, delta)) for b in (0.0, 1e-6))
    assert nearly.efficiency == pytest.approx(pure.efficiency, rel=1e-5)
    assert np.abs(nearly.cdf - pure.cdf).max() < 1e-5
    assert visibility(nearly, pure) == pytest.approx(1.0, abs=1e-5)


def test_returns_raise_the_efficiency_and_lower_the_visibility():
    source, length_s, peak, delta = CASES[0]
    photons = [photon((replace(source, branching_back=b), length_s, peak, delta)) for b in (0.0, 0.3, 0.6, 0.9)]
    assert np.all(np.diff([p.efficiency for p in photons]) > 0)
    assert np.all(np.diff([visibility(p, p) for p in photons]) < 0)
    arrivals = [float(np.interp(0.5, p.cdf, p.t_s)) for p in photons]
    assert np.all(np.diff(arrivals) > 0)


@pytest.mark.parametrize("index", range(len(CASES)))
def test_every_atom_that_left_for_good_made_a_photon_or_decayed_elsewhere(index):
    ours = photon(CASES[index])
    assert ours.efficiency / CASES[index][0].escape + ours.scattered == pytest.approx(ours.transferred, abs=1e-3)


def test_visibility_of_two_sources_is_symmetric_and_bounded_by_their_purities():
    a, b = photon(CASES[0]), photon(CASES[3])
    assert visibility(a, b) == pytest.approx(visibility(b, a), rel=1e-12)
    assert visibility(a, b) <= math.sqrt(visibility(a, a) * visibility(b, b))


def test_visibility_of_pure_photons_is_the_squared_overlap():
    a = photon((replace(CASES[0][0], branching_back=0.0), *CASES[0][1:]))
    b = photon((replace(CASES[3][0], branching_back=0.0), *CASES[3][1:]))
    assert visibility(a, b) == pytest.approx(abs(overlap(a, b)) ** 2, rel=1e-12)


def test_components_are_a_density_matrix_of_unit_trace():
    modes = photon(CASES[4]).components
    assert (np.abs(modes) ** 2).sum() * STEP_S == pytest.approx(1.0, abs=1e-9)
    even = Emission(np.arange(4.0), np.full(4, 0.5 + 0j), 0.1, 0.1, 0.0, np.linspace(0, 1, 4))
    assert even.components.shape == (1, 4)


def test_pulse_that_never_excites_returns_nothing():
    dark = cavity.emit(CASES[0][0], grid(), 0.0)
    assert (dark.efficiency, dark.transferred, dark.scattered) == (0.0, 0.0, 0.0)


def test_branching_above_one_is_refused():
    with pytest.raises(ScenarioError, match=r"CavityPort\.branching_back is 1\.2, but must be a number in \[0, 1\]"):
        replace(CASES[0][0], branching_back=1.2)


@pytest.mark.parametrize("index", range(len(CASES)))
def test_qutip_finds_the_same_photon(index):
    qutip = pytest.importorskip("qutip", reason="QuTiP is an offline reference and not installed here")
    source, length_s, peak, delta = CASES[index]
    still, collapse = operators((source, length_s, 0.0, delta), 0.0)
    drive = qutip.Qobj((ket_bra(U, E) + ket_bra(E, U)) / 2)
    hamiltonian = [qutip.Qobj(still), [drive, lambda t: float(pulse(np.array(t), length_s, peak))]]
    result = qutip.mesolve(hamiltonian, qutip.basis(4, U), grid(), [qutip.Qobj(c) for c in collapse],
                           e_ops=[qutip.Qobj(ket_bra(C, C))],
                           options={"atol": 1e-10, "rtol": 1e-8, "max_step": 5e-9, "nsteps": 100_000})
    rate = 2 * source.kappa_ext_rad_s * np.asarray(result.expect[0])
    ours = photon(CASES[index])
    assert ours.efficiency == pytest.approx(np.trapezoid(rate, grid()), abs=1e-3)
    assert np.abs(np.gradient(ours.cdf, STEP_S) * ours.efficiency - rate).max() < 1e-3 * rate.max()
