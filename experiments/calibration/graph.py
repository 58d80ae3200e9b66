"""The calibration graph and the walk over it: check what is stale, diagnose upwards what fails, calibrate what drifted.

    maintain(target)   first what it depends on; a node that is fresh is left alone; one that is stale is checked, and
                       calibrated where the check says so. Data that make no sense (bad) say that something it depends
                       on has gone without notice: that is diagnosed first. So is all that a node depends on which sets
                       no belief of its own and is out of spec.
    diagnose(node)     check without trusting the time-out; calibrate it, or what it depends on

A check that this pass has made already is not made again, unless something the node depends on was calibrated since:
with that a node is touched at most twice, by a check and by a measurement. Nothing here knows ARTIQ: who carries a node
out is handed in. Source: J. Kelly, P. O'Malley, M. Neeley, H. Neven, J. M. Martinis, arXiv:1803.03226 (2018).
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from atomlink.errors import DataError, UsageError

NOTHING: Mapping[str, Any] = MappingProxyType({})


class Verdict(enum.StrEnum):
    """What a check or a measurement says."""

    IN_SPEC = "in spec"
    OUT_OF_SPEC = "out of spec"
    BAD_DATA = "bad data"


@dataclass(frozen=True)
class Node:
    """One calibration: its experiment, what it depends on, how long it holds, and when it counts as good.

    `check` and `measure` are arguments of the short and of the full version; not `checked`, a short one would tell
    too little, and the node is measured at once when stale. `tolerances`: by how much a belief may depart, in its
    unit; `limits`: between what an estimate must lie. `kind` and `covers`: what is measured, of what in the lab; by
    these a state is found again, whatever the node is called: what was found out about other atoms, another link or
    memory is not about this one.
    """

    name: str
    experiment: str  # "atoms.microwave_rabi:MicrowaveRabi", below the package `experiments`
    depends: tuple[str, ...] = ()
    timeout_s: float = 3600.0
    check: Mapping[str, Any] = field(default_factory=dict)
    measure: Mapping[str, Any] = field(default_factory=dict)
    tolerances: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    checked: bool = True
    kind: str = ""  # "" is the name
    covers: tuple[str, ...] = ()  # names of atoms, of a link, of a memory with its port


@dataclass(frozen=True)
class Outcome:
    """A verdict with its reason, and the beliefs of the node afterwards."""

    verdict: Verdict
    detail: str = ""
    beliefs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class State:
    """What is known of a node: its last verdict, when, when it was last calibrated, and its beliefs then."""

    verdict: str = ""
    checked_s: float = -1.0
    calibrated_s: float = -1.0
    beliefs: Mapping[str, float] = field(default_factory=dict)

    @property
    def last_s(self) -> float:
        """Return when the node was looked at last; < 0 where it never was."""
        return max(self.checked_s, self.calibrated_s)


@dataclass(frozen=True)
class Visit:
    """One step of a pass: skip, check or measure."""

    node: str
    action: str
    time_s: float
    verdict: str
    detail: str


class Lab(Protocol):
    """Who carries nodes out."""

    def now_s(self) -> float:
        """Return the time."""

    def check(self, node: Node) -> Outcome:
        """Run the short version."""

    def measure(self, node: Node) -> Outcome:
        """Run the full version and set the beliefs."""

    def beliefs(self, node: Node) -> Mapping[str, float]:
        """Return the beliefs that the node sets, as they are now."""


class Graph:
    """Nodes by name; refuses a name given twice, a dependency that does not exist, and a cycle."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes: dict[str, Node] = {}
        for node in nodes:
            if node.name in self.nodes:
                raise UsageError(f"Calibration node {node.name!r} is defined twice, must be once: rename one of them")
            if not node.timeout_s > 0:
                raise UsageError(f"Calibration node {node.name!r} has timeout_s = {node.timeout_s}, must be > 0 s")
            self.nodes[node.name] = node
        for node in self.nodes.values():
            for name in node.depends:
                if name not in self.nodes:
                    raise UsageError(
                        f"Calibration node {node.name!r} depends on {name!r}, must be one of: {', '.join(self.nodes)}"
                    )
        self._order = self._sorted()

    def order(self, target: str = "") -> list[Node]:
        """Return the target and all it depends on, first what comes first; every node without a target."""
        if not target:
            return [self.nodes[name] for name in self._order]
        if target not in self.nodes:
            raise UsageError(f"Calibration target {target!r} does not exist, must be one of: {', '.join(self.nodes)}")
        wanted = {target}
        for name in reversed(self._order):
            if name in wanted:
                wanted.update(self.nodes[name].depends)
        return [self.nodes[name] for name in self._order if name in wanted]

    def level(self, name: str) -> int:
        """Return the length of the longest way from a node that depends on nothing."""
        return max((1 + self.level(parent) for parent in self.nodes[name].depends), default=0)

    def _sorted(self) -> list[str]:
        done: list[str] = []
        way: list[str] = []

        def visit(name: str) -> None:
            if name in done:
                return
            if name in way:
                cycle = " -> ".join([*way[way.index(name) :], name])
                raise UsageError(f"The calibration graph has a cycle, must have none: {cycle}; remove one dependency")
            way.append(name)
            for parent in self.nodes[name].depends:
                visit(parent)
            way.pop()
            done.append(name)

        for name in self.nodes:
            visit(name)
        return done


