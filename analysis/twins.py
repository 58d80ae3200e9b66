"""Find the analysis twin of an experiment: `MicrowaveRabi` is analysed by `analysis/experiments/microwave_rabi.py`.

A twin has `analyse(run) -> Result` and `figure(run, result) -> Figure`, and may have the figure's `CAPTION`; nothing is
registered anywhere. A lab's own twin that still lies in `analysis/` itself, where all did before, is found there.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from typing import TYPE_CHECKING, Protocol, cast

from analysis.load import Run
from analysis.result import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Twin(Protocol):
    """What a twin's module offers."""

    def analyse(self, run: Run) -> Result:
        """Return estimates with errors; DataError where the run has too little, FitRefused where a fit is poor."""

    def figure(self, run: Run, result: Result) -> Figure:
        """Return the figure of the report."""


def module_name(class_name: str) -> str:
    """Return the file name, without `.py`, that belongs to a class: `HbtG2` is `hbt_g2`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", class_name).lower()


def twin_of(class_name: str) -> Twin | None:
    """Return the twin of an experiment's class, None where there is none."""
    name = module_name(class_name)
    for package in ("analysis.experiments", "analysis") if name.isascii() else ():
        if importlib.util.find_spec(f"{package}.{name}") is not None:
            module = importlib.import_module(f"{package}.{name}")
            if hasattr(module, "analyse") and hasattr(module, "figure"):
                return cast(Twin, module)
    return None
