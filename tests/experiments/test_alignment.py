"""Cavity scan and polarisation alignment end to end: they find what the drifted lab is off by. 4 sigma each."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lab_runs import execute

from analysis.experiments import cavity_scan, polarisation_alignment
from analysis.fits import FitRefused
from analysis.load import Run
from analysis.report import main_report
from drivers.parameter_log import read
from sim.physics.fibre import transmission
from sim.physics.pumping import F1, READY, generator, transition
from sim.world.network.node import Node
from sim.world.scenario import NODES, load_scenario
from sim.world.world import World

SEED = 11


def drifted_and_bright(folder: Path) -> Path:
    """Write a scenario: the drifting lab's errors in a link that loses little."""
    path = folder / "drifted.toml"
    path.write_text('extends = "drifting"\ndescription = "drifting, little loss"\n[nodes.fibre]\ninsertion = 0.85\n'
                    "[midpoint]\ntransmission = 1.0\n")  # fmt: skip
    return path


def points(name: str, start: float, stop: float, count: int) -> str:
    return (f'{name}={{"ty": "RangeScan", "start": {start}, "stop": {stop}, "npoints": {count}, "randomize": false, '
            '"seed": null}')  # fmt: skip


def test_cavity_scan_finds_where_the_drifted_cavities_are_resonant(tmp_path: Path) -> None:
    scenario = drifted_and_bright(tmp_path)
    done = execute(tmp_path, "setup/cavity_scan.py", "--scenario", str(scenario), "--seed", str(SEED), "shots=400",
                   "apply=True", points("v_piezo", -10.0, 9.9, 5))  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = cavity_scan.analyse(done.run)
    world = World(load_scenario(str(scenario)), SEED)
    (revision,) = read(next(tmp_path.glob("params*.log")))
    for node in NODES:
        truth = world.nodes[node].truth
        centre = -truth.port.detuning_rad_s / truth.excitation.cavity_rad_s_per_v  # type: ignore[union-attr]
        assert abs(centre) > 1.0  # else there is nothing to find
        assert abs(result.estimates[f"{node}.v_centre_v"].sigmas_from(centre)) < 4
        assert revision.changes[f"param.{node}.v_piezo_v"].value == result.updates[f"param.{node}.v_piezo_v"].value
        bound, two_c = result.estimates[f"{node}.two_c_at_most"], 2 * truth.port.cooperativity  # type: ignore[union-attr]
        assert bound.value + 2 * bound.error > two_c and bound.value < 4 * two_c
        assert abs(result.estimates[f"{node}.clicks_per_attempt"].sigmas_from(peak(world.nodes[node]))) < 4
    main_report(done.run.path)


def peak(node: Node) -> float:
    """Return clicks per attempt of a node whose cavity is resonant; timing, pump and amplitude as believed."""
    truth, power = node.truth, node.truth.aom.diffraction(1.0)
    ready = float(transition(generator(truth.pumping, power, power), 4e-6)[READY, F1])
    port = replace(truth.port, detuning_rad_s=0.0)  # type: ignore[arg-type]
    photon = node.port.photon(504, power, port)
    return ready * photon.efficiency * port.fibre_coupling * transmission(truth.fibre) * 0.88


def test_alignment_finds_the_angles_of_both_fibres(tmp_path: Path) -> None:
    scenario = drifted_and_bright(tmp_path)
    done = execute(tmp_path, "setup/polarisation_alignment.py", "--scenario", str(scenario), "--seed", str(SEED),
                   "shots=16", "apply=True")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = polarisation_alignment.analyse(done.run)
    world = World(load_scenario(str(scenario)), SEED)
    (revision,) = read(next(tmp_path.glob("params*.log")))
    for node in NODES:
        truth = world.nodes[node].truth.polarisation
        assert abs(result.estimates[f"{node}.beta_rad"].sigmas_from(truth.beta_rad)) < 4
        assert abs(result.estimates[f"{node}.gamma_rad"].sigmas_from(truth.gamma_rad)) < 4
        update = result.updates[f"param.{node}.v_paddle_turn_v"]
        assert abs(update.sigmas_from(-truth.beta_rad / truth.turn_rad_per_v)) < 4
        assert revision.changes[f"param.{node}.v_paddle_turn_v"].value == update.value
        assert result.estimates[f"{node}.visibility"].value > 0.7
    main_report(done.run.path)


def test_voltages_that_do_not_tell_the_angles_apart_are_refused() -> None:
    beliefs = {f"param.{node}.{name}_rad_per_v": 0.2 for node in NODES for name in ("turn", "phase")}
    turn = np.array([-8.0, 0.0, 4.0, 8.0])
    agree = np.repeat(np.array([[20], [38], [30], [20]]), 2, axis=1)
    shares = {"scan.agree": agree, "scan.nodes": ",".join(NODES)}
    columns = {"scan.v_turn": turn, "scan.v_phase": np.zeros(4), "scan.n": np.full(4, 40), **shares}
    run = Run(Path(), 1, "PolarisationAlignment", 0.0, 0.0, "", {}, {**beliefs, **columns}, {}, {})
    with pytest.raises(FitRefused, match="scan at least two voltages of either axis"):
        polarisation_alignment.analyse(run)
