"""The arguments of a run, as a person may write them again on the command line: a scan as start:stop:points."""

from __future__ import annotations

import json
from typing import Any

from analysis.load import Run
from atomlink.errors import brief


def written_arguments(run: Run) -> dict[str, str]:
    """Return the arguments that a run was given, as they may be written on the command line."""
    return {str(key): _written(value) for key, value in (run.expid.get("arguments") or {}).items()}


def _written(value: Any) -> str:
    kind = value.get("ty") if isinstance(value, dict) else None
    try:
        if kind == "RangeScan" and not value.get("randomize"):
            return f"{value['start']:.9g}:{value['stop']:.9g}:{value['npoints']}"
        if kind == "ExplicitScan":
            return "[" + ", ".join(f"{each:.9g}" for each in value["sequence"]) + "]"
        if kind == "NoScan" and value.get("repetitions", 1) == 1:
            return f"{value['value']:.9g}"
    except (KeyError, TypeError, ValueError):
        pass
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:.9g}" if isinstance(value, float) else brief(value) if kind is None else json.dumps(value)
