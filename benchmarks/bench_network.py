"""What size costs: labs of 2 and of 16 nodes, CPU time per attempt at one station, and the time to build a lab.

    python benchmarks/bench_network.py

Of each lab the first two nodes attempt: stretches of 200 cycles of the gateware, and attempts spelled out signal by
signal. The mark is 1.2 times the two-node lab's. The lab that is built has 16 nodes, 8 stations and 10,000 sites at one
node; its mark is 1 s. CPU time of the process, best of five.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from atomlink.heralds import patterns
from atomlink.signals import Cycle, Tone
from atomlink.topology import Topology
from sim.world import World, load_scenario
from sim.world.atoms.labels import F2
from sim.world.scenario import FOLDER, ROLES

CYCLE = Cycle(7200, ((0, 4000), (4000, 4500), (4000, 4500), None), ((4549, 6400),) * 4, patterns("polarisation"))
CYCLES, SHOTS = 200, 300


def pairs(nodes: int) -> Topology:
    """Return nodes two by two, each pair with a station of its own."""
    names = [f"n{k}" for k in range(nodes)]
    return Topology.from_arguments({
        "nodes": {name: {} for name in names},
        "stations": {f"s{k}": {"inputs": {"a": [f"n{2 * k}.port"], "b": [f"n{2 * k + 1}.port"]},
                               "detectors": [f"s{k}_{j}" for j in range(4)], "entangler": f"e{k}"}
                     for k in range(nodes // 2)},
    })  # fmt: skip


class Bench:
    """A lab with all light set up, and atoms at its first two nodes."""

    def __init__(self, nodes: int) -> None:
        self.world = World(load_scenario("default", pairs(nodes)), 1)
        for name in self.world.nodes:
            self.world.output(f"{name}_shutter", "level")(100, 1)
            for role in ROLES:
                self.world.output(f"{name}_dds_{role}", "tone")(100, Tone(80e6, 1.0, 0.0, 0.0, False))
        self.world.advance(10_000_000)
        self.switches = {(name, role): self.world.output(f"{name}_sw_{role}", "level")
                         for name in ("n0", "n1") for role in ("pumping", "repump", "excitation")}  # fmt: skip
        self.gateware = self.world.output("e0", "entangler")
        self.detectors = [self.world.clicks(f"s0_{k}") for k in range(4)]

    def fill(self) -> None:
        """Put a cold atom to each of the two ports."""
        for name in ("n0", "n1"):
            node = self.world.nodes[name]
            node.register.handles.clear()
            node.label, node.temperature_k = F2, 20e-6

    def stretch(self) -> None:
        """Let the gateware repeat its cycle."""
        self.fill()
        start = self.world.now_mu + 1000
        self.world.reach(self.gateware.run(start, start + CYCLES * CYCLE.length_mu, CYCLE).t_end_mu)

    def attempt(self) -> None:
        """Pump, excite and look, signal by signal."""
        self.fill()
        t = self.world.now_mu + 20_000
        signals = [(t + begin, level, key) for key in self.switches
                   for begin, level in (((4000, 1), (4500, 0)) if key[1] == "excitation" else ((0, 1), (4000, 0)))]
        for when, level, key in sorted(signals):
            self.switches[key](when, level)
        self.world.reach(t + 6400)
        for clicks in self.detectors:
            clicks(t + 4549, t + 6400)


def cpu_s(work: Callable[[], None], n: int) -> float:
    """Return the CPU time of one of n calls, the best of five."""
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(n):
            work()
        best = min(best, (time.process_time() - start) / n)
    return best


def build() -> None:
    """Build the large lab."""
    array = (FOLDER / "array.toml").read_text(encoding="utf-8")
    table = array[array.index("[nodes.array]") : array.index("[nodes.rydberg]")].replace("[nodes.", "[node.n0.")
    for axis in ("rows", "columns"):
        table = table.replace(f"{axis} = 32", f"{axis} = 100")
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "large.toml"
        own.write_text(f'extends = "default"\n{table}', encoding="utf-8")
        World(load_scenario(str(own), pairs(16)), 1)


def main() -> None:
    """Print the table."""
    small, large = Bench(2), Bench(16)
    print(f"{'CPU time':44s} {'2 nodes':>9s} {'16 nodes':>9s} {'ratio':>6s}")
    for name, ours, theirs in (("stretch of 200 cycles, us", small.stretch, large.stretch),
                               ("attempt, signal by signal, us", small.attempt, large.attempt)):  # fmt: skip
        first, second = 1e6 * cpu_s(ours, SHOTS), 1e6 * cpu_s(theirs, SHOTS)
        print(f"{name:44s} {first:9.1f} {second:9.1f} {second / first:6.2f}")
    print(f"{'16 nodes, 8 stations, 10,000 sites: build, s':44s} {'':9s} {cpu_s(build, 1):9.2f}")


if __name__ == "__main__":
    main()
