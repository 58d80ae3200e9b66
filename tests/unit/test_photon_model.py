"""The photon of a cavity, fitted to arrivals drawn from the same equations: what was put in comes out, within 3 σ."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import photon_model
from analysis.arrivals import Arrivals
from analysis.load import Run

PULSE_S, FIRST_S, RABI_HZ = 0.5e-6, 530e-9, 9.0e6
DARK = 0.2  # a bin
CLICKS = 4000


def run_with(**beliefs: Any) -> Run:
    return Run(Path(), 1, "PhotonShape", 0.0, 0.0, "", {}, {f"param.x.{k}": v for k, v in beliefs.items()}, {}, {})


def drawn(seed: int, clicks: int = CLICKS, bins: int = 1100) -> Arrivals:
    """Return arrivals of the model's photon in bins of 1 ns, and dark clicks."""
    time_s = 440e-9 + 1e-9 * (np.arange(bins) + 0.5)
    model = photon_model.photon(PULSE_S, photon_model.WIDTH_RAD_S, 1e-9)
    share = model(time_s, clicks=1.0, first_light=FIRST_S, rabi=RABI_HZ, dark=0.0) * 1e-9
    counts = np.random.default_rng(seed).poisson(clicks * share + DARK)
    return Arrivals(time_s, counts[None, :], 100_000, DARK)


def test_the_photon_is_normalised() -> None:
    time_s = 1e-9 * np.arange(2500)
    share = photon_model.photon(PULSE_S, photon_model.WIDTH_RAD_S, 1e-9)(
        time_s, clicks=1.0, first_light=FIRST_S, rabi=RABI_HZ, dark=0.0)  # fmt: skip
    assert share.sum() * 1e-9 == pytest.approx(1.0, abs=0.01)
    assert not share[time_s < FIRST_S - 1e-9].any()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_first_light_and_rabi_frequency_come_out(seed: int) -> None:
    fit = photon_model.fit_photon(run_with(t_excitation_s=PULSE_S, f_kappa_hz=2.75e6), "x", drawn(seed))
    assert fit is not None
    assert abs(fit["first_light"].sigmas_from(FIRST_S)) < 3 and fit["first_light"].error < 1e-9
    assert abs(fit["rabi"].sigmas_from(RABI_HZ)) < 3 and fit["rabi"].error < 0.3e6
    assert abs(fit["clicks"].sigmas_from(CLICKS)) < 3
    assert fit.p_value > 1e-3


def test_another_photon_is_seen_not_to_be_this_one() -> None:
    """A cavity that is twice as wide as believed sends another shape."""
    fit = photon_model.fit_photon(run_with(t_excitation_s=PULSE_S, f_kappa_hz=0.8e6), "x", drawn(1))
    assert fit is None or fit.p_value < 1e-6


def test_what_nobody_can_fit_is_left_out() -> None:
    assert photon_model.fit_photon(run_with(), "x", drawn(1)) is None
    assert photon_model.fit_photon(run_with(t_excitation_s=PULSE_S), "x", drawn(1, bins=100)) is None
