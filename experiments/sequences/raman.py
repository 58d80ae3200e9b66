"""Raman pulses on the atoms of all nodes at once, about axes that keep up with the believed precession.

    refer(t_ref, p)  the axis has azimuth p turns at t_ref (time at the atom) and precesses from there
    turn(...)        a pulse about that axis; ends when the light has left the atoms
"""

# ARTIQ's annotations are calls, TList(TFloat), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from typing import Any

from artiq.language.core import kernel
from artiq.language.environment import HasEnvironment, NumberValue
from artiq.language.types import TInt32, TInt64, TList
from artiq.language.units import kHz
from numpy import int64

from drivers.rtio.together import Together
from experiments.sequences.nodes import Nodes

TURN_POW = 1 << 16  # one turn of a DDS's phase offset


class Fringes(HasEnvironment):
    """Fringes of a chosen frequency, the argument `f_offset`: the last pulse's axis turns by it times the wait."""

    def build(self, f_offset: float, step: float, tooltip: str) -> None:
        self.f_offset = self.get_argument(
            "f_offset", NumberValue(f_offset, unit="kHz", precision=3, step=step, min=0.0, max=500 * kHz), "Scan",
            tooltip,
        )  # fmt: skip

    def pow_after(self, t_wait: float) -> int:
        """Return by how much the axis has turned after so many seconds, in the DDS's phase units."""
        return round(self.f_offset * t_wait * TURN_POW) % TURN_POW

    def run_level(self) -> dict[str, Any]:
        """Return what the analysis needs."""
        return {"scan.f_offset": self.f_offset}


class Raman(HasEnvironment):
    """Rotations of the qubits of all nodes of a run."""

    kernel_invariants = {"nodes", "half_mu", "pi_mu"}

    def build(self, nodes: Nodes) -> None:
        self.core = self.get_device("core")
        self.nodes = nodes
        self.together = Together(self)

    def prepare(self) -> None:
        """Take over the pulse lengths; the nodes must be prepared before."""
        self.pi_mu = [int64(node.qubit.raman_pi_mu) for node in self.nodes.nodes]
        self.half_mu = [int64(round(pi_mu / 2)) for pi_mu in self.pi_mu]

    @kernel
    def refer(self, t_ref_mu: TInt64, pow_: TInt32):
        """Choose the axis of what follows, for every atom."""
        self.together.begin()
        for node in self.nodes.nodes:
            self.together.branch()
            node.qubit.set_phase(t_ref_mu, pow_)
        self.together.end()

    @kernel
    def turn_mu(self, duration_mu: TInt64):
        """Pulses of this length, which begin together."""
        self.together.begin()
        for node in self.nodes.nodes:
            self.together.branch()
            node.qubit.rotate_mu(duration_mu)
        self.together.end()

    @kernel
    def turn_each_mu(self, durations_mu: TList(TInt64)):
        """Pulses of these lengths, one per node, which begin together."""
        self.together.begin()
        for i in range(self.nodes.n):
            self.together.branch()
            self.nodes.nodes[i].qubit.rotate_mu(durations_mu[i])
        self.together.end()

    @kernel
    def quarter_turn(self):
        """Take every atom from a pole to the equator."""
        self.turn_each_mu(self.half_mu)

    @kernel
    def half_turn(self):
        """Exchange |0> and |1> of every atom."""
        self.turn_each_mu(self.pi_mu)
