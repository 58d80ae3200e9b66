"""A run that keeps its heralded pairs one by one, `shots.*` and `link.*` of analysis/README.md."""

from typing import Any

from artiq.experiment import HasEnvironment, NumberValue, TerminationRequested
from numpy import int64

from experiments.sequences.filing import ending
from experiments.sequences.nodes import Nodes
from experiments.sequences.pairs import DONE, PAUSE, Pairs
from experiments.sequences.recorder import ShotRecorder, stopped
from experiments.sequences.settings import Setting
from experiments.sequences.whole_numbers import ask_whole


class RecordedPairs(HasEnvironment):
    """Take pairs and record every shot; the arguments of such a run. `setup` chooses the settings."""

    def build(self, experiment: Any, nodes: Nodes, n_pairs: int) -> None:
        self.experiment = experiment
        self.nodes = nodes
        self.core = self.get_device("core")
        self.ccb = self.get_device("ccb")
        ask_whole(self, "n_pairs", n_pairs, 1, 1_000_000, "Measurement",
                  "Stop after this many heralded pairs that were read out with push-out.", step=100)  # fmt: skip
        self.setattr_argument(
            "max_lab_time",
            NumberValue(2 * 3600.0, unit="s", precision=0, step=60, min=1, max=7 * 86400),
            "Measurement",
            "Stop after this much time in the lab, with whatever there is by then.",
        )
        self.pairs = Pairs(self, nodes)

    def setup(self, settings: tuple[Setting, ...]) -> None:
        """Choose the settings; after `prepare`."""
        self.pairs.setup(settings)

    def prepare(self) -> None:
        """Read the beliefs; the nodes must be prepared before."""
        self.call_child_method("prepare")
        self.pairs.limit_mu = int64(self.core.seconds_to_mu(self.max_lab_time))

    def run(self) -> None:
        """Take shots until there are enough; whatever stops it, keep the data and leave the lab dark."""
        names = tuple(setting.name for setting in self.pairs.settings)
        self.recorder = ShotRecorder(self.experiment, self.pairs.run_level(), names, self.n_pairs)
        self._create_applets()
        reason = PAUSE
        try:
            self.pairs.open(self.recorder.veto)
            self.nodes.init()
            reason = self.pairs.take(self.n_pairs, self.recorder.add)
            self.pairs.locks.check_last()
        except (TerminationRequested, KeyboardInterrupt):
            print(stopped(self.recorder.pairs, self.n_pairs, "pairs"))
        finally:
            with ending(self.nodes.close):
                try:
                    self.recorder.totals({**self.pairs.herald.totals(), **self.pairs.times()})
                finally:
                    self.recorder.archive(complete=reason == DONE)
        self.pairs.explain(reason)

    def explain_vetoes(self) -> None:
        """Say how many shots RTIO errors cost."""
        if self.pairs.underflows:
            print(f"{self.pairs.underflows} RTIO errors; a pair that was heralded before one is vetoed")

    def _create_applets(self) -> None:
        for name, command in (
            ("pairs", "${artiq_applet}big_number live.link.pairs"),
            ("rate", "${artiq_applet}plot_xy live.link.rate_hz --x live.link.t_s --title 'pairs per second'"),
            ("correlators", "${artiq_applet}plot_xy live.link.correlators --x live.link.setting --title 'correlators'"),
        ):
            self.ccb.issue("create_applet", name, command, group="remote_entanglement")
