"""A lab without experiment, drivers or gateware: tests act on the world's ports directly."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from atomlink.signals import Cycle, Tone
from sim.world import Scenario, World, load_scenario
from sim.world.atoms.labels import F2, QUBIT
from sim.world.atoms.states import JointState
from sim.world.network.node import Node
from sim.world.scenario import DETECTORS, NODES
from sim.world.scenario.paths import ROLES

CARRIER_HZ = 80e6
LARMOR_HZ = 1.4e6
HERALDS = (0b0011, 0b1100, 0b1001, 0b0110)
LATENCY_MU = 500
GATE = (4549, 6400)
CYCLE = Cycle(7200, ((0, 4000), (4000, 4500), (4000, 4500), None), (GATE,) * 4, HERALDS)


@dataclass
class SignalLab:
    """Two nodes with all light set up; `t` is the time of the next signal in mu."""

    scenario: Scenario
    seed: int = 1
    t: int = 10_000_000
    sinks: dict = field(default_factory=dict)
    plan: list = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(self.scenario, self.seed)
        for node in NODES:
            for role in ROLES:
                offset = LARMOR_HZ if role == "raman_b" else 0.0
                self.world.output(f"{node}_dds_{role}", "tone")(100, Tone(CARRIER_HZ + offset, 1.0, 0.0, 0.0, False))
                self.sinks[node, role] = self.world.output(f"{node}_sw_{role}", "level")
            for name in ("shutter", "mot_coil", "mw_switch"):
                self.sinks[node, name] = self.world.output(f"{node}_{name}", "level")
            self.sinks[node, "shutter"](100, 1)
        self.entangler = self.world.output("entangler", "entangler")
        self.detectors = [self.world.clicks(f"snspd_{key}") for key in DETECTORS]

    @property
    def nodes(self) -> list[Node]:
        return list(self.world.nodes.values())

    def pulse(self, node: str, what: str | tuple[str, ...], length_mu: int, start_mu: int | None = None) -> None:
        """Switch something on for a while; with a start it is only planned, and `play` carries it out."""
        start = self.t if start_mu is None else start_mu
        for name in (what,) if isinstance(what, str) else what:
            self.plan += [(start, 1, node, name), (start + length_mu, 0, node, name)]
        if start_mu is None:
            self.play(self.t + length_mu + 2 * LATENCY_MU)

    def play(self, t_mu: int) -> None:
        """Carry out what is planned, in order of time, and let lab time reach t_mu."""
        for start, level, node, name in sorted(self.plan):
            self.sinks[node, name](start, level)
        self.plan.clear()
        self.t = t_mu
        self.world.advance(t_mu)

    def load(self) -> None:
        """Try until both nodes hold an atom."""
        while any(node.label == 0 for node in self.nodes):
            start = self.t
            for node in self.nodes:
                if node.label == 0:
                    self.pulse(node.name, ("mot_coil", "cooling", "repump"), 50_000_000, start)
            self.play(self.t + 51_000_000)

    def cool(self, length_mu: int = 500_000) -> None:
        """Recool both atoms."""
        start = self.t
        for node in self.nodes:
            self.pulse(node.name, ("cooling", "repump"), length_mu, start)
        self.play(self.t + length_mu + 2 * LATENCY_MU)

    def pump(self, node: str, length_mu: int = 4000) -> None:
        """Pump one atom to the ready state."""
        self.pulse(node, ("pumping", "repump"), length_mu)

    def software_attempt(self) -> int:
        """Pump, excite and gate once, signal by signal; return the pattern."""
        for node in NODES:
            self.pulse(node, ("pumping", "repump"), 4000, self.t)
            self.pulse(node, "excitation", 500, self.t + 4000)
        start, stop = self.t + GATE[0], self.t + GATE[1]
        self.play(stop)
        pattern = sum(1 << k for k, clicks in enumerate(self.detectors) if clicks(start, stop))
        self.t = start - GATE[0] + CYCLE.length_mu
        return pattern

    def pair(self) -> JointState | None:
        """Return the state that both atoms share, if they do."""
        alice, bob = self.nodes
        shared = alice.label == bob.label == QUBIT and alice.state is bob.state
        return alice.state if shared else None


def put_atom(node: Node, label: int = F2, temperature_k: float = 20e-6) -> None:
    """Put an atom to a node's port that the vacuum never takes."""
    node.label, node.temperature_k = label, temperature_k
    node.register.death_mu[node.site] = math.inf
    node.register.note_deaths()


def lab(name: str = "default", seed: int = 1) -> SignalLab:
    """Open a lab in a shipped scenario."""
    return SignalLab(load_scenario(name), seed)
