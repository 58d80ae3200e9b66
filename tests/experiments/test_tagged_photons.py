"""RTIO inputs and the time tagger see the same photons; the detectors' bias and a latched wire show in both."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from lab_runs import execute
from tagged_photons import ATTEMPTS, LATCHES_AT, LOOKED_AT_AT

SIGMA = 5
D_H = 2


def tagged(folder: Path, *options: str) -> dict[str, np.ndarray]:
    shutil.copy(Path(__file__).with_name("tagged_photons.py"), folder)
    done = execute(folder, str(folder / "tagged_photons.py"), "--scenario", "bright", *options)
    assert done.code == 0 and done.run is not None, done.text
    return done.run.datasets


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """A run at the nominal bias, in which one detector latches."""
    return tagged(tmp_path_factory.mktemp("nominal"), "latch=True")


def gated(run: dict[str, np.ndarray]) -> list[tuple[int, int]]:
    """Return the tags within the gates of the RTIO inputs as (mu, detector)."""
    tags_mu = run["tags.time_ps"] // 1000 + run["tags.start_mu"]
    ends = run["rtio.gate_ends_mu"]
    gate = np.minimum(np.searchsorted(ends, tags_mu), len(ends) - 1)
    inside = (tags_mu > ends[gate] - run["rtio.gate_mu"]) & (tags_mu <= ends[gate])
    return sorted(zip(tags_mu[inside].tolist(), run["tags.channel"][inside].tolist(), strict=True))


def test_every_click_within_a_gate_has_the_same_time_on_rtio_and_on_the_tagger(run: dict[str, np.ndarray]) -> None:
    stamps = sorted(zip(run["rtio.stamps_mu"].tolist(), run["rtio.detectors"].tolist(), strict=True))
    assert len(stamps) > 400 and gated(run) == stamps
    assert (run["tags.time_ps"] % 1000 == 0).all() and (np.diff(run["tags.time_ps"]) >= 0).all()


def test_the_tagger_sees_dark_counts_between_the_gates_too(run: dict[str, np.ndarray]) -> None:
    """Dark counts of three detectors for the whole run, of the latched one but for a while: 4 x 50 Hz at most."""
    between = len(run["tags.time_ps"]) - len(run["rtio.stamps_mu"])
    whole_s = (run["rtio.gate_ends_mu"][-1] - run["tags.start_mu"]) * 1e-9
    low, high = 3 * 50 * whole_s, 4 * 50 * whole_s
    assert low - SIGMA * math.sqrt(low) < between < high + SIGMA * math.sqrt(high)


def test_a_detector_that_latches_is_silent_until_it_is_found_and_reset(run: dict[str, np.ndarray]) -> None:
    assert run["snspd.latched"].tolist() == [D_H] and run["snspd.reset"].tolist() == [True]
    block = np.searchsorted(run["rtio.gate_ends_mu"], run["rtio.stamps_mu"]) // ATTEMPTS
    mine = block[run["rtio.detectors"] == D_H]
    silent = (mine >= LATCHES_AT) & (mine <= LOOKED_AT_AT)
    assert not silent.any() and (mine < LATCHES_AT).sum() > 20 and (mine > LOOKED_AT_AT).sum() > 20


def test_a_lower_bias_lowers_the_counts_as_its_curve_says(run: dict[str, np.ndarray], tmp_path: Path) -> None:
    """At 12 uA: half of the plateau, and 24 mV pulses over 20 mV with 2 mV of noise. Other detectors' dead times and
    the second photon in one gate change the ratio by less than a percent.
    """
    weak = tagged(tmp_path, "bias_ua=12.0")
    expected = 0.5 * (1 + math.exp(-8.0)) * 0.5 * math.erfc(-4 / (2 * math.sqrt(2)))
    nominal, low = ((run_["rtio.detectors"] != D_H).sum() for run_ in (run, weak))
    assert len(weak["rtio.gate_ends_mu"]) == len(run["rtio.gate_ends_mu"])
    assert abs(low - expected * nominal) < SIGMA * math.sqrt(low + expected**2 * nominal)
    assert gated(weak) == sorted(zip(weak["rtio.stamps_mu"].tolist(), weak["rtio.detectors"].tolist(), strict=True))
