"""Count photons: repeat attempts with atoms that are looked after, and keep what the detectors showed.

    load --[ recool ]--( pump --[ excite ]--[ gate, four detectors ] ) x attempts --[ still there? ]--+
      ^-----------------------------------------------------------------------------------------------+
`count` gives how often each pattern came; with `keep_times` also when each click came after the first end's excitation
edge.
With `watch` the run has the argument `watch_locks`: what is watched is read after each block of attempts, and a block
at whose end something is lost is forgotten and taken again.
"""

# ARTIQ's annotations are calls, TList(TFloat), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from typing import Any

from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow
from artiq.language.core import kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TFloat, TInt32, TList
from numpy import int32, int64

from atomlink.errors import DeviceError
from drivers import parameters
from experiments.sequences.backend import ask_heralder
from experiments.sequences.locks import Locks
from experiments.sequences.nodes import Nodes

CHECK_ATTEMPTS = 2000  # between two looks at the atoms and the scheduler
MAX_TIMES = 4096  # click times kept in one `count`
MAX_DROPPED = 50  # blocks in succession whose atoms were gone at their end
DONE, PAUSE, NO_ATOM, LOST, LOCK_LOST = range(5)  # why the kernel came back


class PhotonCounter(HasEnvironment):
    """Attempts without end, and what came of them; asks who repeats them (argument `backend`) unless it is given."""

    kernel_invariants = {"core", "nodes", "herald", "scheduler", "block"}

    def build(self, nodes: Nodes, watch: bool = False, heralder: Any = None, lab: Any = None) -> None:
        """lab: whose `init` and `close` bring back and darken all that is used here, around a pause; by default the
        nodes.
        """
        self.nodes = nodes
        self.lab = nodes if lab is None else lab
        self.herald = ask_heralder(self, nodes) if heralder is None else heralder
        self.locks = Locks(self, nodes, watch)
        self.core = self.get_device("core")
        self.scheduler = self.get_device("scheduler")

    def prepare(self) -> None:
        """Read how many attempts an atom bears between two coolings."""
        self.call_child_method("prepare")
        self.block = int(parameters.get(self, self.nodes.link.of_station("n_recooling")))
        self.counts = [0] * self.herald.n_patterns  # by pattern
        self.done = int64(0)  # attempts
        self.amplitudes: list[float] = []  # of the excitation light, where it is not as believed
        self.keeping = False
        self.sure = False
        self.check = CHECK_ATTEMPTS  # fewer where attempts take long: an atom that is gone is noticed at a look
        self.dropped = 0  # blocks in succession
        self.counts_before = [0] * self.herald.n_patterns  # this block
        self.seen_before = [0] * self.herald.n_patterns
        self.done_before = int64(0)
        self.n_times_before = 0
        self.n_times = 0
        self.time_mu = [int64(0)] * MAX_TIMES
        self.detector = [0] * MAX_TIMES

    def count(self, timing: Any, patterns: tuple[int, ...], attempts: int, keep_times: bool = False,
              sure: bool = False) -> list[int]:  # fmt: skip
        """Return how often each pattern came in `attempts` attempts; only `patterns` are looked for.

        `done` is the number of attempts, `times()` what was kept. `sure`: what came since the last look at the atoms
        is dropped where one is gone at the next, so that every attempt had its atoms. DeviceError where no atom can be
        loaded or kept.
        """
        self.herald.setup(timing, patterns)
        self.open()
        self.counts = [0] * self.herald.n_patterns
        self.done = int64(0)
        self.keeping, self.n_times = keep_times, 0
        self.sure, self.dropped = sure, 0
        reason = PAUSE
        while reason in (PAUSE, LOCK_LOST):
            reason = self.attempt(attempts)
            if reason == NO_ATOM:
                raise DeviceError(self.nodes.no_atom_message())
            if reason == LOST:
                raise DeviceError(
                    f"An atom was lost in each of {MAX_DROPPED} blocks of {self.check} attempts in succession, "
                    "must stay for a block: check trap depth, and pumping light, which heats."
                )
            if reason == LOCK_LOST:
                self.locks.recover()
                self.resume()
            if reason == PAUSE:
                self.lab.close()
                self.core.comm.close()
                self.scheduler.pause()
                self.resume()
        return [int(n) for n in self.counts]

    def single_clicks(self, timing: Any, attempts: int) -> tuple[int, int]:
        """Return in how many attempts exactly one detector clicked, and of how many, all with their atoms."""
        found = self.count(timing, self.herald.singles, attempts, sure=True)
        return sum(found[pattern] for pattern in self.herald.singles), int(self.done)

    def open(self) -> None:
        """Open what is watched, the first time; `count` does so by itself."""
        if self.locks.watching and not self.locks.opened:
            self.locks.open()
            self.resume()

    def held(self) -> bool:
        """Return whether what is watched has held since the last look; bring it back if not."""
        good = self.locks.good()
        if not good:
            self.resume()
        return good

    def resume(self) -> None:
        """Initialise the lab and give the excitation beams the amplitudes that they had."""
        self.lab.init()
        if self.amplitudes:
            self.set_excitation(self.amplitudes)

    def times(self) -> tuple[list[int], list[int]]:
        """Return times (mu after the first end's excitation edge) and detectors of the clicks that were kept."""
        return [int(t) for t in self.time_mu[: self.n_times]], [int(k) for k in self.detector[: self.n_times]]

    def excite(self, *lit: str) -> None:
        """Give the excitation beams of these nodes their believed amplitude, the others none."""
        self.drive([node.excitation.amplitude if node.name in lit else 0.0 for node in self.nodes.nodes])

    def excite_all(self) -> None:
        """Give every excitation beam its believed amplitude."""
        self.excite(*self.nodes.names)

    def drive(self, amplitudes: list[float]) -> None:
        """Give the excitation beams these amplitudes, one per node; they outlast a pause."""
        self.amplitudes = [float(amplitude) for amplitude in amplitudes]
        self.set_excitation(self.amplitudes)

    @kernel
    def set_excitation(self, amplitudes: TList(TFloat)):
        """Set the DDS amplitudes of the excitation beams."""
        self.core.break_realtime()
        for i in range(self.nodes.n):
            beam = self.nodes.nodes[i].excitation
            beam.set(beam.frequency, amplitudes[i])

    @kernel
    def attempt(self, n: TInt32) -> TInt32:
        """Attempt until `done` is n; return why it ended. An RTIO error costs the block it happens in."""
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
                if self.sure or self.locks.watching:
                    self.drop()
                self.nodes.recover()
                self.herald.arm()
                self.nodes.image()
        return reason

    @kernel
    def attempt_with_atoms(self, n: TInt32) -> TInt32:
        """Load, then attempt until the atoms are due for a look; return why it ended, or -1 to go on."""
        if self.sure or self.locks.watching:  # what a block may have to be dropped to
            self.note()
        if not self.nodes.load():
            return NO_ATOM
        self.nodes.cool()
        since_check = 0
        since_cooling = 0
        while self.done < n and since_check < self.check:
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
        if self.lock_lost():
            self.drop()
            return LOCK_LOST
        if self.done >= n and not self.sure:
            return DONE
        if not self.sure and self.pause_due():
            return PAUSE
        self.nodes.image()
        if self.sure:
            return self.judge(n)
        return -1

    @kernel
    def judge(self, n: TInt32) -> TInt32:
        """Drop the block if an atom is gone; return why it ends here, or -1 to go on."""
        if self.nodes.all_there():
            self.dropped = 0
        else:
            self.drop()
        if self.dropped >= MAX_DROPPED:
            return LOST
        if self.done >= n:
            return DONE
        if self.pause_due():
            return PAUSE
        return -1

    @kernel
    def note(self):
        """Remember what was counted before this block, by the heralder, too: it counts what heralds nothing."""
        for k in range(len(self.counts)):
            self.counts_before[k] = self.counts[k]
            self.seen_before[k] = self.herald.pattern_counts[k]
        self.done_before = self.done
        self.n_times_before = self.n_times

    @kernel
    def drop(self):
        """Forget what was counted in this block."""
        for k in range(len(self.counts)):
            self.counts[k] = self.counts_before[k]
            self.herald.pattern_counts[k] = self.seen_before[k]
        self.done = self.done_before
        self.n_times = self.n_times_before
        self.dropped += 1

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
    def lock_lost(self) -> TBool:
        """Look at what is watched, if anything is."""
        lost = False
        if self.locks.watching:
            lost = not self.locks.hold()
            self.core.break_realtime()
        return lost

    @kernel
    def pause_due(self) -> TBool:
        """Ask the scheduler."""
        due = self.scheduler.check_pause()
        self.core.break_realtime()
        return due
