"""What the one-photon scheme rests on is measured: truth within 4 of the errors, seeds fixed; and budgets use it."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from lab_runs import atomlink, command
from other_labs import LABS, SCENARIOS, write
from test_schemes import Case, photon, scenario

from analysis.budget import budget
from analysis.experiments import phase_walk, transfer_rate
from analysis.link import analyse
from analysis.load import Run, load
from analysis.result import Result
from atomlink.heralds import FOUR
from atomlink.topology import Topology, pair
from drivers import parameters
from experiments.calibration.nodes import nodes_of
from sim.world import World, load_scenario


def done(folder: Path, file: str, *words: str) -> Run:
    """Run an experiment in the folder's lab and return the run."""
    before = set(folder.glob("results/**/*.h5"))
    code, said = command(folder, "run", f"experiments/{file}.py", *words)
    assert code == 0, said
    (new,) = set(folder.glob("results/**/*.h5")) - before
    return load(new)


def walk_of(folder: Path, rad2_s: float, seed: int) -> Result:
    """Measure a walk in the one-photon lab of the tests."""
    write(folder, "one_photon")
    text = (SCENARIOS / "one_photon.toml").read_text()
    (folder / "lab.toml").write_text(re.sub(r"phase_walk_rad2_s = .*", f"phase_walk_rad2_s = {rad2_s}", text))
    words = ("--scenario", str(folder / "lab.toml"), "--seed", str(seed))
    return phase_walk.analyse(done(folder, "link/phase_walk", *words))


@pytest.mark.parametrize("rad2_s", [0.0, 2.0, 30.0])
def test_the_walk_found_is_the_true_one(rad2_s: float, tmp_path: Path) -> None:
    """400 readings tell it to 7 %, and the readings' own noise at least 0.2 rad^2/s."""
    found = walk_of(tmp_path, rad2_s, 3).updates["param.hub.phase_walk_rad2_s"]
    assert abs(found.value - rad2_s) < 4 * found.error and found.error < max(0.15 * rad2_s, 0.3), found
    assert found.value >= 0


def test_the_rate_found_is_that_of_the_light(tmp_path: Path) -> None:
    """Truth: what a pulse of 1 % of the power takes, of the scenario's wavepackets."""
    scenario = write(tmp_path, "one_photon")
    run = done(tmp_path, "atoms/transfer_rate", "--scenario", scenario, "--seed", "4")
    lab = Topology.from_arguments({"nodes": {"alice": {}, "bob": {}}, "stations": LABS["one_photon"]["STATIONS"]})
    port = World(load_scenario(scenario, lab), 1).nodes["alice"].port
    truth = -math.log1p(-port.photon(500, 0.01, port.truth.port).transferred) / 0.01
    for node in NODES:
        found = transfer_rate.analyse(run).updates[f"param.{node}.transfer_rate"]
        assert abs(found.sigmas_from(truth)) < 4 and found.error < 0.15 * truth, (found, truth)


def test_a_lab_that_heralds_on_one_photon_calibrates_what_that_needs_and_no_polarisation() -> None:
    lab = Topology.from_arguments({"nodes": {"alice": {}, "bob": {}}, "stations": LABS["one_photon"]["STATIONS"]})
    nodes = {node.name: node for node in nodes_of(lab)}
    assert {"transfer_rate", "phase_walk", "pair_phase"} <= nodes.keys() and "polarisation" not in nodes
    assert {"transfer_rate", "raman"} <= set(nodes["pair_phase"].depends)
    assert set(nodes["phase_walk"].tolerances) == {"param.hub.phase_walk_rad2_s"}
    assert set(nodes["transfer_rate"].tolerances) == {f"param.{name}.transfer_rate" for name in ("alice", "bob")}
    others = {node.name for node in nodes_of(pair(("alice", "bob"), FOUR))}
    assert "polarisation" in others and not {"transfer_rate", "phase_walk"} & others


# The lab of the tests, but its phase walks fast: some 0.8 rad by the time that a pair is heralded.
CASE = Case(0.9, 50.0, 200.0, 0.2, "entangler")
OF_ATOMS = {"t2_star_s": 1.0, "t2_s": 1.0, "p_pushout_f1": 0.0, "pulse_rms": 0.0, "p_pumped": 1.0}
NODES = ("alice", "bob")
RIGHT = {"param.hub.phase_walk_rad2_s": CASE.walk_rad2_s, "param.hub.visibility": CASE.overlap,
         **{f"param.{node}.{name}": value for node in NODES for name, value in OF_ATOMS.items()}}  # fmt: skip
HALF_THE_RATE = {f"param.{node}.transfer_rate": 2.1 for node in NODES}


def pairs(folder: Path, n_pairs: int, changed: dict[str, float]) -> Run:
    """Take pairs in a lab whose beliefs are right but for those that are given."""
    write(folder, "one_photon")
    lab = str(scenario(folder, "one_photon", CASE))
    found, seen = photon(Path(lab), "one_photon", CASE.alpha)
    efficiency = {f"param.{node}.hub.efficiency": seen / found.transferred for node in NODES}
    for name, value in {**RIGHT, **efficiency, **changed}.items():
        unit = parameters.parameter(name).unit
        atomlink(folder, "params", "set", name, f"{value:.12g}", unit, "--scenario", lab)
    words = [f"n_pairs={n_pairs}", 'settings="bell (XX YY ZZ)"', "calibration_fraction=0.0",
             f'backend="{CASE.backend}"', f"bright_fraction={CASE.alpha}"]  # fmt: skip
    return done(folder, "link/remote_entanglement", "--scenario", lab, "--seed", "8", *words)


def departures(run: Run) -> tuple[float, float]:
    """Return by how many sigma herald probability and fidelity lie above what the run's beliefs predict."""
    result = analyse(run)
    found = budget(run, result)
    assert found is not None and found.probability.predicted is not None
    return result.probability.sigmas_from(found.probability.predicted), found.sigmas


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of a lab whose beliefs are right."""
    return pairs(tmp_path_factory.mktemp("right"), 1200, {})


def test_prediction_and_measurement_agree_where_the_beliefs_are_right(right: Run) -> None:
    assert max(map(abs, departures(right))) < 3, departures(right)


@pytest.mark.parametrize(("wrong", "parts"), [
    ({"param.hub.phase_walk_rad2_s": 0.0}, "fidelity"), ({"param.hub.visibility": 0.3}, "fidelity"),
    ({f"param.{node}.hub.efficiency": 0.2 for node in NODES}, "probability"),
])  # fmt: skip
def test_one_wrong_belief_parts_them_by_more_than_five_sigma(wrong: dict[str, float], parts: str, right: Run) -> None:
    """No pulse depends on these: the run would have been the same, and has other beliefs in its file."""
    level = {"link.visibility_belief": wrong["param.hub.visibility"]} if "param.hub.visibility" in wrong else {}
    assert wrong.keys() <= right.datasets.keys() | right.archive.keys()
    probability, fidelity = departures(replace(right, datasets={**right.datasets, **wrong, **level}))
    assert abs({"probability": probability, "fidelity": fidelity}[parts]) > 5, (probability, fidelity)


def test_light_that_is_believed_weaker_than_it_is_parts_them_by_more_than_five_sigma(tmp_path: Path) -> None:
    """Half the transfer rate believed: nearly twice as many atoms are bright as were asked for."""
    probability, fidelity = departures(pairs(tmp_path, 700, HALF_THE_RATE))
    assert probability > 5 and fidelity < -2, (probability, fidelity)
