"""Camera frames of many trapped atoms, and what a frame says about each site.

A site's light falls on the pixels around it as a Gaussian; pixel p receives w_p of it, the integral over its area. An
atom that leaves at time s of the exposure T is bright until s: the shelf between the peaks of the histogram. Signals
are photoelectrons, for the EMCCD referred to its input (counts divided by the mean gain):
    qCMOS   Poisson(n) + Gaussian read noise
    EMCCD   Gamma(Poisson(n + CIC))/G + Gaussian read noise/G; the Gamma gain adds as much variance again
A site is estimated by S = sum w_p (x_p - b)/sum w_p^2, unbiased for one isolated site on a known background b. Its
distribution follows from the characteristic function, exact for the above: with X(k) = e^(ik) - 1 (qCMOS) or 1/(1 - ik)
- 1 (EMCCD: a Poisson number of exponentials) the pixels contribute n_p X(k v_p), v_p = w_p/sum w^2.
Sources: A. Basden, C. Haniff, C. Mackay, MNRAS 345, 985 (2003), for the EMCCD; Hamamatsu ORCA-Quest data sheet (0.3
electrons rms); A. Fuhrmanek et al., PRL 106, 133003 (2011), for atoms lost during the exposure; J. Gil-Pelaez,
Biometrika 38, 481 (1951), for the inversion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import ScenarioError
from sim.physics.validate import require

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
BoolArray = npt.NDArray[np.bool_]

_REACH_SIGMA = 4.0  # a footprint ends here: 6e-5 of the light lies beyond, on either axis
_DECAYED = 8.0  # the inversion stops where read noise alone has damped the characteristic function to e^-32


@dataclass(frozen=True)
class Camera:
    """Describe a camera and its imaging; lengths are in the plane of the atoms, pixel (0, 0) has its corner at (0, 0).

    psf_sigma_m: Gaussian point-spread function. background_hz: electrons per pixel and second, dark current included.
    read_noise: rms electrons per pixel. gain: 1 for a qCMOS; above 1 an EMCCD, whose read noise is divided by it.
    cic: clock-induced electrons per pixel and frame. atom_hz: electrons per second of one atom, on all pixels.
    """

    rows: int
    columns: int
    pixel_m: float
    psf_sigma_m: float
    atom_hz: float
    background_hz: float
    read_noise: float
    gain: float = 1.0
    cic: float = 0.0

    def __post_init__(self) -> None:
        for field in ("rows", "columns", "gain"):
            require(self, field, 1)
        for field in ("pixel_m", "psf_sigma_m", "read_noise"):
            require(self, field, 0, above=True)
        for field in ("atom_hz", "background_hz", "cic"):
            require(self, field, 0)

    @property
    def read_sigma(self) -> float:
        """Return the read noise in electrons at the input, rms per pixel."""
        return self.read_noise / self.gain

    def dark(self, exposure_s: float) -> float:
        """Return the mean electrons per pixel without any atom."""
        return self.background_hz * exposure_s + self.cic


class Footprints(NamedTuple):
    """Where n sites fall: pixel, int, shape (n, k), flat indices; weight, float, shape (n, k), share of the light."""

    pixel: npt.NDArray[np.int64]
    weight: FloatArray


def footprints(camera: Camera, positions_um: npt.ArrayLike) -> Footprints:
    """Return which pixels n sites at (x, y) = (column, row) in um light up; positions_um, float, shape (n, 2).

    Light that falls outside the frame is lost; a site outside it is refused. Compute once per array.
    """
    from scipy.special import erf

    sites = np.asarray(positions_um, dtype=np.float64).reshape(-1, 2) * 1e-6 / camera.pixel_m
    inside = (sites >= 0) & (sites <= (camera.columns, camera.rows))
    if not inside.all():
        worst = int(np.flatnonzero(~inside.all(axis=1))[0])
        raise ScenarioError(f"Site {worst} is at pixel ({sites[worst, 0]:g}, {sites[worst, 1]:g}), but must be within "
                            f"the frame, 0 to {camera.columns} and 0 to {camera.rows}: move it or widen the camera.")
    sigma = camera.psf_sigma_m / camera.pixel_m
    reach = math.ceil(_REACH_SIGMA * sigma)
    first = np.floor(sites).astype(np.int64) - reach
    edges = first[:, None, :] + np.arange(2 * reach + 2)[None, :, None]
    share = np.diff(erf((edges - sites[:, None, :]) / (math.sqrt(2) * sigma)) / 2, axis=1)
    share[(edges[:, :-1] < 0) | (edges[:, :-1] >= (camera.columns, camera.rows))] = 0.0
    column, row = (np.clip(edges[:, :-1, axis], 0, size - 1) for axis, size in enumerate((camera.columns, camera.rows)))
    pixel = row[:, :, None] * camera.columns + column[:, None, :]
    weight = share[:, :, None, 1] * share[:, None, :, 0]
    return Footprints(pixel.reshape(len(sites), -1), weight.reshape(len(sites), -1))


def expose(rng: np.random.Generator, camera: Camera, sites: Footprints, present: npt.ArrayLike, loss_hz: float,
           exposure_s: float) -> tuple[FloatArray, BoolArray]:
    """Draw (frame in electrons, shape (rows, columns); atoms still present, shape (n,)) of one exposure.

    present, bool, shape (n,): atoms at its start. loss_hz: rate at which the light expels an atom.
    """
    _require_exposure(loss_hz, exposure_s)
    here = np.asarray(present, dtype=bool)
    if here.shape != (len(sites.pixel),):
        raise ScenarioError(f"Argument `present` has shape {here.shape}, but must be ({len(sites.pixel)},): one entry "
                            "per site.")
    lives_s = rng.exponential(size=here.shape) / loss_hz if loss_hz else np.full(here.shape, np.inf)
    light = camera.atom_hz * np.where(here, np.minimum(lives_s, exposure_s), 0.0)
    mean = np.bincount(sites.pixel.ravel(), (light[:, None] * sites.weight).ravel(), camera.rows * camera.columns)
    charge = rng.poisson(mean + camera.dark(exposure_s)).astype(np.float64)
    if camera.gain > 1:
        charge = rng.standard_gamma(charge)
    frame = charge + rng.normal(0.0, camera.read_sigma, len(charge))
    return frame.reshape(camera.rows, camera.columns), here & (lives_s > exposure_s)


def estimate(camera: Camera, sites: Footprints, frame: FloatArray, exposure_s: float) -> FloatArray:
    """Return the electrons of each site out of a frame, background subtracted; float, shape (n,)."""
    excess = frame.ravel()[sites.pixel] - camera.dark(exposure_s)
    return np.asarray((sites.weight * excess).sum(axis=1) / (sites.weight**2).sum(axis=1))


def roi_sums(frame: FloatArray, rois: npt.ArrayLike) -> FloatArray:
    """Return the sums over rectangles (x0, y0, x1, y1), upper ends excluded, as a frame grabber does; shape (m,)."""
    x0, y0, x1, y1 = np.asarray(rois, dtype=np.int64).reshape(-1, 4).T
    rows, columns = frame.shape
    if np.any((x0 < 0) | (y0 < 0) | (x1 > columns) | (y1 > rows) | (x0 > x1) | (y0 > y1)):
        raise ScenarioError(f"Argument `rois` has an entry outside the frame of {columns} x {rows} pixels or of "
                            "negative size, but must be (x0, y0, x1, y1) with x0 <= x1, y0 <= y1 within it.")
    table = np.zeros((rows + 1, columns + 1))
    table[1:, 1:] = frame.cumsum(axis=0).cumsum(axis=1)
    return np.asarray(table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0])


def error_rates(camera: Camera, weight: FloatArray, thresholds: npt.ArrayLike, loss_hz: float,
                exposure_s: float) -> tuple[FloatArray, FloatArray]:
    """Return (P(called absent | present at the start), P(called present | absent)) for "estimate > threshold".

    weight, float, shape (k,): the footprint of one isolated site. thresholds: electrons, shape (m,) as the results.
    """
    _require_exposure(loss_hz, exposure_s)
    at = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    step = 2 * math.pi / _span(camera, weight, exposure_s)
    stop = _DECAYED * math.sqrt(float((weight**2).sum())) / camera.read_sigma
    k: FloatArray = step * (np.arange(math.ceil(stop / step), dtype=np.float64) + 0.5)
    dark, bright = _characteristic(camera, weight, k, loss_hz, exposure_s)
    turn = np.exp(-1j * np.multiply.outer(at, k)) / (k / step)
    below_bright, below_dark = (0.5 - (turn @ phi).imag / math.pi for phi in (bright, dark))
    return np.clip(below_bright, 0.0, 1.0), np.clip(1 - below_dark, 0.0, 1.0)


def best_threshold(camera: Camera, weight: FloatArray, loss_hz: float, exposure_s: float) -> float:
    """Return the threshold in electrons that minimises the sum of both error rates, to 1/200 of the atom's signal."""
    thresholds = np.linspace(0, max(1.0, camera.atom_hz * exposure_s), 201)
    missed, false = error_rates(camera, weight, thresholds, loss_hz, exposure_s)
    return float(thresholds[np.argmin(missed + false)])


