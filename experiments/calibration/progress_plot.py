"""What a person watches while the calibration graph is walked: a point per step, in the title the node it is at."""

from typing import Any

import numpy as np

from experiments.calibration.graph import Verdict, Visit
from experiments.sequences.live import Columns, Live, Plot

HEIGHTS = {Verdict.BAD_DATA: 0, Verdict.OUT_OF_SPEC: 1, Verdict.IN_SPEC: 2}
UNDER_WAY = -1


class ProgressPlot:
    """The applet of one pass: verdicts (2 in spec, 1 out of spec, 0 bad data, -1 under way) against the steps."""

    def __init__(self, experiment: Any) -> None:
        title = f"{{live/{type(experiment).__name__}/verdict/now}}"  # the applet puts the dataset's text there
        self._live = Live(experiment, (Plot("verdict", "xy", self._curve, title),))
        self._verdicts: list[int] = []
        self._now = ""

    def open(self) -> None:
        """Ask for the applet."""
        self._live.open()

    def begin(self, node: str, action: str) -> None:
        """Show what is under way."""
        self._now = f"{node}: {action}"
        self._live.publish({"verdict": [*self._verdicts, UNDER_WAY]})

    def add(self, visit: Visit) -> None:
        """Show what came of a step."""
        self._verdicts.append(HEIGHTS[Verdict(visit.verdict)])
        self._now = f"{visit.node}: {visit.action}, {visit.verdict}"
        self._live.publish({"verdict": self._verdicts})

    def _curve(self, columns: Columns) -> dict[str, Any]:
        y = np.array(columns["verdict"], dtype=float)
        return {"now": self._now, "y": y, "x": np.arange(1.0, len(y) + 1), "error": np.zeros(len(y))}
