"""Speed of the host engine: pulse, delay, gate and count in a loop, with lanes, underflow and clicks on.

    python benchmarks/bench_kernel.py [ITERATIONS]

Prints a table: microseconds per iteration and output events per second. Absolute times depend on the machine; compare
rows of one run.
"""

from __future__ import annotations

import bisect
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from sim.artiq_runtime import install

install()

from artiq.coredevice.ttl import TTLInOut, TTLOut  # noqa: E402 - the runtime must be installed first
from artiq.experiment import delay, delay_mu, kernel, now_mu, us  # noqa: E402

from sim.gateware.build import Gateware  # noqa: E402
from sim.rtio.core import Core  # noqa: E402

DEVICE_DB = {
    "ttl": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut", "arguments": {"channel": 0}},
    "pmt": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLInOut", "arguments": {"channel": 1}},
}


class PoissonWorld:
    """Clicks at random, `rate_hz` of them per second, drawn a million at a time; outputs lead nowhere."""

    def __init__(self, rate_hz: float) -> None:
        self._mean_mu = 1e9 / rate_hz
        self._rng = np.random.default_rng(1)
        self._clicks: list[int] = [0]
        self._next = 1

    def output(self, port: str, kind: str) -> Callable[[int, Any], None]:
        """Return a port that drives nothing."""
        return lambda t_mu, level: None

    def clicks(self, port: str) -> Callable[[int, int], list[int]]:
        """Return the function that lists clicks in an interval."""
        return self._between

    def _between(self, t0_mu: int, t1_mu: int) -> list[int]:
        while self._clicks[-1] <= t1_mu:
            steps = self._rng.exponential(self._mean_mu, 1_000_000)
            self._clicks = (self._clicks[-1] + np.cumsum(steps)).astype(np.int64).tolist()
        first = bisect.bisect_right(self._clicks, t0_mu)
        return self._clicks[first : bisect.bisect_right(self._clicks, t1_mu, first)]


class Bench:
    """The kernels that are timed."""

    kernel_invariants = {"core", "ttl", "pmt"}

    def __init__(self, costs: str) -> None:
        self.core = Core(self, costs=costs, gateware=Gateware(DEVICE_DB, PoissonWorld(1e6)))
        self.ttl, self.pmt = TTLOut(self, 0), TTLInOut(self, 1)

    def get(self, name: str) -> Any:
        """Return the core, as a device manager does."""
        return self.core

    @kernel
    def gate_and_count(self, n):  # type: ignore[no-untyped-def]
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
    def pulses(self, n):  # type: ignore[no-untyped-def]
        self.core.break_realtime()
        for _ in range(n):
            delay_mu(1000)
            self.ttl.pulse_mu(1000)

    @kernel
    def arithmetic(self, n):  # type: ignore[no-untyped-def]
        x = 1
        for i in range(n):
            x = (x * 1103515245 + i) % 65536
        return x

    @kernel
    def cursor(self, n):  # type: ignore[no-untyped-def]
        for _ in range(n):
            delay_mu(8)
        return now_mu()


def best(call: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest time of several, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{'kernel':<42}{'us/iteration':>14}{'events/s':>14}")
    for costs in ("ideal", "kasli_soc"):
        bench = Bench(costs)
        rows = (("gate_and_count", 4), ("pulses", 2), ("arithmetic", 0), ("cursor", 0))
        for name, events in rows:
            run = getattr(bench, name)
            run(100)
            seconds = best(lambda run=run: run(n)) / n
            rate = f"{events / seconds:14,.0f}" if events else ""
            print(f"{name + ' (' + costs + ')':<42}{seconds * 1e6:14.3f}{rate}")
    bench = Bench("kasli_soc")
    tracemalloc.start()
    bench.pulses(10_000)
    before = tracemalloc.get_traced_memory()[1]
    bench.pulses(n)
    print(f"memory: {tracemalloc.get_traced_memory()[1] / before:.2f} times the peak after 20,000 events, at {2 * n:,}")


if __name__ == "__main__":
    main()
