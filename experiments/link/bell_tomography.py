"""Measure heralded pairs in nine settings: the whole two-qubit state."""

from artiq.experiment import EnvExperiment

from experiments.sequences.analyse_run import conclude_run
from experiments.sequences.nodes import ask_link
from experiments.sequences.recorded_pairs import RecordedPairs
from experiments.sequences.settings import TOMOGRAPHY


class BellTomography(EnvExperiment):
    """Bell tomography

    load --[ recool ]--( pump --[ excite ]--[ gate ]) until a herald --[ wait ]--+
      +--------------------------------------------------------------------------+
      +--[ Raman: X, Y or Z of either end -> z ]--[ map ]--[ push out F = 2 ]--[ image both ]--> next shot
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_link(self)
        self.shots = RecordedPairs(self, self, self.nodes, 900)

    def prepare(self) -> None:
        """Read beliefs and compute every time in machine units."""
        self.call_child_method("prepare")
        self.shots.setup(TOMOGRAPHY)

    def run(self) -> None:
        """Take shots until there are enough."""
        self.shots.run()

    def analyze(self) -> None:
        """Find the most likely density matrix."""
        self.shots.explain_vetoes()
        self.result = conclude_run(self, self.shots.recorder.datasets, apply=False)
