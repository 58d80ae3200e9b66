"""The estimators of analysis/link.py against states that are known: values, pulls, coverage, signs."""

import math
from typing import Any

import numpy as np
import pytest
from synthetic_runs import PSI_MINUS_PATTERNS, PSI_PLUS_PATTERNS, as_run, link_datasets, werner

from analysis import link, schema
from analysis.estimates import Estimate
from atomlink.errors import DataError
from sim.physics.heralding import TwoPhoton, two_photon_polarisation

WEIGHT = 0.86
FIDELITY, S = (1 + 3 * WEIGHT) / 4, 2 * math.sqrt(2) * WEIGHT
RETENTION = (0.96, 0.93)
SEEDS = 120  # the mean of the pulls has sigma 0.091, their rms 0.065, a coverage of 68.3 % 4.2 %
BOTH = {p: werner("psi+", WEIGHT) for p in PSI_PLUS_PATTERNS} | {p: werner("psi-", WEIGHT) for p in PSI_MINUS_PATTERNS}
ALL_PLUS = {p: werner("psi+", WEIGHT) for p in (*PSI_PLUS_PATTERNS, *PSI_MINUS_PATTERNS)}


def make(seed: int, **changes: Any) -> dict[str, Any]:
    options = {"states": BOTH, "shots": 2100, "retention": RETENTION, "calibration": 0.15} | changes
    return link_datasets(np.random.default_rng(seed), **options)


@pytest.fixture(scope="module")
def results() -> list[link.LinkResult]:
    return [link.analyse(as_run(make(seed))) for seed in range(SEEDS)]


def assert_honest(estimates: list[Estimate], truth: float) -> None:
    """Mean pull within 4 sigma of 0, rms within 4 sigma of 1, coverage within 4 sigma of 68.3 %."""
    pulls = np.array([(e.value - truth) / e.error for e in estimates])
    n = len(pulls)
    assert abs(pulls.mean()) < 4 / math.sqrt(n)
    assert abs(pulls.std() - 1) < 4 / math.sqrt(2 * n)
    assert abs(np.mean(np.abs(pulls) < 1) - 0.683) < 4 * math.sqrt(0.683 * 0.317 / n)


@pytest.mark.parametrize("state", [0, 1])
def test_corrected_fidelity_of_each_bell_state_has_honest_errors(results: list[link.LinkResult], state: int) -> None:
    assert_honest([r.states[state].corrected.fidelity for r in results], FIDELITY)


def test_corrected_fidelity_and_s_of_all_pairs_have_honest_errors(results: list[link.LinkResult]) -> None:
    assert_honest([r.total.corrected.fidelity for r in results], FIDELITY)
    assert_honest([r.total.corrected.chsh for r in results], S)


def test_corrected_correlators_per_pattern_have_honest_errors(results: list[link.LinkResult]) -> None:
    assert_honest([r.patterns[2].corrected.correlators["XX"] for r in results], -WEIGHT)
    assert_honest([r.patterns[0].corrected.correlators["ZZ"] for r in results], -WEIGHT)


def test_raw_fidelity_has_honest_errors_about_its_own_truth(results: list[link.LinkResult]) -> None:
    # <(2a-1)(2b-1)> with P(a) = R/2 and <ab> = R_A R_B (1 +- E)/4; the three signs of a Bell state cancel but for one
    both = RETENTION[0] * RETENTION[1]
    lossy = both * WEIGHT  # magnitude of the part that depends on the state
    offset = both - sum(RETENTION) + 1
    truth_plus = (1 + (lossy + offset) * 2 - (-lossy + offset)) / 4
    assert_honest([r.states[0].raw.fidelity for r in results], truth_plus)


def test_retention_and_rates_have_honest_errors(results: list[link.LinkResult]) -> None:
    assert_honest([r.retention.estimate(1) for r in results], RETENTION[1])
    assert_honest([r.probability for r in results], 0.004)
    assert_honest([r.rate_attempting for r in results], 0.004 / 2e-6)


def test_correction_is_what_removes_the_bias() -> None:
    big = link.analyse(as_run(make(1, shots=60_000, retention=(0.8, 0.7))))
    assert abs(big.total.corrected.fidelity.sigmas_from(FIDELITY)) < 4
    assert big.total.raw.fidelity.sigmas_from(FIDELITY) < -20


def test_feed_forward_in_the_kernel_makes_every_pattern_psi_plus() -> None:
    fed = link.analyse(as_run(make(2, states=ALL_PLUS, feed_forward="kernel")))
    for row in (*fed.patterns, *fed.states):
        assert row.target == "Ψ+"
        assert abs(row.corrected.fidelity.sigmas_from(FIDELITY)) < 4
        assert abs(row.corrected.chsh.sigmas_from(S)) < 4


