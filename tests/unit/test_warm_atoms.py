"""Warm atoms: how an attempt's statistics follow the temperature, by steps of it. Seeds fixed, 4 sigma."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from register_lab import PI_MU, ZONE, RegisterLab, X
from signal_lab import CYCLE, SignalLab, put_atom

from atomlink.errors import ScenarioError
from sim.physics.coherence import t2_star_s, thermal_contrast
from sim.physics.heralding import TwoPhoton, two_photon_polarisation
from sim.world import load_scenario
from sim.world.atoms.labels import F1, F2, QUBIT, READY
from sim.world.network.warmth import cycles_within, middle_k
from sim.world.scenario.memory_truth import Memory

WAVE = "[nodes.port]\nstanding_wave_m = 780.241e-9\n"
PERFECT = """[nodes.pumping]
leak_hz = 0.0
[stations.detector]
dark_rate_hz = 0.0
"""


def open_lab(folder: Path, text: str) -> SignalLab:
    own = folder / "own.toml"
    own.write_text(f'extends = "default"\n{text}')
    return SignalLab(load_scenario(str(own)))


def test_temperatures_of_one_step_share_its_middle_and_a_step_ends_after_whole_cycles() -> None:
    assert middle_k(20e-6, 20e-6) == middle_k(21.3e-6, 20e-6) == 20e-6
    assert middle_k(22e-6, 20e-6) == pytest.approx(24e-6)
    cycles = cycles_within(20e-6, 20e-6, 0.7e-6)
    assert cycles == 3 and middle_k(20e-6 + cycles * 0.7e-6, 20e-6) > 20e-6 == middle_k(21.4e-6, 20e-6)
    assert cycles_within(20e-6, 20e-6, 0.0) is None and middle_k(0.0, 0.0) > 0
    t = 20e-6
    for _ in range(200):  # each step ends, whatever rounding does at its edge
        n = cycles_within(t, 20e-6, 0.07e-6)
        assert n is not None
        t, before = t + n * 0.07e-6, middle_k(t, 20e-6)
        assert middle_k(t, 20e-6) > before or cycles_within(t, 20e-6, 0.07e-6) == 1


def test_a_port_that_does_not_feel_the_motion_has_one_kind_of_attempt(tmp_path: Path) -> None:
    lab = open_lab(tmp_path, "")
    station = lab.world.stations["midpoint"]
    for node in lab.nodes:
        put_atom(node, temperature_k=20e-6)
    cold = station.model(CYCLE, lab.entangler.outputs)[0]
    for node in lab.nodes:
        node.temperature_k = 300e-6
    assert station.strays == (None, None) and station.model(CYCLE, lab.entangler.outputs)[0] is cold


def test_attempts_warm_the_atoms_and_herald_less_and_less(tmp_path: Path) -> None:
    """Share of 1500 blocks of 100 attempts that herald: 1 - prod(1 - P(T_k)), T from 20 to 92 uK; 4 sigma. At the
    temperature of its start it would be 8 sigma more.
    """
    lab = open_lab(tmp_path, WAVE + PERFECT)
    station = lab.world.stations["midpoint"]
    alice = lab.nodes[0]
    heralded, n = 0, 1500
    for _ in range(n):
        for node in lab.nodes:
            node.register.leave(node.site)
            put_atom(node)
        found = lab.entangler.run(lab.t, lab.t + 100 * CYCLE.length_mu, CYCLE)
        lab.t = found.t_end_mu + 1000
        heralded += found.pattern != 0
        if not found.pattern and alice.label:
            assert alice.temperature_k == pytest.approx(20e-6 + 100 * _rise_k(alice), rel=1e-6)
    assert len(station._models) < 16  # steps of temperature, not temperatures

    def chance(temperature_k: float) -> float:
        alice.temperature_k = temperature_k
        cycle = alice.port.cycle((4e-6, 0.0), 500, 0.0, station._throughput)
        eta = cycle.detected * cycle.pump_before[F2, READY]
        return two_photon_polarisation(TwoPhoton(eta, eta, 0.0, 0.9)).probability

    expected, at_start = (1 - math.prod(1 - chance(20e-6 + warm * k * _rise_k(alice)) for k in range(100))
                          for warm in (1, 0))  # fmt: skip
    sigma = math.sqrt(expected * (1 - expected) / n)
    assert abs(heralded / n - expected) < 4 * sigma and at_start - expected > 4 * sigma


def _rise_k(node: object) -> float:
    atom = node.truth.atom  # type: ignore[attr-defined]
    return float(atom.pump_heating_k_s * 4e-6 + atom.emission_heating_k)


@pytest.mark.parametrize("temperature_k", [20e-6, 80e-6])
def test_a_stored_atom_dephases_by_its_temperature(temperature_k: float) -> None:
    """Ramsey of 4 x 60 clock atoms: the contrast of the closed form at 2 ms, against the mean shift when cold."""
    memory = Memory(1e9, 1e9, 1e9, 2.35e-4)
    room, wait_s, found, shots = RegisterLab(memory=memory), 2e-3, [], 60
    for _ in range(shots):
        room.ready(*ZONE)
        room.node.register.temperature_k[:] = temperature_k
        room.clock((X, PI_MU // 2))
        room.wait(wait_s)
        for site in ZONE:
            part = room.node.register.part(room.array.site(*site))
            assert part is not None
            found.append(part.clock_rad_s)
    contrast = abs(np.exp(1j * np.array(found) * wait_s).mean())
    closed = thermal_contrast(wait_s, t2_star_s(2.35e-4, temperature_k))
    assert abs(contrast - closed) < 0.01 + 4 * math.sqrt((1 - closed**2) / 2 / len(found))
    plain = RegisterLab(memory=replace(memory, light_shift_ratio=0.0))
    plain.ready(*ZONE)
    plain.node.register.temperature_k[:] = 1e-3
    plain.clock((X, PI_MU // 2))
    part = plain.node.register.part(plain.array.site(*ZONE[0]))
    assert part is not None and abs(part.clock_rad_s) < 1e-6


@pytest.mark.parametrize(("text", "says"), [
    ("[nodes.port]\nstanding_wave_m = -1.0\n", r"standing_wave_m is -1\.0, .* in \[0, 0\.0001\]"),
    ("[nodes.port]\nmode_waist_m = 1.0\n", r"mode_waist_m is 1\.0, .* in \[0, 0\.01\]"),
    ("[nodes.memory]\nlight_shift_ratio = 2.0\n", r"light_shift_ratio is 2\.0, .* in \[0, 1\]"),
    ('[nodes.port]\nkind = "superatom"\ng_over_2pi_hz = 1e5\nkappa_ext_over_2pi_hz = 2e6\nkappa_in_over_2pi_hz = 1e5\n'
     "gamma_over_2pi_hz = 3e6\nstanding_wave_m = 780e-9\n", "of one atom in a cavity, but a superatom's"),
])  # fmt: skip
def test_unphysical_motion_is_one_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=says):
        open_lab(tmp_path, text)


def test_only_a_cavity_of_one_atom_has_photons_of_atoms_beside(tmp_path: Path) -> None:
    lens = '[nodes.port]\nkind = "free_space"\ncollection = 0.1\nfibre_coupling = 0.5\ngamma_over_2pi_hz = 3e6\n'
    with pytest.raises(ScenarioError, match=r"left_beside is 0\.5, but a port that is no cavity"):
        open_lab(tmp_path, lens + "[nodes.pumping]\nleft_beside = 0.5\n")


def test_an_atom_left_beside_meets_a_pulse_that_a_kernel_plays(tmp_path: Path) -> None:
    """Pulse by pulse without pumping: an atom in F = 2 sends its photon with eta_beside (4000 tries, 4 sigma),
    and is in F = 1 then, unpolarised; without the key it stays and sends none.
    """
    for key, text in ((1.0, "[nodes.pumping]\nleft_beside = 1.0\n"), (0.0, "")):
        lab = open_lab(tmp_path, PERFECT.replace("leak_hz = 0.0", f"leak_hz = 0.0\n{text.partition(chr(10))[2]}"))
        node, clicks, n = lab.nodes[0], 0, 4000 if key else 100
        photon = node.port.emission(500, 1.0, 0.0, None, beside=True)
        lab.world.advance(lab.t)
        gone = 0
        for _ in range(n):
            put_atom(node)
            node.port.register.handles.clear()
            start = lab.t
            lab.pulse(node.name, "excitation", 500)
            lab.play(start + 4000)
            clicks += sum(len(each(start, start + 4000)) for each in lab.detectors)
            gone += node.label in (F1, QUBIT)  # a qubit is an atom in F = 1 whose state may be asked for
        cycle = node.port.cycle((0.0, 0.0), 500, 0.0, lab.world.stations["midpoint"]._throughput)
        assert abs(gone / n - key * photon.transferred) < 4 * math.sqrt(0.25 / n)
        expected = cycle.beside[1]
        assert (expected > 0.05) == (key > 0)
        assert abs(clicks / n - expected) <= 4 * math.sqrt(expected * (1 - expected) / n)
