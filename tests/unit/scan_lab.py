"""An experiment's surroundings in memory, for scans and calibrations without a lab: devices, datasets, arguments."""

from types import SimpleNamespace
from typing import Any

from artiq.language.core import TerminationRequested
from artiq.language.environment import ProcessArgumentManager


class Scheduler:
    """Asks for a pause, or for the end, at the looks that are told."""

    def __init__(self, pause_at: tuple[int, ...] = (), end_at: int = -1) -> None:
        self.rid, self.expid = 12, {"file": "x.py", "class_name": "X"}
        self.pause_at, self.end_at = pause_at, end_at
        self.looks = self.pauses = 0

    def check_pause(self) -> bool:
        self.looks += 1
        return self.looks in (*self.pause_at, self.end_at)

    def pause(self) -> None:
        if self.looks == self.end_at:
            raise TerminationRequested
        self.pauses += 1


class Devices:
    """`core` (its counter is lab time), `scheduler`, `ccb`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.issued: list[tuple[Any, ...]] = []
        self.closed = 0
        self.core = SimpleNamespace(ref_period=1e-9, comm=SimpleNamespace(close=self._close))

    def _close(self) -> None:
        self.closed += 1

    def get_device_db(self) -> dict[str, Any]:
        return {"core": {"module": "sim.rtio.core", "arguments": {"scenario": "default"}}}

    def get(self, name: str) -> Any:
        ccb = SimpleNamespace(issue=lambda *words, **more: self.issued.append((*words, more)))
        return {"core": self.core, "scheduler": self.scheduler, "ccb": ccb}[name]


class Datasets:
    """Datasets of one run; persistent ones are told apart."""

    def __init__(self, shared: dict[str, Any] | None = None) -> None:
        self.local: dict[str, Any] = {}
        self.shared = {} if shared is None else shared

    def set(
        self, key: str, value: Any, metadata: dict[str, Any], broadcast: bool, persist: bool, archive: bool
    ) -> None:
        if broadcast or persist:
            self.shared[key] = value
        if archive:
            self.local[key] = value

    def get(self, key: str, archive: bool = False) -> Any:
        return {**self.shared, **self.local}[key]


def managers(
    arguments: dict[str, Any] | None = None, scheduler: Scheduler | None = None, shared: dict[str, Any] | None = None
) -> tuple[Devices, Datasets, ProcessArgumentManager, dict[str, Any]]:
    """Return what an experiment's class is called with."""
    return Devices(scheduler or Scheduler()), Datasets(shared), ProcessArgumentManager(arguments or {}), {}
