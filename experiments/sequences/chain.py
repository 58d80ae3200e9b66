"""A chain of two links over one node: which links make one, and what each link and node of it has for a swap."""

import math
from typing import Any

from artiq.language.core import delay, kernel
from artiq.language.environment import HasEnvironment, StringValue
from artiq.language.types import TInt32
from artiq.language.units import ms, us
from numpy import int32, int64

from atomlink.at_port import row
from atomlink.errors import UsageError
from atomlink.topology import LinkSpec, Topology
from drivers import parameters
from drivers.network import topology
from drivers.rtio.attempt import Attempt, believed_timing
from drivers.rtio.heralding import make_heralder
from drivers.rtio.node import Node
from drivers.rtio.rydberg import RydbergLight
from drivers.rtio.storage import Storage
from experiments.sequences.readout import HALF_TURN_POW


def ask_chain(owner: Any) -> tuple[LinkSpec, ...]:
    """Ask for the two links of a swap (argument `links`), by default the first two that meet in one node; none in a
    lab that has none such, which is refused once it is prepared.
    """
    text = owner.get_argument(
        "links", StringValue(""), "Nodes", "The link that is stored and the one beside it, as alice-charlie.west@left,"
        "charlie.east-bob@right; empty: the first two that meet in one node."
    )  # fmt: skip
    network = topology(owner)
    return chain_of(text, network) if text or _chains(network) else ()


def chain_of(text: str, network: Topology) -> tuple[LinkSpec, ...]:
    """Return the two links that a text names; UsageError where they are no chain over one node."""
    chains = _chains(network)
    if not text:
        if not chains:
            raise UsageError(
                "Swapping needs two links over one node: the first ends at the node's first port, the second begins "
                f"at another one; this lab has {', '.join(link.name for link in network.links) or 'no link'}: take "
                "one that has a chain, such as the scenario repeater."
            )
        return chains[0]
    links = tuple(network.link(name.strip()) for name in text.split(","))
    if links not in chains:
        raise UsageError(
            f"Argument links={text!r} must name two links: the first ends at the first port of a node, and the second "
            "begins at another port of the same node."
        )
    return links


def _chains(network: Topology) -> list[tuple[LinkSpec, LinkSpec]]:
    """Return the pairs of links whose inner ends are the first and another port of one node, stations their own."""
    return [(one, other) for one in network.links for other in network.links
            if one.station != other.station and one.ports[1].node == other.ports[0].node
            and one.ports[0].node != other.ports[1].node
            and network.number_of(one.atoms[1]) == 0 and network.number_of(other.atoms[0]) > 0
            and network.number_of(one.atoms[0]) == 0]  # fmt: skip


class Zone(HasEnvironment):
    """What a node has beyond one atom's light: hiding, storage, Rydberg light."""

    kernel_invariants = {"core", "hiding", "storage", "rydberg"}

    def build(self, node: Node) -> None:
        self.core = self.get_device("core")
        self.hiding = self.get_device(row(node.name, "hiding"))
        self.rydberg = RydbergLight(self, node.name)
        self.storage = Storage(self, node.name, node.qubit)

    def prepare(self) -> None:
        """Read the beliefs."""
        self.call_child_method("prepare")

    @kernel
    def init(self):
        """Initialise Rydberg and storage light; only the ports are loaded, cooled and imaged."""
        self.rydberg.init()
        self.storage.init()
        self.hiding.on()
        delay(1 * ms)

    @kernel
    def off(self):
        """Switch off what is beyond one atom's light."""
        self.rydberg.off()
        self.storage.off()
        delay(1 * us)


class Half(HasEnvironment):
    """One of the two links: its heralder, and the times from which the phases of its atoms count."""

    kernel_invariants = {"core", "herald", "fibre_mu", "first_clicks", "second_clicks", "half_turn"}

    def build(self, link: LinkSpec, ends: list[Node], backend: str | None) -> None:
        self.link = link
        self.ends = ends
        self.core = self.get_device("core")
        self.station = topology(self).station(link.station)
        self.herald = make_heralder(self, Attempt(self, ends), self.station, backend)
        self.t_reference_mu = [int64(0), int64(0)]
        self.sign_pow = int32(0)

    def prepare(self) -> None:
        """Read the beliefs and choose the attempt; UsageError for a station of another scheme than polarisation."""
        if self.station.scheme != "polarisation":
            raise UsageError(f"Station {self.station.name} heralds by {self.station.scheme!r}, but a register stores "
                             "pairs of 'polarisation' only: name other links.")
        self.call_child_method("prepare")
        herald = self.herald
        herald.setup(believed_timing(self, self.link), herald.psi_plus + herald.psi_minus)
        self.first_clicks, self.second_clicks = herald.click_masks()
        self.half_turn = [HALF_TURN_POW * int(pattern in herald.psi_minus) for pattern in range(herald.n_patterns)]
        way_mu = [parameters.duration_mu(self, self.link.of_channel(end, "t_photon_s")) for end in range(2)]
        self.fibre_mu = [mu - node.excitation.latency_mu for mu, node in zip(way_mu, self.ends, strict=True)]
        self.phase_turns = parameters.get(self, self.link.of_pairs("phase_rad")) / (2 * math.pi)
        self.block = int(parameters.get(self, self.link.of_station("n_recooling")))

    @kernel
    def note(self, pattern: TInt32):
        """Keep what the clicks of a herald tell: from when phases count, and whether the second end's turns by pi."""
        t_mu = self.herald.click_mu(self.first_clicks, pattern) + self.herald.click_mu(self.second_clicks, pattern)
        for end in range(2):
            self.t_reference_mu[end] = (t_mu >> 1) - self.fibre_mu[end]
        self.sign_pow = self.half_turn[pattern]