class Pass:
    """One walk. `states` is brought up to date; `record` is told of every visit, before the next begins."""

    def __init__(self, graph: Graph, lab: Lab, states: dict[str, State], record: Callable[[Visit], None]) -> None:
        self.graph, self.lab, self.states, self._record = graph, lab, states, record
        self._done: set[str] = set()  # maintained
        self._seen: dict[str, Verdict] = {}  # touched in this pass and since then nothing below was calibrated
        self._diagnosed: set[str] = set()
        self.failed: list[str] = []

    def stale(self, node: Node, now_s: float) -> str:
        """Return why a node must be checked, or "" where it is fresh."""
        state = self.states.get(node.name, State())
        last = state.last_s
        if last < 0:
            return "never checked"
        if state.verdict != Verdict.IN_SPEC:
            return f"was {state.verdict}"
        if now_s - last > node.timeout_s:
            return f"checked {span(now_s - last)} ago, holds for {span(node.timeout_s)}"
        for parent in node.depends:
            if self.states.get(parent, State()).calibrated_s > last:
                return f"{parent} was calibrated since"
        changed = [name for name, value in self.lab.beliefs(node).items() if state.beliefs.get(name, value) != value]
        return f"{changed[0]} was changed since" if changed else ""

    def maintain(self, target: str = "", recheck: bool = False) -> None:
        """Bring the target and all it depends on up to date; DataError at the end where a node could not be.

        `recheck`: somebody has seen that something is wrong, so that no time-out is trusted.
        """
        for node in self.graph.order(target):
            self._maintain(node, recheck)
        if self.failed:
            raise DataError(
                f"Calibration ended with {', '.join(self.failed)} not in spec: see the verdicts above; "
                "what depends on it was left alone."
            )

    def _maintain(self, node: Node, recheck: bool) -> None:
        if any(parent in self.failed for parent in node.depends):
            self.failed.append(node.name)
            self._note(node, "skip", Outcome(Verdict.BAD_DATA, "something it depends on is not in spec"))
            return
        why = self.stale(node, self.lab.now_s())
        if not why and recheck and node.name not in self._seen:
            why = "fresh, but something is wrong"
        if not why:
            self._note(node, "skip", Outcome(Verdict.IN_SPEC, "fresh"))
            return
        if not node.checked:
            self._calibrate(node, why)
            return
        outcome = self._check(node, why)
        if outcome.verdict == Verdict.BAD_DATA:
            self._diagnose_below(node)
        elif outcome.verdict == Verdict.OUT_OF_SPEC and node.limits and not node.tolerances:
            for below in self.graph.order(node.name)[:-1]:  # it only watches: the fault may be anywhere below
                self.diagnose(below)
        if outcome.verdict != Verdict.IN_SPEC:
            self._calibrate(node)

    def diagnose(self, node: Node) -> bool:
        """Check a node whatever its age; return whether it, or what it depends on, was calibrated."""
        if self._seen.get(node.name) == Verdict.IN_SPEC:
            return False
        why = "something that depends on it gave bad data"
        if not node.checked:
            self._calibrate(node, why)
            return True
        outcome = self._check(node, why)
        if outcome.verdict == Verdict.IN_SPEC:
            return False
        if outcome.verdict == Verdict.BAD_DATA:
            self._diagnose_below(node)
        self._calibrate(node)
        return True

    def _diagnose_below(self, node: Node) -> bool:
        """Diagnose what a node depends on, once a pass; return whether anything was calibrated."""
        if node.name in self._diagnosed:
            return False
        self._diagnosed.add(node.name)
        calibrated = [self.diagnose(self.graph.nodes[parent]) for parent in node.depends]  # all of them
        return any(calibrated)

    def _check(self, node: Node, why: str) -> Outcome:
        outcome = self.lab.check(node)
        now_s = self.lab.now_s()
        state = self.states.get(node.name, State())
        self.states[node.name] = State(outcome.verdict, now_s, state.calibrated_s, dict(outcome.beliefs))
        self._seen[node.name] = outcome.verdict
        self._note(node, "check", outcome, why)
        return outcome

    def _calibrate(self, node: Node, why: str = "") -> None:
        outcome = self._measure(node, why)
        if outcome.verdict == Verdict.BAD_DATA and self._diagnose_below(node):
            outcome = self._measure(node)
        if outcome.verdict != Verdict.IN_SPEC:
            self.failed.append(node.name)

    def _measure(self, node: Node, why: str = "") -> Outcome:
        outcome = self.lab.measure(node)
        now_s = self.lab.now_s()
        self.states[node.name] = State(outcome.verdict, now_s, now_s, dict(outcome.beliefs))
        self._seen[node.name] = outcome.verdict
        for other in self.graph.nodes.values():  # what was seen of those above no longer counts
            if node.name in {parent.name for parent in self.graph.order(other.name)} - {other.name}:
                self._seen.pop(other.name, None)
        self._note(node, "measure", outcome, why)
        return outcome

    def _note(self, node: Node, action: str, outcome: Outcome, why: str = "") -> None:
        detail = "; ".join(filter(None, (why, outcome.detail)))
        self._record(Visit(node.name, action, self.lab.now_s(), str(outcome.verdict), detail))


def span(seconds: float) -> str:
    """Return a time in the unit that says most: `3.2 h`."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
