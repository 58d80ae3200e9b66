"""Several atoms at a waveguide against Bragg's closed forms, against one atom, and the design's numbers."""

import math

import numpy as np
import pytest

from sim.physics import waveguide_atoms as several
from sim.physics.waveguide import from_beta, scatter

RATE = 2 * math.pi * 6.07e6


def disordered(beta, n, chi, seed=1, draws=1):
    """Return the mean over random positions of where the phased state leaves."""
    rng = np.random.default_rng(seed)
    atom = from_beta(beta, RATE, chi)
    found = []
    for _ in range(draws):
        z = rng.uniform(0, 200 * math.pi, n)
        found.append(several.emission(atom, z, several.timed(z)))
    return several.Ends(*np.mean(found, axis=0))


@pytest.mark.parametrize("chi", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("detuning", [0.0, 0.7])
def test_one_of_several_atoms_is_the_one_atom(chi, detuning):
    atom = from_beta(0.3, RATE, chi)
    assert several.scatter(atom, [1.2], detuning * RATE)[0] == pytest.approx(scatter(atom, detuning * RATE)[0])
    reflected = abs(several.scatter(atom, [1.2], detuning * RATE)[1])
    assert reflected == pytest.approx(abs(scatter(atom, detuning * RATE)[1]))
    assert several.emission(atom, [1.2], [1.0]) == pytest.approx((0.3 * chi, 0.3 * (1 - chi)))


def test_atoms_at_half_wavelengths_decay_together_and_half_to_each_end():
    n, atom = 20, from_beta(0.05, RATE)
    z = math.pi * np.arange(n)
    state = (-1.0) ** np.arange(n) / math.sqrt(n)
    ends = several.emission(atom, z, state)
    assert ends.right == pytest.approx(several.bragg_extraction(atom, n) / 2)
    assert ends.left == pytest.approx(ends.right)
    rates = -2 * np.linalg.eigvals(several.hamiltonian(atom, z)).imag
    assert rates.max() == pytest.approx(n * 0.05 * RATE + 0.95 * RATE)


@pytest.mark.parametrize(("n", "expected"), [(100, 0.2525), (2000, 0.9079)])
def test_bragg_mirror_reflects_as_the_square_of_its_extraction(n, expected):
    atom = from_beta(0.01, RATE)
    assert several.bragg_extraction(atom, n) ** 2 == pytest.approx(expected, abs=1e-4)
    if n <= 100:
        reflected = several.scatter(atom, math.pi * np.arange(n), 0.0)[1]
        assert abs(reflected) ** 2 == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("beta", "n", "chi", "right"), [
    (0.01, 10, 0.5, 0.048), (0.01, 100, 0.5, 0.327), (0.01, 300, 0.5, 0.561), (0.05, 100, 0.5, 0.656),
    (0.5, 100, 0.5, 0.905), (0.01, 10, 1.0, 0.092), (0.01, 100, 1.0, 0.478), (0.05, 10, 1.0, 0.337),
    (0.05, 100, 1.0, 0.757),
])  # fmt: skip
def test_disordered_atoms_that_are_phased_to_the_right_emit_there(beta, n, chi, right):
    """Over positions +-0.01, as the design gives it; one draw each of many atoms, several of few."""
    ends = disordered(beta, n, chi, draws=1 if n > 100 else 6)
    assert ends.right == pytest.approx(right, abs=0.015)
    assert ends.left <= (0.02 if beta <= 0.05 else 0.1)
    assert (chi < 1) or ends.left == 0


@pytest.mark.parametrize("chi", [0.5, 0.8])
def test_field_out_of_the_right_end_adds_up_to_its_share(chi):
    atom, z = from_beta(0.2, RATE, chi), np.array([0.3, 2.0, 7.1, 9.4])
    t = np.linspace(0, 60 / RATE, 6001)
    field = several.field_right(atom, z, several.timed(z), t)
    share = several.emission(atom, z, several.timed(z)).right
    assert np.trapezoid(np.abs(field) ** 2, t) == pytest.approx(share, rel=1e-3)


def test_light_is_conserved_without_other_decay():
    atom = from_beta(1.0, RATE, 0.7)
    z = np.random.default_rng(3).uniform(0, 50, 12)
    t, r = several.scatter(atom, z, np.array([-0.4, 0.0, 1.1]) * RATE)
    assert np.abs(t) ** 2 + np.abs(r) ** 2 == pytest.approx(np.ones(3))
    ends = several.emission(atom, z, several.timed(z))
    assert ends.right + ends.left == pytest.approx(1.0, abs=1e-6)
