"""One self-contained HTML page per run, beside its results file: numbers with errors, figures, and where they come
from."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from analysis import page, report_hom, report_link, report_twin, schema
from analysis.arguments import written_arguments
from analysis.experiments import calibrate
from analysis.load import Run, load
from analysis.twins import twin_of
from atomlink.errors import DataError
from atomlink.files import write_whole

# A dataset of each kind of run, and what its report says. Newer experiments have a twin (analysis/twins.py) instead.
SECTIONS: tuple[tuple[str, Callable[[Run], page.Section]], ...] = (
    ("link.settings", report_link.section),
    ("hom.delay_s", report_hom.section),
)
LISTED = 40  # datasets on the page of a run that no analysis knows


def report(path: str | os.PathLike[str]) -> Path:
    """Write the report of a results file as `{rid:09}-{Class}.html` beside it and return its path."""
    return _write(load(path))[0]


def page_of(path: str | os.PathLike[str]) -> str:
    """Return the report of a results file as text; nothing is written."""
    run = load(path)
    return render(run, *_sections(run))


def main_report(path: str | os.PathLike[str]) -> list[str]:
    """Write the report and return the lines that the command prints: headline numbers, then where the page is."""
    written, sections, notices = _write(load(path))
    lines = [f"{label}: {value}" + (f" ({remark})" if remark else "")
             for section in sections for label, value, remark in section.tiles]  # fmt: skip
    return [*notices, *lines, f"report: {written}"]


def _write(run: Run) -> tuple[Path, list[page.Section], list[str]]:
    sections, notices = _sections(run)
    text = render(run, sections, notices)
    target = run.path.with_suffix(".html")
    write_whole(target, text.encode("utf-8", "backslashreplace"))
    return target, sections, notices


def _sections(run: Run) -> tuple[list[page.Section], list[str]]:
    """Return the sections of a run, and why one of them could not be made: the rest of the page is still of use."""
    sections: list[page.Section] = []
    notices = [_incomplete(run)] if int(run.datasets.get("run.complete", 1)) == 0 else []
    for key, make in SECTIONS:
        if key in run.datasets:
            try:
                sections.append(make(run))
            except DataError as error:
                notices.append(str(error))
    for label, part in [("", run), *(calibrate.children(run) if run.class_name == "Calibrate" else [])]:
        twin = twin_of(part.class_name)
        if twin is not None and not (part is run and "hom.delay_s" in run.datasets):  # which has its section
            try:
                sections.append(report_twin.section(part, twin, label))
            except DataError as error:
                notices.append(f"{label}: {error}" if label else str(error))
    return sections, notices


def _incomplete(run: Run) -> str:
    return (
        "This run did not end regularly: it was stopped, or recovered from its journal. The shots it has are complete."
    )


def render(run: Run, sections: list[page.Section], notices: list[str]) -> str:
    """Return the page as text; the same run gives the same text."""
    body = [page.notice(text) for text in notices]
    for k, section in enumerate(sections):
        body += [page.heading(section.title)] if k else []
        body += [page.tiles(section.tiles), *section.blocks]
    if not sections:
        body += [page.heading("Datasets"), _datasets(run)]
    body += [page.heading("Run"), _metadata(run)]
    title = sections[0].title if sections else run.class_name
    subtitle = f"{run.label} · {run.date}"
    kind = run.text("run.target", "unknown target")
    scenario = run.text("run.scenario")
    detail = f"scenario {scenario}, seed {run.datasets.get('run.seed', '?')}" if scenario else run.path.name
    return page.document(title, subtitle, (kind, detail), body)


def _metadata(run: Run) -> str:
    arguments = ", ".join(f"{key} = {value}" for key, value in written_arguments(run).items())
    known = schema.problems(run.datasets)
    entries = [
        ("RID, class", f"{run.rid}, {run.class_name}"),
        ("File", f"{run.path.name}, {run.integrity}"),
        ("Started", run.date),
        ("Target", run.text("run.target", "unknown")),
        ("Scenario, seed", f"{run.text('run.scenario') or '–'}, {run.datasets.get('run.seed', '–')}"),
        ("Cost preset", run.text("run.costs") or "–"),
        ("Versions", ", ".join(filter(None, (f"artiq {run.artiq_version}", run.text("run.versions"))))),
        ("Experiment", str(run.expid.get("file", "–"))),
        ("Arguments", arguments or "defaults"),
        ("Schema", "kept" if not known else f"{len(known)} departures; the first: {known[0]}"),
    ]
    half = len(entries) // 2
    return page.pair(page.table((), entries[:half]), page.table((), entries[half:]))


def _datasets(run: Run) -> str:
    rows = [(key, _brief(value)) for key, value in sorted(run.datasets.items())[:LISTED]]
    more = len(run.datasets) - len(rows)
    return page.table(("Dataset", "Value"), rows) + (page.small(f"and {more} more") if more else "")


def _brief(value: Any) -> str:
    if np.ndim(value):
        return f"{np.asarray(value).dtype}, shape {np.shape(value)}"
    return str(value)[:120]
