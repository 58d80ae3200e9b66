"""One controller for every instrument row of device_db.py: `aqctl_atomlink`, for ARTIQ's controller manager.

    aqctl_atomlink -p 3301 --bind ::1 --driver microwave --device TCPIP::192.168.1.81::5025::SOCKET alice_microwave

Requests are carried out one at a time in a thread of their own, so that an instrument which takes its time blocks
neither `ping` nor the other clients' connections. With `--simulation` the driver talks to the lab that `atomlink lab`
keeps (ATOMLINK_LAB=HOST:PORT), else to a twin in this process whose lab time is the wall clock's. sipyco's remote calls
are no security boundary: bind to the laboratory's own network. Source: sipyco's manual; ARTIQ's, "Writing a network
device support package".
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from atomlink.errors import DeviceError, LabError
from drivers.instruments import Instrument, driver_class, kinds
from drivers.instruments.transport import LineTransport, tcp_address

DEFAULT_PORT = 3300
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


def get_argparser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with sipyco's options."""
    common = importlib.import_module("sipyco.common_args")
    parser = argparse.ArgumentParser(prog="aqctl_atomlink", description="ARTIQ controller of one atomlink instrument")
    parser.add_argument("name", metavar="NAME", help="the instrument's row of device_db.py")
    parser.add_argument("--driver", required=True, metavar="KIND", help=f"one of {', '.join(kinds())}")
    parser.add_argument("-d", "--device", required=True, metavar="ADDRESS", help="the instrument's address")
    parser.add_argument("--simulation", action="store_true", help="talk to the simulated instrument")
    common.simple_network_args(parser, DEFAULT_PORT)
    common.verbosity_args(parser)
    return parser


def open_driver(name: str, kind: str, device: str, simulation: bool = False) -> Instrument:
    """Return the driver of a row, opened: at its address, or at its twin's."""
    if not simulation:
        return driver_class(kind)(name, driver_class(kind).connect(device)).open()
    lab = os.environ.get("ATOMLINK_LAB", "")
    if lab:
        return open_at_lab(lab, name, kind)
    twins = importlib.import_module("sim.instruments.in_process")
    alone: Instrument = twins.open_alone(name, kind, device)
    return alone


def open_at_lab(lab: str, name: str, kind: str) -> Instrument:
    """Return the driver of a row, opened over the wire of the lab at HOST:PORT."""
    addresses = lab_addresses(lab)
    if name not in addresses:
        listed = ", ".join(sorted(addresses)) or "none"
        raise DeviceError(f"The lab at {lab} serves no `{name}`, its instruments are: {listed}.")
    cls, address = driver_class(kind), addresses[name]
    if address.startswith("lab:"):  # an instrument without a wire of its own
        transport = importlib.import_module("sim.instruments.in_lab").transport(address, kind)
    else:
        transport = cls.connect(address)
    driver = cls(name, transport)
    driver.simulated = True
    return driver.open()


def lab_addresses(lab: str) -> dict[str, str]:
    """Return where the instruments of the lab at HOST:PORT listen, by name, as their drivers take it."""
    tcp_address(lab)
    transport = LineTransport(lab)
    try:
        text = transport.query('{"op": "addresses"}')
    finally:
        transport.close()
    try:
        addresses = json.loads(text)["addresses"]
        return {str(name): str(address) for name, address in addresses.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeviceError(f"{lab} answered {text[:60]!r}: it must be the address of `atomlink lab`.") from error


def main(arguments: list[str] | None = None) -> int:
    """Run a controller until it is told to terminate."""
    try:
        common = importlib.import_module("sipyco.common_args")
        pc_rpc = importlib.import_module("sipyco.pc_rpc")
    except ImportError:
        print("aqctl_atomlink: error: controllers need sipyco: pip install 'atomlink[artiq]'", file=sys.stderr)
        return 2
    options = get_argparser().parse_args(arguments)
    common.init_logger_from_args(options)
    try:
        driver = open_driver(options.name, options.driver, options.device, options.simulation)
    except LabError as error:
        print(f"aqctl_atomlink: error: {error}", file=sys.stderr)
        return 2
    controller = Controller(driver)
    try:
        pc_rpc.simple_server_loop(
            {options.name: controller}, common.bind_address_from_args(options), options.port,
            description=f"{driver.KIND}: {driver.identity}", allow_parallel=True,
        )  # fmt: skip
    finally:
        controller._close()
    return 0


def _public(driver: Instrument) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(type(driver)):
        if not name.startswith("_") and name not in _NOT_REMOTE and callable(getattr(type(driver), name)):
            method = getattr(driver, name)
            if inspect.ismethod(method) and method.__self__ is driver:
                yield name, method


def _plain(value: Any) -> Any:
    """Return a result as sipyco's PYON can carry it: named tuples lose their names."""
    return tuple(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    sys.exit(main())
