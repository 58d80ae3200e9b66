"""The EIT memory's best efficiency against the Maxwell-Bloch equations it is the answer to."""

import math

import numpy as np
import pytest
from scipy.linalg import eigh, solve_continuous_lyapunov

from atomlink.errors import ScenarioError
from sim.physics.memory import Memory, efficiency, retrieval


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


def test_stored_photon_dephases_as_a_gaussian():
    memory = Memory(optical_depth=50.0)
    assert efficiency(memory, 0.0) == pytest.approx(retrieval(50.0) ** 2)
    assert efficiency(memory, 200e-6) / efficiency(memory, 0.0) == pytest.approx(math.exp(-1))


def test_negative_depth_is_refused():
    with pytest.raises(ScenarioError, match=r"Memory\.optical_depth is -1\.0, but must be a number in \[0, 1000\]"):
        Memory(-1.0)
