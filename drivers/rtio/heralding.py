"""Which heralder repeats the attempts of a station."""

from typing import Any

from atomlink.errors import UsageError
from atomlink.heralds import rounds
from atomlink.topology import StationSpec
from drivers.rtio.attempt import Attempt
from drivers.rtio.herald_gateware import EntanglerHeralder
from drivers.rtio.herald_software import SoftwareHeralder

BACKENDS = ("entangler", "software")


def backends(station: StationSpec) -> tuple[str, ...]:
    """Return who can repeat the attempts of a station, the fastest first: gateware sees one round, and has one gate."""
    return BACKENDS if station.heralder and rounds(station.scheme) == 1 else ("software",)


def make_heralder(owner: Any, attempt: Attempt, station: StationSpec, backend: str | None) -> Any:
    """Return the heralder of one of BACKENDS; while arguments are examined (backend None) the software one."""
    if backend == "entangler":
        if not station.heralder:
            raise UsageError(
                f"Station {station.name} has no gateware that heralds: use backend=software, or name its row of "
                f"device_db in network.stations.{station.name}.entangler."
            )
        if "entangler" not in backends(station):
            raise UsageError(
                f"Station {station.name} heralds by {station.scheme!r}, whose two rounds the gateware's one gate a "
                "detector cannot hold: use backend=software."
            )
        return EntanglerHeralder(owner, attempt, station)
    if backend in ("software", None):
        return SoftwareHeralder(owner, attempt, station)
    raise UsageError(f"Heralding backend {backend!r} must be one of {', '.join(BACKENDS)}.")
