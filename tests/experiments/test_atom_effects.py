"""What the atoms do to photons and pairs, through kernels, bus and world: rate and fidelity move by what the closed
forms say, within 3 standard errors. Apart from the effect in hand the lab is perfect (overlap, darks, read-out), so
that the pairs' correlators are the effect's alone. Seeds fixed.
"""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from lab_runs import execute

from analysis.budget import Budget, budget
from analysis.link import LinkResult, analyse
from analysis.load import Run
from sim.physics import pumping as pump
from sim.physics.emission import visibility
from sim.physics.fibre import transmission
from sim.physics.heralding import TwoPhoton, two_photon_polarisation
from sim.physics.pumping import generator, transition
from sim.world import World, load_scenario
from sim.world.network.photon_port import PhotonPort

PERFECT = """extends = "bright"
[nodes.atom]
vacuum_lifetime_s = 1e9
temperature_k = {temperature_k}
pump_heating_k_s = 0.0
emission_heating_k = 0.0
[nodes.imaging]
loss_hz = 0.0
[nodes.pumping]
{pumping}
[nodes.raman]
amplitude_rms = 0.0
[nodes.microwave]
amplitude_rms = 0.0
[nodes.pushout]
loss_hz = 1e7
leak_hz = 0.0
[nodes.memory]
t2_star_s = 1.0
t2_s = 10.0
t1_s = 10.0
[stations]
overlap = 1.0
detuning_rad_s = 0.0
[stations.detector]
dark_rate_hz = 0.0
[nodes.port]
"""


def write(folder: Path, port: str, temperature_k: float = 20e-6, pumping: str = "leak_hz = 0.0") -> Path:
    own = folder / "own.toml"
    own.write_text(PERFECT.format(temperature_k=temperature_k, pumping=pumping) + port)
    return own


def link(folder: Path, scenario: Path, seed: int, pairs: int) -> tuple[Run, LinkResult]:
    """Herald pairs and read them out in XX, YY and ZZ."""
    words = (f"n_pairs={pairs}", 'settings="bell (XX YY ZZ)"', "calibration_fraction=0.0")
    done = execute(folder, "link/remote_entanglement.py", "--scenario", str(scenario), "--seed", str(seed), *words)
    assert done.code == 0 and done.run is not None, done.text
    return done.run, analyse(done.run)


def alice(scenario: Path) -> tuple[PhotonPort, float]:
    """Return a port of the lab, and the share of its photons that make a click."""
    world = World(load_scenario(str(scenario)), 1)
    port, station = world.nodes["alice"].port, world.stations["midpoint"].truth
    way = port.truth.port.fibre_coupling * transmission(port.truth.fibre)
    return port, way * station.transmission * station.detectors[0].efficiency


def check(result: LinkResult, probability: float, coherence: float, populations: float, pairs: int) -> None:
    """Compare with P and with F = (1 + 2 E_c - E_z)/4; errors are those of the expected correlators."""
    assert abs(result.probability.sigmas_from(probability)) < 3, (result.probability, probability)
    error = math.sqrt(sum(1 - e * e for e in (coherence, coherence, populations)) * 3 / pairs) / 4
    found = result.total.raw.fidelity
    assert found is not None and abs(found.value - (1 + 2 * coherence - populations) / 4) < 3 * max(error, 1e-3)


@pytest.mark.parametrize("temperature_k", [20e-6, 80e-6])
def test_a_warm_atom_sends_fewer_photons_and_worse_pairs(temperature_k: float, tmp_path: Path) -> None:
    """P = eta^2/2, F = (1 + V)/2 with eta and V of the photon averaged over the motion: (.699, .962), (.570, .916)."""
    own = write(tmp_path, "standing_wave_m = 780.241e-9\n", temperature_k)
    port, seen = alice(own)
    photon = port.emission(504, 1.0, 0.0, port.strays)
    v, pairs = visibility(photon, photon), 1200
    assert photon.efficiency == pytest.approx(0.70 if temperature_k < 50e-6 else 0.57, abs=0.01)
    eta = photon.efficiency * seen * 0.9999  # what four time constants of pumping leave behind
    closed = two_photon_polarisation(TwoPhoton(eta, eta, 0.0, v))
    run, result = link(tmp_path, own, 5, pairs)
    check(result, closed.probability, v, -1.0, pairs)
    right, cold = (predicted(run, result, v, standing_wave_m=wave, temperature_k=temperature_k, f_kappa_hz=2.75e6)
                   for wave in (780.241e-9, 0.0))  # fmt: skip
    assert abs(right.sigmas) < 3 and [part.name for part in cold.fidelity][1] == "overlap of the photons"
    assert right.fidelity[1].name == "motion of the atoms"
    assert right.fidelity[1].predicted == pytest.approx((1 + v) / 2, abs=2e-3)


