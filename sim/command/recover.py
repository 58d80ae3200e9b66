"""`atomlink recover`: the results files of killed runs, from their journals."""

from pathlib import Path

from analysis.journal import recover
from sim.command.paths import short


def print_recovered(given: Path | None, results: Path) -> int:
    """Recover a journal, a folder, or all of the lab's results; print what was done, return the exit code."""
    path = given or results
    # A run that was killed before it wrote anything has left no folder: then there is nothing to recover.
    recoveries = recover(path) if given or path.exists() else []
    for recovery in recoveries:
        if recovery.action != "kept":
            print(recovery)
    kept = sum(recovery.action == "kept" for recovery in recoveries)
    print(f"{len(recoveries)} journals in {short(path.resolve())}, {kept} of them with a readable results file")
    return int(any(recovery.action == "failed" for recovery in recoveries))
