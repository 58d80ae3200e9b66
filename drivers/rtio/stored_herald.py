"""Attempts whose photon is stored: as in `SoftwareHeralder`, with the memory's control light, gated at read-out."""

from typing import Any

from artiq.language.core import at_mu, delay, kernel, now_mu
from artiq.language.types import TInt64
from artiq.language.units import us
from numpy import int64

from atomlink.topology import StationSpec
from drivers.rtio.attempt import Attempt, AttemptTiming
from drivers.rtio.herald_software import SoftwareHeralder
from drivers.rtio.memory import Memory


class StoredHeralder(SoftwareHeralder):
    """Herald in the kernel, with a memory behind the port of one end.

    `shift_mu` after the photon's first light the gates open. Without `storing` the cloud is let go first and photons
    pass it: what comes then is what comes to the memory.
    """

    kernel_invariants = SoftwareHeralder.kernel_invariants | {"memory", "end"}

    def build(self, attempt: Attempt, station: StationSpec, memory: Any = None, end: int = 0) -> None:
        super().build(attempt, station)
        self.memory: Memory = memory
        self.end = end
        self.storing = True
        self.shift_mu = int64(0)
        self.light_mu = int64(0)

    def setup(self, timing: AttemptTiming, patterns: tuple[int, ...]) -> None:
        """Choose the attempt and the patterns that herald; its gate begins with first light."""
        super().setup(timing, patterns)
        self.light_mu = int64(timing.excite_mu[self.end]) + self.light.ends[self.end].excitation.latency_mu

    def gate(self, shift_s: float, length_s: float) -> None:
        """Open the gates shift_s after the photon's first light for length_s, from the next attempt on."""
        self.shift_mu = int64(round(shift_s / self.core.ref_period))
        self.gate_mu = int64(round(length_s / self.core.ref_period))

    @kernel
    def ready(self):
        """Have a fresh cloud, or none."""
        if self.storing and not self.memory.fresh():
            self.memory.fill()
        if not self.storing and self.memory.filled:
            self.memory.empty()

    @kernel
    def attempt(self) -> TInt64:
        """Play one attempt from the cursor on; return the end of its gates."""
        delay(2 * us)
        t_start_mu = now_mu()
        self.light.fire()
        self.memory.store(t_start_mu + self.light_mu)
        self.memory.retrieve(t_start_mu + self.light_mu + self.memory.storage_mu)
        for detector in self.detectors:
            at_mu(t_start_mu + self.gate_start_mu + self.shift_mu)
            detector.gate_rising_mu(self.gate_mu)
        return now_mu()
