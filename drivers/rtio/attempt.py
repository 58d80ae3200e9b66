"""The timing of one attempt of a link, and the light that makes it: pump, excite, gate.

    pump + repump, both ends    |‾‾‾‾‾‾‾‾|
    excitation, first end                 ··|‾‾‾|            the photons of both ends reach the detectors together:
    excitation, second end                ··|‾‾‾|            each edge leads `arrival` by its end's photon delay
    gates (all detectors)                         |‾‾‾‾‾|
                                 0     pump_stop  arrival  gate_stop

The next attempt's pumping would undo a pair, so no node may begin it before it can know that there is none: `back_mu`
after the gates, which is how long the news takes from the station to the end that is farther away.

A scheme of two rounds (`second_mu` > 0) prepares (|1> + |2>)/sqrt(2) by half a microwave pi pulse behind the pumping,
so that an atom emits in the first round or not, exchanges, and plays excitation and gates again, `second_mu` later:

    pump --[ microwave pi/2 ]--[ excite ]--[ gates ]--[ microwave pi ]--[ Raman pi ]--[ excite ]--[ gates ]

The microwave takes |1>, which has not emitted, to |2>; the Raman pulse takes |0>, which has, to |1>: |1> stands for a
photon early, |0> for one late.
"""

from dataclasses import dataclass
from typing import Any

from artiq.language.core import at_mu, delay_mu, kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt64
from numpy import int64

from atomlink.at_port import belief
from atomlink.errors import TimingError
from atomlink.topology import LinkSpec
from drivers import parameters
from drivers.rtio.node import Node
from drivers.rtio.together import Together

GRID_MU = 8  # outputs of the heralding gateware and SERDES-free TTLs sit on the coarse clock
GAP_MU = 104  # dark time between pumping and excitation light: four rise times of 25 ns


@dataclass(frozen=True)
class AttemptTiming:
    """Switch edges of one attempt in machine units from its start; of the excitation one per end of the link.

    The gates' reference is the first end's excitation edge; `delay_mu` is the second end's light after the first's,
    `back_mu` the way back from the station to the end that is farther away.
    Where there are two rounds, these are the edges of the first one, `second_mu` before those of the second.
    """

    pump_stop_mu: int
    excite_mu: tuple[int, int]
    excite_stop_mu: tuple[int, int]
    gate_start_mu: int
    gate_stop_mu: int
    delay_mu: int
    back_mu: int = 0
    prepare_mu: int = 0  # start of the microwave that makes the superposition
    swap_mu: int = 0  # start of the microwave of the exchange
    raman_mu: int = 0  # start of its Raman pulse
    second_mu: int = 0  # 0: one round

    @property
    def shortest_mu(self) -> int:
        """Return the shortest time from one attempt to the next: until both nodes can know what the gates showed."""
        return self.gate_stop_mu + self.second_mu + self.back_mu

    def __post_init__(self) -> None:
        excite = min(self.excite_mu)
        if not 0 < self.pump_stop_mu <= excite:
            raise TimingError(f"Attempt: pumping stops at {self.pump_stop_mu}, must before excitation at {excite} mu.")
        if not self.excite_mu[0] < self.gate_start_mu < self.gate_stop_mu:
            raise TimingError(
                f"Attempt: the gate {self.gate_start_mu} ... {self.gate_stop_mu} mu must begin after its reference, "
                f"the first end's excitation edge at {self.excite_mu[0]} mu: longest delay < its param.*.t_photon_s."
            )


def two_rounds(experiment: Any, link: LinkSpec, timing: AttemptTiming, slack_mu: int = 0) -> AttemptTiming:
    """Return the timing of two rounds with the light of one; the exchange waits `slack_mu` behind the first gates."""
    mw, raman, aom = (max(_mu(experiment, belief(atom, key)) for atom in link.atoms)
                      for key in ("t_mw_pi_s", "t_raman_pi_s", "t_aom_s"))  # fmt: skip
    prepare = timing.pump_stop_mu + _grid(aom + GAP_MU)
    later = prepare + _grid(mw // 2 + GAP_MU) - timing.pump_stop_mu
    excite, stop = ((t[0] + later, t[1] + later) for t in (timing.excite_mu, timing.excite_stop_mu))
    dark = max(stop) + aom + GAP_MU
    swap = _grid(max(dark, timing.gate_stop_mu + later + slack_mu if slack_mu else 0))
    raman_start = swap + _grid(mw + GAP_MU)
    second = raman_start + _grid(raman + 2 * GAP_MU) - min(excite)
    return AttemptTiming(timing.pump_stop_mu, excite, stop, timing.gate_start_mu + later, timing.gate_stop_mu + later,
                         timing.delay_mu, timing.back_mu, prepare, swap, raman_start, second)  # fmt: skip


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
        back_mu=way_back_mu(experiment, link),
    )


