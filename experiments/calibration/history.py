"""What the passes of the calibration graph have left behind in the datasets: each node's states, and the clock.

`Calibrate` writes it; the link monitor reads in it which time-outs have passed. Like beliefs, it belongs to a lab, and
in it to what was measured: a calibration of alice and bob says nothing of a lab with a node that is called otherwise.
"""

import json
import time
from collections.abc import Iterable
from typing import Any

from drivers import labs
from experiments.calibration.graph import Node, State

CLOCK = "calibration.clock"


class History:
    """The states of an experiment's lab; of another `lab` where whoever asks has the datasets, but runs in none."""

    def __init__(self, experiment: Any, lab: labs.LabName | None = None) -> None:
        self._experiment = experiment
        self._lab = lab or labs.of(experiment)

    def state(self, node: Node) -> State:
        """Return what is known of a node, measured with what it covers now; an empty state where nothing is."""
        found = self._states(node).get(_covered(node)) or self._old_state(node)
        return State() if found is None else State(**found)

    def time_s(self, counter_mu: int | None = None, known: Iterable[State] = ()) -> float:
        """Return the lab's time: what was last written plus what has passed since, but never before UTC.

        What has passed is lab time or time on the wall, whichever is more: a simulated lab lives through hours in a
        second, and the next one, whose counter begins anew, goes on where it has ended. So no age is negative.
        counter_mu: None where the lab is not asked. known: states that may be later than the clock (a run was killed).
        """
        now_s = max((time.time(), *(state.last_s for state in known)))
        last = self._get(CLOCK)
        if last is None:
            return now_s
        wall_s = time.time() - last.get("wall_s", last["time_s"])  # without: of a version that kept no such time
        lab_s = 0.0 if counter_mu is None else (counter_mu - last["counter_mu"]) * self._experiment.core.ref_period
        return max(now_s, last["time_s"] + max(wall_s, lab_s, 0.0))

    def begin(self, counter_mu: int, known: Iterable[State] = ()) -> float:
        """Return the lab's time at the start of a run and store it: from here on this lab's counter counts."""
        time_s = self.time_s(counter_mu, known)
        self._set_clock(time_s, counter_mu)
        return time_s

    def keep(self, node: Node, state: State, time_s: float, counter_mu: int) -> None:
        """Store the state of a node, and what time it is."""
        entry = {**vars(state), "verdict": str(state.verdict), "beliefs": dict(state.beliefs)}
        self._set_clock(time_s, counter_mu)  # first: no state may be later than the clock
        self._set(_key(node.kind or node.name), {**self._states(node), _covered(node): entry})

    def overdue(self, nodes: Iterable[Node], time_s: float) -> list[str]:
        """Return those whose time-out has passed at that time; one that was never looked at has none."""
        return [node.name for node in nodes if 0 <= self.state(node).last_s < time_s - node.timeout_s]

    def _states(self, node: Node) -> dict[str, dict[str, Any]]:
        """Return the states of a kind of node by what they cover."""
        found = self._get(_key(node.kind or node.name)) or {}
        if not _is_old(found):
            return found
        return {_covered(node): found} if _about(found, node) else {}

    def _old_state(self, node: Node) -> dict[str, Any] | None:
        """Return what a version that kept one state for each name has left behind, if it is about this node."""
        found = self._get(_key(node.name)) or {}
        return found if _is_old(found) and _about(found, node) else None

    def _set_clock(self, time_s: float, counter_mu: int) -> None:
        self._set(CLOCK, {"time_s": time_s, "counter_mu": counter_mu, "wall_s": time.time()})

    def _get(self, key: str) -> Any:
        try:
            return json.loads(self._experiment.get_dataset(self._lab.key(key), archive=False))
        except KeyError:
            return None

    def _set(self, key: str, value: Any) -> None:
        self._experiment.set_dataset(self._lab.key(key), json.dumps(value), persist=True, archive=False)


def _key(name: str) -> str:
    return f"calibration.{name}.state"


def _covered(node: Node) -> str:
    return ", ".join(node.covers)


def _is_old(found: dict[str, Any]) -> bool:
    """Return whether this is one state for all that has the name, as earlier versions kept it."""
    return isinstance(found.get("verdict"), str)


def _about(old: dict[str, Any], node: Node) -> bool:
    """Return whether a state that does not say what it covers is about this node: only its beliefs can tell."""
    return bool(node.tolerances) and old["beliefs"].keys() == node.tolerances.keys()
