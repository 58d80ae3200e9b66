"""Which heralder repeats the attempts of a station."""

from collections.abc import Sequence
from typing import Any

from atomlink.errors import UsageError
from atomlink.heralds import rounds
from atomlink.topology import LinkSpec, StationSpec
from drivers.rtio.attempt import Attempt, believed_seconds
from drivers.rtio.entangler import MAX_CYCLE_MU
from drivers.rtio.herald_gateware import EntanglerHeralder, register_mu
from drivers.rtio.herald_software import SoftwareHeralder

BACKENDS = ("entangler", "software")
AUTO = "auto"  # the fastest of `backends` that the link's arms allow


def backends(station: StationSpec) -> tuple[str, ...]:
    """Return who can repeat the attempts of a station, the fastest first: gateware sees one round, and has one gate."""
    return BACKENDS if station.heralder and rounds(station.scheme) == 1 else ("software",)


def choose(owner: Any, backend: str | None, links: Sequence[LinkSpec]) -> str | None:
    """Return the backend of the links of a run; AUTO is the gateware, where no attempt is too long for its register.

    Says so in one line where the arms ask for software. Touches no device, so that `build` may ask.
    """
    if backend != AUTO:
        return backend
    for link in links:
        light_s, back_s = believed_seconds(owner, link)
        if register_mu(round(light_s * 1e9), round(back_s * 1e9)) > MAX_CYCLE_MU:
            print(f"Link {link.name}: an attempt takes {(light_s + back_s) * 1e6:.4g} us with the news' way back of "
                  f"{back_s * 1e6:.4g} us, and the gateware's register holds {MAX_CYCLE_MU * 1e-3:g} us: heralding in "
                  "software.")  # fmt: skip
            return "software"
    return BACKENDS[0]


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
