"""Measure both atoms along a setting's axes.

    herald --[ wait ]--[ phases ]--[ Raman: axis -> z ]--[ microwave: |1> -> F = 2 ]--[ push out F = 2 ]--[ image ]

The axes keep up with the precession since the photons were emitted: their phases are referenced to the mean of the
two click times. Why the mean: given an H click at t_h and a V click at t_v, either alice emitted at t_h into |0> and
bob at t_v into |1>, or the other way round. With f the precession of each atom from its own emission on, the two terms
differ at time T by the phase 2 pi (f_alice - f_bob)(T - (t_h + t_v)/2): as if both atoms had started at the mean.
"""

from artiq.coredevice.ad9910 import AD9910
from artiq.language.core import kernel, now_mu, parallel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt32, TInt64
from numpy import int32, int64

from drivers import parameters
from experiments.sequences.settings import Setting, axis_turns, pulse_area_turns
from experiments.sequences.two_nodes import TwoNodes

HALF_TURN_POW = 0x8000  # of the DDS's 16-bit phase offset


class Readout(HasEnvironment):
    """Rotation, push-out and image of both nodes."""

    kernel_invariants = {"core", "nodes", "alice", "bob", "pow_alice", "pow_bob", "pulse_alice_mu", "pulse_bob_mu",
                         "fibre_alice_mu", "fibre_bob_mu"}  # fmt: skip

    def build(self, nodes: TwoNodes) -> None:
        self.nodes = nodes
        self.core = self.get_device("core")
        self.alice = nodes.alice
        self.bob = nodes.bob
        self.t_phases_mu = int64(0)  # what it took to write the phases, the last time

    def setup(self, settings: tuple[Setting, ...]) -> None:
        """Turn settings into phases and pulse lengths; the nodes must be prepared before."""
        dds: AD9910 = self.alice.raman_b.dds
        self.pow_alice = [int32(dds.turns_to_pow(axis_turns(s.azimuth_alice))) for s in settings]
        self.pow_bob = [int32(dds.turns_to_pow(axis_turns(s.azimuth_bob))) for s in settings]
        alice_pi, bob_pi = self.alice.qubit.raman_pi_mu, self.bob.qubit.raman_pi_mu
        self.pulse_alice_mu = [int64(round(pulse_area_turns(s.polar_alice) * alice_pi)) for s in settings]
        self.pulse_bob_mu = [int64(round(pulse_area_turns(s.polar_bob) * bob_pi)) for s in settings]
        self.fibre_alice_mu = self._fibre_mu("alice", self.alice.excitation.latency_mu)
        self.fibre_bob_mu = self._fibre_mu("bob", self.bob.excitation.latency_mu)

    def _fibre_mu(self, node: str, latency_mu: int64) -> int64:
        """Return how long a photon travels from atom to detector."""
        return parameters.duration_mu(self, f"param.link.t_photon_{node}_s") - latency_mu

    @kernel
    def rotate(self, setting: TInt32, t_click_mu: TInt64, bob_pow: TInt32):
        """Turn the setting's axes to z. `t_click_mu` is the phase reference, `bob_pow` is added to bob's azimuth."""
        before_mu = now_mu()
        with parallel:
            self.alice.qubit.set_phase(t_click_mu - self.fibre_alice_mu, self.pow_alice[setting])
            self.bob.qubit.set_phase(t_click_mu - self.fibre_bob_mu, self.pow_bob[setting] + bob_pow)
        self.t_phases_mu = now_mu() - before_mu
        with parallel:
            self.alice.qubit.rotate_mu(self.pulse_alice_mu[setting])
            self.bob.qubit.rotate_mu(self.pulse_bob_mu[setting])

    @kernel
    def read_out(self, push_out: TInt32):
        """Map, push out (1) or not (0: the read-out calibration), and image; the result is in `nodes`."""
        with parallel:
            self.alice.qubit.map_to_f2()
            self.bob.qubit.map_to_f2()
        if push_out == 1:
            self.nodes.push_out()
        self.nodes.image()
