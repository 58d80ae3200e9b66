"""Who repeats the attempts: the argument `backend` of every experiment that heralds or counts photons."""

from typing import Any

from artiq.language.environment import EnumerationValue

from drivers.network import topology
from drivers.rtio.attempt import Attempt
from drivers.rtio.heralding import BACKENDS, make_heralder
from experiments.sequences.nodes import Nodes


def ask_heralder(owner: Any, nodes: Nodes) -> Any:
    """Ask for the backend and return the heralder that was chosen, a child of `owner`, for the link of these nodes.

    Gateware where the station has it. None while arguments are examined in a lab without a link.
    """
    station = topology(owner).station(nodes.link.station) if nodes.link else None
    backends = list(BACKENDS) if station is None or station.heralder else ["software"]
    backend = owner.get_argument(
        "backend",
        EnumerationValue(backends, default=backends[0]),
        "Heralding",
        "entangler: gateware repeats the attempt; software: the kernel does, pulse by pulse.",
    )
    return make_heralder(owner, Attempt(owner, nodes.nodes), station, backend) if station else None
