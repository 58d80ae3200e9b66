"""A Bell pair made by the CZ gate, end to end. Seed fixed, 4 sigma."""

from pathlib import Path

from lab_runs import execute

from analysis import figures
from analysis.experiments.cz_bell import analyse, figure

FILE = "atoms/cz_bell.py"
FEW = 'phase={"ty": "ExplicitScan", "sequence": [0.0, 0.125, 0.25, 0.5, 0.625, 0.75]}'


def test_the_cz_gate_makes_the_pair_that_its_physics_predicts(tmp_path: Path) -> None:
    done = execute(tmp_path, FILE, "--scenario", "pair", "--seed", "4", FEW, "shots=11")
    assert done.code == 0 and done.run is not None, done.text
    result = analyse(done.run)
    found = result.estimates
    expected = found["fidelity_predicted"].value
    assert 0.98 < expected < 0.995
    for name in ("fidelity", "fidelity_raw"):
        assert abs(found[name].sigmas_from(expected)) < 4 and found[name].error < 0.12, found[name]
    assert found["fidelity_raw"].sigmas_from(0.5) > 4
    assert figures.as_svg(figure(done.run, result)).count("<path") > 20


def test_without_the_rydberg_light_the_parity_keeps_the_contrast_of_two_single_atoms_only(tmp_path: Path) -> None:
    """Each atom turns by itself then: contrast 0.37, and fidelity 1/2 (`sim.physics.bell_pair`)."""
    done = execute(tmp_path, FILE, "--scenario", "pair", "--seed", "4", FEW, "shots=16", "rydberg_light=False")
    assert done.code == 0 and done.run is not None, done.text
    found = analyse(done.run).estimates
    assert "fidelity_predicted" not in found
    assert found["contrast_raw"].sigmas_from(0.97) < -4 and abs(found["contrast_raw"].sigmas_from(0.369)) < 4
    assert abs(found["fidelity_raw"].sigmas_from(0.5)) < 4


def test_a_lab_whose_drives_reach_one_atom_only_gets_no_estimate(tmp_path: Path) -> None:
    scenario = tmp_path / "single.toml"
    scenario.write_text('description = "focused drives"\nextends = "pair"\n\n[nodes.rydberg]\nglobal_drives = false\n')
    done = execute(tmp_path, FILE, "--scenario", str(scenario), "--seed", "4", FEW, "shots=2")
    assert done.code == 0 and "No estimate: Atoms prepared in |0> and in |1> look alike" in done.text, done.text
