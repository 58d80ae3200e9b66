"""CZ gates against brute force in the full two-atom space, perturbation theory and the published numbers."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

from atomlink.errors import ScenarioError
from sim.physics.rydberg import (
    GateConditions,
    Imperfection,
    Pulse,
    blockade_radius_m,
    curvature,
    cz,
    error_budget,
    infidelity,
    mean_rydberg_time,
    pair_shift_rad_s,
    state,
    time_optimal,
    two_pulse,
)
from sim.physics.species import RB87

MHZ = 2 * math.pi * 1e6
LOWER, IN_R, ONE = np.zeros((3, 3)), np.diag([0.0, 0.0, 1.0]), np.eye(3)
LOWER[1, 2] = 1.0  # |1><r| in the basis |0>, |1>, |r>


def hamiltonian(pulse: Pulse, t: float, imperfection: Imperfection, decay: float = 0.0) -> np.ndarray:
    """Two three-level atoms, 9 x 9; decay is the rate of leaving |r>, as an anti-Hermitian part."""
    drive = 0.5 * (1 + imperfection.rabi_error) * np.exp(1j * pulse.phase_rad(t)) * LOWER
    single = [drive + drive.conj().T - (pulse.detuning + d + 0.5j * decay) * IN_R for d in imperfection.detunings]
    return np.kron(single[0], ONE) + np.kron(ONE, single[1]) + imperfection.blockade * np.kron(IN_R, IN_R)


def brute_force(pulse: Pulse, imperfection: Imperfection, decay: float = 0.0) -> np.ndarray:
    """Amplitudes of return by steps of scipy's expm, each at its middle; two are exact for the two-pulse gate."""
    n = 2 if pulse.jumps else 800
    total, step = np.eye(9, dtype=complex), pulse.duration / n
    for k in range(n):
        total = expm(-1j * step * hamiltonian(pulse, (k + 0.5) * step, imperfection, decay)) @ total
    qubit = [0, 1, 3, 4]  # |00>, |01>, |10>, |11>
    return np.diag(total)[qubit]


def test_blockade_radius_of_53s_is_4_35_micrometres() -> None:
    """The design table's number for Omega = 2 pi 4.6 MHz."""
    radius = blockade_radius_m(state("Rb-87", 53).c6_hz_m6, 4.6 * MHZ)
    assert radius == pytest.approx(4.35e-6, rel=2e-3)
    assert pair_shift_rad_s(state("Rb-87", 53).c6_hz_m6, radius) == pytest.approx(4.6 * MHZ, rel=1e-12)


def test_c6_grows_as_the_eleventh_power_of_the_effective_number() -> None:
    """RMP 82, 2313: C6 ~ n*^11, n* = n - 3.13 for Rb nS; the table's states follow within 10 %."""
    for low, high in ((53, 60), (60, 70)):
        ratio = state("Rb-87", high).c6_hz_m6 / state("Rb-87", low).c6_hz_m6
        assert ratio == pytest.approx(((high - 3.13) / (low - 3.13)) ** 11, rel=0.1)


def test_an_unknown_rydberg_state_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="Rb-87 42S, but must be one of Rb-87 53S"):
        state("Rb-87", 42)


def test_published_time_optimal_parameters_make_cz_to_1e_5() -> None:
    """Evered et al. 2023: 6e-6 at infinite blockade."""
    assert infidelity(cz(time_optimal())) == pytest.approx(6e-6, abs=1e-6)


def test_published_two_pulse_parameters_make_cz_to_1e_8() -> None:
    assert 0 <= infidelity(cz(two_pulse())) < 1e-8


def test_time_in_the_rydberg_state_is_2_94_and_3_29_over_omega() -> None:
    assert mean_rydberg_time(cz(time_optimal())) == pytest.approx(2.94, abs=0.005)
    assert mean_rydberg_time(cz(two_pulse())) == pytest.approx(3.29, abs=0.005)


@pytest.mark.parametrize("pulse", [time_optimal(), two_pulse()], ids=["time-optimal", "two-pulse"])
def test_amplitudes_equal_brute_force_with_finite_blockade_and_unequal_atoms(pulse: Pulse) -> None:
    """The midpoint steps of the reference leave (7.6/800)^2 ~ 1e-4 times derivatives of some tenths."""
    flawed = Imperfection(blockade=9.0, detunings=(0.03, -0.05), rabi_error=0.02)
    assert cz(pulse, flawed).amplitudes == pytest.approx(brute_force(pulse, flawed), abs=2e-5)


