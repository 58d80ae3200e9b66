"""ARTIQ's own master and client with this repository's device_db.py and experiments, on the simulated core."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest
import real_artiq
from real_artiq import ROOT

SCRIPT = Path(__file__).with_name("master_session.py")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lab")
    shutil.copy(ROOT / "device_db.py", folder)
    return folder


@pytest.fixture(scope="module")
def seen(lab: Path) -> dict[str, Any]:
    """Return what clients saw of a long run, paused by a short one and then asked to end."""
    seen: dict[str, Any] = json.loads(real_artiq.run([str(SCRIPT), str(ROOT / "experiments")], lab))
    return seen


pytestmark = pytest.mark.timeout(300)


def test_experiments_appear_with_names_groups_and_tooltips(seen: dict[str, Any]) -> None:
    experiments = seen["experiments"]
    assert {"link/Remote entanglement", "photons/HOM interference", "setup/Pulse one TTL line"} <= experiments.keys()
    arguments = experiments["link/Remote entanglement"]["arguments"]
    assert arguments["n_pairs"][0] == "Measurement" and arguments["backend"][0] == "Heralding"
    assert all(tooltip for row in experiments.values() for _, tooltip in row["arguments"].values())


def test_a_long_run_pauses_for_one_of_higher_priority_and_goes_on(seen: dict[str, Any]) -> None:
    states = seen["states"]["0"]
    assert "running" in states[states.index("paused") :]
    assert seen["states"]["1"][-2:] == ["analyzing", "deleting"]


def test_a_run_that_is_asked_to_end_keeps_its_data(seen: dict[str, Any], lab: Path) -> None:
    assert "analyzing" in seen["states"]["0"]
    (path,) = lab.glob("results/*/*/000000000-RemoteEntanglement.h5")
    with h5py.File(path) as file:
        assert file["datasets/run.complete"][()] == 0
        assert len(file["datasets/shots.pattern"]) >= 1


def test_applets_open_by_broadcast_and_find_their_datasets(seen: dict[str, Any]) -> None:
    opened = {message[1] for message in seen["ccb"] if message[0] == "create_applet"}
    assert opened == {"pairs", "rate", "correlators", "LoadAndImage alice", "LoadAndImage bob"}
    wanted = {word for message in seen["ccb"] for word in message[2].split() if word.startswith("live.")}
    assert wanted <= set(seen["live"])
