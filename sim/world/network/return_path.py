"""The way back of a herald: until a node knows of it, the gateware's cycles go on there.

    station   ---[ gates ]· herald, the last cycle ends
                          ·\\ way back, as long as the photons' way
    node      [ pump ]--[ excite ]--[ pump ]--[ ex ·      light from the end on, until the news has come

The gateware's outputs at the nodes follow its cycle without waiting for the detectors, so a cycle shorter than light,
gates and way back pumps an atom that is entangled already. Its partner's herald is counted all the same.
"""

from __future__ import annotations

import numpy as np

from atomlink.signals import Cycle, Window
from sim.world.atoms.labels import ABSENT, F1
from sim.world.network.cycles import Outputs, Plan, schedule
from sim.world.network.photon_port import PhotonPort
from sim.world.network.station import Station


def go_on(station: Station, cycle: Cycle, outputs: Outputs, end_mu: int) -> None:
    """Let the light of further cycles act after the heralding one has ended, on each atom until its node knows."""
    gates = [stop for gate in cycle.gates if gate is not None for stop in gate[1:]]
    decided_mu = max(gates, default=cycle.length_mu) - cycle.length_mu  # after the end: the herald may be later
    for k, port in station.connected:
        known_mu = decided_mu + round(port.flight_s * 1e9)
        shortest_mu = round(port.node.truth.aom.rise_s * 1e9)
        for begun_mu in range(0, known_mu, cycle.length_mu):
            cut = _cut(cycle, port, outputs, known_mu - begun_mu, shortest_mu)
            if port.label != ABSENT and any(window is not None for window in cut.outputs):
                _act(station, k, port, schedule(port, cut, outputs), end_mu + begun_mu)


def _cut(cycle: Cycle, port: PhotonPort, outputs: Outputs, stop_mu: int, shortest_mu: int) -> Cycle:
    """Return a cycle with the outputs that light a port's atom, closed at stop_mu; an AOM does not answer a pulse that
    is shorter than its rise.
    """

    def kept(window: Window | None, lines: frozenset[tuple[str, str]]) -> Window | None:
        if window is None or not any(key == port.key for key, _ in lines):
            return None
        start_mu, end_mu = window[0], min(window[1], stop_mu)
        return (start_mu, end_mu) if end_mu - start_mu > shortest_mu else None

    return cycle._replace(outputs=tuple(map(kept, cycle.outputs, outputs)))


def _act(station: Station, k: int, port: PhotonPort, plan: Plan, start_mu: int) -> None:
    """Pump and excite one atom as one cycle does; a photon of it meets no open gate."""
    if not any(plan.pump):
        return  # an atom in F = 1 is dark to excitation light
    moves = port.cycle(plan.pump, plan.length_mu, plan.start_s, 0.0).transitions().sum(axis=1)[port.chain_label()]
    end = int(np.searchsorted(np.cumsum(moves), station.rng.random() * moves.sum(), side="right"))
    port.move(end)
    port.warm(plan.heating_k)
    if end == F1:  # its photon's polarisation is anybody's guess
        psi = np.eye(4, dtype=complex)[station.rng.integers(4)]
        station.entangle(start_mu, psi, plan.start_s + port.flight_s, (k == 0, k == 1))
