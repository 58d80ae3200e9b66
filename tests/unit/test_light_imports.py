"""What an analysis needs only to fit or to draw is imported where it fits or draws: a run starts without it."""

import subprocess
import sys

import pytest

HEAVY = {"lmfit", "matplotlib", "pandas", "scipy.stats"}  # a quarter of a second or more each


@pytest.mark.parametrize("names", [("twins", "result", "fits", "models", "histograms", "link"),
                                   ("figures", "figures_budget", "scan_figures"),
                                   ("experiments.bell_tomography", "experiments.hbt_g2",
                                    "experiments.imaging_histogram", "experiments.microwave_rabi")])  # fmt: skip
def test_analysis_is_imported_without_what_fits_and_draws(names: tuple[str, ...]) -> None:
    code = f"import sys, {', '.join('analysis.' + name for name in names)}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
