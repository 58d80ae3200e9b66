"""One cycle of the heralding gateware as the atom at a port sees it, and candidates for a herald one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from atomlink.signals import Cycle
from sim.world.atoms.light import PortLight
from sim.world.network.attempt import Candidates
from sim.world.network.flights import BLOCK
from sim.world.network.photon_port import PhotonPort

Outputs = tuple[frozenset[tuple[str, str]], ...]  # by output of the gateware: the beams (port, role) that it switches


class Plan(NamedTuple):
    pump: tuple[float, float]
    heating_k: float
    start_s: float
    length_mu: int


def schedule(port: PhotonPort, cycle: Cycle, outputs: Outputs) -> Plan:
    """Work out what one cycle's light does to the atom at a port: pump seconds before and after the excitation, the
    pulse, the heating.

    All times are those of the light at the atom. Pumping needs both of its beams; light that is on anyway counts for
    the whole cycle.
    """
    latency = round(port.node.truth.aom.latency_s * 1e9)

    def window(role: str) -> tuple[int, int] | None:
        if port.beams[role].power > 0:
            return 0, cycle.length_mu
        for lines, span in zip(outputs, cycle.outputs, strict=False):
            if (port.key, role) in lines and span is not None and port.beams[role].available > 0:
                return span[0] + latency, span[1] + latency
        return None

    pulse = window("excitation")
    start, stop = pulse or (0, 0)
    pumping = window("pumping")
    before = after = lit = 0
    if pumping:
        lit = pumping[1] - pumping[0]
        before = max(0, min(pumping[1], start) - pumping[0]) if pulse else lit
        after = max(0, pumping[1] - max(pumping[0], stop)) if pulse else 0
    heating = lit * 1e-9 * port.node.truth.atom.pump_heating_k_s * port.beams["pumping"].available
    return Plan((before * 1e-9, after * 1e-9), heating, start * 1e-9, stop - start)


class Stored:
    """A qubit at another port of a node, and the light that a cycle at this port lets fall on it: the crosstalk of the
    port's own, and all of the repump light where that is the node's.
    """

    def __init__(self, port: PhotonPort, beside: PortLight, plan: Plan) -> None:
        node, beams, part = port.node, port.beams, port.node.truth.crosstalk
        self._node, self._site, self._seconds = node, beside.site, sum(plan.pump)
        self._handle = node.register.handles.get(beside.site)
        self._pumping = beams["pumping"].available * part
        shared = beams["repump"] is node.beams["repump"]
        self._repump = beams["repump"].available * (1.0 if shared else part)

    def light(self, cycles: int) -> None:
        """Let the light of so many cycles act on it, if it is still the same qubit."""
        seconds, handle = cycles * self._seconds, self._node.register.handles.get(self._site)
        if handle is not None and handle is self._handle and seconds and (self._pumping or self._repump):
            self._node.stray_pump(self._site, seconds, self._pumping, self._repump)


def window_s(gate: tuple[int, int]) -> tuple[float, float]:
    """Turn a gate t0 < t <= t1 on whole mu into a window of seconds; a time stamp is the mu that has begun."""
    return (gate[0] + 1) * 1e-9, (gate[1] + 1) * 1e-9


def one_by_one(draw: Callable[[], Candidates]) -> Iterator[Candidates]:
    while True:
        block = draw()
        for k in range(BLOCK):
            yield Candidates._make(field[k : k + 1] for field in block)
