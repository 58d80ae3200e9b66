"""Heralded link: attempts and heralds per second in the functions that the bus calls, SeQUeNCe beside them where it is
installed.

    python benchmarks/bench_link.py        (pip install sequence==0.8.5 for the peer; Python 3.11)

Best of several runs in one process; quote the ratios. SeQUeNCe runs its own Barrett-Kok example: two rounds per
attempt, time-stamped photons, perfect memories; ours is the `default` scenario, one round, four detectors with dark
clicks, conditional state of the atoms.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from atomlink.signals import Cycle, Tone
from sim.world import World, load_scenario
from sim.world.atoms.labels import F2
from sim.world.network.attempt import AttemptModel
from sim.world.scenario.paths import ROLES

CYCLE = Cycle(
    7200, ((0, 4000), (4104, 4604), (4104, 4604), None), ((4653, 5553),) * 4, (0b0011, 0b1100, 0b1001, 0b0110)
)
N = 1 << 18


def rate(work: Callable[[], int], repeats: int = 7) -> float:
    """Return the best rate of several runs; work returns how much it did."""
    best = 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        done = work()
        best = max(best, done / (time.perf_counter() - start))
    return best


def default_model() -> tuple[World, AttemptModel]:
    """Return a default lab with all light set up, and the statistics of its cycle."""
    world = World(load_scenario("default"), 1)
    for node in world.nodes:
        for role in ROLES:
            world.output(f"{node}_dds_{role}", "tone")(100, Tone(80e6, 1.0, 0.0, 0.0, False))
        world.output(f"{node}_shutter", "level")(100, 1)
    world.advance(10_000_000)
    return world, world.stations["midpoint"].model(CYCLE, world.output("entangler", "entangler").outputs)[0]


def sequence_attempts(n: int) -> Callable[[], int] | None:
    """Return SeQUeNCe's Barrett-Kok generation, n attempts, or None where it is not installed."""
    try:
        from sequence.components.memory import Memory
        from sequence.components.optical_channel import ClassicalChannel, QuantumChannel
        from sequence.entanglement_management.generation import (
            EntanglementGenerationA,
        )  # its `create` makes the Barrett-Kok protocol
        from sequence.kernel.timeline import Timeline
        from sequence.topology.node import BSMNode, Node
    except ImportError:
        return None

    class Manager:
        def update(self, protocol: Any, memory: Any, state: str) -> None:
            memory.reset()

    class MemoryNode(Node):
        def __init__(self, name: str, timeline: Any) -> None:
            super().__init__(name, timeline)
            self.memory = Memory(f"{name}.memory", timeline, 0.9, 2000, 1, -1, 500)
            self.memory.add_receiver(self)
            self.add_component(self.memory)
            self.resource_manager = Manager()

        def receive_message(self, src: str, msg: Any) -> None:
            self.protocols[0].received_message(src, msg)

        def get(self, photon: Any, **kwargs: Any) -> None:
            self.send_qubit(kwargs["dst"], photon)

    timeline = Timeline()
    nodes = [MemoryNode("alice", timeline), MemoryNode("bob", timeline)]
    midpoint = BSMNode("midpoint", timeline, [node.name for node in nodes])
    for node in nodes:
        channel = QuantumChannel(f"q_{node.name}", timeline, attenuation=0, distance=10)
        channel.set_ends(node, midpoint.name)
    for one in [*nodes, midpoint]:
        for other in [*nodes, midpoint]:
            if one is not other:
                link = ClassicalChannel(f"c_{one.name}_{other.name}", timeline, 10, 1e5)
                link.set_ends(one, other.name)
    timeline.init()

    def attempt() -> int:
        for _ in range(n):
            timeline.time = timeline.now() + 10**9
            pairs = []
            for node, other in (nodes, nodes[::-1]):
                protocol = EntanglementGenerationA.create(
                    node, f"{node.name}.eg", midpoint.name, other.name, node.memory
                )
                node.protocols = [protocol]
                pairs.append(protocol)
            for own, peer, node in zip(pairs, pairs[::-1], nodes[::-1], strict=True):
                own.set_others(peer.name, node.name, [node.memory.name])
            for node in nodes:
                node.memory.reset()
            for protocol in pairs:
                protocol.start()
            timeline.run()
        return n

    return attempt


def main() -> None:
    """Print the table."""
    world, model = default_model()
    labels = np.full((N, 2), F2)
    rows = [
        ("attempts, each with its click list", rate(lambda: len(model.attempts(world.rng("bench"), labels).ends))),
        ("heralds with conditional state", rate(lambda: len(model.heralds(world.rng("bench"), labels)[0]))),
    ]
    peer = sequence_attempts(500)
    print(f"{'work':42s} {'per second':>12s}")
    for name, value in rows:
        print(f"{name:42s} {value:12.3g}")
    if peer is None:
        print("SeQUeNCe is not installed (pip install sequence==0.8.5): no peer in this run")
        return
    theirs = rate(peer, 3)
    print(f"{'SeQUeNCe Barrett-Kok attempts':42s} {theirs:12.3g}   ours / theirs = {rows[0][1] / theirs:.0f}")


if __name__ == "__main__":
    main()