def _require_exposure(loss_hz: float, exposure_s: float) -> None:
    for name, value in (("loss_hz", loss_hz), ("exposure_s", exposure_s)):
        if not 0 <= value < math.inf:
            raise ScenarioError(f"Argument `{name}` must be in [0, inf), but is {value!r}.")


def _characteristic(camera: Camera, weight: FloatArray, k: FloatArray, loss_hz: float,
                    exposure_s: float) -> tuple[ComplexArray, ComplexArray]:
    """Return the characteristic function of the estimate at k, without and with an atom at the start; shape (n,)."""
    v = weight / (weight**2).sum()
    kv = np.multiply.outer(k, v)
    jump = 1 / (1 - 1j * kv) - 1 if camera.gain > 1 else np.expm1(1j * kv)
    noise = -0.5 * (camera.read_sigma * k) ** 2 * (v**2).sum()
    # The background is subtracted: its mean leaves the exponent.
    dark = np.exp(camera.dark(exposure_s) * (jump.sum(axis=1) - 1j * kv.sum(axis=1)) + noise)
    slope = camera.atom_hz * (jump @ weight) - loss_hz
    stays = np.exp(slope * exposure_s)
    # An atom lost at s, density L e^(-Ls), was bright until s: L (e^(slope T) - 1)/slope.
    left = loss_hz * (stays - 1) / slope if loss_hz else 0.0
    return dark, np.asarray(dark * (stays + left), dtype=np.complex128)


