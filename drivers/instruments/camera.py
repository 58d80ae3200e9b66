"""Camera on the tweezer array: triggered by a TTL line, frames read out of band.

    arm(n) -- TTL: one exposure each -- read() -> (time of the trigger, photo-electrons per pixel)

Counts become electrons by the data sheet's numbers (ORCA-Quest: 0.107 electrons per count above 200). There is no
pip-installable library for the vendors' cameras: what the driver is given as a transport is anything with the methods
of `FrameSource`, around the vendor's own package.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .instrument import Instrument

EXPOSURE = Limits(10e-6, 10.0, "s")
FRAMES = Limits(1, 1000, "frames")
ELECTRONS_PER_COUNT, OFFSET_COUNTS = 0.107, 200.0

Image = npt.NDArray[np.float32]


class FrameSource(Protocol):
    """What the driver is given."""

    def identity(self) -> str:
        """Return model and serial number."""

    def exposure_s(self) -> float:
        """Return the exposure that is set."""

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure."""

    def arm(self, frames: int) -> None:
        """Forget older frames and take one at each of the next triggers."""

    def frame(self, timeout_s: float) -> tuple[int, npt.NDArray[np.uint16]] | None:
        """Return (time of the trigger in mu, counts) of the oldest frame that was not read; None at the time-out."""

    def clear(self) -> None:
        """Drop what has not been read."""

    def reopen(self) -> None:
        """Find the camera again."""

    def close(self) -> None:
        """Let go of the camera."""


class Driver(Instrument):
    """A triggered camera; images in photo-electrons."""

    KIND = "triggered camera"
    IDENTITY = r"C15550|ORCA-Quest"

    def __init__(self, name: str, transport: FrameSource, *, electrons_per_count: float = ELECTRONS_PER_COUNT,
                 offset_counts: float = OFFSET_COUNTS) -> None:  # fmt: skip
        super().__init__(name, transport)
        self.electrons_per_count, self.offset_counts = electrons_per_count, offset_counts

    @classmethod
    def connect(cls, device: str, library: str = "@py") -> Any:
        """Refuse: a camera needs its vendor's package."""
        raise DeviceError(
            f"The camera at {device!r} has no transport here: wrap the vendor's package in a class with the methods of "
            "FrameSource and give it to Driver, or run with --simulation."
        )

    @property
    def exposure_s(self) -> float:
        """Exposure in s."""
        return self._json_number(self.transport.exposure_s(), "exposure in s", EXPOSURE)

    @exposure_s.setter
    def exposure_s(self, exposure_s: float) -> None:
        self._set("exposure", exposure_s, EXPOSURE, self.transport.set_exposure,
                  lambda: self.exposure_s, 1e-6)  # fmt: skip

    def arm(self, n_frames: int = 1) -> None:
        """Take a frame at each of the next `n_frames` triggers; frames that were not read are dropped."""
        self.transport.arm(int(FRAMES.check(f"{self.name} arm", n_frames)))
        self._log("arm", "frames", n_frames, n_frames, n_frames)

    def read(self, timeout_s: float = 1.0) -> tuple[int, Image]:
        """Return (time of the trigger in mu, photo-electrons, shape (rows, columns)) of the oldest unread frame."""
        found = self.transport.frame(timeout_s)
        if found is None:
            raise DeviceError(f"{self.name}: no frame came within {timeout_s:g} s: arm() first, and check that the "
                              "trigger comes when the last frame is read out.")  # fmt: skip
        try:
            t_mu, counts = found
        except (TypeError, ValueError):
            raise self._misread(repr(found), "no time and image") from None
        whole = isinstance(t_mu, int | np.integer) and not isinstance(t_mu, bool)
        if not whole or not isinstance(counts, np.ndarray) or counts.ndim != 2 or counts.dtype.kind not in "ui":
            raise self._misread(repr(found), "no time in mu and image of counts")
        electrons = (counts.astype(np.float32) - np.float32(self.offset_counts)) * np.float32(self.electrons_per_count)
        return int(t_mu), electrons

    def _read_identity(self) -> str:
        return str(self.transport.identity())

    def _drain(self) -> list[str]:
        return []  # a camera has no error queue: what fails raises at once
