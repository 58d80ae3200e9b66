"""The timing of one attempt of a link, and the light that makes it: pump, excite, gate.

    pump + repump, both ends    |‾‾‾‾‾‾‾‾|
    excitation, first end                 ··|‾‾‾|            the photons of both ends reach the detectors together:
    excitation, second end                ··|‾‾‾|            each edge leads `arrival` by its end's photon delay
    gates (all detectors)                         |‾‾‾‾‾|
                                 0     pump_stop  arrival  gate_stop
"""

from dataclasses import dataclass
from typing import Any

from artiq.language.core import at_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment
from numpy import int64

from atomlink.at_port import belief
from atomlink.errors import TimingError
from atomlink.topology import LinkSpec
from drivers import parameters
from drivers.rtio.node import Node

GRID_MU = 8  # outputs of the heralding gateware and SERDES-free TTLs sit on the coarse clock
GAP_MU = 104  # dark time between pumping and excitation light: four rise times of 25 ns


@dataclass(frozen=True)
class AttemptTiming:
    """Switch edges of one attempt in machine units from its start; of the excitation one per end of the link.

    The gates' reference is the first end's excitation edge; `delay_mu` is the second end's light after the first's.
    """

    pump_stop_mu: int
    excite_mu: tuple[int, int]
    excite_stop_mu: tuple[int, int]
    gate_start_mu: int
    gate_stop_mu: int
    delay_mu: int

    def __post_init__(self) -> None:
        excite = min(self.excite_mu)
        if not 0 < self.pump_stop_mu <= excite:
            raise TimingError(f"Attempt: pumping stops at {self.pump_stop_mu}, must before excitation at {excite} mu.")
        if not self.excite_mu[0] < self.gate_start_mu < self.gate_stop_mu:
            raise TimingError(
                f"Attempt: the gate {self.gate_start_mu} ... {self.gate_stop_mu} mu must begin after its reference, "
                f"the first end's excitation edge at {self.excite_mu[0]} mu: longest delay < its param.*.t_photon_s."
            )


def believed_timing(
    experiment: Any, link: LinkSpec, delay_s: float = 0.0, longest_delay_s: float = 0.0
) -> AttemptTiming:
    """Return the timing of a link that the lab's beliefs ask for, on the coarse clock.

    `delay_s` shifts the second end's excitation. The gates admit every delay up to +-`longest_delay_s`, so that all
    points of a scan have the same gates. Raises TimingError if the delay exceeds `longest_delay_s`.
    """
    if abs(delay_s) > longest_delay_s:
        raise TimingError(f"Delay {delay_s} s must be within +-{longest_delay_s} s, the longest that the gates admit.")
    pump = max(_mu(experiment, belief(atom, "t_pump_s")) for atom in link.atoms)
    photon = [_mu(experiment, link.of_channel(end, "t_photon_s")) for end in range(2)]
    pulse = [_mu(experiment, belief(atom, "t_excitation_s")) for atom in link.atoms]
    longest, delay = (round(t / experiment.core.ref_period) for t in (longest_delay_s, delay_s))
    arrival = pump + GAP_MU + longest + max(photon)
    first, second = _grid(arrival - photon[0]), _grid(arrival - photon[1] + delay)
    gate = _mu(experiment, link.of_station("t_gate_s"))
    return AttemptTiming(
        pump_stop_mu=_grid(pump),
        excite_mu=(first, second),
        excite_stop_mu=(first + _grid(pulse[0]), second + _grid(pulse[1])),
        gate_start_mu=arrival - longest,
        gate_stop_mu=arrival + longest + gate,
        delay_mu=second - first + photon[1] - photon[0],
    )


def _mu(experiment: Any, name: str) -> int:
    return int(parameters.duration_mu(experiment, name))


def _grid(t_mu: int) -> int:
    """Round to the coarse clock."""
    return GRID_MU * round(t_mu / GRID_MU)


class Attempt(HasEnvironment):
    """Pumping and excitation of both ends of a link, pulse by pulse from the kernel; `ends` in the link's order."""

    kernel_invariants = {"ends"}

    def build(self, ends: list[Node]) -> None:
        self.ends = ends
        self.use(AttemptTiming(8, (16, 16), (24, 24), 32, 40, 0))

    def use(self, timing: AttemptTiming) -> None:
        """Play this timing from the next attempt on."""
        self.pump_mu = int64(timing.pump_stop_mu)
        self.excite_mu = [int64(t_mu) for t_mu in timing.excite_mu]
        edges = zip(timing.excite_mu, timing.excite_stop_mu, strict=True)
        self.pulse_mu = [int64(stop_mu - start_mu) for start_mu, stop_mu in edges]

    @kernel
    def fire(self):
        """Play the light of one attempt from the cursor on; the cursor ends after the last edge."""
        t_mu = now_mu()
        end_mu = t_mu + self.pump_mu
        for node in self.ends:
            at_mu(t_mu)
            node.pumping.pulse_mu(self.pump_mu)
            at_mu(t_mu)
            node.repump.pulse_mu(self.pump_mu)
        for i in range(2):
            at_mu(t_mu + self.excite_mu[i])
            self.ends[i].excitation.pulse_mu(self.pulse_mu[i])
            end_mu = max(end_mu, now_mu())
        at_mu(end_mu)
