"""Managers for the parts of a run that outlives a calibration: prepared again, they read what is believed now.

What `parameters.get` files with a run, ARTIQ answers with from then on, whatever a calibration has set since. Here it
is kept beside the run's datasets and filed when the run ends.
"""

from typing import Any

from drivers import parameters, run_datasets


class _Devices:
    """A device manager that asks the experiment."""

    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment

    def get_device_db(self) -> Any:
        return self._experiment.get_device_db()

    def get(self, name: str) -> Any:
        return self._experiment.get_device(name)


class _Arguments:
    """An argument manager that asks the experiment."""

    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment

    def get(self, key: str, processor: Any, group: str | None, tooltip: str | None) -> Any:
        return self._experiment.get_argument(key, processor, group, tooltip)


class CurrentParameters:
    """A dataset manager that never answers with what was only filed; `managers` go where a parent would."""

    def __init__(self, experiment: Any) -> None:
        self._experiment = experiment
        self._read: dict[str, None] = {}
        self._filed: dict[str, tuple[Any, dict[str, Any]]] = {}
        self.managers: tuple[Any, ...] = (_Devices(experiment), self, _Arguments(experiment), {})

    def set(
        self, key: str, value: Any, metadata: dict[str, Any], broadcast: bool, persist: bool, archive: bool
    ) -> None:
        """Keep a belief for the file; set everything else."""
        if parameters.is_parameter(key) and not (broadcast or persist):
            self._filed[key] = (value, metadata)
        else:
            self._experiment.set_dataset(key, value, **metadata, broadcast=broadcast, persist=persist, archive=archive)

    def get(self, key: str, archive: bool = False) -> Any:
        """Return what is set now; `file` archives it."""
        if archive:
            self._read[key] = None
        return self._experiment.get_dataset(key, archive=False)

    def get_shared(self, key: str) -> Any:
        """Return what all runs share (`drivers/run_datasets.py`)."""
        return run_datasets.shared(self._experiment, key)

    def file(self) -> None:
        """Let the results file say what was believed last."""
        for key in self._read:
            try:
                self._experiment.get_dataset(key, archive=True)
            except KeyError:  # nobody has set it
                continue
            self._filed.pop(key, None)
        for key, (value, metadata) in self._filed.items():
            self._experiment.set_dataset(key, value, **metadata)
