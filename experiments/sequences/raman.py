"""Raman pulses on both atoms at once, about axes that keep up with the believed precession.

    refer(t_ref, p)  the axis has azimuth p turns at t_ref (time at the atom) and precesses from there
    turn(...)        a pulse about that axis; ends when the light has left the atoms
"""

from artiq.language.core import kernel, parallel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt32, TInt64
from numpy import int64

from experiments.sequences.two_nodes import TwoNodes

TURN_POW = 1 << 16  # one turn of a DDS's phase offset


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
