"""Herald Bell pairs between two nodes and read them out in several bases."""

from artiq.experiment import EnumerationValue, EnvExperiment

from experiments.sequences import settings as axes
from experiments.sequences.nodes import ask_link
from experiments.sequences.print_summary import print_link
from experiments.sequences.recorded_pairs import RecordedPairs


class RemoteEntanglement(EnvExperiment):
    """Remote entanglement

    cool --[ load until both atoms are there ]--+
      +-----------------------------------------+
      +--[ recool ]--( pump --[ excite ]--[ gate ])  x block, until a herald --+
      |  <---------------------------------------------------------------------+ none in a block
      +--[ wait ]--[ phases from the click times, pi on the second end for Psi- ]--[ Raman: axis -> z ]--
         --[ microwave: |1> -> F = 2 ]--[ push out F = 2 ]--[ image both ]--> next shot
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_argument(
            "settings",
            EnumerationValue(list(axes.CHOICES), default="bell+CHSH"),
            "Measurement",
            "Analysis axes of the two atoms; a list is taken in turn.",
        )
        self.nodes = ask_link(self)
        self.shots = RecordedPairs(self, self, self.nodes, 2000)

    def prepare(self) -> None:
        """Read beliefs and compute every time in machine units."""
        self.call_child_method("prepare")
        self.shots.setup(axes.CHOICES[self.settings])

    def run(self) -> None:
        """Take shots until there are enough."""
        self.shots.run()

    def analyze(self) -> None:
        """Print the headline numbers, if there are enough shots for any."""
        self.shots.explain_vetoes()
        self.result = print_link(self)
