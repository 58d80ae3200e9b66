"""Who repeats the attempts: the argument `backend` of every experiment that heralds or counts photons."""

from typing import Any

from artiq.language.environment import EnumerationValue

from drivers.rtio.heralder import BACKENDS, make_heralder
from drivers.rtio.photon_port import PhotonPort
from experiments.sequences.two_nodes import TwoNodes


def ask_heralder(owner: Any, nodes: TwoNodes) -> Any:
    """Ask for the backend and return the heralder that was chosen, a child of `owner`, on the port of these nodes."""
    backend = owner.get_argument(
        "backend",
        EnumerationValue(list(BACKENDS), default="entangler"),
        "Heralding",
        "entangler: gateware repeats the attempt; software: the kernel does, pulse by pulse.",
    )
    return make_heralder(owner, PhotonPort(owner, nodes.alice, nodes.bob), backend)
