"""Scans: the points that are taken, in what order and how often; what is kept when a run ends early."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artiq.language.environment import EnvExperiment
from artiq.language.scan import CenterScan, ExplicitScan, RangeScan, Scannable
from scan_lab import Devices, Scheduler, managers

from analysis.journal import fold, read_journal
from atomlink.errors import DataError, UsageError
from experiments.sequences.scan import MAX_REPEATS, Axis, Scan


class Toy(EnvExperiment):
    """A measurement whose share is a step at x = 0.62; counts are exact, so that nothing is left to chance."""

    axes: tuple[Axis, ...] = (
        Axis("x", Scannable(RangeScan(0.0, 1.0, 5), unit="s", global_min=0.0, global_max=2.0), "s"),
    )

    def build(self) -> None:
        self.scan = Scan(self, self.axes, shares=("k", "n"), shots=100)
        self.log: list[Any] = []

    def measure(self, point: Any) -> dict[str, Any]:
        self.log.append(tuple(point.coordinates.values()))
        return {"k": 90 if point.coordinates.get("x", 1.0) > 0.62 else 10, "n": self.scan.shots}

    def run(self) -> None:
        self.scan.run(self.measure, lambda: self.log.append("begin"), lambda: self.log.append("end"))

    def analyze(self) -> None:
        """Leave the analysis to the tests of fits."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scan_of(scan: Any) -> dict[str, Any]:
    return dict(scan.describe())


def carry_out(made: type = Toy, scheduler: Scheduler | None = None, **arguments: Any) -> tuple[Any, Devices, Any]:
    devices, datasets, given, defaults = managers(arguments, scheduler)
    experiment = made((devices, datasets, given, defaults))
    experiment.prepare()
    experiment.run()
    return experiment, devices, datasets


def points(experiment: Any) -> list[Any]:
    return [entry for entry in experiment.log if isinstance(entry, tuple)]


def test_every_point_is_taken_once_and_the_lab_is_closed() -> None:
    experiment, devices, datasets = carry_out()
    assert experiment.log == ["begin", (0.0,), (0.25,), (0.5,), (0.75,), (1.0,), "end"]
    assert datasets.local["scan.x"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert datasets.local["scan.k"].tolist() == [10, 10, 10, 90, 90] and datasets.local["run.complete"] == 1
    assert datasets.local["scan.axes"] == "x"
    (applet,) = devices.issued
    assert applet[0] == "create_applet" and "live.Toy.y --x live.Toy.x --error live.Toy.error" in applet[2]
    assert 'title "RID 12 Toy: share against x (s)"' in applet[2]


class Plane(Toy):
    axes = (*Toy.axes, Axis("y", Scannable(ExplicitScan([1.0, 2.0]))))


def test_several_axes_give_every_combination() -> None:
    experiment, _, datasets = carry_out(Plane, x=scan_of(RangeScan(0.0, 1.0, 2)))
    assert points(experiment) == [(0.0, 1.0), (0.0, 2.0), (1.0, 1.0), (1.0, 2.0)]
    assert datasets.local["scan.axes"] == "x,y" and datasets.local["scan.y"].tolist() == [1.0, 2.0, 1.0, 2.0]


def test_a_shuffled_scan_takes_the_same_points_in_an_order_that_does_not_change() -> None:
    first, second = (points(carry_out(shuffle=True)[0]) for _ in range(2))
    assert sorted(first) == [(0.0,), (0.25,), (0.5,), (0.75,), (1.0,)]
    assert first == second != sorted(first)


def test_repeats_give_rows_of_equal_coordinates() -> None:
    assert points(carry_out(repeats=2, x=scan_of(RangeScan(0.0, 1.0, 2)))[0]) == [(0.0,), (0.0,), (1.0,), (1.0,)]


def test_a_point_is_repeated_until_its_share_is_known_well_enough() -> None:
    """0.1 ± 0.03 after 100 shots: error 0.01 needs 900, so nine or ten rows a point."""
    experiment, _, datasets = carry_out(target_error=0.01)
    assert all(9 <= points(experiment).count(point) <= 10 for point in set(points(experiment)))
    k, n = (datasets.local[f"scan.{name}"][datasets.local["scan.x"] == 0.0].sum() for name in ("k", "n"))
    assert math.sqrt(k / n * (1 - k / n) / n) <= 0.0101


def test_a_target_that_is_never_met_ends_and_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    experiment, _, _ = carry_out(target_error=1e-5, x=scan_of(ExplicitScan([0.5])))
    assert len(points(experiment)) == MAX_REPEATS
    said = capsys.readouterr().out
    assert f"after {MAX_REPEATS} rows each, 1 of 1 points do not have the error 1e-05: x = 0.5 has 0.004" in said
    carry_out(target_error=0.03)
    assert "Not as exact" not in capsys.readouterr().out


def test_refinement_goes_where_the_curve_changes() -> None:
    """The step is at 0.62: six added points, of which some watch over the rest, make its interval 8 times smaller."""
    experiment, _, _ = carry_out(refine=6)
    x = np.sort([point[0] for point in points(experiment)])
    above = int(np.argmax(x > 0.62))
    assert len(x) == 11 and x[above] - x[above - 1] < 0.25 / 7


@pytest.mark.parametrize(
    ("scan", "said"),
    [
        (RangeScan(0.0, 1.0, 0), "no points"),
        (CenterScan(0.5, 1.0, 0.0), "no points"),
        (ExplicitScan([]), "no points"),
        (ExplicitScan([0.1, math.nan]), "nan"),
        (ExplicitScan([math.inf]), "inf"),
        (RangeScan(math.nan, 1.0, 3), "nan"),
        (RangeScan(0.0, 3.0, 4), "must be in 0 … 2 s"),
    ],
)
def test_a_scan_that_cannot_be_is_refused_before_anything_runs(scan: Any, said: str, folder: Path) -> None:
    devices, datasets, given, defaults = managers({"x": scan_of(scan)})
    experiment = Toy((devices, datasets, given, defaults))
    with pytest.raises(UsageError, match=said):
        experiment.prepare()
    assert not list(folder.iterdir()) and not experiment.log


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5]])
def test_one_point_is_not_refined_and_not_measured_either(values: list[float], folder: Path) -> None:
    with pytest.raises(UsageError, match="two or more"):
        carry_out(refine=2, x=scan_of(ExplicitScan(values)))
    assert not list(folder.iterdir())


