"""Cavity scan and polarisation alignment end to end: they find what the drifted lab is off by. 4 sigma each."""

from pathlib import Path

from lab_runs import execute

from analysis import cavity_scan, polarisation_alignment
from analysis.report import main_report
from drivers.parameter_log import read
from sim.physics.pumping import F1, READY, generator, transition
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
                   "apply=True", points("v_piezo", -10.0, 9.9, 6))  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = cavity_scan.analyse(done.run)
    world = World(load_scenario(scenario), SEED)
    (revision,) = read(tmp_path / "params.log")
    for node in NODES:
        truth = world.nodes[node].truth
        centre = -truth.port.detuning_rad_s / truth.excitation.cavity_rad_s_per_v  # type: ignore[union-attr]
        assert abs(centre) > 1.0  # else there is nothing to find
        assert abs(result.estimates[f"{node}.v_centre_v"].sigmas_from(centre)) < 4
        assert revision.changes[f"param.{node}.v_piezo_v"].value == result.updates[f"param.{node}.v_piezo_v"].value
    main_report(done.run.path)


def test_linewidth_bounds_the_coupling_and_the_peak_is_the_photons_share(tmp_path: Path) -> None:
    done = execute(tmp_path, "setup/cavity_scan.py", "--scenario", "bright", "--seed", "4", "shots=800",
                   points("v_piezo", -10.0, 9.9, 6))  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = cavity_scan.analyse(done.run)
    node = World(load_scenario("bright"), 4).nodes["alice"]
    port = node.truth.port
    ready = float(transition(generator(node.truth.pumping, 1.0, 1.0), 4e-6)[READY, F1])  # pumped as long as believed
    peak = ready * node.emission(504, 1.0, 0.0).efficiency * port.fibre_coupling * 0.85 * 0.88
    two_c = 2 * port.cooperativity  # type: ignore[union-attr]
    for name in NODES:
        assert abs(result.estimates[f"{name}.clicks_per_attempt"].sigmas_from(peak)) < 4
        bound = result.estimates[f"{name}.two_c_at_most"]
        assert bound.value + 2 * bound.error > two_c and bound.value < 3 * two_c


def test_alignment_finds_the_angles_of_both_fibres(tmp_path: Path) -> None:
    scenario = drifted_and_bright(tmp_path)
    done = execute(tmp_path, "setup/polarisation_alignment.py", "--scenario", str(scenario), "--seed", str(SEED),
                   "shots=25", "apply=True")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = polarisation_alignment.analyse(done.run)
    world = World(load_scenario(scenario), SEED)
    (revision,) = read(tmp_path / "params.log")
    for node in NODES:
        truth = world.nodes[node].truth.polarisation
        assert abs(result.estimates[f"{node}.beta_rad"].sigmas_from(truth.beta_rad)) < 4
        assert abs(result.estimates[f"{node}.gamma_rad"].sigmas_from(truth.gamma_rad)) < 4
        update = result.updates[f"param.{node}.v_paddle_turn_v"]
        assert abs(update.sigmas_from(-truth.beta_rad / truth.turn_rad_per_v)) < 4
        assert revision.changes[f"param.{node}.v_paddle_turn_v"].value == update.value
        assert result.estimates[f"{node}.visibility"].value > 0.7
    main_report(done.run.path)


def test_voltages_that_do_not_tell_the_angles_apart_are_refused(tmp_path: Path) -> None:
    done = execute(tmp_path, "setup/polarisation_alignment.py", "--scenario", "bright", "--seed", "2", "shots=3",
                   points("v_phase", 0.0, 0.0, 1), "apply=True")  # fmt: skip
    assert done.code == 0, done.text
    assert "scan at least two voltages of either axis" in done.text
    assert not (tmp_path / "params.log").exists()
