"""File the datasets of a run: what its results file will hold, with their checksums, whatever signals come."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from analysis import digest, schema
from atomlink.errors import DataError
from atomlink.interrupts import held

CLOSING_S = 10.0  # for a node to close its shutters, before a further Ctrl-C interrupts that


def file_datasets(experiment: Any, values: Mapping[str, Any], units: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Set datasets, as the schema stores them, and their checksums in `run.digest`; return them as they were set.

    `units` of those that the schema does not know. One whose values do not fit is filed as text, and DataError raised
    when all the others are filed. What has been filed is not to be set again by other means: the checksum would be
    wrong.
    """
    units = units or {}
    made: dict[str, Any] = {}
    problems = []
    for key, value in values.items():
        try:
            made[key] = schema.array(key, value)
        except DataError as error:
            problems.append(str(error))
            made[key] = schema.stored(key, value)
    known = json.loads(experiment.get_dataset(digest.EXPERIMENT, "{}", archive=False))
    checksums = {**known, **json.loads(digest.text(made))}
    with held():
        for key, value in made.items():
            unit = schema.BY_KEY[key].unit if key in schema.BY_KEY else units.get(key, "")
            experiment.set_dataset(key, value, **({"unit": unit, "scale": 1.0} if unit else {}))
        experiment.set_dataset(digest.EXPERIMENT, json.dumps(checksums, separators=(",", ":"), sort_keys=True))
    if problems:
        raise DataError(" ".join(problems))
    return made


@contextmanager
def ending(close: Callable[[], Any]) -> Iterator[None]:
    """Leave the lab dark, then do what the block does: file what there is, even if closing fails or Ctrl-C comes."""
    try:
        with held(CLOSING_S):
            close()
    finally:
        with held():
            yield
