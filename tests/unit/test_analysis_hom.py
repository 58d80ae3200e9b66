"""Two-photon interference: the fitted visibility against dips that are known."""

import math
from typing import Any

import numpy as np
import pytest
from synthetic_runs import as_run, hom_datasets

from analysis import hom
from analysis.experiments import hom_interference
from atomlink.errors import DataError

SEEDS = 80
VISIBILITY = 0.9


def analyse(seed: int, **changes: Any) -> hom.HomResult:
    options = {"visibility": VISIBILITY, "pairs": 300, "dark": 1e-3} | changes
    return hom.analyse(as_run(hom_datasets(np.random.default_rng(seed), **options)))


@pytest.fixture(scope="module")
def results() -> list[hom.HomResult]:
    return [analyse(seed) for seed in range(SEEDS)]


def pulls(results: list[hom.HomResult], name: str, truth: float) -> Any:
    estimates = [getattr(result.subtracted.fit, name) for result in results]
    return np.array([(estimate.value - truth) / estimate.error for estimate in estimates])


@pytest.mark.parametrize(("name", "truth"), [("visibility", VISIBILITY), ("width_s", 150e-9), ("centre_s", 0.0)])
def test_the_fit_has_honest_errors_when_accidentals_are_subtracted(
    results: list[hom.HomResult], name: str, truth: float
) -> None:
    found = pulls(results, name, truth)
    assert abs(found.mean()) < 4 / math.sqrt(SEEDS)
    assert abs(found.std() - 1) < 4 / math.sqrt(2 * SEEDS)
    assert abs(np.mean(np.abs(found) < 1) - 0.683) < 4 * math.sqrt(0.683 * 0.317 / SEEDS)


def test_raw_visibility_is_lower_by_the_accidentals(results: list[hom.HomResult]) -> None:
    raw = np.mean([result.raw.fit.visibility.value for result in results])
    single, dark = 0.051, 1e-3
    accidental = 2 * (2 * single * dark - dark**2) / (0.01 / 4)  # relative to the crossed pairs
    assert raw == pytest.approx(VISIBILITY / (1 + accidental), abs=4 * 0.02 / math.sqrt(SEEDS))
    assert np.mean([result.accidental_fraction for result in results]) > 0.05


def test_the_fit_is_a_good_one_and_tells_the_shape(results: list[hom.HomResult]) -> None:
    fits = [result.subtracted.fit for result in results]
    chi2 = sum(fit.chi2 for fit in fits)
    dof = sum(fit.dof for fit in fits)
    assert abs(chi2 - dof) < 4 * math.sqrt(2 * dof)
    assert sum(fit.shape == "exponential" for fit in fits) < 0.05 * SEEDS
    assert sum(fit.shape == "Gaussian" for fit in fits) > 0.75 * SEEDS  # the rounded one differs by little


def test_photons_that_do_not_interfere_show_no_visibility() -> None:
    result = analyse(1, visibility=0.0, pairs=2000)
    pooled = result.subtracted.visibility
    pull = sum(e.value / e.error**2 for e in pooled) / math.sqrt(sum(1 / e.error**2 for e in pooled))
    assert abs(pull) < 4


def test_without_dark_counts_beliefs_are_used_and_without_beliefs_nothing_is_subtracted() -> None:
    data = hom_datasets(np.random.default_rng(2), VISIBILITY, 300, dark=1e-3)
    del data["hom.dark_clicks"], data["hom.dark_gates"]
    bare = hom.analyse(as_run(data))
    assert bare.accidental_fraction is None and "not known" in bare.accidental_source
    assert bare.raw.visibility == bare.subtracted.visibility
    believed = hom.analyse(as_run({**data, "param.midpoint.dark_rate_hz": 1000.5, "param.midpoint.t_gate_s": 1e-6}))
    assert "believed dark rate" in believed.accidental_source
    assert believed.accidental_fraction == pytest.approx(analyse(2).accidental_fraction, rel=0.05)


def test_delays_in_any_order_give_the_same_curve() -> None:
    data = hom_datasets(np.random.default_rng(3), VISIBILITY, 300)
    order = np.random.default_rng(4).permutation(13)
    shuffled = {key: value[order] if key.startswith("hom.") and len(np.atleast_1d(value)) == 13 else value
                for key, value in data.items()}  # fmt: skip
    first, second = (hom.analyse(as_run(entry)).subtracted for entry in (data, shuffled))
    assert first == second


def test_three_delays_give_points_but_no_fit() -> None:
    data = hom_datasets(np.random.default_rng(5), VISIBILITY, 300)
    few = {key: value[5:8] if key.startswith("hom.") and len(np.atleast_1d(value)) == 13 else value
           for key, value in data.items()}  # fmt: skip
    result = hom.analyse(as_run(few))
    assert result.raw.fit is None
    assert abs(result.raw.visibility[1].sigmas_from(VISIBILITY)) < 4


def test_the_visibility_without_delay_becomes_a_belief_and_one_delay_tells_its_own() -> None:
    data = hom_datasets(np.random.default_rng(5), VISIBILITY, 3000, dark=1e-3)
    result = hom_interference.analyse(as_run(data))
    central = result.updates["param.midpoint.visibility"]
    assert central == result.estimates["visibility_without_delay"]
    assert abs(central.sigmas_from(VISIBILITY)) < 4
    for k, name in ((6, "visibility_without_delay"), (7, "visibility_at_+100_ns")):
        single = {key: value[k : k + 1] if key.startswith("hom.") and len(np.atleast_1d(value)) == 13 else value
                  for key, value in data.items()}  # fmt: skip
        alone = hom_interference.analyse(as_run(single))
        assert list(alone.estimates) == [name] and bool(alone.updates) == (k == 6)


@pytest.mark.parametrize("truth", [0.97, 1.0])
def test_no_visibility_exceeds_one_and_its_interval_still_covers(truth: float) -> None:
    """4 sigma of the binomial spread; the interval ends at 1, so that it covers 1 more often than not."""
    points = [hom_interference.analyse(as_run(few(seed, truth))).estimates["visibility_without_delay"]
              for seed in range(200)]  # fmt: skip
    assert all(point.value < 1 for point in points)
    covered = np.mean([abs(point.value - truth) <= point.error + 1e-9 for point in points])
    assert covered > 0.683 - 4 * math.sqrt(0.683 * 0.317 / 200)


def few(seed: int, visibility: float) -> dict[str, Any]:
    data = hom_datasets(np.random.default_rng(seed), visibility, 60, dark=1e-3)
    return {key: value[6:7] if key.startswith("hom.") and len(np.atleast_1d(value)) == 13 else value
            for key, value in data.items()}  # fmt: skip


def test_no_crossed_coincidence_is_told() -> None:
    data = hom_datasets(np.random.default_rng(6), VISIBILITY, 300)
    with pytest.raises(DataError, match="no coincidence of crossed polarisation"):
        hom.analyse(as_run({**data, "hom.coincidences_orthogonal": np.zeros(13, dtype=np.int64)}))
    del data["hom.singles"]
    with pytest.raises(DataError, match="has no `hom.singles`"):
        hom.analyse(as_run(data))