def test_feed_forward_told_wrongly_ruins_the_fidelity_of_psi_minus() -> None:
    lied = link.analyse(as_run(make(3, states=BOTH, feed_forward="kernel")))
    assert lied.states[0].corrected.fidelity.value > 0.8
    assert lied.states[1].corrected.fidelity.value < 0.2


def test_classical_correlations_stay_below_2() -> None:
    classical = np.diag([0.0, 0.5, 0.5, 0.0]).astype(complex)
    result = link.analyse(as_run(make(4, states=dict.fromkeys(BOTH, classical))))
    assert result.total.raw.chsh.sigmas_from(2.0) < 0
    assert abs(result.total.corrected.fidelity.sigmas_from(0.5)) < 4


def test_vetoed_shots_count_for_the_rate_only() -> None:
    data = make(5)
    clean = link.analyse(as_run(data))
    spoiled = {**data, "shots.valid": data["shots.valid"].copy(), "shots.present": data["shots.present"].copy()}
    spoiled["shots.valid"][::3], spoiled["shots.present"][::3] = 0, 1
    result = link.analyse(as_run(spoiled))
    assert (result.vetoed, result.heralds) == (700, clean.heralds)
    assert abs(result.total.corrected.fidelity.sigmas_from(FIDELITY)) < 4


def test_waiting_is_geometric_when_it_is_and_not_when_it_is_not(results: list[link.LinkResult]) -> None:
    p_values = np.array([r.waiting.p_value for r in results])
    assert p_values.min() > 1e-5
    assert abs(np.mean(p_values < 0.5) - 0.5) < 4 * 0.5 / math.sqrt(SEEDS)
    data = make(6)
    data["shots.attempts"] = data["shots.attempts"] % 200 + 1  # something resets the count
    assert link.analyse(as_run(data)).waiting.p_value < 1e-9


def test_predicted_accidental_fraction_follows_the_closed_form(results: list[link.LinkResult]) -> None:
    dark = -math.expm1(-50.0 * 0.9e-6)
    eta = math.sqrt(2 * 0.004)
    form = two_photon_polarisation(TwoPhoton(eta, eta, dark, 0.95))
    expected = 1 - form.parts["true"] / form.probability
    predicted = results[0].accidentals.predicted
    assert predicted.value == pytest.approx(expected, rel=0.05)
    assert results[0].accidentals.measured is None


def test_measured_accidental_fraction_bounds_the_dark_part_and_needs_pattern_counts() -> None:
    data = make(7)
    data["link.pattern_counts"] = np.zeros(16, dtype=np.int64)
    data["link.pattern_counts"][[3, 12, 9, 6]] = 500
    data["link.pattern_counts"][[5, 10]] = 10  # of 20 dark ones, 40 lie in the accepted patterns: 40/2000
    measured = link.analyse(as_run(data)).accidentals.measured
    assert measured.value == pytest.approx(0.02)
    assert measured.error == pytest.approx(0.02 / math.sqrt(20), rel=0.05)


def test_a_setting_without_shots_leaves_no_fidelity_but_the_rest() -> None:
    data = make(8)
    data["shots.pushout"][data["shots.setting"] == 2] = 0
    result = link.analyse(as_run(data))
    assert result.total.raw.fidelity is None and "ZZ" not in result.total.raw.correlators
    assert result.total.raw.chsh is not None


def test_without_calibration_shots_nothing_is_corrected() -> None:
    result = link.analyse(as_run(make(9, calibration=0.0)))
    assert result.retention is None and result.total.corrected is None and result.total.raw.fidelity is not None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"shots.pattern": None}, "has no `shots.pattern`"),
        ({"shots.pattern": np.zeros(2100, dtype=np.int32)}, "heralded no pair"),
        ({"shots.present": np.zeros((2099, 2), dtype=np.int32)}, "its shape is"),
        ({"shots.present": np.full((2100, 2), -1, dtype=np.int32)}, "0 or 1"),
        ({"shots.setting": np.full(2100, 7, dtype=np.int32)}, "an index of `link.settings`"),
        ({"link.setting_names": "XX,YY"}, "must name 7 settings"),
        ({"link.setting_names": "YY,XX,ZZ,CHSH00,CHSH01,CHSH10,CHSH11"}, "must have both axes along"),
        ({"link.setting_names": "XX,YY,ZZ,CHSH00,CHSH01,CHSH10,other"}, "must be four pairs"),
    ],
)
def test_a_file_that_disagrees_with_the_schema_says_where(change: dict[str, Any], match: str) -> None:
    data = {key: value for key, value in {**make(10), **change}.items() if value is not None}
    with pytest.raises(DataError, match=match) as caught:
        link.analyse(as_run(data))
    assert "\n" not in str(caught.value)


def test_synthetic_runs_keep_the_schema() -> None:
    assert schema.problems(make(11)) == []
