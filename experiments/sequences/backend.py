"""Who repeats the attempts: the argument `backend` of every experiment that heralds or counts photons."""

from collections.abc import Sequence
from typing import Any

from artiq.language.environment import EnumerationValue

from atomlink.errors import UsageError
from atomlink.heralds import FOUR, Role
from atomlink.topology import LinkSpec, StationSpec
from drivers.network import topology
from drivers.rtio.attempt import Attempt
from drivers.rtio.heralding import AUTO, BACKENDS, backends, choose, make_heralder
from experiments.sequences.nodes import Nodes


def ask_heralder(owner: Any, nodes: Nodes) -> Any:
    """Ask for the backend and return the heralder that was chosen, a child of `owner`, for the link of these nodes.

    Gateware where the station has it, where its scheme has one round, and where the arms are not too long. None while
    arguments are examined in a lab without a link.
    """
    station = topology(owner).station(nodes.link.station) if nodes.link else None
    backend = ask_backend(owner, BACKENDS if station is None else backends(station), [nodes.link] if nodes.link else [])
    return make_heralder(owner, Attempt(owner, nodes.nodes), station, backend) if station else None


def ask_backend(owner: Any, possible: Sequence[str], links: Sequence[LinkSpec]) -> str | None:
    """Ask for one of the possible backends, or for the fastest of them that these links' arms allow; return it.

    None while arguments are examined.
    """
    choices = list(possible) if len(possible) == 1 else [AUTO, *possible]
    backend = owner.get_argument(
        "backend",
        EnumerationValue(choices, default=choices[0]),
        "Heralding",
        "entangler: gateware repeats the attempts; software: the kernel does, pulse by pulse; auto: gateware, unless "
        "the arms are too long for its registers.",
    )
    return choose(owner, backend, links)


def need_polarisations(owner: Any, nodes: Nodes, roles: tuple[str, ...] = ()) -> None:
    """Refuse a station that does not tell H from V, or that has other detectors than these roles, where given."""
    station = topology(owner).station(nodes.link.station)
    seen = {Role.of(role).polarisation for role in station.roles}
    if station.scheme != "polarisation" or not {"h", "v"} <= seen or (roles and station.roles != roles):
        raise UsageError(
            f"{type(owner).__name__} needs a station with polarising splitters and detectors {', '.join(roles or FOUR)}"
            f", but {station.name} heralds by {station.scheme!r} and has {', '.join(station.roles)}: name another link."
        )


def need_one_photon(owner: Any, station: StationSpec) -> None:
    """Refuse a station that heralds by another scheme."""
    if station.scheme != "one_photon":
        raise UsageError(
            f"{type(owner).__name__} needs a station that heralds by 'one_photon', but {station.name} heralds by "
            f"{station.scheme!r}: name another link, or take a lab that has one."
        )
