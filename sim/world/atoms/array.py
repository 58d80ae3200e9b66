"""A node's tweezer array as the world outside the atoms has it: rows and columns, the AWG, the camera, hiding light."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sim.physics.species import Species
from sim.world.atoms.camera import ArrayCamera
from sim.world.atoms.carrier import Carrier, Schedule
from sim.world.atoms.register import Register
from sim.world.atoms.states import JointState, Part
from sim.world.scenario.array_truth import ArrayTruth

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Tweezers:
    """The array of one node. The AWG's blocks and triggers are its carrier's: `queue`, `clear`, `trigger`."""

    def __init__(self, register: Register, species: Species, rng: np.random.Generator, camera_rng: np.random.Generator,
                 schedule: Schedule) -> None:  # fmt: skip
        self.register = register
        self.camera = ArrayCamera(self.truth, camera_rng, schedule)
        self.hidden = False  # whether the hiding light is on: it shifts all sites but the ports' out of the light's way
        self.carrier = Carrier(register, species, rng, schedule)
        self.queue, self.clear, self.trigger = self.carrier.queue, self.carrier.clear, self.carrier.trigger

    @property
    def truth(self) -> ArrayTruth:
        """Return what is true of the array now."""
        assert self.register.truth.array is not None
        return self.register.truth.array

    def apply(self) -> None:
        """Live by another truth from now on."""
        self.camera.apply(self.truth)

    @property
    def shape(self) -> tuple[int, int]:
        """Return (rows, columns)."""
        return self.register.shape

    def site(self, row: int, column: int) -> int:
        """Return the register's index of a site."""
        return row * self.shape[1] + column

    @property
    def occupied(self) -> Bools:
        """Return where atoms are, bool, shape (rows, columns); those on their way are nowhere."""
        return self.register.occupied.reshape(self.shape)

    @property
    def temperature_k(self) -> Floats:
        """Return the atoms' temperatures, float, shape (rows, columns); nan where there is none."""
        return np.where(self.occupied, self.register.temperature_k.reshape(self.shape), np.nan)

    def label(self, row: int, column: int) -> int:
        """Return the label of one site's atom."""
        return int(self.register.label[self.site(row, column)])

    def part(self, row: int, column: int) -> Part | None:
        """Return one site's part in a quantum state, if it has one."""
        return self.register.part(self.site(row, column))

    def state(self, row: int, column: int) -> JointState | None:
        """Return the quantum state that one site's atom takes part in, if any."""
        part = self.part(row, column)
        return None if part is None else part.state

    @property
    def frames(self) -> dict[int, npt.NDArray[np.uint16]]:
        """Return the camera's frames by the time of their trigger (mu)."""
        return self.camera.frames

    @property
    def queued(self) -> int:
        """Return how many of the AWG's blocks wait for a trigger."""
        return self.carrier.queued

    @property
    def missed_triggers(self) -> int:
        """Return how many of the AWG's triggers came with nothing queued, or during a block."""
        return self.carrier.missed_triggers
