"""How long a qubit lives: the scenario tables `[nodes.memory]` (Zeeman pair) and `[nodes.storage.memory]`."""

from __future__ import annotations

from dataclasses import dataclass

from atomlink.errors import ScenarioError
from sim.physics.validate import require


@dataclass(frozen=True)
class Memory:
    """Coherence of a pair of levels: T2* (quasi-static), T2 (irreversible), T1. `light_shift_ratio`: the differential
    over the total light shift of the pair in the tweezer, by which the motion of a stored atom dephases it besides T2*;
    0: it does not.
    """

    t2_star_s: float
    t2_s: float
    t1_s: float
    light_shift_ratio: float = 0.0

    def __post_init__(self) -> None:
        for name in ("t2_star_s", "t2_s", "t1_s"):
            require(self, name, 0, above=True)
        require(self, "light_shift_ratio", 0, 1)
        if self.t2_s > 2 * self.t1_s:
            raise ScenarioError(
                f"Memory.t2_s is {self.t2_s!r}, but must be <= 2 t1_s = {2 * self.t1_s!r}: correct the scenario."
            )
