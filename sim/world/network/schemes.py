"""The heralding schemes that stations of the twin can play.

One, so far: two photons of two polarisations. `sim.physics.one_photon` and `sim.physics.time_bin` have the other two
click by click for atoms prepared anew in every attempt; what a chain of attempts does to atoms is not worked out there.
"""

from __future__ import annotations

from atomlink.errors import ScenarioError
from atomlink.topology import StationSpec

PLAYED = ("polarisation",)


def check_scheme(station: StationSpec) -> None:
    """Refuse a station that cannot be simulated."""
    if station.scheme not in PLAYED:
        raise ScenarioError(f"Station {station.name} heralds by scheme {station.scheme!r}, but the simulated lab plays "
                            f"{', '.join(PLAYED)} only: change the row `network`, or leave the station out.")
