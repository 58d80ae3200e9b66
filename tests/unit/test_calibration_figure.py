"""The picture of the calibration graph: as wide as a page, and no arrow runs behind a box."""

import json
import random
from pathlib import Path

import pytest

from analysis.experiments import calibrate
from analysis.layers import BOX, layered, rows_of
from analysis.load import Run

DIAMOND = {"imaging": [], "pumping": ["imaging"], "cavity": ["pumping"], "fibre": ["cavity"],
           "microwave": ["pumping"], "larmor": ["microwave"], "polarisation": ["fibre", "microwave"],
           "pairs": ["polarisation", "larmor"]}  # fmt: skip


def random_graph(seed: int) -> dict[str, list[str]]:
    rng = random.Random(seed)
    return {f"n{k}": [f"n{j}" for j in rng.sample(range(k), min(k, rng.randrange(3)))] for k in range(14)}


@pytest.mark.parametrize("graph", [DIAMOND, *map(random_graph, range(5))])
def test_every_arrow_goes_down_row_by_row_beside_the_boxes(graph: dict[str, list[str]]) -> None:
    at, ways = layered(graph)
    assert {(parent, child) for child in graph for parent in graph[child]} == ways.keys()
    for (parent, child), way in ways.items():
        assert (way[0], way[-1]) == (at[parent], at[child])
        assert [y for _, y in way] == list(range(rows_of(graph)[parent], rows_of(graph)[child] + 1))
        for x, y in way[1:-1]:
            assert all(abs(x - box_x) > BOX / 2 for box_x, box_y in at.values() if box_y == y)


def test_an_arrow_that_skips_rows_does_not_cross_another_where_it_need_not() -> None:
    at, ways = layered(DIAMOND)
    assert at["fibre"][0] < ways["microwave", "polarisation"][1][0] < at["larmor"][0] or (
        at["fibre"][0] > ways["microwave", "polarisation"][1][0] > at["larmor"][0]
    )


def test_the_picture_is_no_wider_than_a_page() -> None:
    wide = {"root": [], **{f"leaf_{k}": ["root"] for k in range(7)}}
    for graph in (DIAMOND, wide):
        datasets = {"calibration.graph": json.dumps(graph), "calibration.visits": "[]",
                    "calibration.timeouts": json.dumps(dict.fromkeys(graph, 60.0)),
                    "calibration.states": json.dumps({"root": {"verdict": "in spec", "age_s": 30.0}})}  # fmt: skip
        run = Run(Path("x.h5"), 1, "Calibrate", 0.0, 0.0, "", {}, datasets, {}, {})
        drawing = calibrate.figure(run, calibrate.analyse(run))
        (axes,) = drawing.axes
        assert drawing.get_size_inches()[0] <= 10.0
        low, high = axes.get_xlim()
        assert all(low < x - 0.45 * BOX and x + 0.45 * BOX < high for x, _ in layered(graph)[0].values())
