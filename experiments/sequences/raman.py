"""Raman pulses on both atoms at once, about axes that keep up with the believed precession.

    refer(t_ref, p)  the axis has azimuth p turns at t_ref (time at the atom) and precesses from there
    turn(...)        a pulse about that axis; ends when the light has left the atoms
"""

from typing import Any

from artiq.language.core import kernel, parallel
from artiq.language.environment import HasEnvironment, NumberValue
from artiq.language.types import TInt32, TInt64
from artiq.language.units import kHz
from numpy import int64

from experiments.sequences.two_nodes import TwoNodes

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
    """Rotations of both qubits."""

    kernel_invariants = {"alice", "bob", "half_alice_mu", "half_bob_mu"}

    def build(self, nodes: TwoNodes) -> None:
        self.core = self.get_device("core")
        self.alice = nodes.alice.qubit
        self.bob = nodes.bob.qubit

    def prepare(self) -> None:
        """Take over the pulse lengths; the nodes must be prepared before."""
        self.half_alice_mu = int64(round(self.alice.raman_pi_mu / 2))
        self.half_bob_mu = int64(round(self.bob.raman_pi_mu / 2))

    @kernel
    def refer(self, t_ref_mu: TInt64, pow_: TInt32):
        """Choose the axis of what follows, for both atoms."""
        with parallel:
            self.alice.set_phase(t_ref_mu, pow_)
            self.bob.set_phase(t_ref_mu, pow_)

    @kernel
    def turn_mu(self, alice_mu: TInt64, bob_mu: TInt64):
        """Pulses of these lengths, which begin together."""
        with parallel:
            self.alice.rotate_mu(alice_mu)
            self.bob.rotate_mu(bob_mu)

    @kernel
    def quarter_turn(self):
        """Take both atoms from a pole to the equator."""
        self.turn_mu(self.half_alice_mu, self.half_bob_mu)

    @kernel
    def half_turn(self):
        """Exchange |0> and |1> of both atoms."""
        self.turn_mu(self.alice.raman_pi_mu, self.bob.raman_pi_mu)
