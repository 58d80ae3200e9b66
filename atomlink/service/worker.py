"""One job in a process of its own: what `atomlink run` does, with its end written down beside it.

    python -m atomlink.service.worker FOLDER          carry out FOLDER/job.json; the lock is inherited
    python -m atomlink.service.worker FOLDER recover  make the results file of a run that was killed, from its journal

In the job's folder: `begun` before anything is touched, `rid` once the run has its number, `outcome.json` at the end,
each whole or not there. The lock on `lock` is held from before the process is made until it is gone, so that whoever
comes later can tell a job that runs from one whose worker was killed.
"""

import json
import math
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from atomlink.errors import DataError, brief
from atomlink.files import write_whole
from atomlink.service.monitor import live

JOB, BEGUN, RID, OUTCOME, LOG, LOCK = "job.json", "begun", "rid", "outcome.json", "log", "lock"
MADE = ("run.target", "run.scenario", "run.seed")  # how the run was made
_MOST_ESTIMATES = 200


def words_of(spec: dict[str, Any]) -> list[str]:
    """Return the words of `atomlink run` for a job: text is read as on the command line, all else is JSON."""
    words = [spec["file"]]
    if spec.get("class_name"):
        words += ["-c", spec["class_name"]]
    for option in ("scenario", "seed", "costs", "lab"):
        if spec.get(option) is not None:
            words += [f"--{option}", str(spec[option])]
    arguments = spec.get("arguments", {}).items()
    return words + [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in arguments]


def carry_out(folder: Path) -> int:
    """Carry out the job of a folder; return its exit code, that of `atomlink run`."""
    spec = json.loads((folder / JOB).read_text())
    write_whole(folder / BEGUN, json.dumps({"pid": os.getpid(), "at": time.time()}).encode())
    os.chdir(spec["root"])
    outcome: dict[str, Any] = {"exit_code": 1, "error": None, "path": None}
    from sim.cli import execute, run_of
    from sim.command.lab import Lab
    from sim.command.words import run_parser

    try:
        args = run_parser("run", "A job of the service.").parse_intermixed_args(words_of(spec))
        with run_of(args, Lab(Path(spec["root"])), Path(spec["file"])) as run:
            run.told = lambda rid: write_whole(folder / RID, str(rid).encode())
            try:
                with live.published(run, folder / live.FILE):
                    outcome["exit_code"] = execute(run)
                outcome["error"] = "stopped on request" if outcome["exit_code"] >= 128 else None
            finally:
                outcome["path"] = None if run.path is None else str(run.path)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place: every end is written down
        outcome["exit_code"], outcome["error"] = _explained(error)
        print(f"atomlink: error: {outcome['error']}", file=sys.stderr)
    _finish(folder, outcome)
    return int(outcome["exit_code"])


def recover(folder: Path) -> int:
    """Write down the end of a job whose worker was killed, with what its journal holds."""
    from analysis.journal import recover as from_journal
    from analysis.load import find

    rid = read_rid(folder)
    results = Path(json.loads((folder / JOB).read_text())["root"], "results")
    path = None
    if rid is not None:
        for journal in sorted(results.glob(f"????-??-??/*/{rid:09}-*.journal")):
            print(*from_journal(journal), sep="\n", file=sys.stderr)
        with suppress(DataError):
            path = find(rid, results)
    kept = "what there was by then is kept" if path else "nothing was written by then"
    _finish(folder, {"exit_code": None, "error": f"its worker was killed; {kept}", "path": path and str(path)})
    return 0


def read_rid(folder: Path) -> int | None:
    """Return the number of a job's run, None while it has none."""
    try:
        return int((folder / RID).read_text())
    except (OSError, ValueError):
        return None


def _explained(error: BaseException) -> tuple[int, str]:
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    from sim.command.failures import explain

    message, code = explain(error)
    return code, message


def _finish(folder: Path, outcome: dict[str, Any]) -> None:
    outcome.update(found(outcome["path"]) if outcome["path"] else {"estimates": {}, "complete": False})
    write_whole(folder / OUTCOME, json.dumps({**outcome, "at": time.time()}).encode())


def found(path: str) -> dict[str, Any]:
    """Return what a results file says: estimates, whether the run ended regularly, how many shots it has."""
    import numpy as np

    from analysis.load import load
    from analysis.summary import estimates, said

    try:
        run = load(Path(path))
        columns = [value for key, value in run.datasets.items() if key.startswith("shots.") and np.ndim(value)]
        shots = max(map(len, columns), default=None)
        made = {key: str(run.datasets[key]) for key in MADE if key in run.datasets}
        numbers: dict[str, Any] = {"complete": said(run) != "no", "shots": shots, "run": made, "estimates": {}}
    except (DataError, OSError, TypeError, ValueError) as error:
        return {"estimates": {}, "complete": False, "unread": brief(str(error), 300)}
    try:
        numbers["estimates"] = {
            name: {"value": _finite(each.value), "error": _finite(each.error), "n": int(each.n), "unit": each.unit,
                   "text": each.quantity()}
            for name, each in list(estimates(run).items())[:_MOST_ESTIMATES]
        }
    except Exception as error:  # noqa: BLE001 - a file that nobody has checked may hold anything; the run is done
        numbers["unread"] = brief(str(error), 300)
    return numbers


def _finite(value: float) -> float | None:
    """Return a number as JSON has it: a fit that found nothing has none."""
    return float(value) if math.isfinite(value) else None


if __name__ == "__main__":
    sys.exit(recover(Path(sys.argv[1])) if sys.argv[2:] == ["recover"] else carry_out(Path(sys.argv[1])))