def predicted(run: Run, result: LinkResult, visibility: float, **of_node: float) -> Budget:
    """Return the budget of a run by other beliefs: that the lab is perfect but for these of both nodes."""
    flawless = {"t2_star_s": 1e9, "t2_s": 1e9, "p_pushout_f1": 0.0, "pulse_rms": 0.0, "p_pumped": 1.0}
    beliefs = {f"param.{node}.{name}": value for node in run.nodes for name, value in (flawless | of_node).items()}
    link_beliefs = {"link.visibility_belief": visibility, "link.dark_rate_belief_hz": [0.0] * 4}
    found = budget(replace(run, datasets=dict(run.datasets) | link_beliefs | beliefs), result)
    assert found is not None
    return found



def wrong_share(port: PhotonPort, pump_s: float, seen: float) -> tuple[float, float]:
    """Return the detected photons of an attempt, and the share of them that leave an atom outside the qubit."""
    pumping = port.node.truth.pumping
    pumped = transition(generator(pumping), pump_s)[:, pump.F2]
    good, beside = port.emission(504, 1.0, 0.0), port.emission(504, 1.0, 0.0, None, beside=True)
    right = pumped[pump.READY] * good.efficiency
    wrong = pumped[pump.F2] * pumping.left_beside * beside.efficiency
    wrong += pumped[pump.READY] * good.wrong.efficiency if good.wrong is not None else 0.0
    return float(right + wrong) * seen, float(wrong / (right + wrong))


@pytest.mark.parametrize(("leak_hz", "beside", "branching", "share"), [
    (0.0, 0.0, (1 / 15, 0.1), 0.031), (4e4, 1.0, (0.0, 0.0), 0.0145), (4e4, 1.0, (1 / 15, 0.1), 0.045),
])  # fmt: skip
def test_photons_of_atoms_that_are_no_qubits_cost_fidelity(
    leak_hz: float, beside: float, branching: tuple[float, float], share: float, tmp_path: Path
) -> None:
    """After returns to F = 2, m = +-1, and where pumping left atoms there: E = (1 - w)^2 of that without, P = eta^2/2
    with all photons. Their atoms are read as unpolarised. A weaker cavity makes w large enough for 2400 pairs.
    """
    weak = "g_over_2pi_hz = 5e6\nkappa_ext_over_2pi_hz = 2.7e6\nkappa_in_over_2pi_hz = 0.3e6\n"
    weak += f"branching_back = {branching[0]}\nbranching_beside = {branching[1]}\n"
    own = write(tmp_path, weak, pumping=f"leak_hz = {leak_hz}\nleft_beside = {beside}")
    port, seen = alice(own)
    photon, pairs = port.emission(504, 1.0, 0.0), 2400
    eta, w = wrong_share(port, 4e-6, seen)
    assert w == pytest.approx(share, rel=0.05)
    kept = (1 - w) ** 2
    v = visibility(photon, photon)
    run, result = link(tmp_path, own, 7, pairs)
    check(result, eta**2 / 2, kept * v, -kept, pairs)
    pumped = transition(generator(port.node.truth.pumping), 4e-6)[pump.READY, pump.F2]
    after = 0.0 if photon.wrong is None else photon.wrong.efficiency
    all_of_pumped = photon.efficiency + after
    sent = beside * port.emission(504, 1.0, 0.0, None, beside=True).efficiency / all_of_pumped
    right = predicted(run, result, v, p_pumped=pumped, p_beside=sent, p_wrong_state=after / all_of_pumped)
    unaware = predicted(run, result, v, p_pumped=pumped)
    assert abs(right.sigmas) < 3 and unaware.sigmas < -3
    assert ("returns to a wrong state" in [part.name for part in right.fidelity]) == (after > 0)