def way_back_mu(experiment: Any, link: LinkSpec) -> int:
    """Return how long news from the station is on its way to the end that is farther away, as the lab believes.

    A signal in the same fibre as the photons: what they take less the AOM's delay.
    """
    return round(_way_back_s(experiment, link) / experiment.core.ref_period)


def believed_seconds(experiment: Any, link: LinkSpec) -> tuple[float, float]:
    """Return how long an attempt of one round takes to the gates' end, and the news' way back, in s; needs no core."""
    pump_s = max(parameters.get(experiment, belief(atom, "t_pump_s")) for atom in link.atoms)
    photon_s = max(parameters.get(experiment, link.of_channel(end, "t_photon_s")) for end in range(2))
    gate_s = parameters.get(experiment, link.of_station("t_gate_s"))
    return pump_s + GAP_MU * 1e-9 + photon_s + gate_s, _way_back_s(experiment, link)


def _way_back_s(experiment: Any, link: LinkSpec) -> float:
    ways = [parameters.get(experiment, link.of_channel(end, "t_photon_s"))
            - parameters.get(experiment, belief(atom, "t_aom_s")) for end, atom in enumerate(link.atoms)]  # fmt: skip
    return max(0.0, *ways)


def _mu(experiment: Any, name: str) -> int:
    return int(parameters.duration_mu(experiment, name))


def _grid(t_mu: int) -> int:
    """Round to the coarse clock."""
    return GRID_MU * round(t_mu / GRID_MU)


class Attempt(HasEnvironment):
    """Pumping and excitation of both ends of a link, pulse by pulse from the kernel; `ends` in the link's order."""

    kernel_invariants = {"ends", "together"}

    def build(self, ends: list[Node]) -> None:
        self.ends = ends
        self.together = Together(self)
        self.use(AttemptTiming(8, (16, 16), (24, 24), 32, 40, 0))

    def use(self, timing: AttemptTiming) -> None:
        """Play this timing from the next attempt on."""
        self.pump_mu = int64(timing.pump_stop_mu)
        self.excite_mu = [int64(t_mu) for t_mu in timing.excite_mu]
        edges = zip(timing.excite_mu, timing.excite_stop_mu, strict=True)
        self.pulse_mu = [int64(stop_mu - start_mu) for start_mu, stop_mu in edges]
        self.two_rounds = timing.second_mu > 0
        self.prepare_mu = int64(timing.prepare_mu)
        self.swap_mu = int64(timing.swap_mu)
        self.raman_mu = int64(timing.raman_mu)
        self.second_mu = int64(timing.second_mu)

    @kernel
    def fire(self):
        """Play the light of one attempt from the cursor on; the cursor ends after the last edge."""
        self.together.begin()
        for node in self.ends:
            self.together.branch()
            node.pumping.pulse_mu(self.pump_mu)
            self.together.branch()
            node.repump.pulse_mu(self.pump_mu)
        if self.two_rounds:
            for node in self.ends:
                self.together.branch()
                delay_mu(self.prepare_mu)
                node.qubit.microwave.pulse_mu(node.qubit.mw_pi_mu >> 1)
        for i in range(2):
            self.together.branch()
            delay_mu(self.excite_mu[i])
            self.ends[i].excitation.pulse_mu(self.pulse_mu[i])
        self.together.end()

    @kernel
    def fire_again(self, t_mu: TInt64):
        """Play exchange and second round of the attempt that began at t_mu; the cursor ends after the last edge."""
        at_mu(t_mu)
        self.together.begin()
        for node in self.ends:
            self.together.branch()
            delay_mu(self.swap_mu)
            node.qubit.microwave.pulse_mu(node.qubit.mw_pi_mu)
            self.together.branch()
            delay_mu(self.raman_mu)
            node.qubit.rotate_mu(node.qubit.raman_pi_mu)
        for i in range(2):
            self.together.branch()
            delay_mu(self.second_mu + self.excite_mu[i])
            self.ends[i].excitation.pulse_mu(self.pulse_mu[i])
        self.together.end()
