"""Read files from before a lab could have other nodes than alice and bob: their datasets under today's names.

What was one column a node is one column with an axis of nodes; what belonged to "the link" belongs to its station, to
the way from a node to it, or to the pairs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from atomlink.old_names import LINK, NODES, STATION, today

_OF_NODE = re.compile(rf"scan\.(?P<before>\w*?)_?{NODES[0]}_?(?P<after>\w*)$")
_SAYS_LINK = {"link": "link.name", "pairs": "pairs.name", "hom": "hom.link", "scan": "scan.link"}
_SAYS_NODES = {"link": "link.nodes", "pairs": "pairs.nodes", "hom": "hom.nodes", "scan": "scan.nodes",
               "images": "images.nodes"}  # fmt: skip


def renamed(datasets: Mapping[str, Any]) -> dict[str, Any]:
    """Return datasets under today's names and shapes; those of today's files as they are."""
    if any(key in datasets for key in (*_SAYS_LINK.values(), *_SAYS_NODES.values()) if key != "link.nodes"):
        return dict(datasets)
    found: dict[str, Any] = {}
    for key, value in datasets.items():
        column = _OF_NODE.match(key)
        if column is not None:
            other = datasets.get(key.replace(NODES[0], NODES[1]))
            name = "_".join(filter(None, (column["before"], column["after"])))
            found[f"scan.{name}"] = value if other is None else _by_node(value, other)
        elif not (key.startswith("scan.") and re.search(rf"(?<![a-z]){NODES[1]}(?![a-z])", key)):
            found[today(key)] = value
    settings = np.asarray(found.get("link.settings", ()))
    if settings.ndim == 2 and settings.shape[1] == 4:
        found["link.settings"] = settings.reshape(-1, 2, 2)
    prefixes = {key.partition(".")[0] for key in found}
    found |= {key: ",".join(NODES) for prefix, key in _SAYS_NODES.items() if prefix in prefixes}
    found |= {key: LINK for prefix, key in _SAYS_LINK.items() if prefix in prefixes}
    if "scan.followed" in found:  # of the detectors
        found["scan.station"] = STATION
    if "link" in prefixes:
        found |= {"link.station": STATION, "link.detectors": "c_h,c_v,d_h,d_v"}
    return found


def _by_node(first: Any, second: Any) -> Any:
    """Return two columns as one, the axis of nodes after that of the rows; two values of the run as an array."""
    a, b = np.asarray(first), np.asarray(second)
    return np.stack([a, b], axis=min(1, a.ndim)) if a.shape == b.shape else first
