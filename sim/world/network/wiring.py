"""Which signal feeds which element: the cables of the lab, by the names of docs/contracts.md, section 7."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from atomlink.signals import Tone
from sim.world.network.node import Node
from sim.world.network.station import Link
from sim.world.scenario.paths import NODES, ROLES

ZOTINO = {0: "shim_x", 1: "shim_y", 2: "shim_z", 3: "trap", 4: "piezo", 5: "paddle_turn", 6: "paddle_phase"}
_SHIMS = ("shim_x", "shim_y", "shim_z")
_PADDLES = ("paddle_turn", "paddle_phase")


PROBE = "midpoint_probe"  # level: the calibration light on the midpoint's detectors
OF_AN_ARRAY = ("awg_trigger", "camera_trigger", "hiding")  # spare where a node has none


class Wire(NamedTuple):
    """Where a port leads: node, what ("switch", "dds", "mot_coil", "mw_switch", "shutter", "awg_trigger",
    "camera_trigger", "hiding", or a Zotino role) and, for beams, the role.
    """

    node: str
    what: str
    role: str = ""


def find(port: str) -> Wire | None:
    """Return where a port leads; None for a spare channel."""
    for node in NODES:
        if not port.startswith(f"{node}_"):
            continue
        rest = port.removeprefix(f"{node}_")
        if rest in ("mot_coil", "mw_switch", "shutter", *OF_AN_ARRAY):
            return Wire(node, rest)
        if rest.startswith("zotino/"):
            what = ZOTINO.get(int(rest.removeprefix("zotino/")))
            return Wire(node, what) if what else None
        kind, _, role = rest.partition("_")
        if kind in ("sw", "dds") and role in ROLES:
            return Wire(node, "switch" if kind == "sw" else "dds", role)
    return None


def effect(node: Node, link: Link, wire: Wire, kind: str) -> tuple[float, Callable[[int, Any], None]]:
    """Return how long (s) a signal on this wire takes to act, and what it does then."""
    index = NODES.index(wire.node)
    if wire.what in ("switch", "dds"):
        return node.truth.aom.latency_s, _beam(node, link, index, wire)
    if wire.what == "mot_coil":
        return 0.0, lambda _t, level: setattr(node, "mot_coil", bool(level))
    if wire.what == "mw_switch":
        return 0.0, lambda t, level: node.switch_microwave(t, bool(level))
    if wire.what in OF_AN_ARRAY:
        return 0.0, lambda t, level: _array(node, wire.what, t, bool(level))
    if wire.what == "shutter":
        return node.truth.shutter_s, lambda t, level: _shutter(node, link, index, t, bool(level))
    if wire.what in _SHIMS:
        return 0.0, lambda _t, volts: _settled(link, node.set_field, _SHIMS.index(wire.what), volts)
    if wire.what in _PADDLES:
        return 0.0, lambda _t, volts: _settled(link, node.set_paddle, _PADDLES.index(wire.what), volts)
    if wire.what == "trap":
        return 0.0, lambda _t, volts: _settled(link, node.set_trap, volts)
    return 0.0, lambda _t, volts: _settled(link, setattr, node, "piezo_v", volts)


def _array(node: Node, what: str, t_mu: int, level: bool) -> None:
    """Act on the tweezer array, if the node has one; triggers are rising edges."""
    tweezers = node.tweezers
    if tweezers is None:
        return
    if what == "hiding":
        tweezers.hidden = level
    elif level:
        tweezers.trigger(t_mu) if what == "awg_trigger" else tweezers.camera.trigger(t_mu)


def _beam(node: Node, link: Link, index: int, wire: Wire) -> Callable[[int, Any], None]:
    beam = node.beams[wire.role]

    def act(t_mu: int, value: int | Tone) -> None:
        before = beam.power
        if isinstance(value, Tone):
            beam.set_tone(t_mu, value)
        else:
            beam.set_switch(bool(value))
        if wire.role == "excitation":
            _excitation(node, link, index, t_mu, before)

    return act


def _shutter(node: Node, link: Link, index: int, t_mu: int, is_open: bool) -> None:
    before = node.beams["excitation"].power
    for beam in node.beams.values():
        beam.set_shutter(is_open)
    _excitation(node, link, index, t_mu, before)


def _excitation(node: Node, link: Link, index: int, t_mu: int, before: float) -> None:
    """Edges of the excitation light delimit pulses."""
    lit = node.beams["excitation"].power > 0
    if lit and before == 0:
        node.pulse_start_mu = t_mu
    elif not lit and before > 0 and node.pulse_start_mu is not None:
        link.emit(index, node.pulse_start_mu, t_mu)
        node.pulse_start_mu = None


def _settled(link: Link, act: Callable[..., None], *arguments: Any) -> None:
    link.settle()
    act(*arguments)
