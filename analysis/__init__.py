"""Results files to numbers with errors, figures and reports. In a notebook: `analysis.load(rid)`."""

from analysis.load import Run, load

__all__ = ["Run", "load"]
