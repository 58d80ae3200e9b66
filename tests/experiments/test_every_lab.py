"""Every experiment, its report and the calibrations in labs of other shapes: odd names, one node, two detectors.

An experiment ends with code 0 and its report is made; or the lab lacks what it needs, and it is refused with one line
and code 2, before there is a results file. The lab of three nodes is walked by every run of the tests, the others by
those marked slow, but for what is theirs only.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from lab_runs import atomlink, command
from other_labs import LABS, ROOT, SHIPPED, write

# What makes a run short; scans of two points have no fit, and say so.
FEW = {"n_shots": "1", "n_pairs": "2", "max_lab_time": "10", "attempts": "500", "singles_attempts": "100",
       "dark_attempts": "200", "gates": "2", "shots": "2", "repeats": "1", "dry_run": "True"}  # fmt: skip
PAIR_OF_SITES = ("rows=1", "columns=2")
# Arguments by file: which of FEW it has, and scans.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "atoms/cz_bell": ("shots", "phase=0:0.5turns:3"),
    "atoms/imaging_histogram": ("shots", "repeats"),
    "atoms/load_and_image": ("n_shots",),
    "atoms/microwave_rabi": ("shots", "t_mw=0:10us:2"),
    "atoms/optical_pumping": ("shots", "t_pump=0.1us:5us:2"),
    "atoms/pushout_fidelity": ("shots", "t_pushout=0:50us:2"),
    "atoms/raman_rabi": ("shots", "t_raman=0:2us:2"),
    "atoms/ramsey": ("shots", "t_wait=5us:25us:2"),
    "atoms/rearrangement": ("n_shots", *PAIR_OF_SITES),
    "atoms/register_ramsey": ("shots", *PAIR_OF_SITES, "n_qubits=2", "t_wait=0.1s:0.5s:2"),
    "atoms/release_recapture": ("shots", "t_release=8us:64us:2"),
    "atoms/spin_echo": ("shots", "t_wait=20us:200us:2"),
    "atoms/trap_lifetime": ("shots", "t_hold=0:10s:2"),
    "atoms/transfer_rate": ("shots", "amplitude=0:1:4"),
    "atoms/tweezer_loading": ("shots", "t_loading=2ms:80ms:2"),
    "calibration/calibrate": ("dry_run",),
    "link/bell_tomography": ("n_pairs", "max_lab_time"),
    "link/link_monitor": ("shots", "repeats", "period=1"),
    "link/multiplexed_port": ("shots", "n_atoms=1", *PAIR_OF_SITES),
    "link/pair_lifetime": ("shots", "t_wait=30us:80us:2"),
    "link/pair_phase": ("shots", "azimuth=0:4.7rad:4"),
    "link/phase_walk": ("shots", "t_wait=2ms:5ms:2"),
    "link/remote_entanglement": ("n_pairs", "max_lab_time"),
    "memory/control_delay": ("shots", "t_off=0.2us:0.5us:2"),
    "memory/control_detuning": ("shots", "f_control=78MHz:80MHz:2"),
    "memory/control_power": ("shots", "a_control=0.3:0.5:2"),
    "memory/retrieved_g2": ("shots", "repeats"),
    "memory/storage_time": ("shots", "t_storage=2us:50us:2"),
    "network/distributed_circuit": ('circuit="bell"', "shots=3", "repeats"),
    "network/entanglement_swapping": ("shots=3", "repeats"),
    "network/link_rates": ("shots", "repeats"),
    "network/parallel_links": ("shots", "repeats"),
    "photons/atom_photon": ("shots", "repeats"),
    "photons/emission_efficiency": ("shots", "amplitude=0.5:1:2"),
    "photons/hbt_g2": ("shots", "repeats", "singles_attempts", "dark_attempts"),
    "photons/hom_interference": ("attempts", "singles_attempts", "dark_attempts", "delays=0:0.4us:2"),
    "photons/photon_shape": ("shots", "repeats"),
    "setup/aom_power": ("shots", "amplitude=0.5:1:2"),
    "setup/cavity_lock_quality": ("shots", "v_setpoint=-1V:1V:3"),
    "setup/cavity_scan": ("shots", "v_piezo=-1V:1V:2"),
    "setup/detector_characterisation": ("shots", "repeats", "gates"),
    "setup/fibre_delay": ("shots", "repeats"),
    "setup/idle": (),
    "setup/polarisation_alignment": ("shots", "v_turn=0,4V", "v_phase=0,4V"),
    "setup/pulse": (),
}
OF_A_LINK = [file for file in ARGUMENTS if file.startswith(("link/", "photons/"))] + [
    "network/link_rates", "setup/cavity_scan", "setup/fibre_delay", "setup/polarisation_alignment"]  # fmt: skip
OF_TWO_LINKS = {"network/parallel_links": "needs two links with stations and ports of their own",
                "network/entanglement_swapping": "Swapping needs two links over one node"}  # fmt: skip
OF_AN_ARRAY = ["atoms/cz_bell", "atoms/rearrangement", "atoms/register_ramsey", "link/multiplexed_port",
               "network/distributed_circuit"]  # fmt: skip
OF_POLARISATIONS = ["photons/hbt_g2", "photons/hom_interference", "photons/atom_photon",
                    "setup/polarisation_alignment", "link/multiplexed_port"]  # fmt: skip
OF_ONE_PHOTON = dict.fromkeys(["link/phase_walk"], "needs a station that heralds by 'one_photon'")
OF_A_MEMORY = [file for file in ARGUMENTS if file.startswith("memory/")]
NOT_THERE = (dict.fromkeys(OF_AN_ARRAY, "tweezer array, which this scenario does not have")
             | dict.fromkeys(OF_A_MEMORY, "This lab has no memory"))  # fmt: skip
# What each lab cannot do, and what the one line says.
REFUSED: dict[str, dict[str, str]] = {
    "three": NOT_THERE | OF_TWO_LINKS | OF_ONE_PHOTON,
    "two_detectors": NOT_THERE | OF_TWO_LINKS | OF_ONE_PHOTON | dict.fromkeys(
        OF_POLARISATIONS[:2], "needs a station with polarising splitters and detectors c_h, c_v, d_h, d_v"),
    **dict.fromkeys(("one_photon", "time_bin", "barrett_kok"), NOT_THERE | OF_TWO_LINKS | dict.fromkeys(
        OF_POLARISATIONS, "needs a station with polarising splitters")
        | {"network/link_rates": "links that are counted together herald by 'polarisation' only"}),
    "chain3": NOT_THERE | OF_ONE_PHOTON
    | {"network/entanglement_swapping": "tweezer array, which this scenario does not have"},
    "star4": NOT_THERE | OF_TWO_LINKS | OF_ONE_PHOTON,
    "solo": OF_TWO_LINKS | dict.fromkeys(OF_A_LINK, "This lab has no link")
    | dict.fromkeys(OF_A_MEMORY, "This lab has no memory")
    | {"setup/detector_characterisation": "This lab has no station",
       "network/distributed_circuit": "n_nodes is 2, but this lab has no 2 nodes in a line of links",
       "atoms/register_ramsey": "has 1 x 4 sites from (0, 0) on, but the array 1 x 2"},
}

for lab in ("time_bin", "barrett_kok"):
    by_gateware = {"network/distributed_circuit": "whose two rounds the gateware's one gate"}
    REFUSED[lab] = REFUSED[lab] | OF_ONE_PHOTON | by_gateware


def cases() -> list[Any]:
    """Return (lab, file); those that are quick, or of one lab only, first."""
    quick = {("two_detectors", "link/remote_entanglement"), ("two_detectors", "photons/atom_photon"),
             ("chain3", "link/remote_entanglement"), ("chain3", "atoms/raman_rabi"), ("solo", "atoms/ramsey"),
             ("solo", "atoms/cz_bell"), ("solo", "atoms/rearrangement")}  # fmt: skip
    found = []
    for lab in (*LABS, *SHIPPED):
        for file in ARGUMENTS:
            now = lab == "three" or (lab, file) in quick or (lab in LABS and file in REFUSED[lab])
            found.append(pytest.param(lab, file, marks=() if now else pytest.mark.slow, id=f"{lab}-{Path(file).name}"))
    return found


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Make every lab; return (folder, scenario) by name."""
    folders = {name: tmp_path_factory.mktemp(name) for name in (*LABS, *SHIPPED)}
    return {name: (folder, write(folder, name)) for name, folder in folders.items()}


