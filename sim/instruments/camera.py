"""Twin of the camera on the tweezer array: its frames are those of the node's array in the world.

There is no wire: a request is (method of `FrameSource`, argument); a `Refusal` is what the camera says against it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import DeviceError

from .twin import Handle
from .twin import Twin as Base

NO_ARRAY = (
    "The camera looks at a tweezer array, which this scenario does not have: run the scenario `array`, `pair` "
    "for two atoms, or write a table [nodes.array]."
)


class Refusal(NamedTuple):
    """Why a request was not met."""

    text: str


class Twin(Base):
    """One camera; `element` is the world's, None where the node has no array."""

    def __init__(self, element: Any, rng: np.random.Generator) -> None:
        super().__init__(element, rng)
        self._left, self._last_mu = 0, -1

    @classmethod
    def element_of(cls, world: Any, name: str) -> Any:
        """Return the camera of the row's node (`alice_camera`)."""
        tweezers = world.nodes[name.partition("_")[0]].tweezers
        return None if tweezers is None else tweezers.camera

    def handle(self, request: Any) -> Any:
        """Answer one call."""
        what, argument = request if isinstance(request, tuple) and len(request) == 2 else (None, None)
        if what == "identity":
            return "Hamamatsu C15550-22UP S/N 000123 (ORCA-Quest 2)"
        if self.element is None:
            return Refusal(NO_ARRAY)
        if what == "exposure_s":
            return self.element.exposure_s
        if what == "set_exposure" and isinstance(argument, float) and 0 < argument < 100:
            self.element.exposure_s = argument
            return None
        if what == "arm" and isinstance(argument, int) and argument > 0:
            self._left, self._last_mu = argument, self.element.last_trigger_mu
            return None
        return self._next() if what == "frame" else Refusal(f"the camera does not take {request!r}")

    def in_process(self, handle: Handle) -> Any:
        """Return the camera as the driver takes it."""
        return Source(handle)

    def _next(self) -> tuple[int, npt.NDArray[np.uint16]] | None:
        newer = [t_mu for t_mu in self.element.frames if t_mu > self._last_mu]
        if not self._left or not newer:
            return None
        self._left, self._last_mu = self._left - 1, min(newer)
        return self._last_mu, self.element.frames[self._last_mu]


class Source:
    """The camera in the driver's process; lab time stands still while somebody waits for a frame."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle

    def identity(self) -> str:
        """Return model and serial number."""
        return str(self._ask("identity"))

    def exposure_s(self) -> float:
        """Return the exposure that is set, as the camera says it."""
        found: float = self._ask("exposure_s")
        return found

    def set_exposure(self, exposure_s: float) -> None:
        """Set the exposure."""
        self._ask("set_exposure", float(exposure_s))

    def arm(self, frames: int) -> None:
        """Take one frame at each of the next triggers."""
        self._ask("arm", frames)

    def frame(self, timeout_s: float) -> tuple[int, npt.NDArray[np.uint16]] | None:
        """Return the oldest frame that was not read, None if there is none."""
        found: tuple[int, npt.NDArray[np.uint16]] | None = self._ask("frame", timeout_s)
        return found

    def clear(self) -> None:
        """Do nothing: no frame comes late."""

    def reopen(self) -> None:
        """Do nothing: there is no connection."""

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _ask(self, what: str, argument: Any = None) -> Any:
        reply = self._handle((what, argument))
        if isinstance(reply, Refusal):
            raise DeviceError(reply.text)
        return reply
