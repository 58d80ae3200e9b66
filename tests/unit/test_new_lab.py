"""`atomlink new-lab`: the lab runs in simulation; what does not fit is one line with the row and the remedy."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import sinara_labs as labs

from atomlink.errors import UsageError
from sim.command import sinara
from sim.command.new_lab import new_lab, rows

sys.path.insert(0, str(Path(__file__).parents[1] / "experiments"))

import lab_runs


def made(folder: Path, lab: dict[str, Any]) -> list[str]:
    labs.write(folder, **lab)
    return new_lab(folder / "master.json", folder / "roles.toml", folder / "device_db.py")


def run(folder: Path, file: str, *words: str) -> None:
    path = lab_runs.ROOT / "experiments" / file
    code, said = lab_runs.command(folder, "run", str(path), "--scenario", "bright", *words)
    assert code == 0, said


def test_a_pair_from_three_crates_runs_a_ttl_and_a_link_experiment(tmp_path: Path) -> None:
    (said,) = made(tmp_path, labs.PAIR)
    assert "nodes north, south; links north-south@hub" in said
    run(tmp_path, "setup/pulse.py")
    run(tmp_path, "link/remote_entanglement.py", "n_pairs=2")


def test_the_table_of_the_page_is_one(tmp_path: Path) -> None:
    page = (lab_runs.ROOT / "docs" / "your-lab.md").read_text()
    (roles,) = re.findall(r"^```toml\n(# roles.toml\n.*?)^```$", page, re.M | re.S)
    made(tmp_path, {**labs.SOLO, "roles": roles})


def test_one_crate_is_a_lab_of_one_node(tmp_path: Path) -> None:
    made(tmp_path, labs.SOLO)
    run(tmp_path, "atoms/ramsey.py", "shots=2", "t_wait=5us:25us:2")


def test_for_the_hardware_the_rows_are_as_they_were_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, labs.PAIR)
    monkeypatch.setenv("ATOMLINK_TARGET", "hardware")
    found = runpy.run_path(str(tmp_path / "device_db.py"))["device_db"]
    assert found == rows(tmp_path / "master.json", tmp_path / "roles.toml")
    assert found["south_dds_cooling"]["arguments"]["sw_device"] == "south_sw_cooling"
    assert found["south_sw_cooling"]["arguments"]["channel"] >> 16 == 2
    assert found["core"]["arguments"]["satellite_cpu_targets"] == {1: "rv32g", 2: "rv32g"}


def test_a_device_db_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "device_db.py").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        made(tmp_path, labs.SOLO)
    assert (tmp_path / "device_db.py").read_text() == "mine"


@pytest.mark.parametrize(("old", "new", "says"), [
    ('"ttl8"', '"ttl99"', "nodes.solo.mot_coil is 'ttl99', which no board has; it must be one of"),
    ('"ttl8"', '"zotino0"', "nodes.solo.mot_coil is 'zotino0', a Zotino, but must be a TTLOut"),
    ('"ttl8"', '"ttl9"', "is 'ttl9', which is solo_mot_coil already"),
    ('shutter = "ttl10"\n', "", "nodes.solo lacks shutter"),
    ("shutter", "shuter", "nodes.solo: shuter does not exist"),
    ('"urukul0_ch3"', '"urukul1_ch3"', "must be on one Urukul"),
    ("[nodes.solo]", "[nodes.core]", "name 'core' must begin with a letter"),
    ("[nodes.solo]", "satellites = { x = 'y.json' }\n[nodes.solo]", "satellites.x must be a DRTIO destination"),
    ("[nodes.solo]", "satellites = { 1 = 'none.json' }\n[nodes.solo]", "none.json cannot be read"),
    ("[nodes.solo]", "[nodes.solo", "is no valid TOML"),
])  # fmt: skip
def test_roles_that_do_not_fit_are_refused(old: str, new: str, says: str, tmp_path: Path) -> None:
    text = labs.SOLO["roles"]
    assert old in text
    with pytest.raises(UsageError) as refused:
        made(tmp_path, {**labs.SOLO, "roles": text.replace(old, new)})
    assert says in str(refused.value) and "\n" not in str(refused.value)
    assert not (tmp_path / "device_db.py").exists()


@pytest.mark.parametrize(("change", "says"), [
    ({"target": "kc705"}, "target is 'kc705', but must be kasli or kasli_soc"),
    ({"hw_rev": "v9", "target": "kasli"}, "hw_rev is 'v9'"),
    ({"peripherals": 3}, "has no list `peripherals`"),
    ({"peripherals": [{"type": "phaser", "ports": [1]}]}, "peripherals[0] of solo has type 'phaser'"),
    ({"peripherals": [{"type": "dio", "ports": [1]}]}, "peripherals[0] of solo (dio) lacks 'bank_direction_low'"),
    ({"peripherals": [{**labs.DIO_IN, "bank_direction_low": "up"}]}, "bank_direction_low is 'up'"),
    ({"peripherals": [{"type": "urukul", "ports": [1]}]}, "has one EEM port and so no RF switches"),
])  # fmt: skip
def test_descriptions_that_do_not_fit_are_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        made(tmp_path, {**labs.SOLO, "master": labs.SOLO["master"] | change})
    assert says in str(refused.value)


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master.json").write_text("{")
    with pytest.raises(UsageError, match="is no JSON"):
        sinara.read(tmp_path / "master.json")
