"""Serve Stabilizers: one MQTT broker for all of them, each below its own prefix."""

from __future__ import annotations

from typing import Any

from sim.instruments.stabilizer import Twin
from sim.instruments.twin import Handle

from .mqtt import Broker


class StabilizerServer:
    """The broker as one Stabilizer's server; whoever starts first starts it."""

    def __init__(self, _name: str, twin: Twin, handle: Handle, shared: dict[str, Any]) -> None:
        self._prefix = twin.prefix
        self._broker: SharedBroker = shared.setdefault("broker", SharedBroker())
        self._broker.attach(twin.prefix, handle, twin.period_s)

    async def start(self, host: str, port: int) -> int:
        """Listen; return the broker's port."""
        return await self._broker.start_once(host, port)

    async def stop(self) -> None:
        """Close the broker."""
        await self._broker.stop()

    def address(self, host: str, port: int) -> str:
        """Return BROKER:PORT/PREFIX."""
        return f"{host}:{port}/{self._prefix}"


class SharedBroker(Broker):
    """A broker that several servers start and stop."""

    def __init__(self) -> None:
        super().__init__()
        self._port: int | None = None

    async def start_once(self, host: str, port: int) -> int:
        """Listen, unless it does; return the port."""
        if self._port is None:
            self._port = await self.start(host, port)
        return self._port

    async def stop(self) -> None:
        """Stop listening, unless it has."""
        if self._port is not None:
            self._port = None
            await super().stop()
