"""What is true of a node's storage of qubits in clock states: the scenario table `[nodes.storage]`."""

from __future__ import annotations

from dataclasses import dataclass

from sim.physics.validate import require
from sim.world.scenario.memory_truth import Memory


@dataclass(frozen=True)
class StorageTruth:
    """Storage in F = 1, m = 0 and F = 2, m = 0: its coherence, the light that takes |0> there (`transfer`) and the
    light that turns stored qubits (`clock`): Rabi frequencies at full power, tones at resonance; the clock light's
    relative rms from shot to shot (the transfer light has the Raman light's); photons of imaging light per second that
    an atom under hiding light scatters.
    """

    memory: Memory
    transfer_rabi_rad_s: float
    transfer_hz: float
    clock_rabi_rad_s: float
    clock_hz: float
    clock_rms: float
    hidden_scatter_hz: float

    def __post_init__(self) -> None:
        for name in ("transfer_rabi_rad_s", "clock_rabi_rad_s", "hidden_scatter_hz"):
            require(self, name, 0)
        for name in ("transfer_hz", "clock_hz"):
            require(self, name, 0, above=True)
        require(self, "clock_rms", 0, 1)