def results(folder: Path) -> set[Path]:
    return set(folder.glob("results/*/*/*.h5"))


def test_no_experiment_is_left_out() -> None:
    files = [path for path in (ROOT / "experiments").rglob("*.py") if path.parent.name != "sequences"]
    there = {f"{path.parent.name}/{path.stem}" for path in files
             if re.search(r"^class .*EnvExperiment\)", path.read_text(), re.M)}  # fmt: skip
    assert there == ARGUMENTS.keys()


@pytest.mark.parametrize(("lab", "file"), cases())
def test_an_experiment_ends_and_is_reported_or_is_refused_before_anything_moves(
    lab: str, file: str, labs: dict[str, tuple[Path, str]]
) -> None:
    folder, scenario = labs[lab]
    before = results(folder)
    arguments = [f"{word}={FEW[word]}" if word in FEW else word for word in ARGUMENTS[file]]
    options = ("--scenario", scenario, "--seed", "3")
    code, said = command(folder, "run", f"experiments/{file}.py", *options, *arguments)
    new = results(folder) - before
    if file in REFUSED[lab]:
        assert code == 2 and REFUSED[lab][file] in said.splitlines()[-1], said
        assert said.count("\n") == 1 and not new, said
        return
    assert code == 0, said
    (written,) = new
    atomlink(folder, "report", str(written))
    assert written.with_suffix(".html").is_file()


@pytest.mark.parametrize("lab", [*LABS, *SHIPPED])
def test_calibrate_says_what_is_stale_of_the_nodes_and_links_that_there_are(
    lab: str, labs: dict[str, tuple[Path, str]]
) -> None:
    folder, scenario = labs[lab]
    said = atomlink(folder, "calibrate", "--dry-run", "--scenario", scenario)
    assert "imaging" in said and ("pair_phase" in said) == (lab != "solo")
