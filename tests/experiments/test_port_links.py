"""Ports that are no cavity herald pairs through the link experiment, as often as their photons say."""

from pathlib import Path

import pytest
from lab_runs import execute

from analysis import link
from sim.physics.fibre import transmission
from sim.world.scenario import load_scenario
from sim.world.world import World

LAB = """
extends = "default"
[lab.nodes]
alice = 0x10000
bob = 0x20000
[lab.stations.midpoint]
scheme = "time_bin"
inputs = { a = ["alice.port"], b = ["bob.port"] }
detectors = { c = "snspd_c", d = "snspd_d" }
entangler = "entangler"
[nodes.fibre]
insertion = 0.95
[stations]
transmission = 0.9
[nodes.port]
"""
PORTS = {
    "superatom": """kind = "superatom"
g_over_2pi_hz = 0.5e6
kappa_ext_over_2pi_hz = 2.5e6
kappa_in_over_2pi_hz = 0.25e6
gamma_over_2pi_hz = 3.03e6
atoms = 400.0
prepared = 0.95
stored_s = 1e-6
dephasing_s = 11e-6
fibre_coupling = 0.9
""",
    "waveguide": """kind = "waveguide"
guided_over_2pi_hz = 6.6e6
other_over_2pi_hz = 6e6
directionality = 0.9
fibre_coupling = 0.9
""",
}


@pytest.mark.parametrize("kind", PORTS)
def test_a_port_heralds_pairs_as_often_as_its_photons_say(kind: str, tmp_path: Path) -> None:
    """P = eta^2/2 of two time bins, within 4 sigma of the run's estimate; darks are below 1e-3 of it. F is above 1/2 by
    4 sigma.
    """
    scenario = tmp_path / "own.toml"
    scenario.write_text(LAB + PORTS[kind])
    done = execute(tmp_path, "link/remote_entanglement.py", "--scenario", str(scenario), "--seed", "3", "n_pairs=30")
    assert done.code == 0 and done.run is not None, done.text
    world = World(load_scenario(str(scenario)), 1)
    port, station = world.nodes["alice"].port, world.stations["midpoint"].truth
    eta = port.emission(504, 1.0, 0.0).efficiency * 0.9 * transmission(port.truth.fibre)
    eta *= station.transmission * station.detectors[0].efficiency
    found = link.analyse(done.run)
    assert abs(found.probability.sigmas_from(eta**2 / 2)) < 4, (found.probability, eta**2 / 2)
    fidelity = found.total.raw.fidelity
    assert fidelity is not None and fidelity.sigmas_from(0.5) > 4, "more than two unentangled atoms can have"
