"""The budget: parts that add up, and steps that follow from the beliefs."""

import math
from typing import Any

import numpy as np
import pytest
from synthetic_runs import PSI_MINUS_PATTERNS, PSI_PLUS_PATTERNS, as_run, link_datasets, werner

from analysis.budget import NODES, Budget, budget
from analysis.link import analyse
from drivers import parameters

FIDELITY = 0.9
STATES = {p: werner("psi+", FIDELITY) for p in PSI_PLUS_PATTERNS} | {
    p: werner("psi-", FIDELITY) for p in PSI_MINUS_PATTERNS
}


def beliefs(**changes: float) -> dict[str, Any]:
    return {name: row.default for name, row in parameters.TABLE.items()} | changes


def budget_of(retention: tuple[float, float] = (1.0, 1.0), **changes: Any) -> Budget:
    data = link_datasets(np.random.default_rng(5), STATES, 20_000, retention, 0.1)
    data["shots.t_herald_mu"] = data["shots.t_click_mu"].max(axis=1)
    run = as_run(data | {"link.wait_s": 0.0, "link.t_loading_s": 3.0, "link.recoolings": 200} | beliefs() | changes)
    found = budget(run, analyse(run))
    assert found is not None
    return found


def test_time_parts_add_up_to_the_lab_time() -> None:
    *parts, total = budget_of().time
    assert total.measured is not None
    assert sum(part.measured.value for part in parts if part.measured) == pytest.approx(total.measured.value)


def test_a_perfect_belief_leaves_fidelity_one() -> None:
    perfect = {"param.link.visibility": 1.0, "link.visibility_belief": 1.0, "link.dark_rate_belief_hz": [0.0] * 4}
    steps = budget_of(**perfect).fidelity
    # The clicks of a pair are some 0.1 us apart: dephasing of 1e-7 at T2* = 300 us.
    assert [step.predicted for step in steps] == pytest.approx([1.0] * 5, abs=2e-3)


def test_each_imperfection_takes_something_away() -> None:
    steps = [step.predicted for step in budget_of((0.95, 0.9), **{"link.wait_s": 50e-6}).fidelity]
    assert all(value is not None for value in steps)
    assert all(before > after for before, after in zip(steps, steps[1:], strict=False))  # type: ignore[operator]


def test_decoherence_follows_t2_star_of_both_nodes() -> None:
    lasting = {f"param.{node}.t2_s": 1e9 for node in NODES}
    clean = {"link.dark_rate_belief_hz": [0.0] * 4, "link.visibility_belief": 1.0} | lasting
    stored = budget_of(**clean, **{"link.wait_s": 300e-6}).fidelity[3].predicted
    # Both atoms dephase for one T2*: the coherence is exp(-2).
    assert stored == pytest.approx((1 + math.exp(-2)) / 2, abs=2e-3)


def test_lost_atoms_explain_what_is_seen_without_correction() -> None:
    """The last step, from the true fidelity, is what the raw estimator finds: 4 sigma of 20,000 shots."""
    read = budget_of((0.9, 0.8))
    corrected, raw = read.fidelity[3].measured, read.fidelity[4].measured
    assert corrected is not None and raw is not None
    predicted = (1 + 0.9 * 0.8 * (4 * FIDELITY - 1) + 0.1 * 0.2) / 4
    assert abs(raw.value - predicted) < 4 * raw.error
    assert abs(corrected.value - FIDELITY) < 4 * corrected.error


def test_a_file_without_beliefs_has_no_budget() -> None:
    run = as_run(link_datasets(np.random.default_rng(5), STATES, 2000, (1.0, 1.0), 0.1))
    assert budget(run, analyse(run)) is None
