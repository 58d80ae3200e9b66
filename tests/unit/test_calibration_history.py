"""What the passes left behind: which time-outs have passed, by which clock."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.calibration.graph import Node, State, Verdict
from experiments.calibration.history import History

CAVITY = Node("cavity", "x:X", timeout_s=1200.0)
PUMPING = Node("pumping", "x:X", timeout_s=7200.0)


class Experiment:
    """Persistent datasets and a clock of 1 ns."""

    def __init__(self) -> None:
        self.datasets: dict[str, Any] = {}
        self.core = SimpleNamespace(ref_period=1e-9)

    def get_dataset(self, key: str, archive: bool = True) -> Any:
        assert not archive
        return self.datasets[key]

    def set_dataset(self, key: str, value: Any, persist: bool, archive: bool) -> None:
        assert persist and not archive
        self.datasets[key] = value


@pytest.fixture
def history() -> History:
    return History(Experiment())


def test_a_state_comes_back_as_it_was_kept(history: History) -> None:
    state = State(Verdict.IN_SPEC, 20.0, 10.0, {"param.alice.v_piezo_v": -4.0})
    history.keep("cavity", state, 20.0, 5)
    assert history.state("cavity") == state and history.state("pumping") == State()


def test_a_time_out_passes_once_and_what_was_never_looked_at_has_none(history: History) -> None:
    history.keep("cavity", State(Verdict.IN_SPEC, 1000.0, 500.0), 1000.0, 0)
    nodes = (PUMPING, CAVITY)
    assert history.overdue(nodes, 1000.0 + 1199.0) == []
    assert history.overdue(nodes, 1000.0 + 1201.0) == ["cavity"]
    history.keep("pumping", State(Verdict.IN_SPEC, -1.0, 1000.0), 1000.0, 0)
    assert history.overdue(nodes, 1000.0 + 7201.0) == ["pumping", "cavity"]


def test_the_clock_follows_lab_time_where_that_is_faster_and_utc_where_the_counter_was_reset(history: History) -> None:
    before = time.time()
    assert before <= history.time_s(0) <= time.time()
    history.keep("cavity", State(), before + 3600.0, 10**9)
    assert history.time_s(11 * 10**9) == pytest.approx(before + 3610.0)
    assert before <= history.time_s(0) <= time.time()
