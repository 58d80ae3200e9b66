"""Let parts of the lab begin at the same time, from a loop: what `with parallel` does for statements.

    self.together.begin()
    for node in self.nodes:
        self.together.branch()      # back to the common beginning
        node.imaging.cool()
    self.together.end()             # the cursor is where the longest branch ended
"""

from artiq.language.core import at_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt64
from numpy import int64


class Together(HasEnvironment):
    """The beginning that branches share and the latest end so far. One at a time: a branch begins none of its own."""

    def build(self) -> None:
        self.core = self.get_device("core")
        self.begin_mu = int64(0)
        self.end_mu = int64(0)

    @kernel
    def begin(self):
        """Take the cursor as the beginning of what follows."""
        self.begin_mu = now_mu()
        self.end_mu = now_mu()

    @kernel
    def branch(self):
        """Begin the next branch: keep where the one before ended, and go back."""
        self.end_mu = max(self.end_mu, now_mu())
        at_mu(self.begin_mu)

    @kernel
    def length_mu(self) -> TInt64:
        """Return how long the longest branch was, after `end`."""
        return self.end_mu - self.begin_mu

    @kernel
    def end(self):
        """Go on where the longest branch ended."""
        self.end_mu = max(self.end_mu, now_mu())
        at_mu(self.end_mu)
