"""The dataset database as a run sees it: across a process boundary, as under ARTIQ's master.

ARTIQ's own DatasetDB keeps the object that it is given. In one process with the experiment, each append and each
mutation would then reach that object twice: once from the experiment, once as the change that is broadcast.
"""

from typing import Any

from sim.artiq_runtime import pyon


class DatasetCopies:
    """Hand values to a dataset database and from it as copies made through PYON, which refuses what it cannot write."""

    def __init__(self, dataset_db: Any) -> None:
        self._dataset_db = dataset_db

    def update(self, mod: dict[str, Any]) -> None:
        """Apply a change that the experiment made to its broadcast datasets."""
        self._dataset_db.update(_copy(mod))

    def get(self, key: str) -> Any:
        """Return the value of a dataset; KeyError if there is none."""
        return _copy(self._dataset_db.get(key))

    def get_metadata(self, key: str) -> Any:
        """Return unit, scale and precision of a dataset; KeyError if there is none."""
        return _copy(self._dataset_db.get_metadata(key))


def _copy(value: Any) -> Any:
    return pyon.decode(pyon.encode(value))
