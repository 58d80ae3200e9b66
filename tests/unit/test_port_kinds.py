"""Kinds of photon ports: each follows the protocol, a scenario may name it, and nothing else asks for its class."""

import math
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics import superatom
from sim.physics.waveguide import extraction
from sim.world import World, load_scenario
from sim.world.ports import KINDS, CavityPort, FreeSpacePort, SuperatomPort, WaveguidePort

MHZ = 2 * math.pi * 1e6
PORTS = {
    "cavity": CavityPort(10 * MHZ, 2.5 * MHZ, 0.25 * MHZ, 3 * MHZ, fibre_coupling=0.6),
    "free_space": FreeSpacePort(0.1, 0.5, 3 * MHZ),
    "superatom": SuperatomPort(0.5 * MHZ, 2.5 * MHZ, 0.25 * MHZ, 3 * MHZ, fibre_coupling=0.6, prepared=0.95,
                               stored_s=1e-6, dephasing_s=11e-6),
    "waveguide": WaveguidePort(4 * MHZ, 2 * MHZ, directionality=1.0, fibre_coupling=0.8),
}
T_S = np.arange(-75e-9, 1.7e-6, 1e-9)
PULSE = np.where((T_S >= 0) & (T_S < 500e-9), 10 * MHZ, 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pulse_gives_a_photon_whose_chances_add_up(kind: str) -> None:
    port = PORTS[kind]
    photon = port.emit(T_S, PULSE, 0.0)
    norm = float((np.abs(photon.amplitude) ** 2).sum() * (T_S[1] - T_S[0]))
    assert norm == pytest.approx(1, rel=1e-6) and photon.cdf[-1] == pytest.approx(1)
    assert 0 < photon.efficiency <= photon.transferred <= 1
    assert 0 <= port.fibre_coupling <= 1


def test_a_waveguide_gets_its_share_of_what_decays() -> None:
    port = WaveguidePort(4 * MHZ, 2 * MHZ)
    photon = port.emit(T_S, PULSE, 0.0)
    assert photon.efficiency / (photon.efficiency + photon.scattered) == pytest.approx(extraction(port)) == 1 / 3


def test_a_superatom_emits_as_an_atom_of_all_atoms_coupling_when_it_is_there() -> None:
    """Slow drive: P e^(-t^2/tau^2) (kappa_ext/kappa) 2C/(1 + 2C); no photons with two polarisations."""
    port = PORTS["superatom"]
    c = port.atoms * port.g_rad_s**2 / (2 * port.kappa_rad_s * port.gamma_rad_s)
    lab = superatom.Cavity(c, port.kappa_ext_rad_s / port.kappa_rad_s, port.kappa_rad_s, port.gamma_rad_s)
    expected = superatom.efficiency(lab, 0.95, 1e-6, 11e-6)
    slow = port.emit(T_S, 3 * MHZ * np.exp(-(((T_S - 0.7e-6) / 0.25e-6) ** 2)), 0.0)  # smooth edges
    assert slow.efficiency / slow.transferred == pytest.approx(expected, rel=0.02)
    one = CavityPort(10 * MHZ, 2.5 * MHZ, 0.25 * MHZ, 3 * MHZ)  # sqrt(400) 0.5 MHz
    fast = port.emit(T_S, PULSE, 0.0)
    assert fast.efficiency == pytest.approx(port.ready * one.emit(T_S, PULSE, 0.0).efficiency)
    assert "polarisation" not in port.schemes and "time_bin" in port.schemes


def test_a_piezo_moves_a_cavity_and_nothing_else() -> None:
    assert PORTS["cavity"].tuned(MHZ).resonator.detuning_rad_s == pytest.approx(MHZ)
    for kind in ("free_space", "waveguide"):
        assert PORTS[kind].tuned(MHZ) is PORTS[kind] and PORTS[kind].resonator is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_scenario_may_name_every_kind(kind: str, tmp_path: Path) -> None:
    """The node makes the photon of the port that the file describes."""
    numbers = {item.name: getattr(PORTS[kind], item.name) for item in fields(PORTS[kind])}
    lines = [f"{key} = {repr(value).lower()}" for key, value in numbers.items()]
    scheme = PORTS[kind].schemes[0]
    lab = ["[lab.nodes]", "alice = 0x10000", "bob = 0x20000", "[lab.stations.midpoint]", f'scheme = "{scheme}"',
           'inputs = { a = ["alice.port"], b = ["bob.port"] }',
           'detectors = { c_h = "w", c_v = "x", d_h = "y", d_v = "z" }']  # fmt: skip
    file = tmp_path / "own.toml"
    file.write_text("\n".join(['extends = "default"', "[nodes.port]", f'kind = "{kind}"', *lines, *lab]))
    node = next(iter(World(load_scenario(str(file)), 1).nodes.values()))
    assert node.truth.port == PORTS[kind]
    assert 0 < node.port.photon(500, 1.0, node.truth.port).efficiency < 1


def test_a_superatom_at_a_station_of_two_polarisations_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('extends = "default"\n[nodes.port]\nkind = "superatom"\ng_rad_s = 3e6\nkappa_ext_rad_s = 1e7\n'
                    "kappa_in_rad_s = 1e6\ngamma_rad_s = 2e7\n")  # fmt: skip
    with pytest.raises(ScenarioError, match=r"Port alice\.port serves .*time_bin.* only, but station midpoint heralds"):
        World(load_scenario(str(file)), 1)


def test_no_other_file_of_the_world_asks_for_a_kind() -> None:
    world = Path(__file__).resolve().parents[2] / "sim" / "world"
    for file in world.rglob("*.py"):
        if file.parent.name != "ports":
            assert not re.search(r"isinstance\([^)]*(Port|Waveguide)\b", file.read_text()), file
