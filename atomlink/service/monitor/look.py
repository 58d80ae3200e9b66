"""What of a lab can be seen in its files, as JSON: a process of its own, for it imports the lab's device_db.

    python -m atomlink.service.monitor.look ROOT RESULTS    a request on each line of stdin, its answer on stdout

Requests: {"what": "lab"}; {"what": "runs", "words": [...], "most": 30, "rids": [...] or null: whose};
{"what": "report", "rid": 5}. The environment says which lab it is, as for `atomlink run`. Only reads.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from atomlink.errors import DataError, LabError, UsageError, brief
from atomlink.service.monitor.look_arrays import last_images
from sim import artiq_runtime

artiq_runtime.install()

from analysis import measured_links, network  # noqa: E402 - they need `artiq`
from analysis.arguments import written_arguments  # noqa: E402
from analysis.load import Run, find, load  # noqa: E402
from analysis.report import page_of  # noqa: E402
from analysis.summary import said  # noqa: E402
from atomlink.topology import Topology  # noqa: E402
from drivers import labs, parameter_log, parameters  # noqa: E402
from drivers.labs import LabName  # noqa: E402
from experiments.calibration.graph import Graph, Node, Pass, State, span  # noqa: E402
from experiments.calibration.history import History  # noqa: E402
from experiments.calibration.nodes import nodes_of  # noqa: E402
from sim.command.draw import lab_of  # noqa: E402
from sim.command.examine import load_device_db, open_dataset_db  # noqa: E402
from sim.command.lab import Lab  # noqa: E402
from sim.command.params import beliefs, believing  # noqa: E402
from sim.command.runs import select, summary  # noqa: E402
from sim.target import resolved  # noqa: E402

AGES_S = 60.0      # after which ages are told anew, though the files stayed as they are
KEPT_RUNS = 40     # in memory, as many as a page shows, and some: a file takes 0.1 s and more to be read and checked
MOST_POINTS = 200  # of a control chart: the newest


class Looker:
    """Reads one lab; what has not changed is not read again."""

    def __init__(self, root: Path, results: Path) -> None:
        self.lab, self.results = Lab(root), results
        os.environ["ATOMLINK_ROOT"] = str(root)
        self._seen: tuple[Any, dict[str, Any]] = (None, {})
        self._summaries: dict[tuple[str, int], dict[str, Any]] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request; `problem` says why it cannot be."""
        try:
            calls: dict[str, Callable[..., dict[str, Any]]] = {"lab": self._lab, "runs": self._runs,
                                                               "report": self._report}  # fmt: skip
            return calls[request.pop("what")](**request)
        except LabError as error:
            return {"problem": brief(str(error), 500)}
        except Exception as error:  # noqa: BLE001 - a lab's own code and files: whatever is wrong is said
            return {"problem": brief(f"{type(error).__name__}: {error}", 500)}

    def _lab(self) -> dict[str, Any]:
        stamp = self._stamp()
        if stamp != self._seen[0]:
            self._seen = stamp, self._read()
        return self._seen[1]

    def _stamp(self) -> Any:
        files = [self.lab.device_db, self.lab.dataset_db, *sorted(self.lab.root.glob("params*.log")),
                 *sorted(self.results.glob("????-??-??/*"))[-2:]]  # fmt: skip
        changed = [(str(file), file.stat().st_mtime_ns) for file in files if file.exists()]
        return changed, int(time.time() / AGES_S)

    def _read(self) -> dict[str, Any]:
        environment = {**os.environ, **resolved(os.environ, {})}
        name = believing(self.lab, environment)
        rows = load_device_db(self.lab).get_device_db()
        found: dict[str, Any] = {"at": time.time(), "name": str(name), "arrays": [], "links": [], "calibration": [],
                                 "charts": [], "network": None}  # fmt: skip
        found["arrays"] = last_images(self.results, lambda target, scenario: name == (
            labs.HARDWARE if target == "hardware" else labs.of_scenario(scenario, self.lab.root)))  # fmt: skip
        try:
            topology = Topology.from_device_db(rows)
        except UsageError as error:
            return {**found, "problem": str(error)}
        held = beliefs(self.lab, [], "")
        nodes = nodes_of(topology)
        found["network"] = _network(topology)
        found["links"] = self._links(topology, held, name)
        found["calibration"] = list(self._calibration(nodes, held, name))
        tolerances = {key: size for node in nodes for key, size in node.tolerances.items()}
        path = self.lab.root / name.file(parameter_log.FILE)
        revisions = parameter_log.read(path)
        found["revision"] = revisions[-1].revision if revisions else 0
        found["charts"] = list(_charts(revisions, held, tolerances))
        return found

    def _links(self, topology: Topology, held: dict[str, float], name: LabName) -> list[dict[str, Any]]:
        forecasts = network.forecasts(topology, held)
        names = [row.link.name for row in forecasts]
        files = self.results.glob("????-??-??/*/*.h5")
        measured = measured_links.newest(files, names, lambda run: lab_of(run, self.lab) == name)
        rows = []
        for row in forecasts:
            seen = measured.get(row.link.name)
            rate, fidelity = (seen.rate, seen.fidelity) if seen else (None, None)
            rows.append({"name": row.link.name, "ends": row.link.ends, "station": row.link.station,
                         "herald_hz": row.herald_hz, "fidelity": row.fidelity, "switch": row.through,
                         "measured": seen and {"rate": rate and rate.number(), "run": seen.run,
                                               "fidelity": fidelity and fidelity.number(),
                                               "value": fidelity and fidelity.value}})  # fmt: skip
        return rows

    def _calibration(self, nodes: tuple[Node, ...], held: dict[str, float], name: LabName) -> Iterator[dict[str, Any]]:
        database = open_dataset_db(self.lab)
        try:
            history = History(_Datasets(database), name)
            graph = Graph(nodes)
            states = {node.name: history.state(node) for node in nodes}
            now_s = history.time_s(known=states.values())
        finally:
            database.close_db()
        walk = Pass(graph, _Beliefs(held), states, lambda _visit: None)
        for node in graph.order():
            state: State = states[node.name]
            yield {"name": node.name, "depends": node.depends, "level": graph.level(node.name),
                   "verdict": str(state.verdict), "age": "" if state.last_s < 0 else span(now_s - state.last_s),
                   "holds": span(node.timeout_s), "stale": walk.stale(node, now_s)}  # fmt: skip

    def _runs(self, words: list[str], most: int, rids: list[int] | None) -> dict[str, Any]:
        whose = None if rids is None else set(rids)
        found = []
        for run in select(self.results, words, _read):
            if isinstance(run, DataError) or whose is not None and run.rid not in whose:
                continue
            # Its analysis may take a second: once for each file as it is.
            key = str(run.path), run.path.stat().st_mtime_ns
            if key not in self._summaries:
                self._summaries[key] = _shown(run)
            found.append(self._summaries[key])
            if len(found) >= most:
                break
        return {"runs": found}

    def _report(self, rid: int) -> dict[str, Any]:
        return {"html": page_of(find(rid, self.results))}


