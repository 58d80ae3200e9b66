"""The watchdog of a lab that is served with `--heartbeat`: a run that hangs must not leave light on."""

from __future__ import annotations

from sim.daemon.service import Service
from sim.instruments.server.supervise import supervised

LOOKS = 10  # in `patience_s`


class Watchdog:
    """Takes the timeline from a run that holds it and says nothing for `patience_s`; the shutters close.

    Silence is counted in looks, not read off a clock: after the lab's own machine slept, a run has all its time again.
    """

    def __init__(self, service: Service, patience_s: float) -> None:
        self._service, self._patience_s = service, patience_s
        self._heard, self._silent = -1, 0

    def look(self) -> None:
        """Look once; this is done LOOKS times in `patience_s`."""
        silent = self._service.holder is not None and self._service.heard == self._heard
        self._heard, self._silent = self._service.heard, self._silent + 1 if silent else 0
        if self._silent >= LOOKS:
            self._service.dismiss(f"it said nothing for {self._patience_s:g} s")

    async def run(self) -> None:
        """Look for ever, whatever goes wrong in the lab meanwhile."""
        await supervised("watchdog", self._tick, self._patience_s / LOOKS)

    async def _tick(self) -> None:
        self.look()
