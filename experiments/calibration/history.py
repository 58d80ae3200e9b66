"""What the passes of the calibration graph have left behind in the datasets: each node's state, and the clock.

`Calibrate` writes it; the link monitor reads in it which time-outs have passed. Like beliefs, it belongs to a lab.
"""

import json
import time
from collections.abc import Iterable
from typing import Any

from drivers import labs
from experiments.calibration.graph import Node, State

CLOCK = "calibration.clock"


class History:
    """The states of an experiment's lab."""

    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment
        self._lab = labs.of(experiment)

    def state(self, name: str) -> State:
        """Return what is known of a node; an empty state where nothing is."""
        try:
            return State(**json.loads(self._get(f"calibration.{name}.state")))
        except KeyError:
            return State()

    def time_s(self, counter_mu: int) -> float:
        """Return UTC, not before what the lab's clock says has passed since the last step of a pass: a simulated lab
        may live through hours in a second.
        """
        try:
            last = json.loads(self._get(CLOCK))
        except KeyError:
            return time.time()
        since_s = (counter_mu - last["counter_mu"]) * self._experiment.core.ref_period
        return max(time.time(), last["time_s"] + since_s) if since_s >= 0 else time.time()  # else it was reset

    def keep(self, name: str, state: State, time_s: float, counter_mu: int) -> None:
        """Store the state of a node, and what time it is."""
        text = json.dumps({**vars(state), "verdict": str(state.verdict), "beliefs": dict(state.beliefs)})
        clock = json.dumps({"time_s": time_s, "counter_mu": counter_mu})
        for key, value in ((f"calibration.{name}.state", text), (CLOCK, clock)):
            self._experiment.set_dataset(self._lab.key(key), value, persist=True, archive=False)

    def overdue(self, nodes: Iterable[Node], time_s: float) -> list[str]:
        """Return those whose time-out has passed at that time; one that was never looked at has none."""
        found = []
        for node in nodes:
            state = self.state(node.name)
            if 0 <= max(state.checked_s, state.calibrated_s) < time_s - node.timeout_s:
                found.append(node.name)
        return found

    def _get(self, key: str) -> Any:
        return self._experiment.get_dataset(self._lab.key(key), archive=False)
