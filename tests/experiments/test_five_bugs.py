"""Each of five mistakes found in lab code shows in the simulated data as it would in the lab (bright lab, fixed seeds).

Rates are compared at 4 sigma or better; correlators of about 100 shots have an error of 0.1 or less.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from lab_runs import Outcome, execute

FILE = Path(__file__).with_name("five_bugs.py")


@dataclass(frozen=True)
class Result:
    """Herald probability with its error, and the ZZ correlator of the heralded shots with its error."""

    probability: float
    probability_error: float
    zz: float
    zz_error: float


def run(folder: Path, name: str, *options: str) -> Outcome:
    shutil.copy(FILE, folder / "five_bugs.py")
    outcome = execute(folder, str(folder / "five_bugs.py"), "-c", name, "--scenario", "bright", "--seed", "7", *options)
    assert outcome.code == 0 and outcome.run is not None, outcome.text
    return outcome


def result(folder: Path, bug: str) -> Result:
    outcome = run(folder, "FiveBugs", f'bug="{bug}"', "n_attempts=2500")
    data = outcome.run.datasets
    heralds, attempts, shots = int(data["heralds"]), int(data["attempts"]), data["shots"]
    signs = (2 * shots[:, 1] - 1) * (2 * shots[:, 2] - 1) if len(shots) else np.zeros(1)
    p = heralds / attempts
    return Result(p, np.sqrt(max(heralds, 1)) / attempts, signs.mean(), 1 / np.sqrt(len(signs)))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return result(tmp_path_factory.mktemp("sound"), "none")


def test_without_a_mistake_the_pair_is_anticorrelated(sound: Result) -> None:
    assert sound.probability > 0.03
    assert sound.zz < -0.8


def test_a_gate_that_opens_when_the_light_has_gone_loses_the_heralds(tmp_path: Path, sound: Result) -> None:
    late = result(tmp_path, "late gate")
    assert late.probability < 0.5 * sound.probability - 4 * late.probability_error


def test_a_beam_that_is_never_switched_off_destroys_the_pair(tmp_path: Path, sound: Result) -> None:
    """The repump light goes on: both atoms end in F = 2 and are pushed out, whatever they were."""
    left_on = result(tmp_path, "beam left on")
    assert left_on.zz > sound.zz + 1


def test_a_wait_of_zero_opens_the_gate_before_the_photons_come(tmp_path: Path, sound: Result) -> None:
    early = result(tmp_path, "unit twice")
    assert early.probability < 0.5 * sound.probability - 4 * early.probability_error


def test_going_on_after_the_click_excites_the_heralded_atoms_again(tmp_path: Path, sound: Result) -> None:
    again = result(tmp_path, "no stop at the click")
    assert again.zz > sound.zz + 4 * np.hypot(again.zz_error, sound.zz_error)


@pytest.mark.parametrize("keep_failed", [False, True])
def test_a_failed_try_that_stays_in_the_data_shifts_every_later_row(tmp_path: Path, keep_failed: bool) -> None:
    data = run(tmp_path, "ShiftedData", f"keep_failed={keep_failed}").run.datasets
    pushed, there = np.asarray(data["pushed"]), np.asarray(data["there"])
    right = (there == 1 - pushed).mean()
    assert right <= 0.6 if keep_failed else right >= 0.9
