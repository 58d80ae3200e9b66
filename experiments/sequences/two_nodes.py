"""What both nodes do together, in parallel: initialise, load until both atoms are there, cool, image, close.

load  |empty nodes only: coil + cooling|image both| until both are there or the tries are used up
"""

from artiq.language.core import delay, kernel, now_mu, parallel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool
from artiq.language.units import ms, us
from numpy import int64

from drivers.rtio.node import Node

MAX_TRIES = 200  # 0.5 per try: 200 fail with probability 1e-60; then something is broken


class TwoNodes(HasEnvironment):
    """Alice and bob, and what the last image said of their atoms."""

    kernel_invariants = {"core", "alice", "bob"}

    def build(self) -> None:
        self.core = self.get_device("core")
        self.alice = Node(self, "alice")
        self.bob = Node(self, "bob")
        self.counts_alice = 0
        self.counts_bob = 0
        self.alice_there = False  # as the last image said
        self.bob_there = False
        self.loads = 0
        self.t_loading_mu = int64(0)  # lab time spent loading, both nodes at a time
        self.recoolings = 0

    def prepare(self) -> None:
        """Read the beliefs of both nodes."""
        self.call_child_method("prepare")

    def no_atom_message(self) -> str:
        """Say what loading saw, and what to do about it."""
        return (
            f"Loading failed {MAX_TRIES} times: alice {self.counts_alice}, bob {self.counts_bob} counts, must exceed "
            f"{self.alice.imaging.threshold}, {self.bob.imaging.threshold}; check cooling light, coil and shutter, or "
            "calibrate param.*.image_threshold."
        )

    @kernel
    def init(self):
        """Reset the core device and initialise both nodes."""
        self.core.reset()
        self.alice.init()
        self.bob.init()
        delay(1 * ms)

    @kernel
    def close(self):
        """Reset the core device and leave both nodes dark, shutters closed; works after an exception, too."""
        self.core.reset()
        self.alice.close()
        self.bob.close()

    @kernel
    def image(self):
        """Image both nodes; keeps counts and presence. Uses up the slack and makes new."""
        with parallel:
            self.alice.imaging.expose()
            self.bob.imaging.expose()
        self.counts_alice = self.alice.imaging.fetch()
        self.counts_bob = self.bob.imaging.fetch()
        self.alice_there = self.counts_alice > self.alice.imaging.threshold
        self.bob_there = self.counts_bob > self.bob.imaging.threshold
        self.core.break_realtime()

    @kernel
    def load(self) -> TBool:
        """Load the empty nodes until both atoms are there; return False if that fails."""
        tries = 0
        t_start_mu = now_mu()
        while tries < MAX_TRIES and not (self.alice_there and self.bob_there):
            self.load_once()
            tries += 1
        self.t_loading_mu += now_mu() - t_start_mu
        return self.alice_there and self.bob_there

    @kernel
    def load_once(self):
        """Try once to load each node that is empty, and image both."""
        with parallel:
            self.load_alice()
            self.load_bob()
        self.image()

    @kernel
    def load_alice(self):
        """Load alice unless her atom is there."""
        if not self.alice_there:
            self.loads += 1
            self.alice.imaging.load()

    @kernel
    def load_bob(self):
        """Load bob unless his atom is there."""
        if not self.bob_there:
            self.loads += 1
            self.bob.imaging.load()

    @kernel
    def push_out(self):
        """Remove what is in F = 2; imaging and cooling leave atoms there."""
        with parallel:
            self.alice.imaging.push_out()
            self.bob.imaging.push_out()

    @kernel
    def recover(self):
        """Start afresh after an RTIO error: nothing pending, all off. What the nodes hold is to be imaged."""
        self.core.reset()
        self.alice.off()
        self.bob.off()

    @kernel
    def cool(self):
        """Cool both atoms after loading or imaging."""
        with parallel:
            self.alice.imaging.cool()
            self.bob.imaging.cool()

    @kernel
    def recool(self):
        """Cool both atoms between two blocks of attempts."""
        self.recoolings += 1
        delay(10 * us)  # heralding leaves little slack; the CPU writes alice's edges before bob's
        with parallel:
            self.alice.imaging.recool()
            self.bob.imaging.recool()
