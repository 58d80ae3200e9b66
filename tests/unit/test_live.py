"""What a person watches: ARTIQ's own applets get what they ask for, whatever a series is called."""

import math
import shlex
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.calibration.graph import Verdict, Visit
from experiments.calibration.progress_plot import ProgressPlot
from experiments.sequences import live, pair_counts
from experiments.sequences.live import Live, Plot

PAIRS = [20, 0, 0, 20, 20, 0, 0, 20, 0, 20, 20, 0]  # of XX, YY, ZZ: a perfect Psi+


class Toy:
    """An experiment as far as applets need one; keeps what is issued and broadcast."""

    def __init__(self) -> None:
        self.scheduler = SimpleNamespace(rid=12)
        self.issued: list[tuple[str, str]] = []
        self.datasets: dict[str, Any] = {}

    def get_device(self, name: str) -> Any:
        assert name == "ccb"
        return SimpleNamespace(issue=lambda _kind, name, command, group: self.issued.append((name, command)))

    def set_dataset(self, key: str, value: Any, broadcast: bool, archive: bool) -> None:
        assert broadcast and not archive
        self.datasets[key] = value


COLUMNS = {
    "x": [0.0, 1.0, 0.0], "v": [1.0, 1.0, 2.0], "k": [1, 3, 2], "n": [4, 4, 4],
    "readings": [[1.0, 3.0], [5.0, 5.0], [1.0, 3.0]],
    "counts": [[0, 7], [250, 3], [4, 4]], "bins": [[[1, 2, 3], [0, 0, 1]]] * 3,
    "table": [PAIRS] * 3, "heralds": [10, 20, 30], "t_s": [2.0, 4.0, 6.0],
}  # fmt: skip
PLOTS = (
    live.share_curve("left over", "x", ("k", "n")),
    live.share_curve("", "x", ("k", "n")),
    live.mean_curve("alice", "x", "readings"),
    live.share_map("map", ("x", "v"), ("k", "n")),
    live.counts_histogram("counts", "counts"),
    live.summed_histogram("arrivals", "bins", 1e-7, 1e-9, 2),
    pair_counts.fidelity_curve("x"),
    pair_counts.rate_curve("x", "t_s"),
    Plot("total", "number", lambda done: {"value": sum(done["n"])}),
)


def carried_out() -> tuple[Toy, Live]:
    toy = Toy()
    made = Live(toy, PLOTS, {"x": "s"})
    made.open()
    made.publish(COLUMNS)
    return toy, made


def test_every_dataset_of_an_applet_is_published_and_no_name_has_a_blank() -> None:
    toy, _ = carried_out()
    named = [word for _, command in toy.issued for word in shlex.split(command)[1:] if word.startswith("live.")]
    assert set(named) == set(toy.datasets) and not [name for name in named if " " in name]
    commands = dict(toy.issued)
    assert commands["Toy left over"] == (
        "${artiq_applet}plot_xy live.Toy.left_over.y --x live.Toy.left_over.x --error live.Toy.left_over.error "
        '--title "RID 12 Toy left over: share against x (s)"'
    )
    assert commands["Toy"].startswith("${artiq_applet}plot_xy live.Toy.y --x live.Toy.x ")


def test_rows_of_equal_x_are_added_up() -> None:
    data = carried_out()[0].datasets
    assert data["live.Toy.left_over.x"].tolist() == [0.0, 1.0]
    assert data["live.Toy.left_over.y"].tolist() == [3 / 8, 3 / 4]
    assert data["live.Toy.alice.y"].tolist() == [2.0, 5.0]
    assert data["live.Toy.alice.error"].tolist() == [pytest.approx(1 / math.sqrt(3)), 0.0]
    assert data["live.Toy.rate.y"].tolist() == [40 / 8, 20 / 4]
    assert np.array_equal(data["live.Toy.map.img"], [[1 / 4, 2 / 4], [3 / 4, math.nan]], equal_nan=True)


def test_histograms_hold_every_count_and_have_one_edge_more() -> None:
    data = carried_out()[0].datasets
    for name, total in (("counts", 6), ("arrivals", 21)):
        y, x = (data[f"live.Toy.{name}.{part}"] for part in ("y", "x"))
        assert y.sum() == total and len(x) == len(y) + 1 <= 102 and np.allclose(np.diff(x), x[1] - x[0])
    assert data["live.Toy.arrivals.x"] == pytest.approx([100e-9, 102e-9, 104e-9])


def test_a_setting_without_a_pair_has_no_fidelity_yet() -> None:
    assert carried_out()[0].datasets["live.Toy.fidelity.y"].tolist() == [1.0, 1.0]
    none = {"x": [0.0], "table": [[*PAIRS[:8], 0, 0, 0, 0]]}
    assert len(pair_counts.fidelity_curve("x").of(none)["y"]) == 0


def test_a_calibration_shows_where_it_is_and_what_came_of_each_step() -> None:
    toy = Calibrate()
    shown = ProgressPlot(toy)
    shown.open()
    shown.begin("pumping", "check")
    assert toy.datasets["live.Calibrate.verdict.y"].tolist() == [-1]
    shown.add(Visit("pumping", "check", 0.0, Verdict.OUT_OF_SPEC, "too far"))
    shown.begin("pumping", "measure")
    assert toy.datasets["live.Calibrate.verdict.y"].tolist() == [1, -1]
    shown.add(Visit("pumping", "measure", 1.0, Verdict.IN_SPEC, ""))
    assert toy.datasets["live.Calibrate.verdict.y"].tolist() == [1, 2]
    assert toy.datasets["live.Calibrate.verdict.now"] == "pumping: measure, in spec"


class Calibrate(Toy):
    """A toy of that name."""
