"""The two places where a run finds a dataset: what all runs share, and what it has set for itself alone.

ARTIQ's `get_dataset` answers with the run's own value where there is one, whatever others have set since. Its dataset
manager, which all parts of a run have in common, offers no other way to either.
"""

from collections.abc import Mapping
from typing import Any


def shared(experiment: Any, key: str) -> Any:
    """Return what all runs share; KeyError where there is none."""
    manager = _manager(experiment)
    if hasattr(manager, "get_shared"):  # of a run inside another (experiments/calibration/subexperiment.py)
        return manager.get_shared(key)
    if hasattr(manager, "ddb"):
        return manager.ddb.get(key)
    return experiment.get_dataset(key, archive=False)


def own(experiment: Any) -> Mapping[str, Any]:
    """Return what the run has set and not shared."""
    found: Mapping[str, Any] = getattr(_manager(experiment), "local", {})
    return found


def archived(experiment: Any) -> Mapping[str, Any]:
    """Return what the run has read to be filed with it: ARTIQ warns, with a stack trace, of each further reading."""
    found: Mapping[str, Any] = getattr(_manager(experiment), "archive", {})
    return found


def _manager(experiment: Any) -> Any:
    return getattr(experiment, "_HasEnvironment__dataset_mgr", None)
