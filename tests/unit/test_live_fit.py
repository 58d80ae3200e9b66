"""Fits while a scan runs: the twin's own, not too often, and never at the cost of a row."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scan_lab import managers
from test_scans import Toy

from analysis.result import Result
from atomlink.errors import DataError
from experiments.sequences import analyse_run, live_fit
from experiments.sequences.live_fit import LEAST_ROWS, LiveFits


class Line:
    """A fit: y = slope x."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    reduced_chi2 = 1.0

    def curve(self, x: Any) -> Any:
        return self.slope * np.asarray(x)


class Twin:
    """An analysis that takes so many seconds of a clock, and counts its calls; its slope is the number of rows."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.takes_s, self.now_s, self.calls = takes_s, 0.0, 0

    def clock(self) -> float:
        return self.now_s

    def analyse(self, run: Any) -> Any:
        self.calls += 1
        self.now_s += self.takes_s
        if run.datasets.get("spoiled"):
            raise run.datasets["spoiled"]
        return Result("toy", {}, fits={"alice": Line(len(run.datasets["scan.x"]))})  # type: ignore[dict-item]


class Rows:
    """Rows of a scan, as many as wanted."""

    def __init__(self, n: int, spoiled: Exception | None = None) -> None:
        self.n, self.spoiled = n, spoiled

    def __len__(self) -> int:
        return self.n

    def datasets(self) -> dict[str, Any]:
        return {"scan.x": list(range(self.n)), "spoiled": self.spoiled}


def fits_by(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> LiveFits:
    for module in (live_fit, analyse_run):
        monkeypatch.setattr(module, "twin_of_experiment", lambda _: twin)
        monkeypatch.setattr(module, "run_of", lambda _, datasets: SimpleNamespace(datasets=datasets))
    return LiveFits(SimpleNamespace(), twin.clock)


def test_a_fit_waits_for_nine_times_what_the_last_one_took_and_that_of_the_result_is_taken_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twin = Twin(takes_s=2.0)
    fits = fits_by(twin, monkeypatch)
    fits.look(Rows(LEAST_ROWS - 1))
    assert twin.calls == 0 and fits.of("alice") is None
    fits.look(Rows(4))
    twin.now_s += 17.9
    fits.look(Rows(5))
    assert twin.calls == 1 and fits.of("alice").slope == 4
    twin.now_s += 0.2
    fits.look(Rows(6))
    assert twin.calls == 2 and fits.of("alice").slope == 6
    fits.take({"alice": Line(7)})
    assert twin.calls == 2 and fits.of("alice").slope == 7 == fits.of("").slope and fits.of("bob") is None


@pytest.mark.parametrize("error", [DataError("no estimate"), IndexError("0"), ZeroDivisionError("x")])
def test_an_analysis_that_cannot_take_half_a_scan_costs_the_curve_alone(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = fits_by(Twin(), monkeypatch)
    fits.look(Rows(5))
    fits.look(Rows(6, error))
    assert fits.of("alice") is None


def test_a_scan_publishes_its_fit_at_each_point_and_the_last_one_is_that_of_the_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """The analysis is called once while it runs, at the fourth row, and once at its end."""
    monkeypatch.chdir(tmp_path)
    twin = Twin(takes_s=1e6)
    fits_by(twin, monkeypatch)
    devices, datasets, given, defaults = managers()
    experiment = Toy((devices, datasets, given, defaults))
    experiment.prepare()
    experiment.run()
    assert datasets.shared["live.Toy.fit"].tolist() == [4 * x for x in datasets.shared["live.Toy.x"]]
    assert analyse_run.conclude(experiment, experiment.scan) is not None and twin.calls == 2
    assert datasets.shared["live.Toy.fit"].tolist() == [5 * x for x in datasets.shared["live.Toy.x"]]
    assert " --fit live.Toy.fit " in devices.issued[0][2]
