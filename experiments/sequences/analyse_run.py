"""End a run: call the analysis twin online, print and store what it found, and update beliefs if asked to.

Stored are `fit.NAME` and `fit.NAME.error` for every estimate, `fit.refused` with the reasons where a fit was refused.
"""

import time
from pathlib import Path
from typing import Any

from atomlink.errors import DataError, UsageError
from drivers import parameters, run_datasets
from drivers.parameter_store import ParameterStore
from experiments.sequences.filing import file_datasets


def run_of(experiment: Any, datasets: dict[str, Any]) -> Any:
    """Return the run as its twin takes it, from what is still in memory."""
    from analysis.load import Run

    now = time.time()
    return Run(
        path=Path(), rid=int(experiment.scheduler.rid), class_name=type(experiment).__name__, start_time=now,
        run_time=now, artiq_version="", expid=dict(experiment.scheduler.expid or {}),
        datasets={**parameters.known(experiment), **datasets}, archive={}, metadata={},
    )  # fmt: skip


def conclude(experiment: Any, scan: Any) -> Any:
    """Analyse a run of a scan: print, store, and with `scan.apply` update the beliefs. Return the Result or None.

    None: too little data, every fit refused, or a result that cannot be believed; beliefs then stay as they are.
    """
    if scan.apply and not scan.complete:
        print("The run was stopped: its result does not become what the lab believes.")
    result = _analysed(experiment, scan.rows.datasets())
    scan.show_result({} if result is None else result.fits)
    return _concluded(experiment, result, apply=bool(scan.apply) and scan.complete)


def twin_of_experiment(experiment: Any) -> Any:
    """Return the module that analyses an experiment, or None; one that extends another is analysed as that one is."""
    from analysis.twins import twin_of  # scipy and lmfit: half a second that a run does not need before its first fit

    return next(filter(None, (twin_of(kind.__name__) for kind in type(experiment).__mro__)), None)


def conclude_run(experiment: Any, datasets: dict[str, Any], apply: bool) -> Any:
    """Do the same for a run that keeps its datasets itself."""
    return _concluded(experiment, _analysed(experiment, datasets), apply)


def _analysed(experiment: Any, datasets: dict[str, Any]) -> Any:
    """Return what the twin finds; None, and a line that says why, where there is no estimate."""
    twin = twin_of_experiment(experiment)
    if twin is None:
        from analysis.twins import module_name

        name = type(experiment).__name__
        file = f"analysis/experiments/{module_name(name)}.py"
        raise DataError(f"{name} has no twin: write {file} with analyse and figure")
    try:
        return twin.analyse(run_of(experiment, datasets))
    except DataError as error:
        print(f"No estimate: {error}")
        file_datasets(experiment, {"fit.refused": str(error)})
        return None


def _concluded(experiment: Any, result: Any, apply: bool) -> Any:
    """Print and store a result, and let it become what the lab believes if asked to; return it, or None."""
    if result is None:
        return None
    _show(result)
    _store(experiment, result)
    if apply and not _apply(experiment, result):
        return None
    return result


def _show(result: Any) -> None:
    for name, estimate in result.estimates.items():
        print(f"{name}: {estimate.quantity()}")
    for name, reason in result.refusals.items():
        print(f"{name}: no estimate. {reason}")
    for note in result.notes:
        print(note)


def _store(experiment: Any, result: Any) -> None:
    values: dict[str, Any] = {}
    units: dict[str, str] = {}
    for name, estimate in result.estimates.items():
        for key, value in ((f"fit.{name}", estimate.value), (f"fit.{name}.error", estimate.error)):
            values[key], units[key] = float(value), estimate.unit
    for name, fit in result.fits.items():
        values[f"fit.{name}.reduced_chi2"] = float(fit.reduced_chi2)
    if result.refusals:
        values["fit.refused"] = " ".join(f"{name}: {why}" for name, why in result.refusals.items())
    file_datasets(experiment, values, units)


def _apply(experiment: Any, result: Any) -> bool:
    """Set the beliefs that the result updates; return False where one of them cannot be: then none is set."""
    try:
        revision = ParameterStore.of(experiment).set_all(
            {name: (estimate.value, parameters.parameter(name).unit if not estimate.unit else estimate.unit)
             for name, estimate in result.updates.items()},
            why=result.title,
            evidence={name: {"error": estimate.error, "n": estimate.n} for name, estimate in result.updates.items()},
            fits={name: fit.summary() for name, fit in result.fits.items()},
            believed=_believed(experiment),
        )  # fmt: skip
    except UsageError as error:
        print(f"The result does not become what the lab believes: {error}")
        file_datasets(experiment, {"fit.refused": str(error)})
        return False
    if revision is None:
        return True  # a result without updates
    for name, change in revision.changes.items():
        # The results file goes on saying what the run believed: `param.*` stays, what was set is filed apart.
        for key, value in (("previous", change.previous), ("applied", change.value)):
            unit = parameters.dataset_unit(parameters.parameter(name))
            file_datasets(experiment, {f"fit.{key}.{name}": value}, {f"fit.{key}.{name}": unit})
        print(f"{name} = {change.value:.6g} {change.unit}, was {change.previous:.6g} (revision {revision.revision})")
    if revision.why != result.title:
        print(f"note: {revision.why}")
    return True


def _believed(experiment: Any) -> dict[str, float]:
    """Return what the run has asked for and filed: what it went by."""
    filed = {**run_datasets.archived(experiment), **run_datasets.own(experiment)}
    return {name: float(filed[name]) for name in filed if parameters.is_parameter(name)}
