"""Are photons that were stored still single ones? Coincidences of two detectors in one read-out."""

from typing import Any

import numpy as np
from artiq.experiment import EnvExperiment

from experiments.sequences.analyse_run import conclude
from experiments.sequences.live import Columns, Plot
from experiments.sequences.scan import Point, Scan
from experiments.sequences.stored_photons import StoredPhotons


def _read_outs(columns: Columns) -> dict[str, Any]:
    counted = np.sum(columns["patterns"], axis=0)
    clicks = np.array([int(k).bit_count() for k in range(len(counted))])
    by_number = np.array([counted[clicks == k].sum() for k in range(1, 4)])
    return {"y": by_number, "x": np.arange(1, 4), "error": np.sqrt(by_number + 0.5)}


READ_OUTS = Plot("read-outs by clicks", "xy", _read_outs)


class RetrievedG2(EnvExperiment):
    """g2 of retrieved photons

    ( pump --[ excite ]--/photon/--[ control off ]--- t_storage ---[ control: read, gate all detectors ] ) x shots
    once with light at the port, once without (noise and dark clicks), half as often.
    """

    simulated_in = "memory"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.store = StoredPhotons(self)
        self.nodes = self.store.nodes
        self.scan = Scan(self, (), shots=2000, repeats=10, plots=[READ_OUTS])

    def prepare(self) -> None:
        """Read the beliefs and lay out the timing."""
        self.call_child_method("prepare")
        self.store.check([self.store.storage])

    def run(self) -> None:
        """Take both passes in each row; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.store.init, self.store.close, self.store.run_level())

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return read-outs by pattern, with a photon stored and without."""
        row: dict[str, Any] = {"patterns": self.store.stored(self.scan.shots, self.store.storage)}
        row["n"] = self.store.done
        row["dark"] = self.store.noise(max(1, self.scan.shots // 2), self.store.storage)
        row["n_dark"] = self.store.done
        return row

    def analyze(self) -> None:
        """Find g2(0), and what noise makes of it."""
        self.result = conclude(self, self.scan)
