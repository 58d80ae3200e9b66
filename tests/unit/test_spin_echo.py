"""The fit of a spin echo: honest times, no contrast above one, and no time from a scan that cannot tell."""

import math
from typing import Any

import numpy as np
import pytest
from synthetic_runs import as_run

from analysis.experiments import spin_echo
from analysis.fits import FitRefused
from analysis.result import Result

T2_S, SEEDS = 2e-3, 40


def echo(seed: int, shots: int = 120, longest_s: float = 5.02e-3, contrast: float = 1.0) -> Result:
    """Return the result of a scan drawn from the law: half of the atoms lost, contrast as given at t = 0."""
    t = np.linspace(20e-6, longest_s, 21)
    share = 0.25 + 0.25 * contrast * np.cos(2 * math.pi * 800 * t) * np.exp(-t / T2_S)
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {"t_wait": t, "n": np.full(21, shots)}
    columns |= {f"bright_{node}": rng.binomial(shots, share) for node in ("alice", "bob")}
    data = {f"scan.{name}": column for name, column in columns.items()} | {"scan.f_offset": 800.0}
    return spin_echo.analyse(as_run(data, class_name="SpinEcho"))


@pytest.mark.parametrize("contrast", [1.0, 0.9])
def test_the_interval_of_t2_covers_the_truth_as_often_as_it_says(contrast: float) -> None:
    results = [echo(seed, contrast=contrast) for seed in range(SEEDS)]
    times = [result.estimates[name] for result in results for name in result.estimates if name.endswith(".t2_s")]
    covered = np.mean([abs(time.value - T2_S) < time.error for time in times])
    assert len(times) > 1.5 * SEEDS
    assert abs(covered - 0.683) < 4 * math.sqrt(0.683 * 0.317 / len(times))


def test_no_contrast_exceeds_one() -> None:
    found = [value for seed in range(8) for name, value in echo(seed).estimates.items() if "contrast" in name]
    assert len(found) > 8 and all(contrast.value <= 1 for contrast in found)
    assert all(contrast.sigmas_from(1.0) > -4 for contrast in found)


def test_a_scan_that_is_too_short_or_too_thin_gives_no_time() -> None:
    with pytest.raises(FitRefused):
        echo(1, longest_s=0.5e-3)
    with pytest.raises(FitRefused):
        echo(2, shots=8)
