"""What a heralding scheme asks of the sequence that makes pairs: its timing, how bright the atoms are, what follows.

    polarisation    one round; both atoms bright
    one_photon      one round; the excitation leaves |2> with the probability `bright_fraction` only, and a click leaves
                    one atom in |0>, the other in |2>, which a microwave pi pulse brings to |1> before the read-out
    time_bin        two rounds with an exchange between, both read when they are over
    barrett_kok     two rounds; the first is read before the exchange, and without exactly one click there is no second

How bright: a weak pulse leaves exp(-transfer_rate x power) of the atoms in |2>, with power as the saturated modulator
gives it, sin^2(pi a/2) of its drive's amplitude a.
"""

import math
from typing import Any

from artiq.language.environment import HasEnvironment, NumberValue
from numpy import int64

from atomlink.at_port import belief
from atomlink.errors import UsageError
from atomlink.heralds import TWO_ROUNDS
from drivers import parameters
from drivers.rtio.attempt import AttemptTiming, believed_timing, two_rounds
from experiments.sequences.nodes import Nodes


class PairScheme(HasEnvironment):
    """The scheme of a link's station; asks for `bright_fraction` where it needs it."""

    def build(self, nodes: Nodes, herald: Any) -> None:
        self.nodes = nodes
        self.core = self.get_device("core")
        self.name = herald.station.scheme if herald else "polarisation"
        self.mapping_mu = int64(0)  # microwave between herald and analysis pulse
        if self.name == "one_photon":
            self.setattr_argument(
                "bright_fraction",
                NumberValue(0.1, precision=4, step=0.01, min=1e-4, max=0.9),
                "Heralding",
                "Probability that an attempt takes an atom from its prepared state: rate against fidelity, 1 - alpha.",
            )

    def prepare(self) -> None:
        """Weaken the excitation where the scheme wants it; the nodes must be prepared before."""
        if self.name != "one_photon":
            return
        for node in self.nodes.nodes:
            rate = parameters.get(self, belief(node.name, "transfer_rate"))
            node.excitation.amplitude = partial_amplitude(self.bright_fraction, rate)
        self.mapping_mu = max(int64(node.qubit.mw_pi_mu) for node in self.nodes.nodes)

    @property
    def bright(self) -> float | None:
        """Return the bright fraction of a scheme that has one."""
        return float(self.bright_fraction) if self.name == "one_photon" else None

    def timing(self) -> AttemptTiming:
        """Return the timing of an attempt that the lab's beliefs ask for."""
        link = self.nodes.link
        timing = believed_timing(self, link)
        if self.name not in TWO_ROUNDS:
            return timing
        if self.name == "time_bin":
            return two_rounds(self, link, timing)
        slack_mu = int(parameters.duration_mu(self, link.of_station("t_software_slack_s")))
        return two_rounds(self, link, timing, max(slack_mu, timing.back_mu))

    def run_level(self, timing: AttemptTiming) -> dict[str, Any]:
        """Return the datasets that say how a scheme other than the usual one was played."""
        if self.name == "polarisation":
            return {}
        level: dict[str, Any] = {"link.scheme": self.name}
        for key in ("phase_walk_rad2_s", "t_gate_s"):  # filed: the budget rests on them
            parameters.get(self, self.nodes.link.of_station(key))
        if timing.second_mu:
            level["link.t_rounds_s"] = timing.second_mu * self.core.ref_period
        else:
            level["link.bright_fraction"] = float(self.bright_fraction)
        return level


def partial_amplitude(bright_fraction: float, transfer_rate: float) -> float:
    """Return the amplitude, of full scale, with which a pulse takes this part of the atoms; UsageError for too much.
    """
    power = -math.log1p(-bright_fraction) / transfer_rate
    if power > 1:
        most = -math.expm1(-transfer_rate)
        raise UsageError(f"Argument bright_fraction={bright_fraction:g} must be at most {most:.3g}, what a pulse of "
                         "full power transfers: take less, or calibrate param.*.transfer_rate.")  # fmt: skip
    return 2 / math.pi * math.asin(math.sqrt(power))
