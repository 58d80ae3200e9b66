"""Which kind of station of the twin plays which heralding scheme, and which port can serve it."""

from __future__ import annotations

import numpy as np

from atomlink.errors import ScenarioError
from atomlink.signals import Cycle
from atomlink.topology import StationSpec
from sim.world.detectors.counter import Counter
from sim.world.network.coherent import CoherentStation
from sim.world.network.coherent_stretch import CoherentStretch
from sim.world.network.cycles import Outputs
from sim.world.network.photon_port import PhotonPort
from sim.world.network.station import Station
from sim.world.network.stretch import Stretch
from sim.world.scenario.truth import StationTruth


def make_station(spec: StationSpec, truth: StationTruth, counters: tuple[Counter, ...],
                 rng: np.random.Generator) -> Station:  # fmt: skip
    """Return a station that plays the scheme of its specification."""
    kind = Station if spec.scheme == "polarisation" else CoherentStation
    return kind(spec, truth, counters, rng)


def stretch(station: Station, start_mu: int, end_mu: int, cycle: Cycle,
            outputs: Outputs) -> Stretch | CoherentStretch:  # fmt: skip
    """Return a stretch of a station's repeated cycles."""
    if isinstance(station, CoherentStation):
        return CoherentStretch(station, start_mu, end_mu, cycle, outputs)
    return Stretch(station, start_mu, end_mu, cycle, outputs)


def check_served(spec: StationSpec, port: PhotonPort) -> None:
    """Refuse a port whose kind cannot serve the scheme of a station that it can reach."""
    served = port.truth.port.schemes
    if spec.scheme not in served:
        raise ScenarioError(
            f"Port {port.key} serves {', '.join(served)} only, but station {spec.name} heralds by {spec.scheme!r}: "
            "change network.stations of device_db.py, or the port's kind."
        )
