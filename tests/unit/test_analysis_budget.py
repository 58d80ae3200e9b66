"""The budget: steps that follow from the beliefs, parts that add up, and nothing measured that nothing measures."""

import math
from typing import Any

import numpy as np
import pytest
from synthetic_runs import PSI_MINUS_PATTERNS, PSI_PLUS_PATTERNS, as_run, link_datasets, werner

from analysis.budget import Budget, Part, budget
from analysis.budget_time import time_budget
from analysis.link import analyse
from analysis.load import Run
from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import parameters
from sim.physics.rotations import microwave
from sim.validation.expected import attempting
from sim.world.scenario import load_scenario
from sim.world.world import World

NODES = ("alice", "bob")
TABLE = parameters.table(pair(("alice", "bob"), FOUR))

FIDELITY = 0.9
STATES = {p: werner("psi+", FIDELITY) for p in PSI_PLUS_PATTERNS} | {
    p: werner("psi-", FIDELITY) for p in PSI_MINUS_PATTERNS
}
FLAWLESS: dict[str, Any] = {
    "link.visibility_belief": 1.0, "link.dark_rate_belief_hz": [0.0] * 4,
    **{f"param.{node}.{name}": 0.0 for node in NODES for name in ("p_pushout_f1", "pulse_rms")},
    **{f"param.{node}.{name}": 1e9 for node in NODES for name in ("t2_star_s", "t2_s")},
}  # fmt: skip
OVERLAP, DARK, PUMPING, STORED, TURNED, MAPPED, READ = range(1, 8)


def run_of(retention: tuple[float, float] = (1.0, 1.0), **changes: Any) -> Run:
    data = link_datasets(np.random.default_rng(5), STATES, 20_000, retention, 0.1)
    data["shots.t_herald_mu"] = data["shots.t_click_mu"].max(axis=1)
    times = {"link.t_analysis_s": 0.0, "link.wait_s": 0.0, "link.t_loading_s": 3.0, "link.recoolings": 200}
    beliefs = {name: row.default for name, row in TABLE.items()}
    return as_run(data | times | beliefs | changes)


def budget_of(retention: tuple[float, float] = (1.0, 1.0), **changes: Any) -> Budget:
    run = run_of(retention, **changes)
    found = budget(run, analyse(run))
    assert found is not None
    return found


def left(found: Budget) -> list[float]:
    values = [part.predicted for part in found.fidelity]
    assert all(value is not None for value in values)
    return [value for value in values if value is not None]


def test_without_imperfections_fidelity_one_is_left() -> None:
    # Retentions are measured: of 2000 shots at 100 % the correction finds 1 within rounding.
    assert left(budget_of(**FLAWLESS)) == pytest.approx([1.0] * 8, abs=1e-6)


def test_each_imperfection_takes_something_away() -> None:
    steps = left(budget_of((0.95, 0.9), **{"link.t_analysis_s": 50e-6}))
    assert all(before > after for before, after in zip(steps, steps[1:], strict=False))


def test_decoherence_follows_t2_star_of_both_nodes() -> None:
    """Both atoms dephase for one T2*: the coherence is exp(-2)."""
    stored = {f"param.{node}.t2_star_s": 300e-6 for node in NODES}
    found = left(budget_of(**(FLAWLESS | stored | {"link.t_analysis_s": 300e-6})))
    assert found[STORED] == pytest.approx((1 + math.exp(-2)) / 2, abs=2e-3)  # and 0.5 us to the herald


def test_atoms_that_are_not_pumped_cost_fidelity_only_through_dark_counts() -> None:
    half = {f"param.{node}.p_pumped": 0.5 for node in NODES}
    dark = left(budget_of(**(FLAWLESS | half | {"link.dark_rate_belief_hz": [500.0] * 4})))
    assert dark[OVERLAP] - dark[DARK] == pytest.approx(dark[DARK] - dark[PUMPING], rel=0.2)  # eta/2: twice the share
    none = left(budget_of(**(FLAWLESS | half)))
    assert none[PUMPING] == pytest.approx(1.0, abs=1e-9)


