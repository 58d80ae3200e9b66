"""Emission efficiency, g2 and atom-photon correlations end to end: they find what the physics says. 4 sigma each."""

from pathlib import Path

import numpy as np
import pytest
from lab_runs import execute

from analysis.experiments import atom_photon, emission_efficiency, hbt_g2
from analysis.load import Run
from analysis.report import main_report
from atomlink.errors import DataError
from drivers.parameter_log import read
from sim.physics.aom import rf_fraction
from sim.world.atoms.labels import READY
from sim.world.scenario import NODES, load_scenario
from sim.world.world import World

GATE_S = 0.9e-6
PUMP_S = 4e-6
PULSE_MU = 504


def written(folder: Path, text: str) -> str:
    """Write a scenario that differs a little from `bright`; return its file."""
    path = folder / "lab.toml"
    path.write_text(f'extends = "bright"\ndescription = "bright, with a difference"\n{text}')
    return str(path)


def efficiency(node: str, amplitude: float) -> float:
    """Return clicks per attempt of one node: the share that is ready, times emission, way and detectors."""
    world = World(load_scenario("bright"), 1)
    beams, truth = world.nodes[node].beams, world.nodes[node].truth
    for role, level in (("pumping", 1.0), ("repump", 1.0), ("excitation", amplitude)):
        beams[role].set_shutter(True)
        beams[role].strength = truth.aom.diffraction(rf_fraction(level, 0.0))
    midpoint = world.stations["midpoint"].truth
    throughput = midpoint.transmission * midpoint.detectors[0].efficiency
    cycle = world.nodes[node].port.cycle((PUMP_S, 0.0), PULSE_MU, 0.0, throughput)
    step = cycle.transitions()[1:, :, 1:]  # an atom that is there
    values, vectors = np.linalg.eig(step.sum(axis=1).T)
    settled = np.real(vectors[:, np.argmax(np.real(values))])
    settled /= settled.sum()
    assert READY == 3
    return float(settled @ step[:, 1, :].sum(axis=1))


def test_efficiency_is_that_of_the_emission_model_and_becomes_the_belief(tmp_path: Path) -> None:
    scan = 'amplitude={"ty": "RangeScan", "start": 0.2, "stop": 1.0, "npoints": 6, "randomize": false, "seed": null}'
    done = execute(tmp_path, "photons/emission_efficiency.py", "--scenario", "bright", "--seed", "5", "shots=300", scan,
                   "apply=True")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = emission_efficiency.analyse(done.run)
    highest = max(efficiency("alice", a) for a in np.linspace(0.3, 1.0, 15))
    for node in NODES:
        assert abs(result.estimates[f"{node}.efficiency"].sigmas_from(efficiency(node, 1.0))) < 4
        # A lower amplitude has to be nearly as good: at least 98.5 % at four sigma.
        best = result.estimates[f"{node}.a_excitation"]
        assert efficiency(node, max(best.value - 4 * best.error, 0.05)) < highest
        assert efficiency(node, min(best.value + 4 * best.error, 1.0)) > 0.985 * highest
        (revision,) = read(next(tmp_path.glob("params*.log")))
        assert revision.changes[f"param.{node}.a_excitation"].value == best.value
    assert any("efficiency" in line for line in main_report(done.run.path))


def test_light_too_weak_to_see_a_photon_gives_no_efficiency(tmp_path: Path) -> None:
    scan = 'amplitude={"ty": "RangeScan", "start": 0.0, "stop": 0.01, "npoints": 3, "randomize": false, "seed": null}'
    done = execute(tmp_path, "photons/emission_efficiency.py", "--seed", "5", "shots=40", scan, "apply=True")
    assert done.code == 0 and done.run is not None, done.text
    assert "No estimate" in done.text
    assert done.run.datasets["param.alice.a_excitation"] == 1.0 and not [*tmp_path.glob("params*.log")]


def test_coincidences_of_single_photons_are_those_with_dark_clicks(tmp_path: Path) -> None:
    dark_hz = 20e3
    scenario = written(tmp_path, f"[midpoint.detector]\ndark_rate_hz = {dark_hz}\n")
    done = execute(tmp_path, "photons/hbt_g2.py", "--scenario", scenario, "--seed", "5", "shots=2000",
                   "repeats=2", "singles_attempts=1000", "dark_attempts=2000")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    found = hbt_g2.analyse(done.run).estimates
    photon, dark = efficiency("alice", 1.0) / 4, dark_hz * GATE_S
    single = photon + dark - photon * dark
    g2 = (2 * photon * dark + (1 - 4 * photon) * dark**2) / single**2
    assert abs(found["g2"].sigmas_from(g2)) < 4
    assert abs(found["g2_of_dark_clicks"].sigmas_from(g2)) < 4
    assert abs(found["g2_of_photons"].sigmas_from(0.0)) < 4
    assert any("g2" in line for line in main_report(done.run.path))


def test_photons_of_two_atoms_are_not_single_ones(tmp_path: Path) -> None:
    """The same statistics with both atoms' light: 1/2 for independent photons, the twin must not see less."""
    counts = np.zeros(16, dtype=int)
    n, s = 100_000, 0.04  # clicks per detector and attempt of both atoms together
    counts[[0b0011, 0b0101, 0b0110, 0b1001, 0b1010, 0b1100]] = round(n * s**2 / 2)
    counts[[1, 2, 4, 8]] = round(n * s)
    found = hbt_g2.analyse(synthetic(counts, n)).estimates
    assert abs(found["g2"].sigmas_from(0.5)) < 1 and found["g2_of_photons"].sigmas_from(0.0) > 4


def test_a_dark_lab_has_no_g2(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be 20"):
        hbt_g2.analyse(synthetic(np.zeros(16, dtype=int), 1000))


def synthetic(counts: np.ndarray, attempts: int) -> Run:
    """Return a run of HbtG2 with these counts by pattern."""
    data = {"scan.patterns": counts[None, :], "scan.attempts": np.full((1, 16), attempts), "scan.node": "alice",
            "scan.dark": np.zeros((1, 4), dtype=int), "scan.dark_gates": np.array([attempts])}  # fmt: skip
    return Run(path=Path(), rid=1, class_name="HbtG2", start_time=0.0, run_time=0.0, artiq_version="", expid={},
               datasets=data, archive={}, metadata={})  # fmt: skip


def test_a_fibre_that_turns_polarisation_turns_the_correlations_and_keeps_their_length(tmp_path: Path) -> None:
    beta = 0.8
    scenario = written(tmp_path, f"[alice.polarisation]\nbeta_rad = {beta}\n")
    done = execute(tmp_path, "photons/atom_photon.py", "--scenario", scenario, "--seed", "5", "shots=30", "repeats=2")
    assert done.code == 0 and done.run is not None, done.text
    found = atom_photon.analyse(done.run).estimates
    for node, angle in (("alice", beta), ("bob", 0.0)):
        assert abs(found[f"{node}.e_z"].sigmas_from(np.cos(angle))) < 4
        assert abs(found[f"{node}.visibility"].sigmas_from(0.97)) < 4  # pumping, map and read-out cost a few per cent
    assert abs(found["alice.angle"].sigmas_from(beta)) < 4
    assert found["alice.visibility"].sigmas_from(np.cos(beta)) > 2  # more than the detectors' own axis shows
    assert any("visibility" in line for line in main_report(done.run.path))
