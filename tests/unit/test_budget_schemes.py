"""What a scheme's heralds are by the beliefs: steps of the budget that end at its closed form, and its accidentals."""

import math
from typing import Any

import numpy as np
import pytest
from synthetic_runs import as_run

from analysis import budget, heralding
from analysis.accidentals import estimate_accidentals
from analysis.estimates import Estimate
from analysis.heralding import Heralds
from atomlink.errors import DataError
from atomlink.heralds import FOUR, TWO, share_seen
from sim.physics.heralding import OnePhoton, TwoPhoton, barrett_kok, one_photon, two_photon_polarisation

LINK = TwoPhoton(0.4, 0.4, 0.01, 0.85, 0.5)
CLOSED = {"polarisation": two_photon_polarisation, "time_bin": barrett_kok, "barrett_kok": barrett_kok}


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.5])
def test_steps_of_one_photon_end_at_the_whole_closed_form(alpha: float) -> None:
    steps = list(budget._photon_steps(Heralds("one_photon", LINK, 1.0, alpha)))
    whole = one_photon(OnePhoton(0.4, alpha, 0.01, 0.85, math.sqrt(0.85), 0.5))
    assert steps[-1].fidelity == pytest.approx(whole.fidelity, abs=1e-12)
    assert [step.name for step in steps] == ["both atoms bright", "overlap of the photons", "optical phase",
                                             "dark counts"]  # fmt: skip
    assert 1 > steps[0].fidelity > steps[1].fidelity > steps[2].fidelity > steps[3].fidelity


@pytest.mark.parametrize("scheme", CLOSED)
def test_steps_of_two_photons_end_at_the_closed_form_of_their_scheme(scheme: str) -> None:
    steps = list(budget._photon_steps(Heralds(scheme, LINK)))
    assert steps[-1].fidelity == pytest.approx(CLOSED[scheme](LINK).fidelity, abs=1e-12)
    assert ("optical phase" in [step.name for step in steps]) == (scheme != "polarisation")


def test_ends_that_differ_have_the_sum_of_their_clicks_and_less_coherence() -> None:
    """First order in alpha, no dark counts: alpha (eta_a + eta_b), and 2 sqrt(eta_a eta_b)/(eta_a + eta_b) are left."""
    found = Heralds("one_photon", TwoPhoton(0.4, 0.1, 0.0, 1.0), 1.0, 1e-6)
    assert found.probability == pytest.approx(1e-6 * 0.5, rel=1e-5)
    assert found.state == pytest.approx((0.8, -1.0), rel=1e-5)


def test_the_probability_believed_follows_the_bright_fraction() -> None:
    dark = TwoPhoton(0.4, 0.4, 5e-5, 0.9)
    weak, strong = (Heralds("one_photon", dark, 1.0, alpha).probability for alpha in (0.01, 0.1))
    assert strong == pytest.approx(10 * weak, rel=0.05) and weak == pytest.approx(2 * 0.01 * 0.4, rel=0.02)


@pytest.mark.parametrize(("scheme", "alpha"), [("one_photon", None), ("polarisation", 0.1), ("time_bin", 0.1)])
def test_a_bright_fraction_goes_with_one_photon_only(scheme: str, alpha: float | None) -> None:
    with pytest.raises(DataError, match="bright_fraction"):
        Heralds(scheme, LINK, 1.0, alpha)


@pytest.mark.parametrize(("scheme", "roles", "share"), [
    ("polarisation", FOUR, 1), ("polarisation", ("c_h", "c_v"), 0.25), ("polarisation", ("c_h", "c_v", "d_v"), 0.5),
    ("polarisation", (*FOUR, "c_h_2"), 1), ("one_photon", TWO, 1), ("one_photon", ("c",), 0.5),
    ("one_photon", ("c", "c_2", "d"), 1), ("time_bin", TWO, 1), ("barrett_kok", ("d",), 0.25),
])  # fmt: skip
def test_a_station_sees_the_part_of_the_patterns_that_its_outputs_show(
    scheme: str, roles: tuple[str, ...], share: float
) -> None:
    assert share_seen(scheme, roles) == share


def test_accidental_is_what_dark_clicks_add_whatever_the_scheme() -> None:
    """Two photons: all but those of which both clicks are theirs. One photon: dark clicks of the order of 2 d/p."""
    for scheme, closed in CLOSED.items():
        form = closed(LINK)
        assert Heralds(scheme, LINK).accidental == pytest.approx(1 - form.parts["true"] / form.probability)
        assert Heralds(scheme, TwoPhoton(0.4, 0.4, 0.0, 0.85)).accidental == 0
    few = Heralds("one_photon", TwoPhoton(0.01, 0.01, 1e-6, 0.9), 1.0, 0.05)
    assert few.accidental == pytest.approx(2e-6 / few.probability, rel=0.01)


def run_of(scheme: str, **more: Any) -> Any:
    """Return a run of a station with two detectors that has counted every pattern."""
    level = {"link.scheme": scheme, "link.detectors": "c,d", "link.name": "alice-bob@hub", "link.t_gate_s": 1e-6,
             "link.dark_rate_belief_hz": np.full(2, 50.0), "link.visibility_belief": 0.9,
             "link.pattern_counts": np.full(16, 40), **more}  # fmt: skip
    return as_run(level)


@pytest.mark.parametrize(("scheme", "more", "eta"), [("one_photon", {"link.bright_fraction": 0.1}, 0.05),
                                                     ("time_bin", {}, 0.05), ("barrett_kok", {}, 0.05)])  # fmt: skip
def test_accidentals_are_those_of_the_runs_scheme_and_no_pattern_bounds_them(
    scheme: str, more: dict[str, Any], eta: float
) -> None:
    truth = Heralds(scheme, TwoPhoton(eta, eta, -math.expm1(-50e-6), 0.9), 1.0, more.get("link.bright_fraction"))
    p = truth.probability
    found = estimate_accidentals(run_of(scheme, **more), Estimate(p, 0.01 * p, 1000), (1, 2))
    assert found.predicted is not None and found.predicted.value == pytest.approx(truth.accidental)
    assert found.fidelity is not None and found.fidelity.value == pytest.approx(truth.closed_form.fidelity)
    assert found.measured is None and f"scheme {scheme}" in found.unmeasured


def test_two_detectors_of_one_output_have_no_pattern_of_one_polarisation_to_count() -> None:
    run = run_of("polarisation", **{"link.detectors": "c_h,c_v"})
    found = estimate_accidentals(run, Estimate(2e-4, 1e-6, 1000), (3,))
    assert found.measured is None and "c_h, c_v" in found.unmeasured
    quarter = heralding.of_run(run, eta=(0.05, 0.05))
    assert quarter is not None and quarter.probability == pytest.approx(quarter.closed_form.probability / 4)


def test_one_photon_without_its_bright_fraction_has_no_prediction() -> None:
    found = estimate_accidentals(run_of("one_photon"), Estimate(1e-3, 1e-5, 1000), (1, 2))
    assert found.predicted is None and found.fidelity is None
