"""Speed of the host engine: pulse, delay, gate and count in a loop, with lanes, underflow and clicks on.

    python benchmarks/bench_kernel.py [ITERATIONS]

Prints a table: microseconds per iteration (best of many short runs) and output events per second. Rows with `default`
run on the simulated lab of that scenario, rows with `1 MHz` on an input that clicks so often. Beside them, where real
ARTIQ can be imported, the same loop under ARTIQ's stock drivers, and in ARTIQ's own `artiq.sim`, which keeps a list of
descriptions (here never printed), knows neither lanes nor underflow, and draws its counts. Absolute times depend on
the machine; compare rows of one run.
"""

from __future__ import annotations

import bisect
import importlib.util
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MODE = sys.argv[2] if len(sys.argv) > 2 else ""
if MODE == "pip":
    # Ours, although another may be installed.
    from sim.artiq_runtime.finder import SURFACE

    spec = importlib.util.spec_from_file_location(
        "artiq", SURFACE / "__init__.py", submodule_search_locations=[str(SURFACE)]
    )
    assert spec is not None and spec.loader is not None
    sys.modules["artiq"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["artiq"])

from sim.artiq_runtime import install  # noqa: E402 - after the choice above

install()

from artiq.coredevice.ttl import TTLInOut, TTLOut  # noqa: E402 - the runtime must be installed first
from artiq.experiment import delay, delay_mu, kernel, now_mu, us  # noqa: E402

from sim.gateware.build import Gateware  # noqa: E402
from sim.rtio.core import Core  # noqa: E402
from sim.world.scenario import load_scenario  # noqa: E402
from sim.world.world import World  # noqa: E402

SLICES = 100  # the best of so many: other work on the machine spares some
DEVICE_DB = {
    "port_switch": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut", "arguments": {"channel": 0}},
    "snspd_c_h": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLInOut", "arguments": {"channel": 1}},
}


class PoissonWorld:
    """Clicks at random, `rate_hz` of them per second, drawn a thousand at a time; outputs lead nowhere."""

    def __init__(self, rate_hz: float) -> None:
        self._mean_mu = 1e9 / rate_hz
        self._rng = np.random.default_rng(1)
        self._clicks: list[int] = [0]

    def advance(self, t_mu: int) -> None:
        """Let time pass: nothing happens here by itself."""

    def output(self, port: str, kind: str) -> Callable[[int, Any], None]:
        """Return a port that drives nothing."""
        return lambda t_mu, level: None

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        """Return the function that lists clicks in an interval."""
        return self._between

    def _between(self, t0_mu: int, t1_mu: int) -> list[int]:
        while self._clicks[-1] <= t1_mu:
            steps = self._rng.exponential(self._mean_mu, 1000)
            later = (self._clicks[-1] + np.cumsum(steps)).astype(np.int64).tolist()
            self._clicks = self._clicks[bisect.bisect_right(self._clicks, t0_mu) :] + later
        first = bisect.bisect_right(self._clicks, t0_mu)
        return self._clicks[first : bisect.bisect_right(self._clicks, t1_mu, first)]


class Bench:
    """The kernels that are timed."""

    kernel_invariants = {"core", "ttl", "pmt"}

    def __init__(self, costs: str, world: str) -> None:
        made: Any = World(load_scenario("default"), 1) if world == "default" else PoissonWorld(1e6)
        self.core = Core(self, costs=costs, gateware=Gateware(DEVICE_DB, made))
        self.ttl, self.pmt = TTLOut(self, 0), TTLInOut(self, 1)

    def get(self, name: str) -> Any:
        """Return the core, as a device manager does."""
        return self.core

    @kernel
    def gate_and_count(self, n):
        self.core.break_realtime()
        total = 0
        for _ in range(n):
            delay(5 * us)  # slack: counting has used up what there was
            self.ttl.pulse(1 * us)
            delay(1 * us)
            gate_end = self.pmt.gate_rising(1 * us)
            total += self.pmt.count(gate_end)
        return total

    @kernel
    def pulses(self, n):
        self.core.break_realtime()
        for _ in range(n):
            delay_mu(1000)
            self.ttl.pulse_mu(1000)

    @kernel
    def arithmetic(self, n):
        x = 1
        for i in range(n):
            x = (x * 1103515245 + i) % 65536
        return x

    @kernel
    def cursor(self, n):
        for _ in range(n):
            delay_mu(8)
        return now_mu()


def best(run: Callable[[int], object], n: int) -> float:
    """Return the shortest time per iteration of several slices of `n` iterations together, in seconds."""
    part = max(1, n // SLICES)
    times = []
    for _ in range(SLICES):
        start = time.perf_counter()
        run(part)
        times.append(time.perf_counter() - start)
    return min(times) / part


def row(name: str, seconds: float, events: int) -> None:
    """Print a row."""
    rate = f"{events / seconds:14,.0f}" if events else ""
    print(f"{name:<58}{seconds * 1e6:14.3f}{rate}", flush=True)


def engine_rows(n: int, names: tuple[tuple[str, int], ...], drivers: str) -> None:
    """Time kernels on our engine under the drivers that `artiq` is."""
    for costs in ("ideal", "kasli_soc"):
        for world in ("default", "1 MHz"):
            for name, events in names:
                if world == "1 MHz" and name != "gate_and_count":
                    continue
                run = getattr(Bench(costs, world), name)
                run(100)
                row(f"{name} ({world}, {costs}, {drivers})", best(run, n), events)


def artiq_sim_row(n: int) -> None:
    """Time the same loop in ARTIQ's own simulation."""
    from artiq.sim import devices
    from artiq.sim import time as sim_time

    class Lab:
        def __init__(self) -> None:
            self.core = devices.Core(None)
            self.ttl, self.pmt = devices.Output(self, "ttl"), devices.Input(self, "pmt")

        def get(self, name: str) -> Any:
            return self.core

    lab = Lab()
    lab.core._level = 1  # else every call of a kernel's method would print and clear the timeline

    def run(n: int) -> int:
        total = 0
        for _ in range(n):
            delay(5 * us)
            lab.ttl.pulse(1 * us)
            delay(1 * us)
            gate_end = lab.pmt.gate_rising(1 * us)
            total += lab.pmt.count(gate_end)
        sim_time.manager.timeline.clear()
        return total

    row("gate_and_count (artiq.sim)", best(run, n), 3)  # a pulse is one entry of its list


def memory(n: int) -> None:
    """Print how much more memory many events take than few."""
    bench = Bench("kasli_soc", "default")
    tracemalloc.start()
    bench.pulses(10_000)
    before = tracemalloc.get_traced_memory()[1]
    bench.pulses(n)
    print(f"memory: {tracemalloc.get_traced_memory()[1] / before:.2f} times the peak after 20,000 events, at {2 * n:,}")


def main() -> None:
    """Print the table, each kind of `artiq` in a process of its own."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    if MODE == "pip":
        names = (("gate_and_count", 4), ("pulses", 2), ("arithmetic", 0), ("cursor", 0))
        engine_rows(n, names, "pip-only")
        memory(n)
    elif MODE == "stock":
        engine_rows(n, (("gate_and_count", 4),), "stock drivers")
        artiq_sim_row(n)
    else:
        print(f"{'kernel':<58}{'us/iteration':>14}{'events/s':>14}", flush=True)
        modes = ["pip"] if getattr(sys.modules["artiq"], "__host_runtime__", False) else ["pip", "stock"]
        for mode in modes:
            subprocess.run([sys.executable, str(Path(__file__)), str(n), mode], check=True)


if __name__ == "__main__":
    main()
