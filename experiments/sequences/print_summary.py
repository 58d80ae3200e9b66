"""Print what a run found, with error bars, as soon as it ends."""

import time
from pathlib import Path
from typing import Any

from atomlink.errors import DataError


def _run_of(experiment: Any, prefixes: tuple[str, ...]) -> Any:
    """Return the run as the analysis takes it, from the datasets still in memory."""
    from analysis import schema
    from analysis.load import Run

    datasets = {}
    believed = (experiment.nodes.link.of_station(name) for name in ("dark_rate_hz", "t_gate_s", "visibility"))
    for key in (*schema.BY_KEY, *believed):
        if key.startswith((*prefixes, "run.", "param.")):
            try:
                datasets[key] = experiment.get_dataset(key, archive=False)
            except KeyError:
                continue  # optional, and this run has none
    return Run(
        path=Path(),
        rid=int(experiment.scheduler.rid),
        class_name=type(experiment).__name__,
        start_time=time.time(),
        run_time=time.time(),
        artiq_version="",
        expid={},
        datasets=datasets,
        archive={},
        metadata={},
    )


def print_link(experiment: Any) -> Any:
    """Print herald rate, fidelity and S of a run of heralded pairs, raw and read-out corrected; return the first two
    as a Result for whoever judges the run, or None without data.
    """
    from analysis import link  # scipy: half a second that only the end of a run needs
    from analysis.result import Result

    try:
        result = link.analyse(_run_of(experiment, ("shots.", "link.")))
    except DataError as error:
        print(f"No estimate yet: {error}")
        return None
    print(f"heralds {result.heralds}, vetoed {result.vetoed}, herald probability {result.probability}")
    if result.share_lost is not None and result.share_lost.value > 0:
        print(f"attempts without a pair of atoms: {result.share_lost.value:.1%}, left out of the herald probability")
    if result.waiting.failed:
        print(f"check of the waits, p = {result.waiting.p_value:.1g}: {result.waiting.verdict}")
    if result.accidentals.measured is not None:
        print(f"accidental heralds: at most {result.accidentals.measured}")
    print(f"heralds per second: {result.rate_attempting} attempting, {result.rate_lab} in the lab")
    for name, title in (("fidelity", "Bell-state fidelity"), ("chsh", "CHSH S")):
        raw = getattr(result.total.raw, name)
        corrected = getattr(result.total.corrected, name) if result.total.corrected else None
        if raw is not None:
            print(f"{title}: {raw} raw" + (f", {corrected} read-out corrected" if corrected else ""))
    found = {"rate_attempting_hz": result.rate_attempting, "rate_lab_hz": result.rate_lab,
             "fidelity": result.total.raw.fidelity}  # fmt: skip
    return Result("Remote entanglement", estimates={name: value for name, value in found.items() if value is not None})
