"""The wall clock of a lab that is served with `--realtime`."""

from __future__ import annotations

import time

from sim.daemon.service import Service
from sim.instruments.server.supervise import supervised

_TICK_S = 0.05


class WallClock:
    """Lets lab time pass with the wall clock's while no run holds the timeline."""

    def __init__(self, service: Service) -> None:
        self._service, self._last_s = service, time.monotonic()

    def follow(self) -> None:
        """Let lab time catch up."""
        now_s = time.monotonic()
        elapsed_s, self._last_s = now_s - self._last_s, now_s
        if self._service.holder is None:
            world = self._service.world
            world.reach(world.now_mu + round(elapsed_s * 1e9))

    async def run(self) -> None:
        """Follow for ever; a lab that refuses (a drift out of range) stands still, and the log says why."""
        await supervised("lab time stands still", self._tick, _TICK_S)

    async def _tick(self) -> None:
        self.follow()
