"""The timing of one attempt, and the light that makes it: pump, excite, gate.

    pump + repump, both nodes   |‾‾‾‾‾‾‾‾|
    excitation alice                      ··|‾‾‾|            the photons of both nodes reach the detectors together:
    excitation bob                        ··|‾‾‾|            each edge leads `arrival` by its node's photon delay
    gates (four detectors)                        |‾‾‾‾‾|
                                 0     pump_stop  arrival  gate_stop
"""

from dataclasses import dataclass
from typing import Any

from artiq.language.core import delay_mu, kernel, parallel
from artiq.language.environment import HasEnvironment
from numpy import int64

from atomlink.errors import TimingError
from drivers import parameters
from drivers.rtio.node import Node

GRID_MU = 8  # outputs of the heralding gateware and SERDES-free TTLs sit on the coarse clock
GAP_MU = 104  # dark time between pumping and excitation light: four rise times of 25 ns


@dataclass(frozen=True)
class AttemptTiming:
    """Switch edges of one attempt in machine units from its start; `delay_mu` is bob's light after alice's."""

    pump_stop_mu: int
    excite_alice_mu: int
    excite_alice_stop_mu: int
    excite_bob_mu: int
    excite_bob_stop_mu: int
    gate_start_mu: int
    gate_stop_mu: int
    delay_mu: int

    def __post_init__(self) -> None:
        excite = min(self.excite_alice_mu, self.excite_bob_mu)
        if not 0 < self.pump_stop_mu <= excite:
            raise TimingError(f"Attempt: pumping stops at {self.pump_stop_mu}, must before excitation at {excite} mu.")
        if not self.excite_alice_mu < self.gate_start_mu < self.gate_stop_mu:
            raise TimingError(
                f"Attempt: the gate {self.gate_start_mu} ... {self.gate_stop_mu} mu must begin after its reference, "
                f"alice's excitation edge at {self.excite_alice_mu} mu: longest delay < param.link.t_photon_alice_s."
            )


def believed_timing(experiment: Any, delay_s: float = 0.0, longest_delay_s: float = 0.0) -> AttemptTiming:
    """Return the timing that the lab's beliefs ask for, on the coarse clock.

    `delay_s` shifts bob's excitation. The gates admit every delay up to +-`longest_delay_s`, so that all points of a
    scan have the same gates. Raises TimingError if the delay exceeds `longest_delay_s`.
    """
    if abs(delay_s) > longest_delay_s:
        raise TimingError(f"Delay {delay_s} s must be within +-{longest_delay_s} s, the longest that the gates admit.")
    pump = max(_mu(experiment, f"param.{node}.t_pump_s") for node in parameters.NODES)
    photon = [_mu(experiment, f"param.link.t_photon_{node}_s") for node in parameters.NODES]
    pulse = [_mu(experiment, f"param.{node}.t_excitation_s") for node in parameters.NODES]
    longest, delay = (round(t / experiment.core.ref_period) for t in (longest_delay_s, delay_s))
    arrival = pump + GAP_MU + longest + max(photon)
    alice, bob = _grid(arrival - photon[0]), _grid(arrival - photon[1] + delay)
    gate = _mu(experiment, "param.link.t_gate_s")
    return AttemptTiming(
        pump_stop_mu=_grid(pump),
        excite_alice_mu=alice,
        excite_alice_stop_mu=alice + _grid(pulse[0]),
        excite_bob_mu=bob,
        excite_bob_stop_mu=bob + _grid(pulse[1]),
        gate_start_mu=arrival - longest,
        gate_stop_mu=arrival + longest + gate,
        delay_mu=bob - alice + photon[1] - photon[0],
    )


def _mu(experiment: Any, name: str) -> int:
    return int(parameters.duration_mu(experiment, name))


def _grid(t_mu: int) -> int:
    """Round to the coarse clock."""
    return GRID_MU * round(t_mu / GRID_MU)


class PhotonPort(HasEnvironment):
    """Pumping and excitation of both nodes, pulse by pulse from the kernel."""

    kernel_invariants = {"alice", "bob"}

    def build(self, alice: Node, bob: Node) -> None:
        self.alice = alice
        self.bob = bob
        self.use(AttemptTiming(8, 16, 24, 16, 24, 32, 40, 0))

    def use(self, timing: AttemptTiming) -> None:
        """Play this timing from the next attempt on."""
        self.pump_mu = int64(timing.pump_stop_mu)
        self.excite_alice_mu = int64(timing.excite_alice_mu)
        self.excite_bob_mu = int64(timing.excite_bob_mu)
        self.pulse_alice_mu = int64(timing.excite_alice_stop_mu - timing.excite_alice_mu)
        self.pulse_bob_mu = int64(timing.excite_bob_stop_mu - timing.excite_bob_mu)

    @kernel
    def fire(self):
        """Play the light of one attempt from the cursor on; the cursor ends after the last edge."""
        with parallel:
            self.alice.pumping.pulse_mu(self.pump_mu)
            self.alice.repump.pulse_mu(self.pump_mu)
            self.bob.pumping.pulse_mu(self.pump_mu)
            self.bob.repump.pulse_mu(self.pump_mu)
            self.excite_alice()
            self.excite_bob()

    @kernel
    def excite_alice(self):
        """Play alice's excitation at its place in an attempt that begins at the cursor."""
        delay_mu(self.excite_alice_mu)
        self.alice.excitation.pulse_mu(self.pulse_alice_mu)

    @kernel
    def excite_bob(self):
        """Play bob's excitation at its place in an attempt that begins at the cursor."""
        delay_mu(self.excite_bob_mu)
        self.bob.excitation.pulse_mu(self.pulse_bob_mu)
