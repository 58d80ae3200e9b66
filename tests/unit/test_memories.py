"""Memories of a lab: what the row `network`, a scenario and the tables of device_db.py may not say."""

from pathlib import Path
from typing import Any

import pytest

from atomlink.errors import ScenarioError, UsageError
from atomlink.lab_tables import read
from atomlink.topology import Topology
from sim.world.scenario import load_scenario
from sim.world.world import World

STATION = {"inputs": {"a": ["alice.port"], "b": ["bob.port"]}, "detectors": ["p", "q", "r", "s"]}


def network(memories: Any, scheme: str = "polarisation") -> dict[str, Any]:
    return {"nodes": {"alice": {}, "bob": {}}, "stations": {"hub": {**STATION, "scheme": scheme}}, "memories": memories}


@pytest.mark.parametrize(("memories", "said"), [
    ({"m": {"port": "alice.port", "rails": 1}}, r"memories\.m\.rails is 1, but must be 2: alice\.port sends"),
    ({"m": {"port": "carol.port"}}, r"memories\.m\.port names 'carol\.port', which the lab does not have"),
    ({"m": {"port": "alice.port"}, "n": {"port": "alice.port"}}, r"memories\.n\.port .* has a memory already"),
    ({"m": {"port": "alice.port", "rails": 3}}, r"memories\.m\.rails is 3, but must be 1 or 2"),
    ({"m": {"port": "alice.prt"}}, r"memories\.m\.port names 'alice\.prt', .*; did you mean 'alice\.port'\?"),
    ({"m": {"port": "alice.port", "door": 1}}, r"memories\.m\.door does not exist; it must be one of port, rails"),
    ({"m": {"rails": 2}}, r"memories\.m\.port names '', which the lab does not have; it must be one of alice\.port"),
    ({"m": {"port": ["alice.port"]}}, r"memories\.m\.port names \['alice\.port'\], which the lab does not have"),
    ({"m": 1}, r"memories\.m is 1, but must be a table of names"),
    ({"alice": {"port": "alice.port"}}, r"name 'alice' must .* be given once"),
    (3, r"memories is 3, but must be a table"),
])  # fmt: skip
def test_a_memory_that_cannot_be_is_refused(memories: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Topology.from_arguments(network(memories))


def test_one_rail_is_enough_where_photons_are_no_qubits_of_two_polarisations() -> None:
    lab = Topology.from_arguments(network({"m": {"port": "alice.port", "rails": 1}}, "one_photon"))
    assert lab.memories[0].rails == 1


@pytest.mark.parametrize(("lines", "said"), [
    ("optical_depth = -1.0", r"vault: EnsembleTruth\.optical_depth is -1\.0, but must be a number in \[0, 1000\]"),
    ("rails = [1.2, 0.9]", r"vault: EnsembleTruth\.rails is \(1\.2, 0\.9\), but must be"),
    ("rails = [0.9]", r"vault\.rails has 1 entries, but the memory has 2 rails"),
    ('direction = "up"', r"vault: EnsembleTruth\.direction is 'up', but must be one of forward, backward"),
    ("depth = 3.0", r"vault\.depth does not exist"),
])  # fmt: skip
def test_a_scenario_of_an_impossible_memory_is_refused_with_its_path(lines: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(f'extends = "memory"\n[memory.vault]\n{lines}\n')
    with pytest.raises(ScenarioError, match=said):
        load_scenario(str(file))


def test_a_memory_that_the_lab_does_not_have_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('extends = "memory"\n[memory.attic]\noptical_depth = 3.0\n')
    with pytest.raises(ScenarioError, match=r"\[memory\.attic\] is of no memory of this lab; it must be one of vault"):
        load_scenario(str(file))


def test_a_memory_before_a_station_of_another_scheme_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('extends = "memory"\n[lab.stations.midpoint]\nscheme = "time_bin"\n')
    with pytest.raises(ScenarioError, match="Memory vault lies before station midpoint, which heralds by 'time_bin'"):
        World(load_scenario(str(file)), 1)


def test_the_satellite_of_a_memory_is_its_own() -> None:
    nodes = {"alice": 0x10000, "bob": 0x20000}
    for base in (0x10000, 5):
        with pytest.raises(UsageError, match=r"lab\..* is \d+, but must be the first channel of a satellite"):
            read({"nodes": nodes, "memories": {"vault": {"base": base, "port": "alice.port"}}})
    found = read({"nodes": nodes, "memories": {"vault": {"base": 0x30000, "port": "alice.port"}}}).network()
    assert found["memories"] == {"vault": {"port": "alice.port"}}
