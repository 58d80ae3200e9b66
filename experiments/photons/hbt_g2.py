"""Are one node's photons single ones? Coincidences of any two detectors in one attempt."""

from typing import Any

import numpy as np
from artiq.experiment import EnumerationValue, EnvExperiment

from atomlink.heralds import FOUR
from drivers.rtio.attempt import believed_timing
from experiments.sequences.analyse_run import conclude
from experiments.sequences.backend import need_polarisations
from experiments.sequences.foretold import foretell
from experiments.sequences.live import Columns, Plot
from experiments.sequences.nodes import ask_link
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Point, Scan
from experiments.sequences.whole_numbers import ask_whole

PAIRS = (3, 5, 6, 9, 10, 12)  # patterns of two clicks: ch cv, ch dh, cv dh, ch dv, cv dv, dh dv


def _coincidences(columns: Columns) -> dict[str, Any]:
    counted = np.sum(columns["patterns"], axis=0)[list(PAIRS)]
    return {"y": counted, "x": np.arange(len(PAIRS)), "error": np.sqrt(counted + 0.5)}


COINCIDENCES = Plot("coincidences", "xy", _coincidences)


class HbtG2(EnvExperiment):
    """HBT g2

    load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors ] ) x attempts
    Four passes, since the gateware looks for four patterns at a time: coincidences between the outputs c and d
    (shots), coincidences of the two polarisations of one output (half as many), single clicks, and single clicks
    without excitation light.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_link(self)
        self.scan = Scan(self, (), shots=50_000, repeats=10, plots=[COINCIDENCES])
        self.setattr_argument(
            "node",
            EnumerationValue(list(self.nodes.names), default=self.nodes.names[0]),
            "Light",
            "The node whose photons are looked at; the other one stays dark.",
        )
        for name, default, least, tooltip in (
            ("singles_attempts", 2000, 1, "Attempts of one row in which single clicks are counted."),
            ("dark_attempts", 20_000, 1, "Attempts of one row without excitation light."),
        ):
            ask_whole(self, name, default, least, 10**9, "Accidentals", tooltip, step=1000)
        self.photons = PhotonCounter(self, self.nodes, watch=True)

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        need_polarisations(self, self.nodes, FOUR)
        self.call_child_method("prepare")
        self.timing = believed_timing(self, self.nodes.link)

    def run(self) -> None:
        """Take the four passes; keep what there is when asked to stop."""
        each = self.scan.shots + (self.scan.shots + 1) // 2 + self.singles_attempts + self.dark_attempts
        foretell(self, self.photons.herald, each * self.scan.repeats)
        level = {"scan.node": self.node, "scan.detectors": ",".join(self.photons.herald.station.roles)}
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, level)

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return attempts by pattern (16), those in which each was looked for, and the same for the dark clicks."""
        herald = self.photons.herald
        counts, attempts = [0] * herald.n_patterns, [0] * herald.n_patterns
        self.photons.excite(self.node)
        for patterns, n in (
            (herald.same_polarisation + herald.psi_minus, self.scan.shots),
            (herald.psi_plus, (self.scan.shots + 1) // 2),
            (herald.singles, self.singles_attempts),
        ):
            found = self.photons.count(self.timing, patterns, n, sure=True)
            for pattern in patterns:
                counts[pattern], attempts[pattern] = found[pattern], int(self.photons.done)
        self.photons.excite()
        found = self.photons.count(self.timing, herald.singles, self.dark_attempts)
        dark_gates = int(self.photons.done)
        self.photons.excite_all()
        dark = [found[pattern] for pattern in herald.singles]
        return {"patterns": counts, "attempts": attempts, "dark": dark, "dark_gates": dark_gates}

    def analyze(self) -> None:
        """Find g2(0), and what accidental coincidences make of it."""
        self.result = conclude(self, self.scan)
