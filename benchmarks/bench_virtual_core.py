"""Speed of the virtual core: output events, calls of the host, exceptions, arithmetic, an empty kernel.

    python benchmarks/bench_virtual_core.py [REPEATS]

Needs an interpreter with real ARTIQ and Unicorn, and `ld.lld`: kernels are compiled by ARTIQ's compiler beforehand, for
each processor, and run on a virtual core in this process with the lab of scenario `default` below it. Prints the best
of REPEATS (5) runs of each: calls per second of wall clock, upload included, and milliseconds of an empty kernel.
Absolute times depend on the machine and on who else works on it.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["ATOMLINK_TARGET"] = "hardware"  # the rows as the real lab has them

from artiq.coredevice.core import Core
from artiq.coredevice.ttl import TTLOut
from artiq.experiment import TInt32, delay_mu, kernel, rpc

from sim.command.virtual_core import device_of
from sim.virtual_core.server import Server

ROOT = Path(__file__).resolve().parents[1]
FACTS = {"scenario": "default", "seed": 1, "costs": "ideal"}
N = 20_000
ROWS = {"events": ("output events", 1), "calls": ("RPCs", 1), "later": ("async RPCs", 1),
        "exceptions": ("exceptions", 1), "floats": ("float iterations", 100)}  # fmt: skip


class Bench:
    """Kernels, each of which does one thing `n` times."""

    kernel_invariants = {"core", "ttl"}

    def __init__(self, core: Core, ttl: TTLOut) -> None:
        self.core, self.ttl = core, ttl

    @rpc
    def host(self, n) -> TInt32:
        """Answer."""
        return n

    @rpc(flags={"async"})
    def told(self, n):
        """Take a value."""

    @kernel
    def empty(self, n):
        """Do nothing."""

    @kernel
    def events(self, n):
        """Submit output events to one channel."""
        self.core.break_realtime()
        for i in range(n):
            self.ttl.set_o(i & 1 == 1)
            delay_mu(1000)

    @kernel
    def calls(self, n):
        """Ask the host, and wait for its answer."""
        for i in range(n):
            self.host(i)

    @kernel
    def later(self, n):
        """Tell the host, and do not wait."""
        for i in range(n):
            self.told(i)

    @kernel
    def exceptions(self, n):
        """Raise and catch."""
        for _ in range(n):
            try:
                raise ValueError("bench")
            except ValueError:
                pass

    @kernel
    def floats(self, n):
        """Add floats, 100 times each."""
        x = 0.5
        for _ in range(n):
            for i in range(100):
                x = x * 0.999 + float(i)
        self.told(int(x))


class Devices:
    """A device manager with one core device and one output."""

    def __init__(self, host: str, target: str) -> None:
        self.core = Core(self, host=host, ref_period=1e-9, ref_multiplier=8, target=target)

    def get(self, _name: str) -> Core:
        """Return the core device."""
        return self.core


def best(run: Callable[[], Any], repeats: int) -> float:
    """Return the seconds of the fastest of some runs."""
    found = []
    for _ in range(repeats):
        begin_s = time.perf_counter()
        run()
        found.append(time.perf_counter() - begin_s)
    return min(found)


def main(repeats: int) -> int:
    device = device_of(ROOT, FACTS)
    host = f"127.99.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
    server = Server(device, host, 1381)
    server.start()
    try:
        for target in ("rv32g", "cortexa9"):
            devices = Devices(host, target)
            channel = next(n for n, name in device.core.bus.gateware.names.items() if name == "alice_awg_trigger")
            bench = Bench(devices.core, TTLOut(devices, channel))
            empty_s = best(devices.core.precompile(bench.empty, 0), 10 * repeats)
            print(f"{target}: empty kernel {1e3 * empty_s:.2f} ms")
            for name, (what, scale) in ROWS.items():
                passed_s = best(devices.core.precompile(getattr(bench, name), N), repeats)
                print(f"{target}: {what} {scale * N / passed_s:,.0f} /s")
            devices.core.close()
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
