"""What the lab ought to believe: the best set points, worked out from the truth.

For tests and validation only: a calibration has to find these numbers out. `believed` are the beliefs that are held
fixed (an exposure, a pulse length, the amplitude of a beam), by the names of `drivers/parameters.py`; those that this
function works out are ignored in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sim.physics.aom import rf_fraction
from sim.physics.imaging import best_threshold
from sim.physics.pumping import F1, READY, generator, transition
from sim.world.network.node import Node
from sim.world.world import World

_CYCLE_REST_S = 1.6e-6  # an attempt besides pumping: way of the photon, gate, overhead of the gateware
_STEPS = 40  # of a golden-section search: 4e-9 of the interval


def best_parameters(world: World, believed: Mapping[str, float]) -> dict[str, float]:
    """Return the best value now of every parameter that a drift of a scenario can spoil, by its full name."""
    out = {}
    for name, node in world.nodes.items():
        mine = {key.removeprefix(f"param.{name}."): value for key, value in believed.items()}
        for key, value in _of_node(node, mine).items():
            out[f"param.{name}.{key}"] = value
    for link in world.topology.links:
        for end, name in enumerate(link.nodes):
            node = world.nodes[name]
            out[link.of_channel(end, "t_photon_s")] = node.truth.aom.latency_s + node.port.flight_s
        out[link.of_pairs("phase_rad")] = 0.0  # these compensators leave none
        detectors = world.stations[link.station].truth.detectors
        out[link.of_station("dark_rate_hz")] = float(np.mean([detector.dark_rate_hz for detector in detectors]))
    return out


def _of_node(node: Node, believed: Mapping[str, float]) -> dict[str, float]:
    truth, turn = node.truth, node.truth.polarisation
    raman = truth.raman.rabi_rad_s * math.sqrt(_power(node, believed, "raman_a") * _power(node, believed, "raman_b"))
    best = {
        "f_larmor_hz": node.larmor_rad_s / (2 * math.pi),
        "t_raman_pi_s": math.pi / raman,
        "t_mw_pi_s": math.pi / truth.microwave.rabi_rad_s,
        "t_pump_s": _pumping_s(node, believed),
        "a_excitation": _amplitude(node, believed),
        "image_threshold": float(best_threshold(believed["t_image_s"], truth.imaging)),
        "v_paddle_turn_v": -turn.beta_rad / turn.turn_rad_per_v,
        "v_paddle_phase_v": -turn.gamma_rad / turn.phase_rad_per_v,
    }
    if truth.port.resonator is not None and truth.excitation.cavity_rad_s_per_v:
        best["v_piezo_v"] = -truth.port.resonator.detuning_rad_s / truth.excitation.cavity_rad_s_per_v
    return best


def _power(node: Node, believed: Mapping[str, float], beam: str) -> float:
    return node.truth.aom.diffraction(rf_fraction(believed[f"a_{beam}"], believed[f"att_{beam}_db"]))


def _pumping_s(node: Node, believed: Mapping[str, float]) -> float:
    """Return the pumping time that makes most photons per second: (share of ready atoms)^2 over the attempt's length,
    squared because a herald needs both nodes.
    """
    rates = generator(node.truth.pumping, _power(node, believed, "repump"), _power(node, believed, "pumping"))
    return _highest(lambda t: float(transition(rates, t)[READY, F1]) ** 2 / (t + _CYCLE_REST_S), 0.1e-6, 100e-6)


def _amplitude(node: Node, believed: Mapping[str, float]) -> float:
    """Return the DDS amplitude of the excitation beam that extracts most photons, with the cavity on resonance.

    Light is cheap where a little more of it changes nothing, so the search ends at the modulator's maximum.
    """
    truth, length_mu = node.truth, round(believed["t_excitation_s"] * 1e9)
    full = rf_fraction(1.0, believed["att_excitation_db"])
    highest = min(1.0, math.sqrt(truth.aom.saturation_w / (truth.aom.full_scale_w * full)))
    port: Any = truth.port
    if port.resonator is not None:
        port = replace(port, detuning_rad_s=0.0, lock_rms_rad_s=0.0)

    def efficiency(amplitude: float) -> float:
        return node.port.photon(length_mu, truth.aom.diffraction(amplitude**2 * full), port).efficiency

    return _highest(efficiency, 0.05, highest, steps=10)


def _highest(function: Callable[[float], float], low: float, high: float, steps: int = _STEPS) -> float:
    """Return where a function with one maximum is highest, by golden section."""
    ratio = (math.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(steps):
        if at_left > at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2
