"""ARTIQ's own compiler accepts every kernel of experiments/, with every heralding backend, in labs of several shapes.

Needs an interpreter with real ARTIQ: this one, or the one that ATOMLINK_ARTIQ_PYTHON names.
"""

import ast
from pathlib import Path

import pytest
import real_artiq
from real_artiq import ROOT

SCRIPT = Path(__file__).with_name("compile_kernels.py")
SECOND_PORT = 'link="charlie.east-bob@right"'  # of chain3
ONE_NODE = "[lab.nodes]\nsolo = 0x010000\n"


def experiments() -> list[tuple[str, str, tuple[str, ...]]]:
    """Return (file, class, arguments) of every experiment; one with a `backend` comes once per backend."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for path in sorted((ROOT / "experiments").rglob("*.py")):
        text = path.read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and any(
                getattr(base, "id", "") == "EnvExperiment" for base in node.bases
            ):
                backends = ("entangler", "software") if '"backend"' in text else (None,)
                found += [(str(path.relative_to(ROOT)), node.name, (f'backend="{b}"',) if b else ()) for b in backends]
    return found


def test_the_main_experiments_are_found() -> None:
    classes = {name for _, name, _ in experiments()}
    assert {"RemoteEntanglement", "HomInterference", "LoadAndImage", "Pulse"} <= classes


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("file", "name", "arguments"), experiments(), ids=lambda value: str(value))
def test_artiqs_compiler_accepts_every_kernel(file: str, name: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    needs = {"experiments/memory/": "memory", "experiments/network/entanglement_swapping": "repeater",
             "experiments/network/": "chain3", "experiments/link/phase_walk": "one_photon"}  # fmt: skip
    lab = next((lab for folder, lab in needs.items() if file.startswith(folder)), "")
    output = real_artiq.run([str(SCRIPT), file, name, *arguments], tmp_path, ATOMLINK_ROWS_OF=lab)
    assert "bytes" in output


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("lab", ["chain3", "one node"])
@pytest.mark.parametrize(("file", "name", "arguments"), experiments(), ids=lambda value: str(value))
def test_it_accepts_them_in_a_lab_of_two_ports_at_a_node_and_of_one_node(
    file: str, name: str, arguments: tuple[str, ...], lab: str, tmp_path: Path
) -> None:
    rows_of = lab
    if lab == "one node":
        (tmp_path / "solo.toml").write_text(ONE_NODE)
        rows_of = str(tmp_path / "solo.toml")
    elif "ask_link" in (ROOT / file).read_text():
        arguments = (*arguments, SECOND_PORT)
    output = real_artiq.run([str(SCRIPT), file, name, *arguments], tmp_path, ATOMLINK_ROWS_OF=rows_of)
    lacks = lab == "one node" or file.startswith(("experiments/memory/", "experiments/link/phase_walk"))
    reasons = ("This lab has no", "Heralding side by side", "Swapping needs two links", "PhaseWalk needs a station")
    refused = any(f"refused: {reason}" in output for reason in reasons)
    assert "bytes" in output or (lacks and refused)


LAB_OF_A_SCHEME = """[lab.nodes]
alice = 0x010000
bob = 0x020000
[lab.stations.hub]
scheme = "{}"
entangler = "entangler"
inputs = {{a = ["alice.port"], b = ["bob.port"]}}
detectors = {{c = "hub_c", d = "hub_d"}}
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("scheme", "backend"), [("one_photon", "entangler"), ("one_photon", "software"),
                                                 ("time_bin", "software"), ("barrett_kok", "software")])  # fmt: skip
def test_it_accepts_the_kernels_of_every_heralding_scheme(scheme: str, backend: str, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(LAB_OF_A_SCHEME.format(scheme))
    words = [str(SCRIPT), "experiments/link/pair_phase.py", "PairPhase", f'backend="{backend}"']
    assert "Pairs.take_shots" in real_artiq.run(words, tmp_path, ATOMLINK_ROWS_OF=str(tmp_path / "lab.toml"))
