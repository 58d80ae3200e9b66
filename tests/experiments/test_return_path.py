"""A node can know of a herald only when the news has come back: attempts wait for it, and a pair that is pumped before
is gone, by the timeline of gateware and world. Fidelities raw, 3 standard errors; seeds fixed.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
from lab_runs import atomlink, command, execute, make_lab

from analysis.link import LinkResult, analyse
from sim.physics.fibre import Fibre, delay_s

FILE = "link/remote_entanglement.py"
WORDS = ("n_pairs=150", 'settings="bell (XX YY ZZ)"', "calibration_fraction=0.0", "--seed", "5")


def arms(folder: Path, length_m: float) -> tuple[str, ...]:
    """Write a bright lab with arms of this length and no loss in them, and let it believe so; return its options."""
    shutil.copy(Path(__file__).parents[2] / "device_db.py", folder)
    own = folder / "own.toml"
    own.write_text(f'extends = "bright"\n[nodes.fibre]\nlength_m = {length_m}\nloss_db_per_m = 0.0\n')
    t_photon_s = 500e-9 + delay_s(Fibre(length_m))
    for node in ("alice", "bob"):
        for name, value in ((f"{node}.midpoint.t_photon_s", t_photon_s * 1e9), (f"{node}.t_pump_s", 1000)):
            atomlink(folder, "params", "set", f"param.{name}", str(value), "ns", "--scenario", str(own))
    return ("--scenario", str(own), *WORDS)


def pairs(folder: Path, file: str, *options: str) -> tuple[LinkResult, float, str]:
    """Take pairs; return what came of them, the time of one attempt in s, and what the run said."""
    done = execute(folder, file, *options)
    assert done.code == 0 and done.run is not None, done.text
    data = done.run.datasets
    attempt_s = float(data["link.t_attempting_s"]) / float(np.sum(data["link.attempts"]))
    return analyse(done.run), attempt_s, done.text


def test_a_pair_pumped_before_its_herald_is_back_is_gone(tmp_path: Path) -> None:
    """Arms of 500 m, 2.4 us: a cycle that ends with its gates goes on at the nodes, and leaves F = 1/4; heralds come
    as often as with a cycle that waits.
    """
    options = arms(tmp_path, 500.0)
    shutil.copy(Path(__file__).parent / "hasty_pairs.py", tmp_path)
    hasty, hasty_s, _ = pairs(tmp_path, str(tmp_path / "hasty_pairs.py"), "-c", "HastyPairs", *options)
    assert hasty.total.raw.fidelity is not None
    assert abs(hasty.total.raw.fidelity.sigmas_from(0.25)) < 3
    patient, patient_s, _ = pairs(tmp_path, FILE, *options)
    assert patient.total.raw.fidelity is not None and patient.total.raw.fidelity.value > 0.9
    assert hasty_s == pytest.approx(patient_s - delay_s(Fibre(500.0)) + 48e-9, abs=16e-9)
    assert patient_s > 2 * delay_s(Fibre(500.0))
    both = [result.probability for result in (hasty, patient)]
    assert abs(both[0].value - both[1].value) < 3 * np.hypot(both[0].error, both[1].error)


def test_arms_too_long_for_the_gateware_herald_in_software_and_wait_for_the_news(tmp_path: Path) -> None:
    """25 km: an attempt takes 245 us there and back, not 154; the choice is said, that of the gateware refused."""
    options = arms(tmp_path, 25e3)
    result, attempt_s, said = pairs(tmp_path, FILE, *options)
    there_and_back_s = 2 * delay_s(Fibre(25e3))
    assert there_and_back_s == pytest.approx(245e-6, abs=0.5e-6)
    assert there_and_back_s < attempt_s < there_and_back_s + 15e-6  # light, gate and reading the detectors
    assert "holds 8.184 us: heralding in software." in said
    assert "wait is 122.4 us, not 30" in said
    assert result.total.raw.fidelity is not None and 0.5 < result.total.raw.fidelity.value < 1  # stored 122 us longer
    code, said = command(tmp_path, "run", str(make_lab(tmp_path, FILE)), *options, "backend=entangler")
    assert code == 2 and "backend=software" in said and len(said.strip().splitlines()) == 1, said