def test_a_shift_of_300_rabi_frequencies_is_nearly_infinite() -> None:
    strong = cz(two_pulse(), Imperfection(blockade=300.0)).amplitudes
    assert strong == pytest.approx(cz(two_pulse()).amplitudes, abs=8e-3)


def test_finite_blockade_costs_the_square_of_omega_over_v() -> None:
    """Second-order shift -Omega^2/2V of the state |W>, integrated as a two-level atom with sqrt 2 Omega; the gate's
    error follows within 3 % at V = 50 and 100, and falls as V^-2.
    """
    errors = []
    for v in (50.0, 100.0):
        pulse, a = two_pulse(), cz(two_pulse()).amplitudes.copy()
        block = np.eye(2, dtype=complex)
        for phase in (0.0, 3.90242):
            drive = math.sqrt(0.5) * np.exp(1j * phase)
            h = np.array([[0, drive], [np.conj(drive), -pulse.detuning - 0.5 / v]])
            block = expm(-1j * pulse.duration / 2 * h) @ block
        a[3] = block[0, 0]
        errors.append(infidelity(cz(pulse, Imperfection(blockade=v))))
        assert errors[-1] == pytest.approx(infidelity(cz(pulse)._replace(amplitudes=a)), rel=0.03)
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.03)


def test_decay_costs_the_mean_rydberg_time_over_the_lifetime() -> None:
    """Brute force with a loss rate of 1e-3 Omega from |r>, and the blockade at 40 Omega in both."""
    held, rate = Imperfection(blockade=40.0), 1e-3
    clean, leaky = (cz(two_pulse(), held)._replace(amplitudes=brute_force(two_pulse(), held, loss))
                    for loss in (0.0, rate))
    expected = rate * mean_rydberg_time(cz(two_pulse(), held))
    assert infidelity(leaky) - infidelity(clean) == pytest.approx(expected, rel=0.01)


def test_error_budget_of_the_published_gate() -> None:
    """53S in 2 um distance at 10 uK, 420/1013 nm: Rydberg decay 2.94/(Omega tau) leads; the sum stays below the
    published 0.5 %, which contains what is not in the list.
    """
    k = 2 * math.pi * (1 / 420e-9 - 1 / 1013e-9)
    lab = GateConditions(4.6 * MHZ, pair_shift_rad_s(state("Rb-87", 53).c6_hz_m6, 2e-6), 72.6e-6, 10e-6, RB87.mass_kg,
                         k, rabi_rms=0.005)
    budget = error_budget(time_optimal(), lab)
    assert budget["decay"] == pytest.approx(2.94 / (4.6 * MHZ * 72.6e-6), rel=2e-3)
    assert max(budget, key=lambda cause: budget[cause]) == "decay"
    assert 1e-3 < sum(budget.values()) < 5e-3


def test_doppler_term_equals_an_average_over_velocities() -> None:
    """5 x 5 points of Gauss-Hermite over two independent detunings of rms 0.01 Omega."""
    sigma, pulse = 0.01, two_pulse()
    x, w = np.polynomial.hermite_e.hermegauss(5)
    w = w / w.sum()
    mean = sum(wa * wb * infidelity(cz(pulse, Imperfection(detunings=(sigma * a, sigma * b))))
               for a, wa in zip(x, w, strict=True) for b, wb in zip(x, w, strict=True))
    assert 2 * sigma**2 * curvature(pulse, lambda d: Imperfection(detunings=(d, 0.0))) == pytest.approx(mean, rel=0.02)


@pytest.mark.parametrize("bad", [{"blockade": 0.0}, {"detunings": (math.nan, 0.0)}, {"rabi_error": -2.0}])
def test_unphysical_imperfections_are_refused(bad: dict) -> None:
    with pytest.raises(ScenarioError, match="must be a number in"):
        Imperfection(**bad)


def test_qutip_agrees_on_the_time_optimal_gate() -> None:
    qutip = pytest.importorskip("qutip", reason="QuTiP is the optional reference: pip install qutip")
    pulse, held = time_optimal(), Imperfection(blockade=30.0)
    times = np.linspace(0, pulse.duration, 2)
    options = {"atol": 1e-11, "rtol": 1e-10, "nsteps": 100_000}
    generator = qutip.QobjEvo(lambda t: qutip.Qobj(hamiltonian(pulse, t, held)))
    final = qutip.sesolve(generator, qutip.basis(9, 4), times, options=options).states[-1]
    assert cz(pulse, held).amplitudes[3] == pytest.approx(final.full()[4, 0], abs=1e-7)
