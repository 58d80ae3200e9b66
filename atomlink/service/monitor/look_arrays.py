"""The last image of each tweezer array, and of each node with single atoms, among results files."""

import heapq
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MOST_FILES = 60  # of the newest: an array that was not looked at lately has no image


Belongs = Callable[[str, str], bool]  # target and scenario of a run -> is it of this lab?


def last_images(results: Path, belongs: Belongs) -> list[dict[str, Any]]:
    """Return name, run, sites (rows of columns: electrons, or counts), threshold and unit, an entry each array."""
    found: dict[str, dict[str, Any]] = {}
    files = heapq.nlargest(MOST_FILES, results.glob("????-??-??/*/*.h5"), key=lambda path: path.name)
    for path in files:
        for name, image in _images(path, belongs):
            found.setdefault(name, {"name": name, "run": path.stem, **image})
    return [found[name] for name in sorted(found)]


def _images(path: Path, belongs: Belongs) -> list[tuple[str, dict[str, Any]]]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            held = file.get("datasets", {})
            if not belongs(*(_text(held[key]) if key in held else "" for key in ("run.target", "run.scenario"))):
                return []
            if "array.electrons" in held and held["array.electrons"].size:
                frames = held["array.electrons"]
                return [(_text(held["array.node"]),
                         {"sites": frames[-1, -1].tolist(), "threshold": float(held["array.threshold"][()]),
                          "unit": "electrons"})]  # fmt: skip
            if "images.counts" in held and held["images.counts"].size:
                counts, thresholds = held["images.counts"][-1, -1], np.asarray(held["images.threshold"][()])
                names = _text(held["images.nodes"]).split(",")
                return [(name, {"sites": [[float(n)]], "threshold": float(least), "unit": "counts"})
                        for name, n, least in zip(names, counts, thresholds, strict=True)]  # fmt: skip
    except (OSError, KeyError, ValueError, IndexError):  # being written, damaged, or another lab's form
        pass
    return []


def _text(dataset: Any) -> str:
    value = dataset[()]
    return value.decode() if isinstance(value, bytes) else str(value)
