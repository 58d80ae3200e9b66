"""Attempts without a pair of atoms: left out of the herald probability and of the test of the waits, and told."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from synthetic_runs import as_run, link_datasets, werner

from analysis import heralding, link
from analysis.report_link import section
from analysis.schema import array
from analysis.waiting import check_waiting
from atomlink.errors import DataError
from atomlink.heralds import FOUR, heralds
from atomlink.link_name import LinkName
from atomlink.topology import pair
from drivers import parameters
from experiments.sequences import print_summary
from experiments.sequences.pair_arguments import unlikely_wait

P, SHARE, BLOCK = 0.436, 0.014, 1000  # true probability; share of shots that begin without an atom; attempts to a look


STATES = {pattern: werner("psi+" if herald.sign > 0 else "psi-", 0.95)
          for pattern, herald in heralds("polarisation", FOUR).items()}  # fmt: skip


def made(seed: int = 3, told: bool = True) -> dict[str, Any]:
    """Return 2,000 heralds of which some were preceded by attempts without an atom; `told`: the file says so."""
    rng = np.random.default_rng(seed)
    data = link_datasets(rng, STATES, 2000, p_herald=P)
    lost = BLOCK * (rng.random(2000) < SHARE)
    data["shots.attempts"] = data["shots.attempts"] + lost
    data["link.attempts"] = array("link.attempts", data["shots.attempts"].sum())
    if told:
        data["shots.attempts_lost"] = array("shots.attempts_lost", lost)
        data["link.losses"] = array("link.losses", int((lost > 0).sum()))
    return data


def test_the_herald_probability_is_that_of_attempts_with_both_atoms() -> None:
    """Twenty runs of 2,000 heralds: the truth is within 3 errors of each, the mean within 1 % (losses: 1.4 %)."""
    found = [link.analyse(as_run(made(seed))) for seed in range(20)]
    assert max(abs(each.probability.sigmas_from(P)) for each in found) < 3
    assert np.mean([each.probability.value for each in found]) == pytest.approx(P, rel=0.01)
    assert all(0.7 < each.share_lost.value < 0.95 for each in found)
    assert sum(each.waiting.failed for each in found) <= 1  # below 1 % by chance


def test_a_file_that_does_not_tell_gives_the_mean_and_a_failed_check_says_what_it_means(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = as_run(made(told=False))
    found = link.analyse(run)
    assert found.probability.value == pytest.approx(0.06, abs=0.01) and found.share_lost is None
    assert found.waiting.failed and found.waiting.verdict.startswith("FAILED: more long waits than chance makes")
    page = section(run)
    assert "".join(page.blocks).count("FAILED: more long waits") >= 2
    assert "per attempt, with or without atoms" in str(page.tiles)
    monkeypatch.setattr(print_summary, "_run_of", lambda *_: run)
    print_summary.print_link(SimpleNamespace())
    assert "check of the waits, p = " in capsys.readouterr().out


def test_page_and_summary_tell_the_share_without_atoms(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = as_run(made())
    assert "of all were without, as looks found" in str(section(run).tiles)
    assert "FAILED" not in "".join(section(run).blocks)
    monkeypatch.setattr(print_summary, "_run_of", lambda *_: run)
    print_summary.print_link(SimpleNamespace())
    printed = capsys.readouterr().out
    assert "attempts without a pair of atoms: 8" in printed and "check of the waits" not in printed


def test_more_attempts_lost_than_made_are_refused() -> None:
    data = made()
    data["shots.attempts_lost"] = data["shots.attempts"].copy()
    with pytest.raises(DataError, match=r"`shots.attempts_lost` must be >= 0 and below"):
        link.analyse(as_run(data))


def test_chances_that_change_from_wait_to_wait_are_told_from_dead_attempts() -> None:
    """Half of the waits at twice the chance of the others, no longer ones than an exponential's own: FAILED, worded."""
    rng = np.random.default_rng(2)
    even = check_waiting(rng.geometric(0.01, 3000))
    fixed = check_waiting(np.concatenate([rng.integers(90, 110, 1500), rng.geometric(0.01, 1500)]))
    assert even.verdict == "the waits are those of equal chances"
    assert fixed.failed and fixed.verdict.startswith("FAILED: chances differ")
    assert check_waiting(rng.geometric(0.01, 10)).verdict == "too few heralds for a test"


def test_accidentals_are_measured_from_attempts_of_their_own() -> None:
    """10 of one polarisation in a quarter of the attempts: 40 would have come, 80 accidental ones of 2,000."""
    data = made()
    counts, looked = np.zeros(16, dtype=np.int64), np.zeros(16, dtype=np.int64)
    counts[[3, 12, 9, 6]], counts[[5, 10]] = 500, 5
    looked[[3, 12, 9, 6]], looked[[5, 10]] = 100_000, 25_000
    data |= {"link.pattern_counts": counts, "link.pattern_attempts": looked}
    measured = link.analyse(as_run(data)).accidentals.measured
    assert measured.value == pytest.approx(0.04) and measured.error == pytest.approx(0.04 / np.sqrt(10), rel=0.1)
    looked[[5, 10]] = 0
    assert link.analyse(as_run(data)).accidentals.measured is None


@pytest.mark.parametrize(("eta", "least", "most"), [(1.0, 6, 9), (0.087, 1000, 1500), (0.0, 10**5, 10**6)])
def test_atoms_are_looked_at_when_so_long_a_wait_has_become_improbable(
    monkeypatch: pytest.MonkeyPatch, eta: float, least: int, most: int
) -> None:
    beliefs = {"dark_rate_hz": 50.0, "t_gate_s": 0.9e-6, "visibility": 0.95}
    monkeypatch.setattr(parameters, "get", lambda _, name: beliefs.get(name.rpartition(".")[2], eta))
    link = LinkName.parse("n1-n2@hub")
    station = pair(("n1", "n2"), FOUR).stations[0]
    wait = unlikely_wait(None, link, station, None)
    p = heralding.believed(link, "polarisation", FOUR, lambda name: parameters.get(None, name)).probability
    assert least <= wait <= most and (wait == 10**6 or (1 - p) ** wait <= 0.01 < (1 - p) ** (wait - 1))


