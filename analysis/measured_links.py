"""What the links of a lab gave when they were last measured: the newest run of heralded pairs on each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from analysis import link
from analysis.estimates import Estimate
from analysis.load import Run, load
from atomlink.errors import DataError

OF_PAIRS = ("RemoteEntanglement", "BellTomography")  # experiments whose runs hold every pair
MOST_FILES = 100  # of the newest: a link that was not measured lately has no measurement


@dataclass(frozen=True)
class LinkMeasurement:
    """A link as a run found it: heralds per second of attempting, fidelity of the pairs as read out, and which run."""

    rate: Estimate | None
    fidelity: Estimate | None
    run: str


def newest(paths: Iterable[Path], names: Collection[str], belongs: Callable[[Run], bool]) -> dict[str, LinkMeasurement]:
    """Return the newest measurement of each of these links (`a-b@station`) among results files.

    belongs: whether a run was of this lab. Files that cannot be read or analysed are left out.
    """
    found: dict[str, LinkMeasurement] = {}
    of_pairs = [path for path in paths if path.stem.partition("-")[2] in OF_PAIRS]
    for path in sorted(of_pairs, key=lambda path: (path.parent, path.name), reverse=True)[:MOST_FILES]:
        if len(found) == len(names):
            break
        try:
            run = load(path)
            name = str(run.link.name)
            if name in names and name not in found and belongs(run):
                result = link.analyse(run)
                label = f"run {run.rid}, {run.date[:16]}"
                found[name] = LinkMeasurement(result.rate_attempting, result.total.raw.fidelity, label)
        except DataError:
            continue
    return found


def table(found: dict[str, LinkMeasurement], names: Iterable[str], width: int) -> list[str]:
    """Return the lines of a table of what was measured; none where nothing was."""
    if not found:
        return []
    lines = [f"{'measured':{width}}  {'heralds/s':>13}  {'fidelity':>15}  run"]
    for name in names:
        if name in found:
            each = found[name]
            rate, fidelity = (estimate.number() if estimate else "-" for estimate in (each.rate, each.fidelity))
            lines.append(f"{name:{width}}  {rate:>13}  {fidelity:>15}  {each.run}")
    return [*lines, "Pairs as read out: read-out and waiting are in the measured fidelity, not in the predicted one."]
