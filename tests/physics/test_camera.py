"""Frames of many sites, the estimate of each, and its predicted errors against frames and a brute-force convolution."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.special import ive
from scipy.stats import norm, poisson

from atomlink.errors import ScenarioError
from sim.physics.camera import (
    Camera,
    best_threshold,
    error_rates,
    estimate,
    expose,
    expose_grid,
    footprints,
    grid,
    roi_sums,
)

# 60 electrons per atom in 20 ms, point-spread function of one pixel rms, 0.02 electrons of background per pixel.
QCMOS = Camera(rows=60, columns=80, pixel_m=0.5e-6, psf_sigma_m=0.5e-6, atom_hz=3000.0, background_hz=1.0,
               read_noise=0.3)
EMCCD = replace(QCMOS, read_noise=60.0, gain=300.0, cic=0.005)
EXPOSURE_S = 20e-3
CAMERAS = pytest.mark.parametrize("camera", [QCMOS, EMCCD], ids=["qcmos", "emccd"])


def lattice(columns, rows, spacing_um, offset_um):
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    return offset_um + spacing_um * np.column_stack((x.ravel(), y.ravel()))


def test_footprint_is_the_gaussian_integrated_over_each_pixel():
    sites = footprints(QCMOS, [(20.13, 15.4)])
    pixel = 30 * 80 + 41  # x in [20.5, 21.0) um, y in [15.0, 15.5) um
    exact = dblquad(lambda y, x: math.exp(-((x - 20.13) ** 2 + (y - 15.4) ** 2) / 0.5) / (0.5 * math.pi),
                    20.5, 21.0, 15.0, 15.5)[0]
    assert sites.weight[0, sites.pixel[0] == pixel][0] == pytest.approx(exact, rel=1e-6)
    assert sites.weight.sum() == pytest.approx(1.0, abs=2e-4)


def test_site_in_the_corner_loses_three_quarters_of_its_light():
    assert footprints(QCMOS, [(0.0, 0.0)]).weight.sum() == pytest.approx(0.25, abs=1e-4)
    assert footprints(QCMOS, [(40.0, 30.0)]).weight.sum() == pytest.approx(0.25, abs=1e-4)


def test_site_outside_the_frame_is_refused_by_its_index():
    with pytest.raises(ScenarioError, match=r"Site 1 is at pixel \(81, 10\), but must be within the frame"):
        footprints(QCMOS, [(5.0, 5.0), (40.5, 5.0)])


def test_occupancy_of_another_shape_is_refused():
    sites = footprints(QCMOS, lattice(2, 2, 5.0, 5.0))
    with pytest.raises(ScenarioError, match=r"shape \(3,\), but must be \(4,\)"):
        expose(np.random.default_rng(0), QCMOS, sites, [True, True, False], 0.0, EXPOSURE_S)


@CAMERAS
def test_pixel_noise_is_poisson_times_excess_plus_read_noise(camera):
    """300 empty frames of 4800 pixels: mean within 5 sigma, variance within 2 % (its error is below 0.4 %)."""
    rng = np.random.default_rng(1)
    bright = replace(camera, background_hz=50.0)
    nothing = footprints(bright, [(5.0, 5.0)])
    frames = np.array([expose(rng, bright, nothing, [False], 0.0, EXPOSURE_S)[0] for _ in range(300)])
    mean = 1.0 + camera.cic
    variance = mean * (2 if camera.gain > 1 else 1) + (camera.read_noise / camera.gain) ** 2
    assert abs(frames.mean() - mean) < 5 * math.sqrt(variance / frames.size)
    assert frames.var() == pytest.approx(variance, rel=0.02)


@CAMERAS
def test_estimate_is_unbiased_at_any_position_within_the_pixel(camera):
    """20 000 atoms at random places, each far from the next: mean 60 and 0 electrons within 5 sigma."""
    rng = np.random.default_rng(2)
    present = rng.random((400, 48)) < 0.5
    values = []
    for row in present:
        sites = footprints(camera, lattice(8, 6, 4.9, 2.5) + rng.uniform(0, 0.4, (48, 2)))
        frame, _ = expose(rng, camera, sites, row, 0.0, EXPOSURE_S)
        values.append(estimate(camera, sites, frame, EXPOSURE_S))
    values = np.array(values)
    for here, expected in ((present, 60.0), (~present, 0.0)):
        sample = values[here]
        assert abs(sample.mean() - expected) < 5 * sample.std() / math.sqrt(sample.size) + 1e-3 * expected


def sampled_errors(camera, thresholds, loss_hz, rng, frames):
    sites = footprints(camera, lattice(7, 5, 5.5, 3.1))
    bright, dark = [], []
    for _ in range(frames):
        for here, values in ((True, bright), (False, dark)):
            frame, _ = expose(rng, camera, sites, np.full(35, here), loss_hz, EXPOSURE_S)
            values.append(estimate(camera, sites, frame, EXPOSURE_S))
    return sites, np.array(bright).ravel(), np.array(dark).ravel()


@CAMERAS
@pytest.mark.parametrize("loss_hz", [0.0, 10.0])
def test_predicted_error_rates_are_those_of_frames(camera, loss_hz):
    """42 000 atoms and as many empty sites, eleven thresholds, both errors: each within 4.5 sigma (binomial)."""
    thresholds = np.linspace(-5, 60, 11)
    sites, bright, dark = sampled_errors(camera, thresholds, loss_hz, np.random.default_rng(3), 1200)
    missed, false = error_rates(camera, sites.weight[0], thresholds, loss_hz, EXPOSURE_S)
    for predicted, found in ((missed, [(bright <= t).mean() for t in thresholds]),
                             (false, [(dark > t).mean() for t in thresholds])):
        sigma = np.sqrt(predicted * (1 - predicted) / len(bright)) + 1 / len(bright)
        assert np.all(np.abs(predicted - found) < 4.5 * sigma)
    assert missed[-1] > 0.3 and false[0] > 0.5  # the thresholds reach into both peaks


def one_pixel_cdf(camera, mean, at):
    """Return P(charge <= at) of one pixel by summing over the number of electrons."""
    n = np.arange(400)
    if camera.gain == 1:
        return float((poisson.pmf(n, mean) * norm.cdf(at, n, camera.read_sigma)).sum())
    # Poisson mixture of Gamma densities: e^(-m-y) sqrt(m/y) I_1(2 sqrt(m y)), and no electron at all (Basden 2003).
    y = np.linspace(1e-9, 400, 200_001)
    root = 2 * np.sqrt(mean * y)
    density = np.sqrt(mean / y) * ive(1, root) * np.exp(root - mean - y)
    weights = norm.cdf(at, y, camera.read_sigma)
    return float(np.trapezoid(density * weights, y) + math.exp(-mean) * norm.cdf(at, 0, camera.read_sigma))


@CAMERAS
def test_error_rates_of_a_single_pixel_are_the_summed_distribution(camera):
    """All light on one pixel: the tails agree to 1e-7 with a sum over the electrons."""
    for threshold in (3.0, 8.0, 20.0):
        missed, false = error_rates(camera, np.array([1.0]), threshold, 0.0, EXPOSURE_S)
        background = camera.dark(EXPOSURE_S)
        assert missed[0] == pytest.approx(one_pixel_cdf(camera, background + 60, threshold + background), abs=1e-7)
        assert false[0] == pytest.approx(1 - one_pixel_cdf(camera, background, threshold + background), abs=1e-7)


def test_lost_atoms_make_a_shelf_of_constant_height():
    """Atoms lost during the exposure spread evenly over the charge: P(missed) grows linearly between the peaks."""
    weight = footprints(QCMOS, [(20.0, 15.0)]).weight[0]
    at = np.array([15.0, 22.5, 30.0])
    with_loss = error_rates(QCMOS, weight, at, 0.5, EXPOSURE_S)[0]
    without = error_rates(QCMOS, weight, at, 0.0, EXPOSURE_S)[0]
    lost = 1 - math.exp(-0.5 * EXPOSURE_S)
    assert without[1] < 1e-3 * with_loss[1]
    assert with_loss - without == pytest.approx(lost * at / 60, rel=0.05)


def test_survivors_are_those_whose_loss_time_exceeds_the_exposure():
    """35 x 600 atoms at a survival of e^-0.2; 4.5 sigma. An empty site stays empty."""
    rng, sites = np.random.default_rng(5), footprints(QCMOS, lattice(7, 5, 5.5, 3.1))
    stays = np.array([expose(rng, QCMOS, sites, np.ones(35), 10.0, EXPOSURE_S)[1] for _ in range(600)])
    p = math.exp(-0.2)
    assert abs(stays.mean() - p) < 4.5 * math.sqrt(p * (1 - p) / stays.size)
    assert not expose(rng, QCMOS, sites, np.zeros(35), 10.0, EXPOSURE_S)[1].any()


@CAMERAS
def test_best_threshold_beats_its_neighbours(camera):
    weight = footprints(camera, [(20.2, 15.3)]).weight[0]
    best = best_threshold(camera, weight, 0.25, EXPOSURE_S)
    sums = [sum(error_rates(camera, weight, best + shift, 0.25, EXPOSURE_S))[0] for shift in (-4.0, 0.0, 4.0)]
    assert sums[1] == min(sums) and 3 < best < 50


@CAMERAS
def test_weighted_estimate_is_less_noisy_than_the_sum_of_the_same_pixels(camera):
    """35 x 100 empty sites; the ratio of the two is known to 2 %."""
    rng, sites = np.random.default_rng(9), footprints(camera, lattice(7, 5, 5.5, 3.1))
    weighted, plain = [], []
    for _ in range(100):
        frame, _ = expose(rng, camera, sites, np.zeros(35), 0.0, EXPOSURE_S)
        weighted.append(estimate(camera, sites, frame, EXPOSURE_S))
        plain.append(frame.ravel()[sites.pixel].sum(axis=1))
    expected = math.sqrt(sites.pixel.shape[1] * (sites.weight[0] ** 2).sum())
    assert np.std(plain) / np.std(weighted) == pytest.approx(expected, rel=0.1)
    assert expected > 2


def test_roi_sums_are_sums_of_rectangles():
    frame = np.random.default_rng(6).normal(size=(60, 80))
    rois = [(0, 0, 80, 60), (3, 5, 10, 9), (4, 4, 4, 8)]
    assert roi_sums(frame, rois) == pytest.approx([frame.sum(), frame[5:9, 3:10].sum(), 0.0])
    with pytest.raises(ScenarioError, match="outside the frame of 80 x 60 pixels"):
        roi_sums(frame, [(0, 0, 81, 60)])


def test_impossible_exposure_is_refused():
    sites = footprints(QCMOS, [(5.0, 5.0)])
    with pytest.raises(ScenarioError, match=r"`loss_hz` must be in \[0, inf\), but is -1.0"):
        expose(np.random.default_rng(0), QCMOS, sites, [True], -1.0, EXPOSURE_S)
    with pytest.raises(ScenarioError, match=r"`exposure_s` must be in \[0, inf\), but is nan"):
        error_rates(QCMOS, sites.weight[0], 10.0, 0.0, math.nan)


def test_impossible_camera_is_refused():
    for field, value in (("read_noise", -0.1), ("gain", 0.5), ("pixel_m", 0.0), ("cic", float("nan"))):
        with pytest.raises(ScenarioError, match=f"Camera.{field} is "):
            replace(QCMOS, **{field: value})


def test_ten_thousand_sites_are_imaged_and_judged():
    camera = replace(QCMOS, rows=820, columns=820)
    rng, present = np.random.default_rng(7), np.random.default_rng(8).random(10_000) < 0.6
    positions = lattice(100, 100, 4.0, 5.0)
    sites = footprints(camera, positions)
    frame, _ = expose(rng, camera, sites, present, 0.25, EXPOSURE_S)
    seen = estimate(camera, sites, frame, EXPOSURE_S) > 25
    assert (seen != present).mean() < 5e-3


def test_a_grid_gives_the_light_of_its_footprints() -> None:
    """A regular array, site by site and separable: the same mean image where both reach, 6e-5 cut off by one."""
    camera = Camera(40, 46, 1e-6, 0.9e-6, 5e3, 10.0, 0.3)
    sites = grid(camera, (5, 6), 6e-6, (8e-6, 7e-6))
    bright = np.random.default_rng(1).random((5, 6))
    row, column = np.meshgrid(7 + 6 * np.arange(5), 8 + 6 * np.arange(6), indexing="ij")
    spots = footprints(camera, np.stack((column.ravel(), row.ravel()), axis=1))
    one_by_one = np.bincount(spots.pixel.ravel(), (bright.ravel()[:, None] * spots.weight).ravel(), 40 * 46)
    assert np.allclose(sites.down @ bright @ sites.across.T, one_by_one.reshape(40, 46), atol=2e-4)
    with pytest.raises(ScenarioError, match="do not fit"):
        grid(camera, (8, 6), 6e-6, (8e-6, 7e-6))


def test_a_frame_of_a_grid_has_the_means_and_the_variance_of_its_pixels() -> None:
    """2000 frames, one site: Poisson of light and background plus read noise, 5 sigma over all pixels."""
    camera = Camera(14, 14, 1e-6, 0.9e-6, 5e3, 10.0, 0.3)
    sites = grid(camera, (1, 1), 6e-6, (7e-6, 7e-6))
    bright = np.array([[0.01]])
    mean = camera.atom_hz * (sites.down @ bright @ sites.across.T) + camera.dark(0.02)
    rng = np.random.default_rng(4)
    frames = np.array([expose_grid(rng, camera, sites, bright, 0.02) for _ in range(2000)])
    variance = mean + camera.read_sigma**2
    assert np.abs((frames.mean(axis=0) - mean) / np.sqrt(variance / 2000)).max() < 5
    spread = np.sqrt((2 * variance**2 + mean) / 2000)
    assert np.abs((frames.var(axis=0) - variance) / spread).max() < 5