class _Datasets:
    """The lab's persistent datasets, as an experiment reads them."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def get_dataset(self, key: str, archive: bool = False) -> Any:
        return self._database.get(key)


class _Beliefs:
    """Who is asked for beliefs alone."""

    def __init__(self, held: dict[str, float]) -> None:
        self._held = held

    def beliefs(self, node: Node) -> dict[str, float]:
        return {name: self._held[name] for name in node.tolerances if name in self._held}

    def now_s(self) -> float:
        raise NotImplementedError

    def check(self, node: Node) -> Any:
        raise NotImplementedError

    measure = check


def _network(topology: Topology) -> dict[str, Any]:
    return {
        "places": network.places_of(topology), "nodes": topology.node_names,
        "stations": [{"name": station.name, "scheme": station.scheme} for station in topology.stations],
        "channels": [{"node": way.port.partition(".")[0], "station": way.station, "switch": way.switch}
                     for way in topology.channels],
        "memories": [{"name": each.name, "node": each.port.partition(".")[0]} for each in topology.memories],
    }  # fmt: skip


def _charts(revisions: tuple[parameter_log.Revision, ...], held: dict[str, float],
            tolerances: dict[str, float]) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Yield the control chart of every belief that was ever changed: when, value, error, and what it may depart by."""
    points: dict[str, list[tuple[float, float, float | None]]] = {}
    for revision in revisions:
        at = datetime.fromisoformat(revision.time).timestamp()
        for key, change in revision.changes.items():
            before = points.setdefault(key, [])
            before.append((at, change.value, change.error))
    for key, seen in sorted(points.items()):
        if key in held and parameters.is_parameter(key):
            row = parameters.parameter(key)
            t, values, errors = zip(*seen[-MOST_POINTS:], strict=True)
            yield {"name": key, "unit": parameters.dataset_unit(row), "meaning": row.meaning, "now": held[key],
                   "default": row.default, "tolerance": tolerances.get(key), "t": t, "y": values,
                   "error": errors}  # fmt: skip


def _read(path: Path) -> Run:
    return _read_as_it_is(path, path.stat().st_mtime_ns)


@lru_cache(KEPT_RUNS)
def _read_as_it_is(path: Path, _changed_ns: int) -> Run:
    return load(path)


def _shown(run: Run) -> dict[str, Any]:
    return {"rid": run.rid, "class": run.class_name, "date": run.date[:16], "target": run.text("run.target"),
            "scenario": str(run.datasets.get("run.scenario", "")), "complete": said(run) != "no",
            "arguments": written_arguments(run), "found": summary(run)}  # fmt: skip


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value.tolist() if isinstance(value, np.ndarray) else str(
        value)  # fmt: skip


def _finite(value: Any) -> Any:
    """Return what JSON can say: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def main(root: Path, results: Path) -> None:
    """Answer requests until there are no more."""
    looker, out = Looker(root, results), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a device_db prints is no answer
    for line in sys.stdin:
        out.write(json.dumps(_finite(json.loads(json.dumps(looker.answer(json.loads(line)), default=_plain)))) + "\n")
        out.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
