"""The optical switch between ports and stations: whose fibre reaches which input of a beam splitter.

A port whose fibre ends at no input sends nothing. Which terminals are which the topology's switch of this name says,
and then another connection is another way (`Network.reroute`); without one the ports are at inputs 1, 2, ..., the
stations' inputs at 17, 18, ..., each port has the way it has, and which of the two inputs of a splitter it reaches does
not matter. The scenario's insertion loss is that of the connections as they are when the lab is first looked at; one
that is made anew couples a little worse, by REPEATABILITY_DB in rms. Source: Polatis series 6000 data sheet: 25 ms at
most to switch, repeatability within 0.1 dB.
"""

from __future__ import annotations

from functools import partial

from sim.world.elements.element import Element, Lab

PORTS = 16  # inputs 1 to 16, outputs 17 to 32
SWITCHING_S = 25e-3
REPEATABILITY_DB = 0.03
_HALF_MU_S = 0.5e-9  # lab time is in whole nanoseconds


class FibreSwitch(Element):
    """A cross-connect; `connections` maps inputs to outputs. A fault to inject: `stuck` mirrors stay where they are."""

    def __init__(self, world: Lab, name: str, node: str = "") -> None:
        super().__init__(world, name, node)
        topology = world.scenario.topology
        spec = next((switch for switch in topology.switches if switch.name == name), None)
        ends = [f"{station.name}.{end}" for station in topology.stations for end in station.inputs]
        self._reroutes = spec is not None
        self._ports = dict(spec.sources) if spec else dict(zip(topology.ports, range(1, PORTS + 1), strict=False))
        self._ends = dict(spec.sinks) if spec else dict(zip(ends, range(PORTS + 1, 2 * PORTS + 1), strict=False))
        routes = world.network.routes
        self.connections = {terminal: self._ends[routes[port].end] for port, terminal in self._ports.items()
                            if port in routes and routes[port].end in self._ends}  # fmt: skip
        self.stuck = False
        self._loss_db = dict.fromkeys(self._ports.values(), 0.0)
        self._settled_s = dict.fromkeys(self._ports.values(), 0.0)
        for port, terminal in self._ports.items():
            node, _, its = port.partition(".")
            first = topology.node(node).ports[0].name == its
            self.attach(f"{node if first else port}.fibre.insertion", partial(self._through, terminal))

    def connect(self, source: int, sink: int) -> None:
        """Lead an input (1 to 16) to an output (17 to 32); what either was connected to is let go."""
        if self.stuck or self.connections.get(source) == sink:
            return
        self.connections = {a: b for a, b in self.connections.items() if a != source and b != sink}
        self.connections[source] = sink
        self._loss_db[source] = abs(float(self.rng.normal(0.0, REPEATABILITY_DB)))
        self._settled_s[source] = self.now_s + SWITCHING_S
        self._reroute()
        self.touch()
        self.world.quantities.touch_at(self._settled_s[source])

    def disconnect(self, source: int) -> None:
        """Let an input end nowhere."""
        if not self.stuck and self.connections.pop(source, None) is not None:
            self._reroute()
            self.touch()

    def _reroute(self) -> None:
        """Let the ports have the ways that the mirrors give them; what goes through no switch stays."""
        if not self._reroutes:
            return
        network = self.world.network
        routes = {port: route for port, route in network.routes.items() if route.switch != self.name}
        for channel in network.topology.channels:
            ours = channel.switch == self.name
            if ours and self.connections.get(self._ports[channel.port]) == self._ends[channel.end]:
                routes[channel.port] = channel
        network.reroute(routes)

    def _through(self, port: int, insertion: float, t_s: float) -> float:
        if self.connections.get(port) not in self._ends.values() or t_s < self._settled_s[port] - _HALF_MU_S:
            return 0.0
        return insertion * float(10 ** (-self._loss_db[port] / 10))
