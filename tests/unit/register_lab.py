"""The lab of scenario `register`, its ports reached directly: what stores, turns, couples and hides its qubits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from array_lab import ArrayLab
from signal_lab import CARRIER_HZ, CYCLE, LATENCY_MU, put_atom

from atomlink.signals import Tone
from sim.world.atoms.labels import F2
from sim.world.atoms.states import Complexes, JointState, Part

PI_MU = 2000  # of the clock and the transfer light
X, Y = 0.0, 0.25
XY8 = (X, Y, X, Y, Y, X, Y, X)
ZONE = ((0, 0), (0, 1), (0, 2), (0, 3))


class RegisterLab(ArrayLab):
    """Alice's register; `quiet`: every shot is alike, and only what a test asks for spoils a qubit."""

    def __init__(self, seed: int = 1, quiet: bool = True, **storage: Any) -> None:
        super().__init__(seed, "register")
        truth = self.node.truth
        assert truth.storage is not None and truth.rydberg is not None
        for_ever = replace(truth.memory, t2_star_s=1e9, t2_s=1e9, t1_s=1e9)
        if quiet:
            truth = replace(
                truth, memory=for_ever, raman=replace(truth.raman, amplitude_rms=0.0),
                microwave=replace(truth.microwave, amplitude_rms=0.0), pumping=replace(truth.pumping, leak_hz=0.0),
                storage=replace(truth.storage, memory=for_ever, clock_rms=0.0, hidden_scatter_hz=0.0),
                rydberg=replace(truth.rydberg, rabi_rms=0.0, wavenumber_rad_m=0.0),
            )  # fmt: skip
        assert truth.storage is not None
        self.node.truth = replace(truth, storage=replace(truth.storage, **storage))

    def ready(self, *sites: tuple[int, int]) -> None:
        """Have atoms on these sites alone, those in the zone pumped to F = 2, m = 0."""
        self.only(*sites)
        self.node.register.handles.clear()
        self.node.register.label[[self.array.site(*site) for site in sites]] = F2
        self.room.pulse("alice", ("pumping", "repump"), 12_000)

    def clock(self, *pulses: tuple[float, int], gap_mu: int = 10_000) -> None:
        """Turn stored atoms: (axis in turns, length in mu) of each pulse, in the middles of equal gaps."""
        dds = self.world.output("alice_dds_clock", "tone")
        self.room.t += -self.room.t % 1000
        for axis, length_mu in pulses:
            dds(self.room.t, Tone(CARRIER_HZ, 1.0, axis, 0.0, False))
            start = self.room.t + (gap_mu - length_mu) // 2
            self.room.pulse("alice", "clock", length_mu, start)
            self.room.play(self.room.t + gap_mu)

    def hide(self, on: bool) -> None:
        """Switch the hiding light."""
        self.room.sinks["alice", "hiding"](self.room.t, int(on))
        self.room.play(self.room.t + 2 * LATENCY_MU)

    def herald(self) -> None:
        """Put cold atoms to both ports and let the gateware herald a pair of them; atoms are cooled now and then."""
        for node in self.room.nodes:
            node.register.lose(node.site)
            put_atom(node)
        for _ in range(1000):
            self.room.cool()
            found = self.room.entangler.run(self.room.t, self.room.t + 100 * CYCLE.length_mu, CYCLE)
            self.room.t = found.t_end_mu
            if found.pattern:
                return
        raise AssertionError("no pair in 100,000 attempts")

    def wait(self, t_s: float) -> None:
        """Let lab time pass."""
        self.room.play(self.room.t + round(t_s * 1e9 / 1000) * 1000)

    def put(self, site: tuple[int, int], psi: Complexes, stored: bool = False) -> Part:
        """Put an atom on a site, in a state over |0>, |1>, |2>."""
        register, flat = self.node.register, self.array.site(*site)
        part = register.new_part(self.room.t)
        JointState(np.asarray(psi, dtype=complex) / np.linalg.norm(psi), [part])
        register.become(flat, part)
        register.temperature_k[flat], register.death_mu[flat] = 20e-6, math.inf
        if stored:
            assert self.node.storage is not None
            self.node.storage.settle(part, 20e-6, True)
        return part

    def two(self, site: tuple[int, int]) -> float:
        """Return the share of |2> of one site's qubit, now."""
        part = self.node.register.qubit(self.array.site(*site), self.room.t)
        return float(part.populations()[2])