def test_a_pause_leaves_the_lab_safe_and_the_scan_goes_on() -> None:
    scheduler = Scheduler(pause_at=(3,))
    experiment, devices, _ = carry_out(scheduler=scheduler)
    assert experiment.log == ["begin", (0.0,), (0.25,), "end", "begin", (0.5,), (0.75,), (1.0,), "end"]
    assert devices.closed == scheduler.pauses == 1


def test_a_run_that_is_asked_to_end_keeps_its_points_and_closes_the_lab(capsys: pytest.CaptureFixture[str]) -> None:
    experiment, _, datasets = carry_out(scheduler=Scheduler(end_at=3))
    assert "Stopped after 2 of 5 rows; these are kept" in capsys.readouterr().out
    assert points(experiment) == [(0.0,), (0.25,)] and experiment.log[-1] == "end"
    assert datasets.local["scan.k"].tolist() == [10, 10] and datasets.local["run.complete"] == 0


class Whole(Toy):
    """A measurement without axes, ten rows of which make the whole; asked to end in the fourth, or in the first."""

    axes = ()
    interrupted = 4

    def build(self) -> None:
        self.scan = Scan(self, (), shots=100, repeats=10)
        self.log = []

    def measure(self, point: Any) -> dict[str, Any]:
        if len(self.log) == self.interrupted:
            raise KeyboardInterrupt
        return super().measure(point)


class Hasty(Whole):
    interrupted = 1


def test_ctrl_c_costs_the_row_under_way_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, datasets = carry_out(Whole)
    assert datasets.local["scan.n"].tolist() == [100] * 3 and datasets.local["run.complete"] == 0
    assert "Stopped after 3 of 10 rows; these are kept" in capsys.readouterr().out
    _, _, datasets = carry_out(Hasty)
    assert "scan.n" not in datasets.local
    assert "Stopped before the first of the rows: nothing was measured" in capsys.readouterr().out


class Broken(Toy):
    def measure(self, point: Any) -> dict[str, Any]:
        if point.x > 0.6:
            raise DataError("the detector is gone")
        return super().measure(point)


def test_points_before_a_failure_are_kept_and_are_in_the_journal(folder: Path) -> None:
    devices, datasets, given, defaults = managers({})
    experiment = Broken((devices, datasets, given, defaults))
    experiment.prepare()
    with pytest.raises(DataError, match="detector"):
        experiment.run()
    assert datasets.local["scan.k"].tolist() == [10, 10, 10] and datasets.local["run.complete"] == 0
    (journal,) = folder.glob("*-Broken.journal")
    assert len(read_journal(journal)[1]) == 4  # three rows and the end
    assert fold(journal)["scan.x"].tolist() == [0.0, 0.25, 0.5]


class Uneven(Toy):
    def measure(self, point: Any) -> dict[str, Any]:
        return {"k": 1, "n": 2} if point.x < 0.1 else {"k": 1, "m": 2}


def test_rows_of_different_columns_are_refused() -> None:
    with pytest.raises(DataError, match="same names"):
        carry_out(Uneven)


def test_a_point_names_its_axes_where_another_is_asked_for() -> None:
    class Misspelt(Toy):
        def measure(self, point: Any) -> dict[str, Any]:
            return {"k": point.y, "n": 1}

    with pytest.raises(AttributeError, match="has x"):
        carry_out(Misspelt)
