"""The budget of a link's scheme: its steps end at the closed form of the beliefs."""

import math

import pytest

from analysis import budget
from sim.physics.heralding import OnePhoton, TwoPhoton, barrett_kok, one_photon

LINK = TwoPhoton(0.4, 0.4, 0.01, 0.85, 0.5)


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.5])
def test_steps_of_one_photon_end_at_the_whole_closed_form(alpha: float) -> None:
    steps = list(budget._one_photon_steps(LINK, alpha))
    whole = one_photon(OnePhoton(0.4, alpha, 0.01, 0.85, math.sqrt(0.85), 0.5))
    assert steps[-1].fidelity == pytest.approx(whole.fidelity, abs=1e-12)
    assert [step.name for step in steps] == ["both atoms bright", "overlap of the photons", "optical phase",
                                             "dark counts"]  # fmt: skip
    assert 1 > steps[0].fidelity > steps[1].fidelity > steps[2].fidelity > steps[3].fidelity


def test_two_rounds_end_at_the_closed_form_with_the_walk_between_them() -> None:
    step = budget._heralded("dark counts", LINK, "")
    assert step.fidelity == pytest.approx(barrett_kok(LINK).fidelity, abs=1e-12)


def test_the_probability_believed_follows_the_bright_fraction() -> None:
    weak, strong = (budget.believed_probability(0.4, 0.4, 50.0, 1e-6, 0.9, alpha) for alpha in (0.01, 0.1))
    assert strong == pytest.approx(10 * weak, rel=0.05) and weak == pytest.approx(2 * 0.01 * 0.4, rel=0.02)
