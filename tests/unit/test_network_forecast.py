"""What a lab's links should give by its beliefs, and the drawing of its network."""

import math
from pathlib import Path

import pytest

from analysis import network
from analysis.heralding import Heralds
from atomlink.heralds import FOUR
from atomlink.topology import Topology, pair
from drivers import parameters
from sim.cli import main
from sim.physics.heralding import TwoPhoton

CHAIN = Topology.from_arguments({
    "nodes": {"n1": {}, "Quokka": {"ports": ["west", "east"]}, "west_2": {}},
    "stations": {"left": {"inputs": {"a": ["n1.port"], "b": ["Quokka.west"]}, "detectors": ["p", "q", "r", "s"]},
                 "right": {"inputs": {"a": ["Quokka.east"], "b": ["west_2.port"]},
                           "detectors": {"c_h": "t", "c_v": "u"}}},
})  # fmt: skip


def beliefs(lab: Topology) -> dict[str, float]:
    return {name: row.default for name, row in parameters.table(lab).items()}


def test_a_links_forecast_is_the_closed_form_over_the_attempts_length() -> None:
    lab = pair(("alice", "bob"), FOUR)
    held = beliefs(lab)
    (found,) = network.forecasts(lab, held)
    eta = [held[found.link.of_channel(end, "efficiency")] for end in range(2)]
    dark_hz, gate_s, visibility = (held[found.link.of_station(key)] for key in
                                   ("dark_rate_hz", "t_gate_s", "visibility"))  # fmt: skip
    p = Heralds("polarisation", TwoPhoton(*eta, -math.expm1(-dark_hz * gate_s), visibility)).probability
    assert found.probability is not None and math.isclose(found.probability, p)
    assert found.herald_hz is not None and math.isclose(found.herald_hz, p / (4e-6 + 549e-9 + 0.9e-6 + 49e-9))


def test_a_station_that_sees_one_pattern_of_four_has_a_quarter_of_the_heralds() -> None:
    left, right = network.forecasts(CHAIN, beliefs(CHAIN))
    assert [row.link.name for row in (left, right)] == ["n1-Quokka.west@left", "Quokka.east-west_2@right"]
    assert left.probability is not None and right.probability is not None
    assert math.isclose(right.probability, left.probability / 4) and left.fidelity == right.fidelity


def test_the_drawing_names_every_node_station_and_link() -> None:
    figure = network.figure(CHAIN, network.forecasts(CHAIN, beliefs(CHAIN)))
    said = " ".join(text.get_text() for text in figure.axes[0].texts)
    for name in ("n1", "Quokka", "west_2", "left", "right", "west", "east", "n1–Quokka.west", "/s"):
        assert name in said


def test_table_and_drawing_show_memories() -> None:
    lab = Topology.from_arguments({
        "nodes": {"alice": {}, "bob": {}}, "memories": {"vault": {"port": "alice.port"}},
        "stations": {"hub": {"inputs": {"a": ["alice.port"], "b": ["bob.port"]}, "detectors": ["p", "q", "r", "s"]}},
    })  # fmt: skip
    found = network.forecasts(lab, beliefs(lab))
    header, row = network.table(found)
    assert header.endswith("switch  memory") and row.endswith("vault")
    assert "vault" in [text.get_text() for text in network.figure(lab, found).axes[0].texts]


def test_a_lab_without_a_link_says_so() -> None:
    alone = Topology.from_arguments({"nodes": {"n1": {}}})
    assert "no link" in network.table(network.forecasts(alone, beliefs(alone)))[0]


def test_the_command_draws_this_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                    capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    (tmp_path / "device_db.py").write_text((Path(__file__).parents[2] / "device_db.py").read_text())
    monkeypatch.chdir(tmp_path)
    assert main(["draw"]) == 0 and (tmp_path / "network.png").stat().st_size > 5000
    assert "alice-bob@midpoint" in capsys.readouterr().out
    assert main(["draw", "network.txt"]) == 2 and "must end with one of .png" in capsys.readouterr().err
    assert main(["draw", "a.png", "surplus"]) == 2 and not (tmp_path / "a.png").exists()
