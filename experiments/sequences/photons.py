"""Count photons: repeat attempts with atoms that are looked after, and keep what the detectors showed.

    load --[ recool ]--( pump --[ excite ]--[ gate, four detectors ] ) x attempts --[ still there? ]--+
      ^-----------------------------------------------------------------------------------------------+
`count` gives how often each pattern came; with `keep_times` also when each click came after alice's excitation edge.
"""

from typing import Any

from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow
from artiq.language.core import kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TFloat, TInt32
from numpy import int32, int64

from atomlink.errors import DeviceError
from drivers import parameters
from experiments.sequences.two_nodes import TwoNodes

CHECK_ATTEMPTS = 2000  # between two looks at the atoms and the scheduler
MAX_TIMES = 4096  # click times kept in one `count`
DONE, PAUSE, NO_ATOM = range(3)  # why the kernel came back


class PhotonCounter(HasEnvironment):
    """Attempts without end, and what came of them. `herald` is one of `make_heralder`'s."""

    kernel_invariants = {"core", "nodes", "herald", "scheduler", "block"}

    def build(self, nodes: TwoNodes, herald: Any) -> None:
        self.nodes = nodes
        self.herald = herald
        self.core = self.get_device("core")
        self.scheduler = self.get_device("scheduler")

    def prepare(self) -> None:
        """Read how many attempts an atom bears between two coolings."""
        self.block = int(parameters.get(self, "param.link.n_recooling"))
        self.counts = [0] * 16  # by pattern
        self.done = int64(0)  # attempts
        self.keeping = False
        self.n_times = 0
        self.time_mu = [int64(0)] * MAX_TIMES
        self.detector = [0] * MAX_TIMES

    def count(self, timing: Any, patterns: tuple[int, ...], attempts: int, keep_times: bool = False) -> list[int]:
        """Return how often each of 16 patterns came in `attempts` attempts; only `patterns` are looked for.

        `done` is the number of attempts, `times()` what was kept. DeviceError where no atom can be loaded.
        """
        self.herald.setup(timing, patterns)
        self.counts = [0] * 16
        self.done = int64(0)
        self.keeping, self.n_times = keep_times, 0
        reason = PAUSE
        while reason == PAUSE:
            reason = self.attempt(attempts)
            if reason == NO_ATOM:
                raise DeviceError(self.nodes.no_atom_message())
            if reason == PAUSE:
                self.core.comm.close()
                self.scheduler.pause()
                self.nodes.init()
        return [int(n) for n in self.counts]

    def times(self) -> tuple[list[int], list[int]]:
        """Return times (mu after alice's excitation edge) and detectors of the clicks that were kept."""
        return [int(t) for t in self.time_mu[: self.n_times]], [int(k) for k in self.detector[: self.n_times]]

    def excite(self, alice: bool, bob: bool) -> None:
        """Give both excitation beams their believed amplitude, or none."""
        beams = (self.nodes.alice.excitation, self.nodes.bob.excitation)
        amplitudes = [beam.amplitude if on else 0.0 for beam, on in zip(beams, (alice, bob), strict=True)]
        self.set_excitation(amplitudes[0], amplitudes[1])

    @kernel
    def set_excitation(self, alice: TFloat, bob: TFloat):
        """Set the DDS amplitudes of both excitation beams."""
        self.core.break_realtime()
        self.nodes.alice.excitation.set(self.nodes.alice.excitation.frequency, alice)
        self.nodes.bob.excitation.set(self.nodes.bob.excitation.frequency, bob)

    @kernel
    def attempt(self, n: TInt32) -> TInt32:
        """Attempt until `done` is n; return DONE, PAUSE or NO_ATOM. An RTIO error costs the block it happens in."""
        self.core.break_realtime()
        self.herald.arm()
        self.nodes.image()
        reason = -1
        while reason < 0:
            failed = False
            try:
                reason = self.attempt_with_atoms(n)
            except RTIOUnderflow:
                failed = True
            except RTIOOverflow:
                failed = True
            if failed:
                self.nodes.recover()
                self.herald.arm()
                self.nodes.image()
        return reason

    @kernel
    def attempt_with_atoms(self, n: TInt32) -> TInt32:
        """Load, then attempt until the atoms are due for a look; return DONE, PAUSE, NO_ATOM, or -1 to go on."""
        if not self.nodes.load():
            return NO_ATOM
        self.nodes.cool()
        since_check = 0
        since_cooling = 0
        while self.done < n and since_check < CHECK_ATTEMPTS:
            if since_cooling >= self.block:
                self.nodes.recool()
                since_cooling = 0
            pattern = self.herald.attempts(min(self.block - since_cooling, int32(n - self.done)))
            self.counts[pattern] += 1
            if self.keeping and pattern != 0:
                self.keep()
            self.done += int64(self.herald.n_attempts)
            since_check += self.herald.n_attempts
            since_cooling += self.herald.n_attempts
            self.core.break_realtime()
        if self.done >= n:
            return DONE
        if self.pause_due():
            return PAUSE
        self.nodes.image()
        return -1

    @kernel
    def keep(self):
        """Keep the clicks of the attempt that has just heralded."""
        edge_mu = self.herald.edge_mu()
        for k in range(len(self.herald.clicks_mu)):
            if self.herald.clicks_mu[k] >= 0 and self.n_times < MAX_TIMES:
                self.time_mu[self.n_times] = self.herald.clicks_mu[k] - edge_mu
                self.detector[self.n_times] = k
                self.n_times += 1

    @kernel
    def pause_due(self) -> TBool:
        """Ask the scheduler."""
        due = self.scheduler.check_pause()
        self.core.break_realtime()
        return due
