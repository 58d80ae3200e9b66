"""Camera frames: light conserved, noise as its distributions say, detection errors as counted."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from atomlink.errors import ScenarioError
from sim.physics.camera import (
    Camera,
    box_statistics,
    box_sums,
    expected_electrons,
    expose,
    lit_s,
    threshold_e,
)

QCMOS = Camera(5e3, 5.0, 0.9, 0.3, 0.25)
EMCCD = replace(QCMOS, em_gain=300.0, read_noise_e=50.0, clock_induced_e=0.01)
EXPOSURE_S = 20e-3


def grid(n: int, spacing: int = 6) -> np.ndarray:
    axis = 5 + spacing * np.arange(n)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2).astype(float)


def test_all_light_of_an_atom_lands_on_the_frame() -> None:
    """Up to the 6e-5 per axis beyond the patch; also between pixels."""
    for position in ([20.0, 20.0], [20.3, 19.5]):
        frame = expected_electrons(np.array([EXPOSURE_S]), np.array([position]), EXPOSURE_S, (41, 41),
                                   replace(QCMOS, background_hz=0.0))
        assert frame.sum() == pytest.approx(100.0, rel=2e-4)
        rows = np.arange(41)
        assert float(frame.sum(axis=1) @ rows) / frame.sum() == pytest.approx(position[0], abs=1e-3)


def test_two_atoms_add_and_light_beyond_the_edge_is_lost() -> None:
    dark = replace(QCMOS, background_hz=0.0)
    both = expected_electrons(np.full(2, EXPOSURE_S), np.array([[5.0, 5.0], [5.0, 8.0]]), EXPOSURE_S, (12, 14), dark)
    alone = [expected_electrons(np.full(1, EXPOSURE_S), np.array([p]), EXPOSURE_S, (12, 14), dark)
             for p in ([5.0, 5.0], [5.0, 8.0])]
    assert both == pytest.approx(alone[0] + alone[1])
    corner = expected_electrons(np.full(1, EXPOSURE_S), np.array([[-0.5, 5.0]]), EXPOSURE_S, (12, 14), dark)
    assert corner.sum() == pytest.approx(50.0, rel=1e-3)


@pytest.mark.parametrize("camera", [QCMOS, EMCCD], ids=["qcmos", "emccd"])
def test_box_sums_have_the_mean_and_rms_of_the_model(camera: Camera) -> None:
    """2500 boxes with and 2500 without an atom, far apart; mean within 4 sigma, rms within 6 %."""
    rng, sites, camera = np.random.default_rng(1), grid(50, 11), replace(camera, loss_hz=0.0)
    for present in (False, True):
        shine, _ = lit_s(rng, EXPOSURE_S, np.full(len(sites), present), camera)
        frame = expose(rng, expected_electrons(shine, sites, EXPOSURE_S, (560, 560), camera), camera)
        sums = box_sums(frame, sites, 2)
        mean, rms = box_statistics(EXPOSURE_S, 2, camera)[2 * present:2 * present + 2]
        assert abs(sums.mean() - mean) < 4 * rms / math.sqrt(len(sites))
        assert sums.std() == pytest.approx(rms, rel=0.06)


def test_multiplication_doubles_the_variance_of_the_light() -> None:
    """40,000 pixels of 50 electrons; the relative error of a variance is sqrt(2/n): 3 % is 4 sigma."""
    rng, light = np.random.default_rng(2), np.full((200, 200), 50.0)
    plain = expose(rng, light, replace(QCMOS, read_noise_e=0.0)).var()
    multiplied = expose(rng, light, replace(EMCCD, read_noise_e=0.0, clock_induced_e=0.0)).var()
    assert multiplied / plain == pytest.approx(2.0, rel=0.06)


def test_detection_errors_are_those_of_two_gaussian_peaks() -> None:
    """A dim exposure, 40,000 sites without loss: errors within a fifth of the Gaussian estimate or 4 sigma."""
    rng, sites, camera = np.random.default_rng(3), grid(200, 9), replace(QCMOS, loss_hz=0.0, background_hz=100.0)
    present = rng.random(len(sites)) < 0.5
    exposure = 5e-3
    shine, _ = lit_s(rng, exposure, present, camera)
    frame = expose(rng, expected_electrons(shine, sites, exposure, (1810, 1810), camera), camera)
    level = threshold_e(exposure, 2, camera)
    seen = box_sums(frame, sites, 2) > level
    dark, dark_rms, bright, bright_rms = box_statistics(exposure, 2, camera)
    for wrong, expected in ((seen[~present].mean(), norm.sf((level - dark) / dark_rms)),
                            (1 - seen[present].mean(), norm.cdf((level - bright) / bright_rms))):
        assert abs(wrong - expected) < 4 * math.sqrt(expected / 20_000) + 0.2 * expected


def test_lost_atoms_shine_for_a_part_of_the_exposure() -> None:
    """100,000 atoms, survival exp(-loss t) within 4 sigma; nobody absent shines."""
    rng, camera = np.random.default_rng(4), replace(QCMOS, loss_hz=20.0)
    present = np.arange(100_000) % 2 == 0
    shine, stay = lit_s(rng, EXPOSURE_S, present, camera)
    expected = math.exp(-0.4)
    assert abs(stay[present].mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / 50_000)
    assert not stay[~present].any() and not shine[~present].any()
    assert np.all(shine[stay] == EXPOSURE_S) and np.all(shine[present & ~stay] < EXPOSURE_S)


def test_a_box_that_leaves_the_frame_is_refused() -> None:
    with pytest.raises(ScenarioError, match="half width 2 px around a site leaves the frame"):
        box_sums(np.zeros((10, 10)), np.array([[1.0, 5.0]]), 2)


@pytest.mark.parametrize(("field", "value"), [("atom_hz", -1.0), ("psf_sigma_px", 0.0), ("em_gain", 0.5)])
def test_unphysical_cameras_are_refused(field: str, value: float) -> None:
    with pytest.raises(ScenarioError, match=f"Camera.{field} is"):
        replace(QCMOS, **{field: value})
