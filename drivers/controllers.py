"""An instrument's driver as the network sees it, for ARTIQ's controller manager.

Requests are carried out one at a time in a thread of their own, so that an instrument which takes its time blocks
neither `ping` nor the other clients' connections. The command around it is `aqctl_atomlink`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from drivers.instruments import Instrument

_NOT_REMOTE = ("open", "close", "connect", "ping")


class Controller:
    """What the network sees of a driver: its public methods as coroutines, and `ping`."""

    def __init__(self, driver: Instrument) -> None:
        self._driver = driver
        # One worker is the lock: an instrument hears one request at a time.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=driver.name)
        self._busy = 0
        self.__doc__ = inspect.getdoc(driver)
        for name, method in _public(driver):
            setattr(self, name, self._remote(method))

    # No annotations on what sipyco lists: it cannot put them on the wire.
    async def ping(self):
        """Return True while the instrument answers; a controller in the middle of a request does not ask it."""
        if self._busy:
            return True
        return await self._run(self._driver.ping)

    def _close(self) -> None:
        """Wait for the request under way, and let go of the instrument."""
        self._worker.shutdown()
        self._driver.close()

    def _remote(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def remote(*arguments: Any, **named: Any) -> Any:
            return await self._run(functools.partial(method, *arguments, **named))

        remote.__name__, remote.__doc__ = method.__name__, inspect.getdoc(method)
        plain = [p.replace(annotation=p.empty) for p in inspect.signature(method).parameters.values()]
        remote.__signature__ = inspect.Signature(plain)  # type: ignore[attr-defined]
        remote.__annotations__ = {}
        return remote

    async def _run(self, request: Callable[[], Any]) -> Any:
        self._busy += 1
        try:
            return _plain(await asyncio.get_running_loop().run_in_executor(self._worker, request))
        finally:
            self._busy -= 1


def _public(driver: Instrument) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(type(driver)):
        if not name.startswith("_") and name not in _NOT_REMOTE and callable(getattr(type(driver), name)):
            method = getattr(driver, name)
            if inspect.ismethod(method) and method.__self__ is driver:
                yield name, method


def _plain(value: Any) -> Any:
    """Return a result as sipyco's PYON can carry it: named tuples lose their names."""
    return tuple(value) if isinstance(value, tuple) else value

