"""Rows of the budget that are the atoms' doing: from beliefs alone, and only where the lab has some."""

import pytest
from test_analysis_budget import FLAWLESS, NODES, budget_of, left

from analysis import budget_atoms


def names(**beliefs: float) -> list[str]:
    of_nodes = {f"param.{node}.{name}": value for node in NODES for name, value in beliefs.items()}
    return [part.name for part in budget_of(**(FLAWLESS | of_nodes)).fidelity]


def test_a_lab_that_knows_nothing_of_them_has_no_such_rows() -> None:
    assert names()[1:4] == ["overlap of the photons", "dark counts", "pumping"]
    assert names(standing_wave_m=780e-9)[1:3] == ["motion of the atoms", "overlap of the photons"]
    assert names(p_wrong_state=0.01)[2:5] == ["dark counts", "returns to a wrong state", "pumping"]


@pytest.mark.parametrize(("temperature_k", "expected"), [(5e-6, 0.9946), (20e-6, 0.962), (80e-6, 0.916)])
def test_motion_costs_what_the_design_says(temperature_k: float, expected: float) -> None:
    """The believed tweezer of 1 mK and 1 um is one of 98.5 kHz."""
    beliefs = {f"param.{node}.{name}": value for node in NODES
               for name, value in (("temperature_k", temperature_k), ("standing_wave_m", 780.241e-9))}  # fmt: skip
    found = left(budget_of(**(FLAWLESS | beliefs)))
    assert 2 * found[1] - 1 == pytest.approx(expected, abs=2e-3)


def test_wrong_photons_take_their_share_of_each_correlator() -> None:
    """w = [(1 - e) p + e r]/[(1 - e) + e r]: p = 0.0156, r = 0.909 + ..., e = 0.02 give the design's 0.0333."""
    node = {"p_pumped": 0.98, "p_wrong_state": 0.0156, "p_beside": 0.91}
    assert 1 - budget_atoms.left_in_all(node) == pytest.approx(0.0333, abs=5e-4)
    assert budget_atoms.left_in_all({"p_pumped": 0.995, "p_wrong_state": 0.0, "p_beside": 0.92}) ** 2 == pytest.approx(
        0.991, abs=5e-4
    )
    beliefs = {f"param.{name}.{key}": value for name in NODES for key, value in node.items()}
    found = budget_of(**(FLAWLESS | beliefs))
    rows = {part.name: part.predicted for part in found.fidelity}
    assert rows["returns to a wrong state"] == pytest.approx((1 + 3 * (1 - 0.0156) ** 2) / 4, abs=1e-6)
    assert rows["pumping"] == pytest.approx((1 + 3 * budget_atoms.left_in_all(node) ** 2) / 4, abs=1e-6)


def test_atoms_of_which_none_is_pumped_and_that_send_nothing_cost_nothing() -> None:
    assert budget_atoms.left_in_all({"p_pumped": 0.0, "p_wrong_state": 0.5, "p_beside": 0.0}) == 1.0
