"""Optical pumping to the clock state as a rate equation of three levels.

F1 --repump--> F2 --pump--> READY (F = 2, m = 0, dark to pi light). A pumping photon may end in F = 1 (branch_f1), and
imperfect polarisation or off-resonant light takes READY back to F2 (leak). Sources: D. A. Steck, "Rubidium 87 D Line
Data", for the selection rule that darkens m = 0 -> m = 0 for F = F'; G. Avila et al., PRA 36, 3719 (1987), for the
method.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sim.physics.validate import require

F1, F2, READY = 0, 1, 2


@dataclass(frozen=True)
class Pumping:
    """Describe the light at full power: rates in 1/s per atom in the level it acts on. left_beside: the part of the
    atoms left in F2 that are in m = +-1, from where excitation light draws photons, too, of atoms that are no qubits
    then; 0: they send none.
    """

    repump_hz: float
    pump_hz: float
    branch_f1: float
    leak_hz: float
    left_beside: float = 0.0

    def __post_init__(self) -> None:
        for field in ("repump_hz", "pump_hz", "leak_hz"):
            require(self, field, 0)
        require(self, "branch_f1", 0, 1, below=True)
        require(self, "left_beside", 0, 1)


def generator(params: Pumping, repump: float = 1.0, pump: float = 1.0) -> npt.NDArray[np.float64]:
    """Return G with dp/dt = G p for p = (F1, F2, READY); float, shape (3, 3), columns sum to 0.

    repump and pump are the beams' powers relative to full. The leak is the pumping light's.
    """
    up, out, leak = params.repump_hz * repump, params.pump_hz * pump, params.leak_hz * pump
    back = out * params.branch_f1
    return np.array([[-up, back, 0.0],
                     [up, -out, leak],
                     [0.0, out - back, -leak]])


def transition(generator: npt.NDArray[np.float64], t_s: float) -> npt.NDArray[np.float64]:
    """Return exp(G t): entry [to, from] is the probability of the step; columns sum to 1, none is negative.

    Uniformisation: G t + q is non-negative for q >= the fastest rate times t, so no term of the series cancels
    another.
    """
    fastest = float(-np.diag(generator).min()) * t_s
    if fastest <= 0:
        return np.eye(len(generator))
    squarings = max(0, int(np.ceil(np.log2(fastest))))
    q = fastest / 2**squarings
    jumps = generator * (t_s / 2**squarings) + q * np.eye(len(generator))
    result = term = np.eye(len(generator))
    for k in range(1, 20):
        term = term @ jumps / k
        result = result + term
    result = result * np.exp(-q)
    for _ in range(squarings):
        result = result @ result
    return result / result.sum(axis=0)


def ready_probability(params: Pumping, t_s: float, start: int = F2) -> float:
    """Return the probability of READY after pumping at full power for t_s."""
    return float(transition(generator(params), t_s)[READY, start])
