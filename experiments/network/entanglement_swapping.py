"""One link out of two: swap the entanglement of two heralded pairs at the node between them."""

from typing import Any

import numpy as np
from artiq.experiment import EnvExperiment

from analysis.swap import correlators
from experiments.sequences.analyse_run import conclude
from experiments.sequences.chain import ask_chain
from experiments.sequences.live import Columns, Plot
from experiments.sequences.scan import Point, Scan
from experiments.sequences.swap import SETTINGS, SWAPPED, Swap


def _correlators(columns: Columns) -> dict[str, Any]:
    table = np.sum(columns["table"], axis=0, dtype=np.int64).reshape(len(SETTINGS), 16)
    found = correlators(table) if table.sum(axis=1).all() else []
    return {"y": np.array([each.value for each in found]), "x": np.arange(len(found)),
            "error": np.array([each.error for each in found])}  # fmt: skip


CORRELATORS = Plot("correlators", "xy", _correlators, about=("correlator", "setting XZ, ZX, YY"))


class EntanglementSwapping(EnvExperiment):
    """Entanglement swapping

    herald and store a pair of the first two nodes --( XY8; the second link attempts in the gaps )--
      --[ CZ and read-out of the middle's two atoms ]--[ read-out of both ends ]--> next swap
    Settings XZ, ZX and YY of the ends take turns; what the middle's atoms showed is recorded, and turns the signs.
    """

    simulated_in = "repeater"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.links = ask_chain(self)
        self.scan = Scan(self, (), shots=30, repeats=20, plots=[CORRELATORS])
        self.swap = Swap(self, self.links)

    def prepare(self) -> None:
        """Read the beliefs and lay out pulses and phases."""
        self.call_child_method("prepare")

    def run(self) -> None:
        """Take so many swaps in every row; keep what there is when asked to stop."""
        self.swap.connect()
        self.scan.run(self.measure, self.swap.begin, self.swap.close, self.swap.run_level())

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return, for every setting, how often each of 16 outcomes came: bits first end, middle's two, last end, 1 for
        an atom that is gone, the first end's the highest bit.
        """
        row: dict[str, Any] = {"table": [0] * 16 * len(SETTINGS), "given_up": 0, "attempts": [0, 0], "pulses": 0,
                               "t_stored_s": 0.0, "t_lab_s": 0.0}  # fmt: skip
        swaps = 0
        while swaps < self.scan.shots:
            setting = swaps % len(SETTINGS)
            reason, left = self.swap.measured(setting)
            row["t_lab_s"] += int(self.swap.t_lab_mu) * self.core.ref_period
            for k in range(2):
                row["attempts"][k] += int(self.swap.attempts[k])
            if reason != SWAPPED:
                row["given_up"] += 1
                continue
            outcome = sum(8 >> k for k, there in enumerate(left) if not there)
            row["table"][16 * setting + outcome] += 1
            row["pulses"] += int(self.swap.pulses)
            row["t_stored_s"] += int(self.swap.t_stored_mu) * self.core.ref_period
            swaps += 1
        return row

    def analyze(self) -> None:
        """Estimate the fidelity of the pair of the two ends."""
        self.result = conclude(self, self.scan)
