"""A scan of two axes as a map: rows of equal coordinates are added up, what was not measured stays blank."""

import numpy as np
from synthetic_runs import as_run

from analysis import scan_figures
from analysis.figures import as_svg


def test_rows_of_equal_coordinates_are_added_up() -> None:
    plane = scan_figures.plane_of([0.0, 0.0, 1.0], [2.0, 2.0, 3.0], [1, 3, 5], [4, 4, 10])
    assert plane.x.tolist() == [0.0, 1.0] and plane.y.tolist() == [2.0, 3.0]
    assert np.array_equal(plane.z, [[0.5, np.nan], [np.nan, 0.5]], equal_nan=True)


def test_a_map_names_its_axes_with_units_and_its_run() -> None:
    plane = scan_figures.plane_of([0.0, 1e-6], [2.0, 2.0], [1, 3], [4, 4])
    figure = scan_figures.plane(as_run({}), plane, ("pulse", "piezo", "share"), ("s", "V"))
    labels = [figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel(), figure.axes[1].get_ylabel()]
    assert labels == ["pulse (µs)", "piezo (V)", "share"]
    assert as_svg(figure).startswith("<?xml")
