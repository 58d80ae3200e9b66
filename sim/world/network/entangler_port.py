"""The cables of the heralding gateware: which beams its outputs switch, and the station whose detectors it sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from atomlink.signals import Cycle, CycleResult
from sim.world.atoms.labels import ABSENT
from sim.world.network import return_path
from sim.world.network.cycles import Outputs, schedule
from sim.world.network.photon_port import PhotonPort
from sim.world.network.schemes import stretch
from sim.world.network.station import Station
from sim.world.network.stretch import play
from sim.world.scenario.truth import Scenario


class Clock(Protocol):
    """What of the world repeated cycles need: time, and what acts on the way."""

    def advance(self, t_mu: int) -> None:
        """Let lab time reach t_mu."""

    def next_effect_mu(self) -> int | None:
        """Return when the next signal that is on its way acts."""

    def carry_out(self, t_mu: int) -> None:
        """Let every signal act that is due by t_mu."""

    def light_may_be_on(self) -> None:
        """Look at light and atoms afresh."""


class EntanglerPort:
    """The gateware of one station; `ports`: all that its outputs are cabled to, whichever the switch leads here now."""

    def __init__(self, clock: Clock, station: Station, outputs: Outputs, ports: Sequence[PhotonPort] = ()) -> None:
        self._clock, self.station, self.outputs, self._ports = clock, station, outputs, ports

    def light_elsewhere(self, cycle: Cycle, cycles: int) -> None:
        """Let the pumping light of so many cycles act on atoms at ports led elsewhere: it has the same cable."""
        for port in self._ports:
            if port not in self.station.ports and port.label != ABSENT:
                seconds = cycles * sum(schedule(port, cycle, self.outputs).pump)
                if seconds:
                    beams = port.beams
                    port.node.pump(port.site, seconds, beams["pumping"].available, beams["repump"].available)

    def run(self, t_start_mu: int, t_end_mu: int, cycle: Cycle) -> CycleResult:
        """Repeat a cycle between two times until a pattern matches."""
        return self.run_beside([Span(self, t_start_mu, t_end_mu, cycle)])[0]

    def run_beside(self, spans: Sequence[Span]) -> list[CycleResult]:
        """Repeat the cycles of several stations, this one among them, each between its own times, side by side."""
        return run_together(self._clock, [Span(*span) for span in spans])


class Span(NamedTuple):
    """What one station is to repeat: `cycle` from t_start_mu until a pattern matches, or to t_end_mu."""

    port: EntanglerPort
    t_start_mu: int
    t_end_mu: int
    cycle: Cycle


def run_together(clock: Clock, spans: Sequence[Span]) -> list[CycleResult]:
    """Repeat the cycles of several stations side by side until the first herald of any, or to the ends.

    Light that changes on the way does so between cycles; what falls due within a cycle acts before it. Each result
    ends with its own station's last whole cycle; a next call goes on from there.
    """
    cycles, ends = {span.port: span.cycle for span in spans}, {span.port: span.t_end_mu for span in spans}
    results = {span.port: CycleResult(0, 0, (-1, -1, -1, -1), span.t_start_mu, 0) for span in spans}
    left = list(cycles)
    while True:
        left = [port for port in left if results[port].t_end_mu + cycles[port].length_mu <= ends[port]]
        if not left:
            return list(results.values())
        first = min(left, key=lambda port: results[port].t_end_mu)
        start_mu = results[first].t_end_mu
        clock.advance(start_mu)
        due = clock.next_effect_mu()
        if due is not None and due < start_mu + cycles[first].length_mu:
            clock.carry_out(due)
            continue
        stop_mu = {port: ends[port] if due is None else min(ends[port], due) for port in left}
        clock.light_may_be_on()
        stretches = {port: stretch(port.station, results[port].t_end_mu, stop_mu[port], cycles[port], port.outputs)
                     for port in left}  # fmt: skip
        stored = {port: port.station.stored_beside(cycles[port], port.outputs) for port in left}
        play(list(stretches.values()))
        for port, played in stretches.items():
            found, n = played.close(), results[port].cycles + played.done
            results[port] = found._replace(cycles=n, triggers=n)
            port.light_elsewhere(cycles[port], played.done)
            if found.pattern:
                return_path.go_on(port.station, cycles[port], port.outputs, found.t_end_mu)
            for qubit in stored[port]:
                qubit.light(played.done)
        if any(results[port].pattern for port in left):
            return list(results.values())


def outputs_of(scenario: Scenario, number: int) -> Outputs:
    """Return the beams (port, role) that each output of a station's gateware switches, from "node[.port].role"."""
    found = []
    for beams in scenario.entangler_outputs[number]:
        lines = set()
        for beam in beams:
            where, _, role = beam.rpartition(".")
            lines.add((where if "." in where else scenario.topology.node(where).ports[0].key, role))
        found.append(frozenset(lines))
    return tuple(found)
