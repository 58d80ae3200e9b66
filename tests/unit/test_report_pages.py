"""What a page says is legible and true: numbers fit their places, departures mean something, captions fit figures."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from synthetic_runs import as_run

from analysis import fits, page, report_twin, scan_figures
from analysis.estimates import Estimate
from analysis.experiments import atom_photon, cz_bell, pair_phase
from analysis.figures import canvas
from analysis.result import Result


def twin_giving(result: Result, bars: bool = True) -> Any:
    """Return a twin with this result, whose figure has points with error bars or none."""

    def figure(run: Any, _: Result) -> Any:
        drawing, (axes,) = canvas(run, 4.0, 2.0)
        if bars:
            axes.errorbar([0.0], [1.0], [0.1])
        else:
            axes.hist([1.0, 2.0])
        return drawing

    return SimpleNamespace(analyse=lambda run: result, figure=figure)


def test_a_tile_is_as_wide_as_its_longest_number_and_a_long_cell_may_wrap() -> None:
    narrow, wide = (page.tiles([("a", "1", ""), ("b", value, "")]) for value in ("2", "1.41750 ± 0.00044 MHz"))
    assert "--tile: 150px; --number: 17px" in narrow and "--number: 14.5px" in wide
    (tile_px,) = re.findall(r"--tile: (\d+)px", wide)
    assert int(tile_px) >= 195 + 26  # 228 px at 17 px, as a browser sets it in DejaVu Sans, and the padding
    assert "nowrap" not in page.CSS.partition(".tiles")[2].partition("table")[0]
    long = "offset 0.272 ± 0.015, frequency 32.50 ± 0.44 kHz"
    row = page.table(("Model", "Parameters", "p"), [("Ramsey", long, "1")])
    assert row.count('<td class="long">') == 1 and "<td>Ramsey</td>" in row
    assert "td:not(:last-child):not(.long) { white-space: nowrap; }" in page.CSS


def test_a_departure_counts_in_errors_but_not_where_the_optimum_is_flat() -> None:
    result = Result("Both", {}, updates={
        "param.alice.f_larmor_hz": Estimate(1.4175e6, 440.0, 10, "", "Hz"),
        "param.alice.image_threshold": Estimate(15.5, 1.1, 10, "", "counts"),
    })  # fmt: skip
    run = as_run({"param.alice.f_larmor_hz": 1.4e6, "param.alice.image_threshold": 60.0})
    text = "".join(report_twin.section(run, twin_giving(result)).blocks)
    assert "<td>1.4 MHz</td><td>+39.8 σ</td>" in text
    assert "<td>60 counts</td><td>-44.5 counts, flat optimum</td>" in text and "errs as seldom" in text
    assert "-40.5 σ" not in text


@pytest.mark.parametrize(("bars", "caption"), [(True, "Title: error bars are standard errors."), (False, "Title.")])
def test_a_caption_speaks_of_error_bars_only_where_there_are_some(bars: bool, caption: str) -> None:
    blocks = report_twin.section(as_run({}), twin_giving(Result("Title", {}), bars)).blocks
    assert f"<figcaption>{caption}</figcaption>" in "".join(blocks)


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(3.57455, 0.0, unit="Hz"), "3.57455 Hz"),
        (Estimate(1.4e6, 0.0, unit="Hz"), "1.4 MHz"),
        (Estimate(-0.004, 0.3), "0.00 ± 0.30"),
        (Estimate(-0.4, 0.3), "-0.40 ± 0.30"),
    ],
)
def test_a_number_has_no_sign_of_nothing_and_no_error_of_nothing(estimate: Estimate, text: str) -> None:
    assert estimate.quantity() == text


def test_of_two_curves_that_coincide_both_are_seen() -> None:
    x = np.linspace(0.0, 1.0, 5)
    points = fits.values(x, x, np.full(5, 0.1))
    _, (axes,) = canvas(as_run({}), 4.0, 2.0)
    line = SimpleNamespace(curve=lambda at: at, span=(0.0, 1.0))
    scan_figures.draw_scan(axes, {"alice": (points, line), "bob": (points, line)})  # type: ignore[dict-item]
    marks, curves = axes.lines[::2], axes.lines[1::2]
    assert marks[0].get_markersize() > marks[1].get_markersize() and marks[0].get_markerfacecolor() == "white"
    assert curves[0].get_linewidth() > curves[1].get_linewidth() and curves[1].get_linestyle() == "--"


def test_the_fringe_of_a_pair_phase_is_drawn_where_it_was_fitted() -> None:
    azimuth = np.array([0.0, 0.5, 1.0, 1.5]) * math.pi
    equal = np.round(400 * (0.5 + 0.45 * np.cos(azimuth - 0.8)))
    run = as_run({"scan.azimuth": azimuth, "scan.equal": equal, "scan.n": np.full(4, 400),
                  "param.alice-bob.midpoint.phase_rad": 0.0})
    (axes,) = pair_phase.figure(run, pair_phase.analyse(run)).axes
    curve = max(axes.lines, key=lambda line: len(line.get_xdata()))
    x, y = curve.get_data()
    assert math.isclose(x[np.argmax(y)], 0.8, abs_tol=0.02) and math.isclose(y.max(), 0.95, abs_tol=0.01)


def test_the_predicted_fidelity_of_the_gate_is_drawn_beside_the_measured_one() -> None:
    phase = np.arange(0.0, 1.0, 1 / 8)
    even = np.round(50 * (0.5 + 0.48 * np.cos(4 * math.pi * phase)))
    run = as_run({"scan.phase": phase, "scan.even": even, "scan.n": np.full(8, 50), "scan.rydberg_light": 0,
                  "scan.bell": np.tile([24, 1, 1, 24], (8, 1)), "scan.one": np.tile([50, 0, 0, 0], (8, 1)),
                  "scan.zero": np.tile([0, 0, 0, 50], (8, 1))})  # fmt: skip
    result = cz_bell.analyse(run)
    result = replace(result, estimates={**result.estimates, "fidelity_predicted": Estimate(0.987, 0.0)})
    *_, axes = cz_bell.figure(run, result).axes
    assert "predicted 0.987" in [text.get_text() for text in axes.get_legend().get_texts()]
    assert any(np.allclose(line.get_ydata(), 0.987) for line in axes.lines)


def test_atom_photon_correlations_say_what_they_do_not_show_in_a_figure_as_wide_as_the_others() -> None:
    counts = {"x": [25] * 8, "y": [25] * 8, "z": [0, 50, 50, 0, 0, 50, 50, 0]}
    run = as_run({f"scan.{node}_{axis}": np.array([row]) for node in ("alice", "bob") for axis, row in counts.items()})
    result = atom_photon.analyse(run)
    assert abs(result.estimates["alice.e_z"].sigmas_from(1.0)) < 2
    assert any("does not show entanglement" in note for note in result.notes)
    assert atom_photon.figure(run, result).get_size_inches()[0] == pytest.approx(9.6)
