"""The optical switch at the midpoint: which node's fibre reaches which input of the beam splitter.

A node whose fibre ends at neither input sends nothing; which of the two it reaches does not matter to a symmetrical
splitter. The scenario's insertion loss is that of the connections as they are when the lab is first looked at; one that
is made anew couples a little worse, by REPEATABILITY_DB in rms. Source: Polatis series 6000 data sheet: 25 ms at most
to switch, repeatability within 0.1 dB.
"""

from __future__ import annotations

from functools import partial

from sim.world.elements.element import Element, Lab
from sim.world.scenario.paths import NODES

PORTS = 16  # inputs 1 to 16, outputs 17 to 32
FIBRES = dict(zip(NODES, (1, 2), strict=True))  # node -> input of the switch
INPUTS = (17, 18)  # outputs of the switch that lead to the two inputs of the beam splitter
SWITCHING_S = 25e-3
REPEATABILITY_DB = 0.03
_HALF_MU_S = 0.5e-9  # lab time is in whole nanoseconds


class FibreSwitch(Element):
    """A cross-connect; `connections` maps inputs to outputs. A fault to inject: `stuck` mirrors stay where they are."""

    def __init__(self, world: Lab, name: str, node: str = "") -> None:
        super().__init__(world, name, node)
        self.connections = dict(zip(FIBRES.values(), INPUTS, strict=True))
        self.stuck = False
        self._loss_db = dict.fromkeys(self.connections, 0.0)
        self._settled_s = dict.fromkeys(self.connections, 0.0)
        for n, port in FIBRES.items():
            self.attach(f"{n}.fibre.insertion", partial(self._through, port))

    def connect(self, source: int, sink: int) -> None:
        """Lead an input (1 to 16) to an output (17 to 32); what either was connected to is let go."""
        if self.stuck or self.connections.get(source) == sink:
            return
        self.connections = {a: b for a, b in self.connections.items() if a != source and b != sink}
        self.connections[source] = sink
        self._loss_db[source] = abs(float(self.rng.normal(0.0, REPEATABILITY_DB)))
        self._settled_s[source] = self.now_s + SWITCHING_S
        self.touch()
        self.world.quantities.touch_at(self._settled_s[source])

    def disconnect(self, source: int) -> None:
        """Let an input end nowhere."""
        if not self.stuck and self.connections.pop(source, None) is not None:
            self.touch()

    def _through(self, port: int, insertion: float, t_s: float) -> float:
        if self.connections.get(port) not in INPUTS or t_s < self._settled_s[port] - _HALF_MU_S:
            return 0.0
        return insertion * float(10 ** (-self._loss_db[port] / 10))
