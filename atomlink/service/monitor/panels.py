"""The parts of the page, each of which htmx fetches anew by itself."""

import json
import time
from collections.abc import Mapping
from typing import Any

from atomlink.service.config import LabConfig
from atomlink.service.monitor import drawings
from atomlink.service.monitor.markup import Markup, el, join, table
from atomlink.service.monitor.source import Job
from atomlink.service.states import PENDING, RUNNING

HIDDEN = "not shown without a token"
LONGEST = 90  # characters of arguments or results in a row


def problem(lab: Mapping[str, Any]) -> Markup:
    """Return what is wrong with a lab."""
    return el("p", lab.get("problem", "nothing is known of this lab yet"), class_="empty")


def state(lab: LabConfig, state_: tuple[str, str], name: str, jobs: list[Job], revision: object) -> Markup:
    """Return the line that says how a lab is."""
    waiting, running = (sum(job.state == wanted for job in jobs) for wanted in (PENDING, RUNNING))
    target = "hardware" if lab.hardware else f"lab kept at {lab.lab}" if lab.lab else "simulated, job by job"
    word, why = state_
    facts = [("lab", name), ("target", target), ("beliefs", f"revision {revision}"),
             ("jobs", f"{running} running, {waiting} waiting")]  # fmt: skip
    return join(el("span", word, class_=f"state {word}"), el("span", why) if why else None,
                *(el("span", el("b", key), f" {value}") for key, value in facts))  # fmt: skip


def network(lab: Mapping[str, Any], now: Mapping[str, str]) -> Markup:
    """Return drawing and table of the links."""
    if not lab.get("network"):
        return problem(lab)
    rows: list[tuple[object, ...]] = []
    for row in lab["links"]:
        seen = row["measured"] or {}
        expected = "–" if row["herald_hz"] is None else f"{row['herald_hz']:.3g}"
        fidelity = "–" if row["fidelity"] is None else f"{row['fidelity']:.3f}"
        rows.append((row["name"], expected, seen.get("rate") or "–", fidelity, seen.get("fidelity") or "–",
                     seen.get("run") or "–"))  # fmt: skip
    head = ("link", "expected (heralds/s)", "measured (heralds/s)", "expected F", "measured F", "measured in")
    return join(drawings.network(lab, now), table(head, rows, "no link"),
                el("p", "Heralds per second of attempting. Expected: from the beliefs, for new pairs; measured: pairs "
                        "as read out, read-out errors and waiting included.", class_="note"))  # fmt: skip


def calibration(lab: Mapping[str, Any]) -> Markup:
    """Return the calibration graph, and what is stale and why."""
    nodes = lab.get("calibration")
    if not nodes:
        return problem(lab)
    counts: dict[str, int] = {}
    for node in nodes:
        counts[drawings.state_of(node)] = counts.get(drawings.state_of(node), 0) + 1
    legend = (el("span", f"{counts.get(word, 0)} {said}", class_=f"key {word}")
              for word, said in (("fresh", "fresh"), ("stale", "stale"), ("bad", "out of spec or bad data"),
                                 ("never", "never checked")))  # fmt: skip
    return join(el("p", *legend, class_="legend"), drawings.calibration(nodes))


def arrays(lab: Mapping[str, Any]) -> Markup:
    """Return the last image of each array."""
    images = lab.get("arrays")
    if not images:
        return el("p", lab.get("problem", "no image yet: an experiment with images fills this in"), class_="empty")
    return el("div", *(drawings.array(image) for image in images), class_="arrays")


def queue(jobs: list[Job]) -> Markup:
    """Return what runs, waits and has ended."""
    rows: list[tuple[object, ...]] = []
    for job in jobs:
        run = "–" if job.rid is None else job.rid
        rows.append((job.number, el("span", job.state.lower(), class_=f"state {job.state.lower()}"),
                     job.what or el("i", HIDDEN), _given(job.arguments), job.user or "–", run, _when(job),
                     _brief(job.error or "")))  # fmt: skip
    return table(("job", "state", "experiment", "arguments", "user", "run", "when", ""), rows, "no jobs yet")


def runs(found: Mapping[str, Any], lab: str) -> Markup:
    """Return earlier runs, each with its report."""
    if "problem" in found:
        return el("p", found["problem"], class_="empty")
    rows: list[tuple[object, ...]] = []
    for run in found["runs"]:
        report = el("a", "report", href=f"/monitor/report/{lab}/{int(run['rid'])}", target="_blank", rel="noopener")
        where = run["scenario"].rpartition("/")[2] or run["target"]
        complete = "" if run["complete"] else "not complete; "
        rows.append((run["rid"], run["date"], run["class"], _given(run["arguments"]), where,
                     _brief(complete + run["found"], 2 * LONGEST), report))  # fmt: skip
    return table(("run", "started", "experiment", "arguments", "lab", "found", ""), rows, "no run has all of that")


def _given(arguments: Mapping[str, Any]) -> str:
    said = (f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in arguments.items())
    return _brief(" ".join(said))


def _brief(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _when(job: Job) -> str:
    now = time.time()
    if job.state == PENDING:
        return f"waits for {duration(now - job.created_at)}"
    if job.state == RUNNING:
        return f"runs for {duration(now - (job.started_at or now))}"
    at = job.ended_at or job.created_at
    took = f", took {duration(at - job.started_at)}" if job.started_at else ""
    return f"{duration(now - at)} ago{took}"


def duration(seconds: float) -> str:
    """Return a time with its unit: `3.2 h`."""
    seconds = max(0.0, seconds)
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
