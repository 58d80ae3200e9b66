"""What the atoms themselves do to their photons, as far as the lab believes it: rows of the fidelity budget.

    motion        V of two photons averaged over where the atoms are: believed temperature, tweezer, standing wave,
                  coupling and width of the cavity, pulse. It is a part of the visibility that HomInterference measures
    returns       a share p of the photons of a pumped atom comes after a return to F = 2, m = +-1 and leaves it outside
                  the qubit: each correlator is (1 - p)_A (1 - p)_B of itself
    pumping       an atom that was not pumped sends r photons for one of a pumped atom, all of that kind: with a share
                  e of such atoms they are w = [(1 - e) p + e r]/[(1 - e) + e r] in all
Schemes that keep atoms superposed lose coherence alone: which atom sent such a photon is known. A belief that is 0 says
that the lab knows nothing of the effect; then there is no such row. The models are `sim.physics.motion` and `returns`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from analysis.photon_model import DECAY_RAD_S, RISE_S, STEP_S

Node = Mapping[str, float]

# What a file without this belief is taken to say.
BELIEFS = {"temperature_k": 0.0, "standing_wave_m": 0.0, "f_coupling_hz": 0.0, "f_kappa_hz": 0.0, "t_excitation_s": 0.0,
           "trap_depth_k": 0.0, "trap_waist_m": 0.0, "trap_wavelength_m": 0.0,
           "p_wrong_state": 0.0, "p_beside": 0.0}  # fmt: skip
_MOTION = ("temperature_k", "standing_wave_m", "f_coupling_hz", "f_kappa_hz", "t_excitation_s", "trap_depth_k",
           "trap_waist_m", "trap_wavelength_m")  # fmt: skip
_RABI_RAD_S = 2 * math.pi * 10e6  # of the design's pulse; V hardly depends on it
_EMPTYING_S = 1.2e-6


def moving_visibility(nodes: Sequence[Node]) -> float | None:
    """Return V of photons of two atoms that move as believed; None where a belief is missing or 0."""
    if not all(node[name] > 0 for node in nodes for name in _MOTION):
        return None
    return _visibility(*(tuple(node[name] for name in _MOTION) for node in nodes))


def left_after_returns(node: Node) -> float:
    """Return the share of a pumped atom's photons that leave it a qubit."""
    return 1 - node["p_wrong_state"]


def left_in_all(node: Node) -> float:
    """Return that share of all photons, those of atoms that were not pumped among them."""
    not_pumped = 1 - node["p_pumped"]
    sent = (1 - not_pumped) + not_pumped * node["p_beside"]
    return (1 - not_pumped) * left_after_returns(node) / sent if sent > 0 else 1.0


@lru_cache(maxsize=8)
def _visibility(*nodes: tuple[float, ...]) -> float:
    from sim.physics import cavity
    from sim.physics.aom import envelope
    from sim.physics.emission import visibility
    from sim.physics.motion import spread
    from sim.physics.species import RB87
    from sim.physics.trap import Trap

    photons = []
    t = np.arange(-3 * RISE_S, max(node[4] for node in nodes) + _EMPTYING_S, STEP_S)
    for temperature_k, wave_m, coupling_hz, kappa_hz, pulse_s, *trap in nodes:
        pulse = _RABI_RAD_S * np.sqrt(np.clip(envelope(t, 0.0, pulse_s, RISE_S), 0, None))
        port = cavity.CavityPort(2 * math.pi * coupling_hz, 2 * math.pi * kappa_hz, 0.0, DECAY_RAD_S,
                                 standing_wave_m=wave_m)  # fmt: skip
        photons.append(cavity.emit(port, t, pulse, moved=spread(Trap(*trap), RB87.mass_kg, temperature_k)))
    return visibility(*photons)
