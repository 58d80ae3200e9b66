"""Measure the atoms of a link along a setting's axes.

    herald --[ wait ]--[ phases ]--[ Raman: axis -> z ]--[ microwave: |1> -> F = 2 ]--[ push out F = 2 ]--[ image ]

The axes keep up with the precession since the photons were emitted: their phases are referenced to the mean of the
two click times. Why the mean: given an H click at t_h and a V click at t_v, either the first atom emitted at t_h into
|0> and the second at t_v into |1>, or the other way round. With f the precession of each atom from its own emission on,
the two terms differ at time T by the phase 2 pi (f_1 - f_2)(T - (t_h + t_v)/2): as if both atoms had started at the
mean.
"""

from artiq.coredevice.ad9910 import AD9910
from artiq.language.core import kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt32, TInt64
from numpy import int32, int64

from drivers import parameters
from drivers.rtio.together import Together
from experiments.sequences.nodes import Nodes
from experiments.sequences.settings import Setting, axis_turns, pulse_area_turns

HALF_TURN_POW = 0x8000  # of the DDS's 16-bit phase offset


class Readout(HasEnvironment):
    """Rotation, push-out and image of both ends of a link."""

    kernel_invariants = {"core", "nodes", "pow", "pulse_mu", "fibre_mu"}

    def build(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.core = self.get_device("core")
        self.together = Together(self)
        self.t_phases_mu = int64(0)  # what it took to write the phases, the last time

    def setup(self, settings: tuple[Setting, ...]) -> None:
        """Turn settings into phases and pulse lengths, setting by setting; the nodes must be prepared before."""
        nodes = self.nodes.nodes
        dds: AD9910 = nodes[0].raman_b.dds
        self.pow = [int32(dds.turns_to_pow(axis_turns(azimuth))) for s in settings for _, azimuth in s.axes]
        self.pulse_mu = [int64(round(pulse_area_turns(polar) * node.qubit.raman_pi_mu))
                         for s in settings for (polar, _), node in zip(s.axes, nodes, strict=True)]  # fmt: skip
        self.fibre_mu = [self._fibre_mu(end, node.excitation.latency_mu) for end, node in enumerate(nodes)]

    def _fibre_mu(self, end: int, latency_mu: int64) -> int64:
        """Return how long a photon travels from atom to detector."""
        return parameters.duration_mu(self, self.nodes.link.of_channel(end, "t_photon_s")) - latency_mu

    @kernel
    def rest(self):
        """Refer the Raman phases of both ends to time 0, where a scheme's own pulses want them before its attempts."""
        for i in range(2):
            self.nodes.nodes[i].qubit.set_phase(-self.fibre_mu[i], 0)

    @kernel
    def rotate(self, setting: TInt32, t_click_mu: TInt64, second_pow: TInt32):
        """Turn the setting's axes to z. `t_click_mu` is the phase reference, `second_pow` added at the second end."""
        self.together.begin()
        for i in range(2):
            self.together.branch()
            pow_ = self.pow[2 * setting + i] + i * second_pow
            self.nodes.nodes[i].qubit.set_phase(t_click_mu - self.fibre_mu[i], pow_)
        self.together.end()
        self.t_phases_mu = self.together.length_mu()
        self.together.begin()
        for i in range(2):
            self.together.branch()
            self.nodes.nodes[i].qubit.rotate_mu(self.pulse_mu[2 * setting + i])
        self.together.end()

    @kernel
    def read_out(self, push_out: TInt32):
        """Map, push out (1) or not (0: the read-out calibration), and image; the result is in `nodes`."""
        self.nodes.map_to_f2()
        if push_out == 1:
            self.nodes.push_out()
        self.nodes.image()
