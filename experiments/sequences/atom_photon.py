"""The shot of atom-photon correlations: one node attempts until a detector clicks; then its atom is read out.

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors ] ) until one detector clicks
         --[ wait ]--[ Raman: axis -> z ]--[ microwave: |1> -> F = 2 ]--[ push out ]--[ image that node ]--> next shot
The other node's atom is left alone. Counts: by detector and by outcome, 0 = gone, 1 = still there.
"""

from typing import Any

from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow
from artiq.language.core import at_mu, kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TInt32
from numpy import int64

from atomlink.errors import DeviceError, TimingError
from drivers import parameters
from experiments.sequences.nodes import Nodes
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.readout import Readout
from experiments.sequences.settings import Setting

CHECK_ATTEMPTS = 2000  # without a click before the atoms are looked at
WAIT_S = 30e-6  # from the click to the Raman pulse: the kernel writes phases meanwhile
MAX_FAILURES = 20  # RTIO errors in succession
DONE, NO_ATOM, TOO_TIGHT = range(3)  # why the kernel came back


class AtomPhoton(HasEnvironment):
    """Clicks of one node's photons, each with what its atom was found in."""

    kernel_invariants = {"core", "nodes", "herald", "readout", "block", "wait_mu"}

    def build(self, nodes: Nodes, photons: PhotonCounter, readout: Readout) -> None:
        self.nodes = nodes
        self.photons = photons
        self.herald = photons.herald
        self.readout = readout
        self.core = self.get_device("core")

    def prepare(self) -> None:
        """Read how many attempts an atom bears between two coolings."""
        self.block = int(parameters.get(self, self.nodes.link.of_station("n_recooling")))
        self.wait_mu = int64(self.core.seconds_to_mu(WAIT_S))
        self.counts = [0] * (2 * self.herald.n)

    def setup(self, timing: Any, settings: tuple[Setting, ...]) -> None:
        """Choose the attempt and the axes along which atoms are read out; the nodes must be prepared before."""
        self.timing = timing
        self.readout.setup(settings)

    def measure(self, node: str, setting: int, shots: int) -> list[list[int]]:
        """Return counts (detectors, outcome) of so many clicks of a node; DeviceError where no atom can be loaded."""
        self.photons.excite(node)
        self.photons.open()
        self.herald.setup(self.timing, self.herald.singles)
        reason, held = DONE, False
        while reason == DONE and not held:
            self.counts = [0] * (2 * self.herald.n)
            reason = int(self.take(self.nodes.names.index(node), setting, shots))
            held = self.photons.held()
        if reason == NO_ATOM:
            raise DeviceError(self.nodes.no_atom_message())
        if reason == TOO_TIGHT:
            raise TimingError(f"{MAX_FAILURES} shots in succession had RTIO errors: the kernel needs more than "
                              f"{WAIT_S * 1e6:g} us from a click to the read-out, or the bus is overloaded.")
        self.photons.excite_all()
        return [[int(n) for n in self.counts[2 * k : 2 * k + 2]] for k in range(self.herald.n)]

    def agreements(self, node: str, setting: int, shots: int) -> int:
        """Return how often photon and atom agreed: H and still there, V and gone."""
        counts = self.measure(node, setting, shots)
        h = self.herald.mask("h")
        return sum(gone_there[(h >> k) & 1] for k, gone_there in enumerate(counts))

    @kernel
    def take(self, of: TInt32, setting: TInt32, shots: TInt32) -> TInt32:
        """Take shots; return DONE, NO_ATOM or TOO_TIGHT. An RTIO error costs the shot in which it happens."""
        self.core.break_realtime()
        self.herald.arm()
        self.nodes.image()
        done = 0
        failures = 0
        while done < shots:
            if not self.nodes.load():
                return NO_ATOM
            failed = False
            try:
                if self.shot(of, setting):
                    done += 1
                failures = 0
            except RTIOUnderflow:
                failed = True
            except RTIOOverflow:
                failed = True
            if failed:
                self.nodes.recover()
                self.herald.arm()
                self.nodes.image()
                failures += 1
                if failures >= MAX_FAILURES:
                    return TOO_TIGHT
        return DONE

    @kernel
    def shot(self, of: TInt32, setting: TInt32) -> TBool:
        """Attempt until a click and read out; return whether there was one. Ends with an image of both nodes."""
        self.nodes.cool()
        detector = self.until_click()
        if detector < 0:
            self.nodes.image()
            return False
        at_mu(self.herald.t_herald_mu + max(self.wait_mu, self.herald.back_mu))
        self.readout.rotate(setting, self.herald.clicks_mu[detector], 0)
        self.nodes.nodes[of].qubit.map_to_f2()
        self.nodes.nodes[of].imaging.push_out()
        self.nodes.image()
        outcome = 0
        if self.nodes.there[of]:
            outcome = 1
        self.counts[2 * detector + outcome] += 1
        return True

    @kernel
    def until_click(self) -> TInt32:
        """Attempt until exactly one detector clicks; return which, or -1 after CHECK_ATTEMPTS attempts."""
        tried = 0
        since_cooling = 0
        while tried < CHECK_ATTEMPTS:
            if since_cooling >= self.block:
                self.nodes.recool()
                since_cooling = 0
            pattern = self.herald.attempts(self.block - since_cooling)
            since_cooling += self.herald.n_attempts
            tried += self.herald.n_attempts
            if pattern != 0:
                for k in range(self.herald.n):
                    if pattern == 1 << k:
                        return k
            self.core.break_realtime()
        return -1