def test_an_atom_that_is_not_mapped_is_what_the_pulse_leaves_behind() -> None:
    """Against the unitary: a pi pulse whose area is 2 % off, and one that is detuned by sqrt(2)/T2*/2."""
    detuning, rabi = math.sqrt(2) / 300e-6 / 2, math.pi / 10e-6
    off = abs(microwave(1.02 * rabi, detuning, 0.0, 10e-6)[1, 1]) ** 2
    wrong = {f"param.{node}.pulse_rms": 0.02 for node in NODES} | {f"param.{n}.t2_star_s": 300e-6 for n in NODES}
    changes = {**FLAWLESS, **wrong, **{f"param.{node}.t_raman_pi_s": 1e-9 for node in NODES}}
    found = left(budget_of(**changes))
    before, after = found[TURNED], found[MAPPED]
    # |1> of either atom is taken for |0>: every correlator shrinks by (1 - p)^2 and gains p^2.
    assert before - after == pytest.approx((1 - (1 - off) ** 2) * (4 * before - 1) / 4, rel=0.05)


def test_fresh_pairs_of_the_default_lab_are_as_good_as_the_beliefs_say() -> None:
    """Truth: 40,000 heralds drawn click by click, before memory and read-out; 4 sigma."""
    beliefs = {name: row.default for name, row in TABLE.items()}
    drawn = attempting(World(load_scenario("default"), 3), beliefs, draws=40_000).fidelity
    assert abs(left(budget_of())[PUMPING] - drawn) < 4 * 0.14 / math.sqrt(40_000)


def test_lost_atoms_explain_what_is_seen_without_correction() -> None:
    """From the true fidelity: the raw estimator finds what thinned atoms show; 4 sigma of 20,000 shots."""
    found = budget_of((0.9, 0.8))
    corrected, raw = found.fidelity[MAPPED].measured, found.fidelity[READ].measured
    assert corrected is not None and raw is not None
    predicted = (1 + 0.9 * 0.8 * (4 * FIDELITY - 1) + 0.1 * 0.2) / 4
    assert abs(raw.value - predicted) < 4 * raw.error
    assert abs(corrected.value - FIDELITY) < 4 * corrected.error


def test_only_what_the_run_measures_stands_beside_the_prediction() -> None:
    found = budget_of()
    assert [part.measured is not None for part in found.fidelity] == [False] * 6 + [True] * 2
    last = found.fidelity[-1]
    assert last.measured is not None and last.predicted is not None
    assert found.sigmas == pytest.approx((last.measured.value - last.predicted) / last.measured.error)


def test_a_belief_that_is_not_in_the_file_has_no_line_of_its_own_prediction() -> None:
    run = run_of()
    data = {key: value for key, value in run.datasets.items() if not key.endswith((".p_pumped", ".p_loading"))}
    old = as_run(data)
    found = budget(old, analyse(old))
    assert found is not None
    assert found.fidelity[PUMPING].predicted is None and found.fidelity[READ].predicted is not None
    time = time_budget(old, analyse(old), found)
    assert time[0].predicted is None and time[-1].predicted is None


def test_a_file_without_beliefs_has_no_budget() -> None:
    run = as_run(link_datasets(np.random.default_rng(5), STATES, 2000, (1.0, 1.0), 0.1))
    assert budget(run, analyse(run)) is None


def parts_of(**changes: Any) -> tuple[Part, ...]:
    run = run_of(**changes)
    found = budget(run, analyse(run))
    assert found is not None
    return time_budget(run, analyse(run), found)


def test_time_parts_add_up_to_the_lab_time() -> None:
    *parts, total = parts_of()
    assert total.measured is not None and total.predicted is not None
    assert sum(part.measured.value for part in parts if part.measured) == pytest.approx(total.measured.value)
    assert sum(part.predicted for part in parts if part.predicted) == pytest.approx(total.predicted)


def test_loading_takes_as_many_tries_as_emptied_traps_need() -> None:
    """Drawn: outcomes of the pairs, then tries until both traps are full; 5 %, of what E from the budget is off."""
    found, p = parts_of()[0].predicted, 0.8
    rng, run = np.random.default_rng(8), run_of()
    data = run.datasets
    empty = 1 - data["shots.present"][data["shots.pushout"] == 1]
    tries = (rng.geometric(p, empty.shape) * empty).max(axis=1).sum()
    assert found == pytest.approx(tries * (0.05 + 0.001 + 0.02), rel=0.05)