def _span(camera: Camera, weight: FloatArray, exposure_s: float) -> float:
    """Return the range in electrons outside which the estimate practically never falls, to either side."""
    v = weight / (weight**2).sum()
    excess = 2.0 if camera.gain > 1 else 1.0
    atom = camera.atom_hz * exposure_s
    variance = excess * (atom * (weight * v**2).sum() + camera.dark(exposure_s) * (v**2).sum())
    variance += camera.read_sigma**2 * (v**2).sum()
    # Beyond 12 sigma plus 30 of the largest single charges: exponential tails of the EMCCD included.
    return 2 * (atom + 12 * math.sqrt(variance) + 30 * excess * float(v.max()))


class Grid(NamedTuple):
    """A regular array's sites on the sensor, separable: share of a column's light in each pixel column, float, shape
    (pixel columns, columns), and of a row's in each pixel row, shape (pixel rows, rows).
    """

    across: FloatArray
    down: FloatArray


def grid(camera: Camera, shape: tuple[int, int], pitch_m: float, first_m: tuple[float, float]) -> Grid:
    """Return where the sites of an array of `shape` (rows, columns) fall; first_m: (x, y) of site (0, 0).

    The same light as `footprints` gives, for 10,000 sites in two matrices of 100 lines.
    """
    from scipy.special import erf

    sides = []
    for sites, pixels, first in ((shape[1], camera.columns, first_m[0]), (shape[0], camera.rows, first_m[1])):
        centre = first + pitch_m * np.arange(sites)
        if centre.min() < 0 or centre.max() > pixels * camera.pixel_m:
            raise ScenarioError(f"Sites from {centre.min():g} to {centre.max():g} m do not fit on {pixels} pixels of "
                                f"{camera.pixel_m:g} m: widen the camera, or move site (0, 0).")
        edges = camera.pixel_m * np.arange(pixels + 1)[:, None]
        sides.append(np.diff(erf((edges - centre) / (math.sqrt(2) * camera.psf_sigma_m)) / 2, axis=0))
    return Grid(sides[0], sides[1])


def expose_grid(rng: np.random.Generator, camera: Camera, sites: Grid, bright_s: FloatArray,
                exposure_s: float) -> FloatArray:
    """Draw a frame in electrons, shape (rows, columns) of pixels; bright_s: how long each site shone at full light."""
    mean = camera.atom_hz * _spread(sites.across, _spread(sites.down, bright_s).T).T
    charge = rng.poisson(mean + camera.dark(exposure_s)).astype(np.float64)
    if camera.gain > 1:
        charge = rng.standard_gamma(charge)
    return np.asarray(charge + rng.normal(0.0, camera.read_sigma, charge.shape))


def _spread(share: FloatArray, light: FloatArray) -> FloatArray:
    """Return share @ light, (pixels, n), of a banded share, (pixels, sites), and light, (sites, n).

    A site lights some ten of hundreds of pixels; where no two sites begin on one pixel, a tenth of the work will do.
    """
    lit = share > 1e-9
    width = int(lit.sum(axis=0).max(initial=1))
    first = np.minimum(lit.argmax(axis=0), len(share) - width)
    if len(np.unique(first)) < len(first):
        return np.asarray(share @ light)
    out = np.zeros((len(share), light.shape[1]))
    site = np.arange(len(first))
    for pixel in (first + k for k in range(width)):
        out[pixel] += share[pixel, site][:, None] * light
    return out
