"""Release and recapture end to end: it finds each node's temperature. 4 sigma."""

from pathlib import Path

from lab_runs import execute

from analysis.experiments import release_recapture
from analysis.report import main_report
from sim.world.scenario import NODES

TEMPERATURE_K = {"alice": 20e-6, "bob": 35e-6}


def test_temperature_is_that_of_each_node(tmp_path: Path) -> None:
    scenario = tmp_path / "warm.toml"
    scenario.write_text('extends = "bright"\ndescription = "bob is warm"\n[bob.atom]\n'
                        f'temperature_k = {TEMPERATURE_K["bob"]}\n')  # fmt: skip
    scan = 't_release={"ty": "RangeScan", "start": 6e-6, "stop": 54e-6, "npoints": 5, "randomize": false, "seed": null}'
    done = execute(tmp_path, "atoms/release_recapture.py", "--scenario", str(scenario), "--seed", "5", "shots=50", scan)
    assert done.code == 0 and done.run is not None, done.text
    found = release_recapture.analyse(done.run).estimates
    for node in NODES:
        assert abs(found[f"{node}.temperature_k"].sigmas_from(TEMPERATURE_K[node])) < 4
        assert found[f"{node}.temperature_k"].error < 0.3 * TEMPERATURE_K[node]
    assert any("temperature" in line for line in main_report(done.run.path))


def test_a_trap_that_stays_on_has_no_temperature(tmp_path: Path) -> None:
    scan = 't_release={"ty": "RangeScan", "start": 0.0, "stop": 0.0, "npoints": 1, "randomize": false, "seed": null}'
    done = execute(tmp_path, "atoms/release_recapture.py", "--seed", "5", "shots=5", scan)
    assert done.code == 0 and "No estimate" in done.text
