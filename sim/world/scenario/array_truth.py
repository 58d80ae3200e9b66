"""What is true of a node's tweezer array: the scenario table `[nodes.array]`."""

from __future__ import annotations

from dataclasses import dataclass

from atomlink.errors import ScenarioError
from sim.physics.camera import Camera
from sim.physics.deflector import Deflector
from sim.physics.validate import require


@dataclass(frozen=True)
class Readout:
    """The camera's electronics: (x, y) of site (0, 0) on the sensor, the exposure it starts with, time from its end to
    the whole frame, electrons per count and the count of an empty pixel.
    """

    first_site_m: tuple[float, float]
    exposure_s: float
    readout_s: float
    electrons_per_count: float
    offset_counts: float

    def __post_init__(self) -> None:
        require(self, "first_site_m", 0)
        require(self, "readout_s", 0, 10)
        require(self, "exposure_s", 0, 100, above=True)
        require(self, "electrons_per_count", 0, above=True)
        require(self, "offset_counts", 0, 65535)


@dataclass(frozen=True)
class RydbergTruth:
    """Two-photon Rydberg light on the port's neighbourhood: the state nS, Rabi frequency at full power of both beams
    and its rms relative error from shot to shot, sum of both tones at resonance, k that an atom's velocity meets;
    whether the port's pumping, Raman, microwave and push-out light reaches the sites beside it, too. The light is on
    the sites of a gate zone of (zone_rows, zone_columns) from the port's site on; 0: on the port's and those beside it.
    """

    n: int
    rabi_rad_s: float
    rabi_rms: float
    resonance_hz: float
    wavenumber_rad_m: float
    global_drives: bool = False
    zone_rows: int = 0
    zone_columns: int = 0

    def __post_init__(self) -> None:
        if self.zone_rows < 0 or self.zone_columns < 0 or (self.zone_rows == 0) != (self.zone_columns == 0):
            raise ScenarioError(f"RydbergTruth.zone_rows and zone_columns are {self.zone_rows!r} and "
                                f"{self.zone_columns!r}, but must both be at least 1, or both 0.")
        if not isinstance(self.global_drives, bool):
            raise ScenarioError(f"RydbergTruth.global_drives is {self.global_drives!r}, but must be true or false.")
        require(self, "rabi_rad_s", 0)
        require(self, "rabi_rms", 0, 1)
        require(self, "resonance_hz", 0, above=True)
        require(self, "wavenumber_rad_m", 0)


@dataclass(frozen=True)
class ArrayTruth:
    """Sites on a square grid of pitch site_m; the atom at (port_row, port_column) is the one at the photon port."""

    rows: int
    columns: int
    site_m: float
    port_row: int
    port_column: int
    deflector: Deflector
    camera: Camera
    readout: Readout

    def __post_init__(self) -> None:
        for name, low, high in (("rows", 1, 1000), ("columns", 1, 1000), ("port_row", 0, self.rows - 1),
                                ("port_column", 0, self.columns - 1)):  # fmt: skip
            require(self, name, low, high)
            if not isinstance(getattr(self, name), int):
                raise ScenarioError(f"ArrayTruth.{name} is {getattr(self, name)!r}, but must be a whole number.")
        require(self, "site_m", 0, 1e-3, above=True)
