"""Walk the calibration graph: check what is stale, diagnose upwards what fails, calibrate what has drifted."""

import json
from collections.abc import Mapping
from typing import Any

from artiq.experiment import BooleanValue, EnumerationValue, EnvExperiment, TerminationRequested, TInt64, kernel

from atomlink.errors import DataError, DeviceError
from atomlink.interrupts import held
from drivers import labs, line_log, parameter_log
from drivers.network import topology
from drivers.parameter_store import ParameterStore
from experiments.calibration.graph import Graph, Node, Outcome, Pass, Verdict, Visit, span
from experiments.calibration.history import History
from experiments.calibration.nodes import nodes_of
from experiments.calibration.progress_plot import ProgressPlot
from experiments.calibration.subexperiment import run_child
from experiments.calibration.verdict import judge
from experiments.sequences.filing import file_datasets
from experiments.sequences.recorder import provenance

LOG = "calibration.log"
ALL = "all"


class Calibrate(EnvExperiment):
    """Calibration

    per node, first what it depends on:  fresh? --no--[ check ]--out of spec--[ measure, update beliefs ]
                                                             --bad data-------[ diagnose what it depends on ] --^
    """

    table: tuple[Node, ...] = ()  # the lab's own, unless told

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.table = self.table or nodes_of(topology(self))
        names = [ALL, *(node.name for node in self.table)]
        for key, value, tooltip in (
            ("target", EnumerationValue(names, default=ALL), "A node, or all of the graph."),
            ("recheck", BooleanValue(False), "Check what is fresh, too: something has changed."),
            ("dry_run", BooleanValue(False), "Say what is stale, touch nothing."),
        ):
            self.setattr_argument(key, value, "Calibration", tooltip)

    def prepare(self) -> None:
        """Lay out the graph; a cycle or an unknown target is refused here."""
        self.graph = Graph(self.table)
        self.wanted = self.graph.order("" if self.target == ALL else self.target)
        self.visits: list[Visit] = []
        self.plot = ProgressPlot(self)

    def run(self) -> None:
        """Walk; what was reached is kept when the run is asked to stop."""
        self.store, self.history = ParameterStore.of(self), History(self)
        self.started_mu = 0 if self.dry_run else int(self.counter())
        self.states = {name: self.history.state(node) for name, node in self.graph.nodes.items()}
        known = self.states.values()
        history = self.history
        self.started_s = history.time_s(known=known) if self.dry_run else history.begin(self.started_mu, known)
        walk = Pass(self.graph, self, self.states, self._record)
        if self.dry_run:
            self._plan(walk)
            return
        complete = False
        self.plot.open()
        try:
            walk.maintain("" if self.target == ALL else self.target, self.recheck)
            complete = True
        except TerminationRequested:
            print(f"Stopped after {len(self.visits)} steps; what was calibrated is kept.")
        finally:
            with held():
                self._archive(complete)

    # -- what the walk asks of the lab

    def now_s(self) -> float:
        """Return the lab's time at the start of the pass plus lab time since."""
        return self.started_s + (0.0 if self.dry_run else (self.counter() - self.started_mu) * self.core.ref_period)

    def check(self, node: Node) -> Outcome:
        """Run the short version and judge it against what is believed."""
        return self._carry_out(node, {**node.check}, "check")

    def measure(self, node: Node) -> Outcome:
        """Run the full version and let its result become what is believed."""
        return self._carry_out(node, {**node.measure, **({"apply": True} if node.tolerances else {})}, "measure")

    def beliefs(self, node: Node) -> Mapping[str, float]:
        """Return the beliefs that the node sets."""
        return {name: self.store.get(name) for name in node.tolerances}

    def _carry_out(self, node: Node, arguments: dict[str, Any], action: str) -> Outcome:
        print(f"{node.name}: {action}")
        self.plot.begin(node.name, action)
        before = self.beliefs(node)
        try:
            child, datasets = run_child(self, node.experiment, arguments, f"{node.name}.{action}")
        except (DeviceError, DataError) as error:  # the lab misbehaves; anything else is a mistake of ours
            return Outcome(Verdict.BAD_DATA, str(error), self.beliefs(node))
        if not datasets.get("run.complete", 1):
            raise TerminationRequested
        refused = str(datasets.get("fit.refused", ""))
        verdict, detail = judge(node, child.result, before, refused, measured=action == "measure")
        return Outcome(verdict, detail, self.beliefs(node))

    # -- what is kept

    def _record(self, visit: Visit) -> None:
        """Keep one step: state first, then the history."""
        self.visits.append(visit)
        self.plot.add(visit)
        print(f"{visit.node}: {visit.action}, {visit.verdict}" + (f" ({visit.detail})" if visit.detail else ""))
        if visit.action == "skip":
            return
        node = self.graph.nodes[visit.node]
        self.history.keep(node, self.states[visit.node], self.now_s(), int(self.counter()))
        path = parameter_log.lab_folder() / labs.of(self).file(LOG)
        with line_log.locked(path):
            line_log.append(path, {"rid": int(self.scheduler.rid), **vars(visit), "covers": node.covers})

    def _archive(self, complete: bool) -> None:
        now_s = self.now_s()
        nodes = self.graph.nodes
        rows = {name: {"verdict": str(state.verdict), "age_s": now_s - state.last_s}
                for name, state in self.states.items() if state.last_s >= 0}  # fmt: skip
        file_datasets(self, {
            "calibration.graph": json.dumps({name: node.depends for name, node in nodes.items()}),
            "calibration.timeouts": json.dumps({name: node.timeout_s for name, node in nodes.items()}),
            "calibration.target": self.target,
            "calibration.visits": json.dumps([vars(visit) for visit in self.visits]),
            "calibration.states": json.dumps(rows),
            "calibration.t_lab_s": now_s - self.started_s,
            **provenance(self),
            "run.complete": int(complete),
        }, {"calibration.t_lab_s": "s"})  # fmt: skip

    def _plan(self, walk: Pass) -> None:
        for node in self.wanted:
            why = walk.stale(node, self.started_s) or ("asked for" if self.recheck else "")
            state = self.states[node.name]
            age = span(self.started_s - state.last_s)
            fresh = f"fresh, {state.verdict} {age} ago, holds for {span(node.timeout_s)}"
            do = "checked" if node.checked else "measured"
            print(f"{node.name}: {f'to be {do}, {why}' if why else fresh}")

    @kernel
    def counter(self) -> TInt64:
        """Return lab time in machine units."""
        return self.core.get_rtio_counter_mu()
