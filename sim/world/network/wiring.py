"""Which signal feeds which element: the cables of the lab, by the names of drivers/README.md.

A node's signals begin with its name; those of a port beyond its first with the port's name after it
(`charlie_east_sw_excitation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from atomlink.at_port import PORT_ROLES, dac_channels
from atomlink.signals import Tone
from atomlink.topology import NodeSpec, Topology
from sim.world.network.memory_cell import MemoryCell
from sim.world.network.network import Network
from sim.world.network.node import Node
from sim.world.network.photon_port import PhotonPort
from sim.world.scenario.paths import ROLES

ZOTINO = {0: "shim_x", 1: "shim_y", 2: "shim_z", 3: "trap"}  # and behind them those of the ports
_SHIMS = ("shim_x", "shim_y", "shim_z")
_PADDLES = ("paddle_turn", "paddle_phase")
OF_AN_ARRAY = ("awg_trigger", "camera_trigger", "hiding")  # spare where a node has none


class Wire(NamedTuple):
    """Where a port of the gateware leads: node, what ("switch", "dds", "mot_coil", "mw_switch", "shutter",
    "awg_trigger", "camera_trigger", "hiding", or a Zotino role), for beams the role, and the photon port it belongs to.
    """

    node: str
    what: str
    role: str = ""
    port: str = ""


def find(signal: str, topology: Topology) -> Wire | None:
    """Return where a signal leads; None for a spare channel."""
    for node in sorted(topology.nodes, key=lambda spec: -len(spec.name)):
        if signal.startswith(f"{node.name}_"):
            return _of_node(node, signal.removeprefix(f"{node.name}_"))
    return None


def memory_signal(signal: str,
                  memories: Mapping[str, MemoryCell]) -> tuple[float, Callable[[int, Any], None]] | None:  # fmt: skip
    """Return how long (s) a signal of a memory takes to act, and what it does; None for a signal of no memory."""
    for name, cell in memories.items():
        latency = cell.truth.aom.latency_s
        wires: dict[str, tuple[float, Callable[[int, Any], None]]] = {
            f"{name}_ttl_control": (latency, cell.set_switch),
            f"{name}_dds_control": (latency, cell.set_tone),
            f"{name}_ttl_mot": (0.0, cell.set_mot),
        }
        if signal in wires:
            return wires[signal]
    return None


def _of_node(node: NodeSpec, rest: str) -> Wire | None:
    roles: tuple[str, ...] = ROLES
    port = node.ports[0].name
    for other in sorted(node.ports[1:], key=lambda spec: -len(spec.name)):
        if rest.startswith(f"{other.name}_"):
            port, roles, rest = other.name, PORT_ROLES, rest.removeprefix(f"{other.name}_")
            break
    if rest in ("mot_coil", "mw_switch", "shutter", *OF_AN_ARRAY) and roles is ROLES:
        return Wire(node.name, rest)
    if rest.startswith("zotino/") and roles is ROLES:
        return _voltage(node, int(rest.removeprefix("zotino/")))
    kind, _, role = rest.partition("_")
    if kind in ("sw", "dds") and role in roles:
        return Wire(node.name, "switch" if kind == "sw" else "dds", role, port)
    return None


def _voltage(node: NodeSpec, channel: int) -> Wire | None:
    for number, port in enumerate(node.ports):
        wires = dict(zip(dac_channels(number), ("piezo", *_PADDLES), strict=True))
        if channel in wires:
            return Wire(node.name, wires[channel], port=port.name)
    what = ZOTINO.get(channel)
    return Wire(node.name, what, port=node.ports[0].name) if what else None


def effect(node: Node, network: Network, wire: Wire, kind: str) -> tuple[float, Callable[[int, Any], None]]:
    """Return how long (s) a signal on this wire takes to act, and what it does then."""
    settled = network.settle
    if wire.what in ("switch", "dds"):
        return node.truth.aom.latency_s, _beam(node.ports[wire.port], network, wire)
    if wire.what == "mot_coil":
        return 0.0, lambda _t, level: setattr(node, "mot_coil", bool(level))
    if wire.what == "mw_switch":
        return 0.0, lambda t, level: node.switch_microwave(t, bool(level))
    if wire.what in OF_AN_ARRAY:
        return 0.0, lambda t, level: _array(node, wire.what, t, bool(level))
    if wire.what == "shutter":
        return node.truth.shutter_s, lambda t, level: _shutter(node, network, t, bool(level))
    if wire.what in _SHIMS:
        return 0.0, lambda _t, volts: _after(settled, node.set_field, _SHIMS.index(wire.what), volts)
    if wire.what in _PADDLES:
        port = node.ports[wire.port]
        return 0.0, lambda _t, volts: _after(settled, port.set_paddle, _PADDLES.index(wire.what), volts)
    if wire.what == "trap":
        return 0.0, lambda _t, volts: _after(settled, node.set_trap, volts)
    return 0.0, lambda _t, volts: _after(settled, node.ports[wire.port].set_piezo, volts)


def _array(node: Node, what: str, t_mu: int, level: bool) -> None:
    """Act on the tweezer array, if the node has one; triggers are rising edges."""
    tweezers = node.tweezers
    if tweezers is None:
        return
    if what == "hiding":
        tweezers.hidden = level
    elif level:
        tweezers.trigger(t_mu) if what == "awg_trigger" else tweezers.camera.trigger(t_mu)


def _beam(port: PhotonPort, network: Network, wire: Wire) -> Callable[[int, Any], None]:
    beam = port.beams[wire.role]

    def act(t_mu: int, value: int | Tone) -> None:
        before = beam.power
        if isinstance(value, Tone):
            beam.set_tone(t_mu, value)
        else:
            beam.set_switch(bool(value))
        if wire.role == "excitation":
            _excitation(port, network, t_mu, before)
        elif wire.role == "transfer":
            port.node.move_to_storage(t_mu, before)

    return act


def _shutter(node: Node, network: Network, t_mu: int, is_open: bool) -> None:
    before = [port.beams["excitation"].power for port in node.ports.values()]
    transfer = node.beams["transfer"].power
    for beam in node.every_beam:
        beam.set_shutter(is_open)
    node.move_to_storage(t_mu, transfer)
    for port, power in zip(node.ports.values(), before, strict=True):
        _excitation(port, network, t_mu, power)


def _excitation(port: PhotonPort, network: Network, t_mu: int, before: float) -> None:
    """Edges of the excitation light delimit pulses."""
    lit = port.beams["excitation"].power > 0
    if lit and before == 0:
        port.pulse_start_mu = t_mu
    elif not lit and before > 0 and port.pulse_start_mu is not None:
        network.emit(port, port.pulse_start_mu, t_mu)
        port.pulse_start_mu = None


def _after(settle: Callable[[], None], act: Callable[..., None], *arguments: Any) -> None:
    settle()
    act(*arguments)
