"""What a link run would yield now with given beliefs: heralds per second of attempting, and how good new pairs are.

For tests and validation only, like `optimum`: it reads the truth. The world is one of its own (same scenario and seed,
brought to the time in question), since powers, compensators and piezos are set as the beliefs say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from atomlink.heralds import FOUR, patterns
from atomlink.signals import Cycle, Tone
from atomlink.topology import LinkSpec
from sim.world.atoms.labels import F1
from sim.world.network.entangler_port import outputs_of
from sim.world.world import World

GRID_MU = 8  # clock of the heralding gateware
GAP_MU = 104  # between pumping and excitation, as drivers/rtio/attempt.py has it
OUTPUT_DELAY_MU = 40  # of the gateware
OVERHEAD_MU = 32
LATEST_MU = 16
PSI_PLUS, PSI_MINUS = (patterns("polarisation", FOUR, sign) for sign in (+1, -1))
BEAMS = ("pumping", "repump", "excitation")


class Attempting(NamedTuple):
    """Heralds per second of attempting, and the mean fidelity of new pairs (before memory and read-out)."""

    herald_hz: float
    fidelity: float


def attempting(world: World, believed: Mapping[str, float], draws: int = 20_000, seed: int = 0) -> Attempting:
    """Return what attempts yield; the relative error is 1/sqrt(draws)."""
    _set_up(world, believed)
    link = world.topology.link()
    station = world.stations[link.station]
    cycle = _cycle(believed, link)
    model, _ = station.model(cycle, outputs_of(world.scenario, 0))
    rng = np.random.default_rng(seed)
    cycles, found = model.heralds(rng, np.full((draws, 2), F1))
    sign = np.where(np.isin(found.pattern, PSI_PLUS), 1.0, -1.0)
    turned = sign * np.exp(1j * believed[link.of_pairs("phase_rad")])  # the second axes are, by the phase believed
    overlap = np.abs(found.states[:, 1] + turned * found.states[:, 2]) ** 2 / 2
    both = (found.ends == F1).all(axis=1)
    return Attempting(1e9 / (float(cycles.mean()) * cycle.length_mu), float((overlap * both).mean()))


def _set_up(world: World, believed: Mapping[str, float]) -> None:
    for name, node in world.nodes.items():
        mine = {key.removeprefix(f"param.{name}."): value for key, value in believed.items()}
        for role in BEAMS:
            tone = Tone(mine[f"f_{role}_hz"], mine[f"a_{role}"], 0.0, mine[f"att_{role}_db"], False)
            node.beams[role].set_tone(0.0, tone)
            node.beams[role].set_shutter(True)
        node.port.set_piezo(mine["v_piezo_v"])
        node.port.set_paddle(0, mine["v_paddle_turn_v"])
        node.port.set_paddle(1, mine["v_paddle_phase_v"])
        node.set_field(2, mine["v_shim_z_v"])


def _cycle(believed: Mapping[str, float], link: LinkSpec) -> Cycle:
    """Return the attempt that `drivers.rtio.attempt.believed_timing` and the gateware make of the beliefs."""
    photon = [_mu(believed[link.of_channel(end, "t_photon_s")]) for end in range(2)]
    pulse = [_grid(_mu(believed[f"param.{node}.t_excitation_s"])) for node in link.nodes]
    pump = max(_mu(believed[f"param.{node}.t_pump_s"]) for node in link.nodes)
    arrival = pump + GAP_MU + max(photon)
    starts = [_grid(arrival - t) for t in photon]
    stop = arrival + _mu(believed[link.of_station("t_gate_s")])
    gate = (arrival + OUTPUT_DELAY_MU, stop + OUTPUT_DELAY_MU)
    spans = [(0, _grid(pump)), *((start, start + length) for start, length in zip(starts, pulse, strict=True))]
    outputs = (*((start + OUTPUT_DELAY_MU, end + OUTPUT_DELAY_MU) for start, end in spans), None)
    length = GRID_MU * -(-(stop + LATEST_MU) // GRID_MU) + OVERHEAD_MU
    return Cycle(length, outputs, (gate,) * 4, (*PSI_PLUS, *PSI_MINUS))


def _mu(t_s: float) -> int:
    return round(t_s * 1e9)


def _grid(t_mu: int) -> int:
    return GRID_MU * round(t_mu / GRID_MU)
