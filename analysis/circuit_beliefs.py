"""The errors of registers in a line, as a run's file believes them, for `analysis.circuit_noise`.

A heralded pair at its clicks: `analysis.heralding`. Each half keeps exp(-(t/T2*)^2 - t/T2) of its coherence until it is
stored, and exp(-(t/T2*)^2) of the storage's T2* where that is at t from the middle of a gap: nothing refocuses it.
A turn takes four pulses of map and transfer; each leaves (pi rms/2)^2 of the level that it acts on behind, the map what
a detuning leaves, too. Half of the atom is in that level.
Of the gate's Bell fidelity what decay and Doppler shifts cost, 1 - F, makes one of 15 two-atom Paulis with p = (1 - F)
5/4, as a Bell pair shows 12 of them. Atoms that attempts have warmed pay more for Doppler shifts. The phase beyond pi
that the blockade leaves is the same in each shot.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis import heralding, swap
from analysis.circuit_noise import NodeNoise, Noise
from analysis.load import Run
from atomlink.at_port import belief
from atomlink.heralds import FOUR
from atomlink.link_name import LinkName

_NODE = ("t2_star_s", "t2_s", "t_mw_pi_s", "pulse_rms", "p_pushout_f1", "p_handover", "t1_storage_s", "t2_storage_s",
         "t2_star_storage_s", "hidden_scatter_rate_hz", "t_local_image_s", "t_recooling_s",
         "cz_excess_turns", "attempt_heating_k")  # fmt: skip


def names(links: Sequence[LinkName], nodes: Sequence[str]) -> tuple[str, ...]:
    """Return the beliefs that the prediction rests on."""
    return (
        *(link.of_channel(end, "efficiency") for link in links for end in range(2)),
        *(link.of_station(key) for link in links for key in heralding.OF_STATION),
        *(belief(node, key) for node in nodes for key in (*_NODE, *swap.GATE)),
    )


def noise(run: Run, waited: Sequence[float], off_middle_s2: float, turn_s: float,
          attempts: float) -> Noise | None:  # fmt: skip
    """Return the errors as the file believes them; None where a belief is missing.

    Measured: cycles that each pair waited, mean square of the time between storing and the middle of a gap (s^2),
    length of a turn (s), and attempts from the last recooling to a herald.
    """
    links = [LinkName.parse(name) for name in run.text("scan.links").split(",") if name]
    nodes = run.text("scan.registers").split(",")
    found = {name: run.belief(name) for name in names(links, nodes)}
    if any(value is None for value in found.values()):
        return None
    of = {name: float(value) for name, value in found.items() if value is not None}
    zeeman_s = [float(t) for t in run.datasets["scan.t_zeeman_s"]]
    return Noise(
        [_node(of, node, turn_s, attempts) for node in nodes],
        np.array([_pair(of, link, t, off_middle_s2) for link, t in zip(links, zeeman_s, strict=True)]),
        2 * float(run.datasets["scan.spacing_s"]), waited,
    )  # fmt: skip


def _node(of: dict[str, float], node: str, turn_s: float, attempts: float) -> NodeNoise:
    rms, star_s, map_s = (of[belief(node, key)] for key in ("pulse_rms", "t2_star_s", "t_mw_pi_s"))
    area, detuned = (0.5 * math.pi * rms) ** 2, (map_s / (math.sqrt(2) * math.pi * star_s)) ** 2
    p_image, p_recool = (-math.expm1(-of[belief(node, "hidden_scatter_rate_hz")] * of[belief(node, key)])
                         for key in ("t_local_image_s", "t_recooling_s"))  # fmt: skip
    warmer_k = of[belief(node, "attempt_heating_k")] * attempts
    cold, one, both = (1.25 * swap.gate_noise(of, node, swap.TEMPERATURE_K + 0.5 * n * warmer_k) for n in range(3))
    return NodeNoise(
        pulse_rms=rms, p_map=0.5 * (4 * area + 2 * detuned),
        p_sign=0.5 * -math.expm1(-(((turn_s + map_s) / star_s) ** 2)),
        p_gate=(cold, one, both), excess_rad=2 * math.pi * of[belief(node, "cz_excess_turns")],
        p_handover=of[belief(node, "p_handover")],
        p_pushout=of[belief(node, "p_pushout_f1")], t1_s=of[belief(node, "t1_storage_s")],
        t2_s=of[belief(node, "t2_storage_s")], p_image=p_image, p_recool=p_recool,
    )  # fmt: skip


def _pair(of: dict[str, float], link: LinkName, zeeman_s: float, off_s2: float) -> list[float]:
    """Return the weights of I, X, Z, Y on a stored pair Phi+."""
    coherence, populations = heralding.believed(link, "polarisation", FOUR, of.__getitem__).state
    for atom in link.nodes:
        star_s, t2_s, stored_s = (of[belief(atom, key)] for key in ("t2_star_s", "t2_s", "t2_star_storage_s"))
        coherence *= math.exp(-((zeeman_s / star_s) ** 2) - zeeman_s / t2_s - off_s2 / stored_s**2)
    same = 0.25 * (1 + populations)  # of each of X, Y: both atoms the same, where Psi+ has them different
    return [0.25 * (1 - populations + 2 * coherence), same, 0.25 * (1 - populations - 2 * coherence), same]
