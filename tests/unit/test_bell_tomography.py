"""Tomography of synthetic counts: truth within 4 sigma, physical states, bad input refused. Seeds fixed."""

import numpy as np
import pytest
from synthetic_runs import axis_operator

from analysis.experiments import bell_tomography as twin
from analysis.experiments.bell_tomography import Counts, Tomogram, elements, reconstruct
from analysis.link import Setting
from atomlink.errors import DataError
from experiments.sequences.settings import TOMOGRAPHY
from sim.physics.bell import bell_state

RETENTION = (0.96, 0.98)
PAULI = [axis_operator(np.pi / 2, 0.0), axis_operator(np.pi / 2, np.pi / 2), axis_operator(0.0, 0.0)]
AXES = np.array([[a, b] for a in np.eye(3) for b in np.eye(3)])


def rotated_werner(weight: float, phase_rad: float) -> np.ndarray:
    ket = np.array([0, 1, np.exp(-1j * phase_rad), 0]) / np.sqrt(2)
    return weight * np.outer(ket, ket.conj()) + (1 - weight) * np.eye(4) / 4


def draw(rng: np.random.Generator, rho: np.ndarray, shots: int, calibration: int = 400) -> Counts:
    """Draw counts with read-out loss, without using the twin: outcomes first, then atoms are lost."""
    tables = np.zeros((9, 2, 2))
    for k, (a, b) in enumerate(AXES):
        operators = [sum(c * p for c, p in zip(axis, PAULI, strict=True)) for axis in (a, b)]
        p = [np.trace(rho @ np.kron(*[(np.eye(2) + s * o) / 2 for s, o in zip(signs, operators, strict=True)])).real
             for signs in ((-1, -1), (-1, 1), (1, -1), (1, 1))]  # fmt: skip
        cell = rng.choice(4, shots, p=np.clip(p, 0, None) / np.sum(np.clip(p, 0, None)))
        seen = np.stack([cell // 2, cell % 2], axis=1) & (rng.random((shots, 2)) < RETENTION)
        np.add.at(tables[k], (seen[:, 0], seen[:, 1]), 1)
    unpushed = np.zeros((2, 2))
    seen = (rng.random((calibration, 2)) < RETENTION).astype(int)
    np.add.at(unpushed, (seen[:, 0], seen[:, 1]), 1)
    return Counts(AXES, tables, unpushed)


@pytest.fixture(scope="module")
def werner() -> Tomogram:
    return reconstruct(draw(np.random.default_rng(7), rotated_werner(0.9, 0.2), 200))


@pytest.mark.parametrize(
    ("name", "truth"),
    # <Psi+|rho|Psi+> = w (1 + cos 0.2)/2 + (1 - w)/4, concurrence (3 w - 1)/2, purity (1 + 3 w^2)/4
    [("fidelity", 0.9 * (1 + np.cos(0.2)) / 2 + 0.025), ("concurrence", 0.85), ("purity", 0.8575), ("phase_rad", 0.2)],
)
def test_the_truth_of_a_werner_state_lies_within_4_sigma(werner: Tomogram, name: str, truth: float) -> None:
    found = werner.estimates[name]
    assert abs(found.sigmas_from(truth)) < 4
    assert 0 < found.error < 0.1


@pytest.mark.parametrize("weight", [1.0, 0.0])
def test_the_state_is_positive_with_trace_one(weight: float) -> None:
    """Few shots of a pure and of a mixed state: linear inversion would give negative eigenvalues."""
    rho = reconstruct(draw(np.random.default_rng(3), rotated_werner(weight, 0.0), 12, 30)).rho
    values = np.linalg.eigvalsh(rho)
    np.testing.assert_allclose(rho, rho.conj().T, atol=1e-12)
    assert values.min() > -1e-12 and values.sum() == pytest.approx(1)


def test_effects_of_a_setting_add_up_to_one_and_the_seen_ones_are_kept_bright_states() -> None:
    made = elements(AXES, np.array(RETENTION)).reshape(9, 4, 4, 4)
    np.testing.assert_allclose(made.sum(axis=1), np.broadcast_to(np.eye(4), (9, 4, 4)), atol=1e-12)
    both_zero = np.diag([1.0, 0, 0, 0])
    assert np.trace(made[8, 3] @ both_zero).real == pytest.approx(RETENTION[0] * RETENTION[1])


def test_the_same_counts_give_the_same_errors() -> None:
    counts = draw(np.random.default_rng(4), rotated_werner(0.8, 0.0), 30)
    assert reconstruct(counts).estimates == reconstruct(counts).estimates


def test_concurrence_is_that_of_known_states() -> None:
    bell = bell_state("psi-")
    assert twin.concurrence(np.outer(bell, bell.conj())) == pytest.approx(1, abs=1e-6)
    assert twin.concurrence(np.eye(4, dtype=complex) / 4) == pytest.approx(0)
    assert twin.concurrence(rotated_werner(0.5, 1.0)) == pytest.approx(0.25)


def test_settings_that_leave_a_direction_out_are_refused() -> None:
    settings = tuple(Setting(k, s.name, (1.0, 0.0, 0.0), (1.0, 0.0, 0.0)) for k, s in enumerate(TOMOGRAPHY))
    counts = Counts(np.array([[s.first, s.second] for s in settings]), np.full((9, 2, 2), 10.0), np.zeros((2, 2)))
    with pytest.raises(DataError, match="nine independent"):
        twin._require(counts, settings)


def test_a_setting_with_too_few_shots_is_named() -> None:
    tables = np.full((9, 2, 2), 10.0)
    tables[1] = 1.0
    settings = tuple(Setting(k, s.name, tuple(AXES[k, 0]), tuple(AXES[k, 1])) for k, s in enumerate(TOMOGRAPHY))
    with pytest.raises(DataError, match="Setting XY has 4 shots"):
        twin._require(Counts(AXES, tables, np.zeros((2, 2))), settings)
