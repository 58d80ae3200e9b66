"""Camera frames of an array of atoms: point-spread function, photon and camera noise, loss during the exposure.

Electrons per pixel are Poisson. A qCMOS camera adds Gaussian read noise; an EMCCD adds clock-induced charge, multiplies
each electron by an exponentially distributed gain (n electrons: a Gamma distribution of shape n), then reads. Frames
are in photoelectrons: the gain is divided out. The point-spread function is a Gaussian integrated over each pixel.
Sources: Hamamatsu ORCA-Quest data sheet (qCMOS, read noise 0.3 electrons); M. Hirsch et al., PLoS ONE 8, e53671 (2013)
(EMCCD); A. Fuhrmanek et al., PRL 106, 133003 (2011) (an atom that leaves during the exposure).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.validate import require

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_PSF_SIGMAS = 4  # patch half width; leaves 6e-5 of the light outside along each axis


@dataclass(frozen=True)
class Camera:
    """Describe optics and camera.

    atom_hz: photoelectrons per second of one atom; background_hz: per pixel; psf_sigma_px: rms width of the spot;
    read_noise_e: rms electrons per pixel; em_gain 1: no multiplication (qCMOS), else the mean gain of an EMCCD with
    read_noise_e before division by it; clock_induced_e: mean per pixel and frame; loss_hz: rate of losing a lit atom.
    """

    atom_hz: float
    background_hz: float
    psf_sigma_px: float
    read_noise_e: float
    loss_hz: float
    em_gain: float = 1.0
    clock_induced_e: float = 0.0

    def __post_init__(self) -> None:
        for field in ("atom_hz", "background_hz", "read_noise_e", "loss_hz", "clock_induced_e"):
            require(self, field, 0)
        require(self, "psf_sigma_px", 0, 100, above=True)
        require(self, "em_gain", 1)


def lit_s(rng: np.random.Generator, exposure_s: float, present: Bools, camera: Camera) -> tuple[Floats, Bools]:
    """Draw (time each atom shines, still present afterwards), both of the shape of `present`."""
    if camera.loss_hz == 0:
        return np.where(present, exposure_s, 0.0), present.copy()
    lives = rng.exponential(1 / camera.loss_hz, present.shape)
    return np.where(present, np.minimum(lives, exposure_s), 0.0), present & (lives > exposure_s)


def expected_electrons(shine_s: Floats, position_px: Floats, exposure_s: float, shape: tuple[int, int],
                       camera: Camera) -> Floats:
    """Return the mean electrons per pixel, float, shape `shape`.

    shine_s, float, shape (n,); position_px, float, shape (n, 2): row and column of each atom, pixel centres at whole
    numbers. Light beyond the frame's edge is lost.
    """
    reach = math.ceil(_PSF_SIGMAS * camera.psf_sigma_px) + 1
    centre = np.rint(position_px).astype(np.int64)
    offsets = np.arange(-reach, reach + 1)
    spread = [_pixel_fractions(position_px[:, k] - centre[:, k], offsets, camera.psf_sigma_px) for k in (0, 1)]
    light = (camera.atom_hz * shine_s)[:, None, None] * spread[0][:, :, None] * spread[1][:, None, :]
    row, column = (centre[:, k, None] + offsets for k in (0, 1))
    inside = ((row >= 0) & (row < shape[0]))[:, :, None] & ((column >= 0) & (column < shape[1]))[:, None, :]
    index = row[:, :, None] * shape[1] + column[:, None, :]
    total = np.bincount(index[inside], weights=light[inside], minlength=shape[0] * shape[1])
    return np.asarray(total.reshape(shape) + camera.background_hz * exposure_s, dtype=np.float64)


def expose(rng: np.random.Generator, expected: Floats, camera: Camera) -> Floats:
    """Draw a frame in photoelectrons, shape of `expected`."""
    electrons = rng.poisson(expected + camera.clock_induced_e)
    if camera.em_gain == 1:
        return electrons + camera.read_noise_e * rng.standard_normal(expected.shape)
    multiplied = rng.standard_gamma(np.maximum(electrons, 1)) * (electrons > 0)
    return multiplied + camera.read_noise_e / camera.em_gain * rng.standard_normal(expected.shape)


def box_sums(frame: Floats, position_px: Floats, half_px: int) -> Floats:
    """Return the electrons in the (2 half + 1)^2 pixels around each site, float, shape (n,); sites inside the frame."""
    offsets = np.arange(-half_px, half_px + 1)
    row, column = (np.rint(position_px[:, k]).astype(np.int64)[:, None] + offsets for k in (0, 1))
    if min(row.min(), column.min()) < 0 or row.max() >= frame.shape[0] or column.max() >= frame.shape[1]:
        raise ScenarioError(f"a box of half width {half_px} px around a site leaves the frame of {frame.shape} pixels: "
                            "make the frame larger.")
    return np.asarray(frame[row[:, :, None], column[:, None, :]].sum(axis=(1, 2)))


def box_statistics(exposure_s: float, half_px: int, camera: Camera) -> tuple[float, float, float, float]:
    """Return (mean, rms of a box without atom, mean, rms of a box with one that stays), in electrons.

    The atom sits on a pixel's centre; neighbours' light is not counted. Multiplication doubles the variance.
    """
    pixels = (2 * half_px + 1) ** 2
    fraction = math.erf((half_px + 0.5) / (math.sqrt(2) * camera.psf_sigma_px)) ** 2
    dark = pixels * (camera.background_hz * exposure_s + camera.clock_induced_e)
    bright = dark + fraction * camera.atom_hz * exposure_s
    read = pixels * (camera.read_noise_e / camera.em_gain) ** 2
    excess = 1.0 if camera.em_gain == 1 else 2.0
    return dark, math.sqrt(excess * dark + read), bright, math.sqrt(excess * bright + read)


def threshold_e(exposure_s: float, half_px: int, camera: Camera) -> float:
    """Return the threshold that is equally many rms away from both peaks."""
    dark, dark_rms, bright, bright_rms = box_statistics(exposure_s, half_px, camera)
    return (dark * bright_rms + bright * dark_rms) / (dark_rms + bright_rms)


def _pixel_fractions(shift: Floats, offsets: Ints, sigma: float) -> Floats:
    """Return the light in each pixel of a row, float, shape (n, len(offsets)), of spots at `shift` from the middle."""
    from scipy.special import erf

    edges = np.append(offsets, offsets[-1] + 1) - 0.5
    cumulative = 0.5 * erf((edges - shift[:, None]) / (math.sqrt(2) * sigma))
    return np.diff(cumulative, axis=1)
