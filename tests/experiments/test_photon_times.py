"""Photon shape and fibre delays end to end: they find what the emission model and the fibres say. 4 sigma each."""

from pathlib import Path

import numpy as np
import pytest
from lab_runs import execute

from analysis.arrivals import arrivals
from analysis.experiments import fibre_delay, photon_shape
from analysis.report import main_report
from atomlink.errors import DataError
from drivers.parameter_log import read
from sim.physics.fibre import delay_s
from sim.world.scenario import NODES, load_scenario
from sim.world.world import World

SCENARIO = load_scenario("bright")
LONGER_M = 3.0


def truth(node: str) -> tuple[float, float]:
    """Return mean and width of the photon after its first light, in s."""
    emission = World(SCENARIO, 1).nodes[node].port.emission(504, 1.0, 0.0)
    weights = np.diff(emission.cdf, prepend=0.0)
    mean = float(weights @ emission.t_s)
    return mean, float(np.sqrt(weights @ emission.t_s**2 - mean**2))


def test_photons_have_the_shape_of_the_cavity_and_arrive_after_the_fibre(tmp_path: Path) -> None:
    done = execute(tmp_path, "photons/photon_shape.py", "--scenario", "bright", "--seed", "5", "shots=300")
    assert done.code == 0 and done.run is not None, done.text
    result = photon_shape.analyse(done.run)
    for node in NODES:
        mean, width = truth(node)
        light = SCENARIO.node(node).aom.latency_s + delay_s(SCENARIO.node(node).fibre)
        assert abs(result.estimates[f"{node}.t_mean_s"].sigmas_from(light + mean)) < 4
        assert abs(result.estimates[f"{node}.t_rms_s"].sigmas_from(width)) < 4
        assert abs(result.estimates[f"{node}.share_h"].sigmas_from(0.5)) < 4
    assert any("t_mean_s" in line for line in main_report(done.run.path))


def test_a_longer_fibre_shows_as_a_delay_and_becomes_the_belief(tmp_path: Path) -> None:
    length = SCENARIO.node("bob").fibre.length_m + LONGER_M
    scenario = tmp_path / "longer.toml"
    scenario.write_text(f'extends = "bright"\ndescription = "a longer fibre"\n[bob.fibre]\nlength_m = {length}\n')
    done = execute(tmp_path, "setup/fibre_delay.py", "--scenario", str(scenario), "--seed", "6", "shots=3000",
                   "repeats=1", "apply=True")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = fibre_delay.analyse(done.run)
    delay = -LONGER_M * 1.468 / 299792458.0  # alice - bob
    assert abs(result.estimates["difference_s"].sigmas_from(delay)) < 4
    (revision,) = read(next(tmp_path.glob("params*.log")))
    delay = "param.bob.midpoint.t_photon_s"
    assert revision.changes[delay].value == result.updates[delay].value


def test_a_dark_lab_has_no_shape(tmp_path: Path) -> None:
    done = execute(tmp_path, "photons/photon_shape.py", "--seed", "5", "shots=4")
    assert done.code == 0 and done.run is not None, done.text
    assert "must be 50" in done.text
    with pytest.raises(DataError, match="photons of alice, must be 50"):
        arrivals(done.run, "alice")
