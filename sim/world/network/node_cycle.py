"""What one cycle of light does to one node: the atom's label, and whether its photon is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.physics.emission import from_amplitude
from sim.physics.interference import Arm, Floats
from sim.world.atoms.labels import ABSENT, CHAIN, F1, F2, READY


@dataclass(frozen=True)
class NodeCycle:
    """What one cycle does to one node: pump (4, 4), excitation, pump again; label transitions are row-stochastic.

    A ready atom leaves READY with probability `transferred`; with `detected` its photon also reaches the best of the
    detectors, with `wrong` instead a photon that leaves it outside the qubit. `beside`: the same two of an atom in F2,
    whose photon always does. Those are the sources 2 and 3 of the arm, in this order, where they are not 0.
    """

    pump_before: Floats
    pump_after: Floats
    transferred: float
    detected: float
    arm: Arm
    wrong: float = 0.0
    beside: tuple[float, float] = (0.0, 0.0)

    @property
    def others(self) -> list[tuple[int, float]]:
        """From which label each of the arm's other photons is sent, and with what probability it is detected."""
        return [(label, seen) for label, seen in ((READY, self.wrong), (F2, self.beside[1])) if seen]

    def transitions(self) -> Floats:
        """Return P[start, source of the photon detected (0: none), end] (4, 2 and more, 4)."""
        others = self.others
        excite = np.zeros((CHAIN, 2 + len(others), CHAIN))
        for label in (ABSENT, F1, F2):
            excite[label, 0, label] = 1.0
        excite[READY, 1, F1] = self.detected
        excite[READY, 0, F1] = self.transferred - self.detected
        excite[READY, 0, READY] = 1.0 - self.transferred
        if self.beside[0]:
            excite[F2, 0, F1], excite[F2, 0, F2] = self.beside[0], 1.0 - self.beside[0]
        for source, (label, seen) in enumerate(others, start=2):
            excite[label, source, F1] = seen
            excite[label, 0, F1] -= seen
        return np.einsum("ab,bdc,ce->ade", self.pump_before, excite, self.pump_after)


def nobody() -> NodeCycle:
    """Return the cycle of an input that nothing is connected to: no atom, no photon."""
    grid = np.arange(4) * 1e-9
    flat = from_amplitude(np.asarray(grid, dtype=np.float64), np.ones(4, dtype=complex), 1.0, 0.0)
    return NodeCycle(np.eye(CHAIN), np.eye(CHAIN), 0.0, 0.0, Arm(flat, 0.0, np.eye(2, dtype=complex), 0.0))
