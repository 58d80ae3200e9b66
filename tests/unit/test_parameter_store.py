"""The parameter store: every change is recorded, nothing half done is left behind, and what cannot be is refused."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_lab import DEVICE_DB

from analysis.estimates import Estimate
from analysis.result import Result
from atomlink.errors import DataError, UsageError
from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import line_log, parameter_log, parameters
from drivers.parameter_store import ParameterStore, checked_value
from experiments.sequences import analyse_run
from sim.cli import main

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

LARMOR, PULSE = "param.alice.f_larmor_hz", "param.bob.t_mw_pi_s"


class Datasets(dict[str, Any]):
    """Persistent datasets in memory; `fails_at` counts down to a write that never comes."""

    fails_at = -1

    def get(self, key: str) -> Any:  # type: ignore[override]
        return self[key]

    def set(self, key: str, value: float | int, unit: str) -> None:
        if self.fails_at == 0:
            raise KeyboardInterrupt("killed here")
        self.fails_at -= 1
        self[key] = value


@pytest.fixture
def datasets() -> Datasets:
    return Datasets()


@pytest.fixture
def store(tmp_path: Path, datasets: Datasets) -> ParameterStore:
    return ParameterStore(datasets, tmp_path, "test", rid=7)


def test_a_change_records_value_unit_evidence_and_what_was_before(store: ParameterStore, datasets: Datasets) -> None:
    store.set_all({LARMOR: (1.41, "MHz")}, "Ramsey", {LARMOR: {"error": 2e3, "n": 400}}, {"alice": {"chi2": 3.0}})
    (row,) = store.revisions()
    change = row.changes[LARMOR]
    assert (change.value, change.previous, change.unit, change.error, change.n) == (1.41e6, 1.40e6, "Hz", 2e3, 400)
    assert (row.revision, row.rid, row.who, row.why, row.fits) == (1, 7, "test", "Ramsey", {"alice": {"chi2": 3.0}})
    assert row.time.endswith("+00:00")
    assert datasets == {LARMOR: 1.41e6, "params.revision": 1} and store.get(LARMOR) == 1.41e6


@pytest.mark.parametrize(
    ("name", "value", "unit", "said"),
    [
        (LARMOR, 1.0, "s", "must be in Hz"),
        (LARMOR, 1.0, "Mhz", "must be in Hz"),
        (LARMOR, float("nan"), None, "finite"),
        (LARMOR, float("inf"), "Hz", "finite"),
        ("param.alice.f_larmr_hz", 1.0, "Hz", "f_larmor_hz"),
        ("param.midpoint.visibility", 0.9, "s", "must be in 1"),
        ("param.alice.t_raman_pi_s", -3.0, "us", "-3e-06 s, must be from 1e-09 to 0.1 s: check sign"),
        ("param.alice.t_raman_pi_s", 100.0, "s", "from 1e-09 to 0.1 s"),
        ("param.alice.a_excitation", 1.01, None, "must be from 0 to 1: "),
        ("param.alice.att_cooling_db", 32.0, "dB", "from 0 to 31.5 dB"),
        ("param.midpoint.n_recooling", 2.5, None, "whole number from 1 "),
        ("param.midpoint.n_recooling", 0.0, None, "whole number from 1 "),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    store: ParameterStore, datasets: Datasets, name: str, value: float, unit: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        store.set_all({PULSE: (9e-6, "s"), name: (value, unit)})
    assert not datasets and not store.revisions()


def test_every_default_is_in_its_range_and_both_ends_are_accepted() -> None:
    for row in TABLE.values():
        assert -math.inf < row.lowest <= row.default <= row.highest < math.inf and row.lowest < row.highest, row
        assert not row.whole or row.default.is_integer(), row
        assert checked_value(row.name, row.lowest, None) == row.lowest
        assert checked_value(row.name, row.highest, row.unit) == row.highest


def test_a_result_that_cannot_be_believed_is_said_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(parameter_log.ROOT_VARIABLE, str(tmp_path))
    estimate = Estimate(1.02, 0.01, 50, "", "")
    result = Result("HOM", {}, updates={
        "param.midpoint.visibility": estimate, PULSE: Estimate(9e-6, 1e-7, 50, "", "s")})  # fmt: skip
    reader = Reader(Datasets())
    assert not analyse_run._apply(reader, result)
    assert "does not become what the lab believes" in capsys.readouterr().out
    assert reader.own.keys() == {"fit.refused", "run.digest"} and not (tmp_path / parameter_log.FILE).exists()


def test_a_run_files_what_it_believed_before_and_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(parameter_log.ROOT_VARIABLE, str(tmp_path))
    reader = Reader(Datasets({PULSE: 1e-5}))
    assert analyse_run._apply(reader, Result("Rabi", {}, updates={PULSE: Estimate(9e-6, 1e-7, 50, "", "s")}))
    assert (reader.own[f"fit.previous.{PULSE}"], reader.own[f"fit.applied.{PULSE}"]) == (1e-5, 9e-6)


def test_a_belief_is_archived_once_however_many_parts_of_a_run_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from artiq.experiment import EnvExperiment, HasEnvironment  # this module is imported without the runtime, too
    from artiq.master.databases import DatasetDB
    from artiq.master.worker_db import DatasetManager

    monkeypatch.setenv(parameter_log.ROOT_VARIABLE, str(tmp_path))
    database = DatasetDB(tmp_path / "dataset_db.mdb")
    database.set(LARMOR, 1.41e6, persist=True)
    manager = DatasetManager(database)
    run = EnvExperiment((None, manager, None, {}))
    for part in (run, HasEnvironment(run), HasEnvironment(run)):
        assert parameters.get(part, LARMOR) == 1.41e6
    assert manager.archive == {LARMOR: 1.41e6} and not caplog.records
    later = DatasetManager(database)
    parameters.get(EnvExperiment((None, later, None, {})), LARMOR)
    database.close_db()
    assert later.archive == {LARMOR: 1.41e6}  # the next run files it again


def test_rollback_restores_all_and_is_itself_recorded(store: ParameterStore) -> None:
    store.set(LARMOR, 1.41e6)
    store.set_all({LARMOR: (1.42e6, None), PULSE: (9.0, "us")})
    store.rollback(1)
    assert (store.get(LARMOR), store.get(PULSE)) == (1.41e6, TABLE[PULSE].default)
    store.rollback(2)
    assert (store.get(LARMOR), store.get(PULSE)) == (1.42e6, 9e-6)
    store.rollback(0)
    assert store.at(0) == {name: store.get(name) for name in (LARMOR, PULSE)}
    assert [row.why for row in store.revisions()[2:]] == [f"rollback to revision {n}" for n in (1, 2, 0)]


@pytest.mark.parametrize("revision", [-1, 2, 99])
def test_rollback_to_an_unknown_revision_is_refused(store: ParameterStore, datasets: Datasets, revision: int) -> None:
    store.set(LARMOR, 1.41e6)
    with pytest.raises(UsageError, match=r"must be 0 … 1"):
        store.rollback(revision)
    assert datasets[LARMOR] == 1.41e6 and len(store.revisions()) == 1


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_a_process_that_ends_between_log_and_datasets_loses_nothing(
    store: ParameterStore, datasets: Datasets, writes: int
) -> None:
    """Killed after the log and 0, 1 or 2 of the 3 dataset writes: the revision counts; the next writer completes it."""
    store.set(LARMOR, 1.41e6)
    datasets.fails_at = writes
    with pytest.raises(KeyboardInterrupt):
        store.set_all({LARMOR: (1.42e6, None), PULSE: (9e-6, None)})
    datasets.fails_at = -1
    assert (store.get(LARMOR), store.get(PULSE)) == (1.42e6, 9e-6)
    store.reconcile()
    assert datasets == {LARMOR: 1.42e6, PULSE: 9e-6, "params.revision": 2}


def test_a_dataset_edited_by_hand_wins_and_is_recorded(store: ParameterStore, datasets: Datasets) -> None:
    store.set(LARMOR, 1.41e6)
    datasets[LARMOR] = 1.45e6
    assert store.get(LARMOR) == 1.45e6 and store.edited_without()[LARMOR].previous == 1.41e6
    store.set(PULSE, 9e-6)
    rows = store.revisions()
    assert [(row.why, row.changes.get(LARMOR) and row.changes[LARMOR].value) for row in rows[1:]] == [
        ("dataset edited without the store", 1.45e6), ("set", None)]  # fmt: skip


class Snapshot(Datasets):
    """Datasets as artiq_run has them: those of its start, and written back when it ends, what it has set."""

    def __init__(self, disk: dict[str, Any]) -> None:
        super().__init__(disk)
        self.disk, self.pending = disk, set[str]()

    def set(self, key: str, value: float | int, unit: str) -> None:
        super().set(key, value, unit)
        self.pending.add(key)

    def end(self) -> None:
        self.disk.update({key: self[key] for key in self.pending})


@pytest.mark.parametrize("order", ["long short", "short long"])
def test_runs_that_save_when_they_end_take_nothing_back(tmp_path: Path, order: str) -> None:
    """A long run sets one belief, another process sets it anew, a third run sets another one; they end in any order."""
    disk: dict[str, Any] = {}
    ends = {"long": Snapshot(disk)}
    ParameterStore(ends["long"], tmp_path, "long").set(LARMOR, 1.41e6)
    with_disk = Snapshot(disk)
    ParameterStore(with_disk, tmp_path, "command").set(LARMOR, 1.42e6)
    with_disk.end()
    ends["short"] = Snapshot(disk)
    ParameterStore(ends["short"], tmp_path, "short").set(PULSE, 9e-6)
    for name in order.split():
        ends[name].end()
        store = ParameterStore(Snapshot(disk), tmp_path, "reader")
        assert store.get(LARMOR) == 1.42e6 and store.get(PULSE) == 9e-6
    last = Snapshot(disk)
    ParameterStore(last, tmp_path, "last").set(PULSE, 8e-6)
    last.end()
    assert (disk[LARMOR], disk[PULSE], disk["params.revision"]) == (1.42e6, 8e-6, 4)
    assert {row.who for row in store.revisions()} == {"long", "command", "short", "last"}


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_cut_last_line_is_dropped_and_the_history_goes_on(store: ParameterStore, tmp_path: Path, cut: int) -> None:
    store.set(LARMOR, 1.41e6)
    store.set(LARMOR, 1.42e6)
    path = tmp_path / parameter_log.FILE
    path.write_bytes(path.read_bytes()[:-cut])
    assert [row.revision for row in store.revisions()] == [1]
    store.set(PULSE, 9e-6)
    assert [row.revision for row in store.revisions()][-1] in (2, 3) and len(path.read_bytes().splitlines()) >= 2


def test_damage_inside_the_history_is_an_error_and_not_overwritten(store: ParameterStore, tmp_path: Path) -> None:
    store.set(LARMOR, 1.41e6)
    store.set(LARMOR, 1.42e6)
    path = tmp_path / parameter_log.FILE
    damaged = path.read_bytes().replace(b"1410000", b"1410001", 1)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="line 1"):
        store.set(PULSE, 9e-6)
    assert path.read_bytes() == damaged


WRITER = """
import sys
from pathlib import Path
from drivers.parameter_store import ParameterStore
from test_parameter_store import Datasets, PULSE

store = ParameterStore(Datasets(), Path(sys.argv[1]), "writer")
for n in range(1, 100000):
    store.set(PULSE, n * 1e-9)
    print(n, flush=True)
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_writer_killed_at_any_moment_leaves_every_acknowledged_revision(tmp_path: Path, seed: int) -> None:
    """kill -9, at another moment each time: what was acknowledged is in the history, which goes on."""
    here = Path(__file__).resolve()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(here.parent), str(here.parents[2])))}
    words = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment) as job:
        assert job.stdout is not None
        for _ in range(seed):
            last = int(job.stdout.readline())
        time.sleep(seed * 1e-3)
        job.send_signal(signal.SIGKILL)
        last = int((job.stdout.read().split() or [last])[-1])
    rows = line_log.read(tmp_path / parameter_log.FILE)
    assert [row["revision"] for row in rows] == list(range(1, len(rows) + 1)) and len(rows) >= last
    store = ParameterStore(Datasets(), tmp_path, "test")
    assert store.get(PULSE) == len(rows) * 1e-9
    assert store.set(PULSE, 5e-6) is not None


class Reader:
    """An experiment as far as `parameters.get` and the store need one."""

    scheduler = SimpleNamespace(rid=7)

    def __init__(self, datasets: Datasets) -> None:
        self.datasets, self.own = datasets, {}  # type: ignore[var-annotated]

    def get_dataset(self, key: str, *default: Any, archive: bool = True) -> Any:
        return {**self.datasets, **self.own}[key] if not default else {**self.datasets}.get(key, default[0])

    def set_dataset(self, key: str, value: Any, **_: Any) -> None:
        self.own[key] = value


def test_an_experiment_reads_a_revision_that_the_datasets_have_not_followed(
    store: ParameterStore, datasets: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(parameter_log.ROOT_VARIABLE, str(tmp_path))
    datasets.fails_at = 0
    with pytest.raises(KeyboardInterrupt):
        store.set(LARMOR, 1.41e6)
    assert parameters.get(Reader(datasets), LARMOR) == 1.41e6
    assert parameters.get(Reader(datasets), PULSE) == TABLE[PULSE].default


# -- the command


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "device_db.py").write_text(DEVICE_DB)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sim.command.params.MASTER_PORT", 1)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["params", *words]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


@pytest.mark.parametrize("words", ["-h", "help", "rollback -h", "log --help", "set -h", "get param.x -h"])
def test_help_is_given_wherever_it_is_asked_for(lab: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    assert "atomlink params rollback REVISION" in said(capsys, *words.split())
    assert not (lab / parameter_log.FILE).exists()


@pytest.mark.parametrize(("unit", "scale"), [("/s", 1), ("1/s", 1), ("Hz", 1), ("kHz", 1e3), ("s", None), ("", None)])
def test_a_rate_of_events_is_per_second_and_hertz_is_understood(unit: str, scale: float | None) -> None:
    row = parameters.parameter("param.midpoint.dark_rate_hz")
    assert row.unit == "/s" and parameters.scale_of(unit, row.unit) == scale


@pytest.mark.usefixtures("lab")
def test_the_command_sets_lists_compares_and_rolls_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{LARMOR} = 1410000 Hz, was 1400000" in said(capsys, "set", LARMOR, "1.41", "MHz")
    said(capsys, "set", "param.bob.v_shim_x_v", "-300", "mV")
    listed = said(capsys, "list", "larmor")
    assert "1410000  Hz  1400000" in listed and "atomlink params" in listed and "bob" in listed
    assert "default 1400000 Hz" in said(capsys, "get", LARMOR)
    assert "-0.3" in said(capsys, "diff", "1") and "larmor" not in said(capsys, "diff", "1")
    assert "+0.714 %" in said(capsys, "diff", "0", "1")
    assert "rollback to revision 1" in said(capsys, "rollback", "1")
    assert "nothing to do" in said(capsys, "rollback", "1")
    assert said(capsys, "log").count("UTC atomlink params") == 3
    assert said(capsys, "log", "param.bob.v_shim_x_v").count("UTC") == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("set", LARMOR, "1.41", "ms"), "must be in Hz"),
        (("set", LARMOR, "fast"), "must be a number"),
        (("set", LARMOR, "1.4MHz"), "then perhaps a blank and a unit, as in `2.1 us`"),
        (("set", LARMOR, "-1", "MHz"), "from 0 to 1e+10 Hz: check sign"),
        (("set", LARMOR, "nan"), "finite"),
        (("set", "param.alice.nix", "1"), "does not exist"),
        (("rollback", "9"), "must be 0 … 1"),
        (("rollback", "-1"), "does not exist"),
        (("get",), "`params get` takes 1 word, was given 0"),
        (("rollback", "1", "2"), "`params rollback` takes 1 word, was given 2"),
        (("set", LARMOR), "takes 2 or 3 words, was given 1"),
        (("list", "a", "b"), "takes at most 1 word, was given 2"),
        (("diff", "1", "2", "3"), "takes at most 2 words, was given 3"),
        (("list", "xyz"), "no parameter"),
        (("erase",), "must be one of"),
    ],
)
def test_bad_input_is_one_line_and_leaves_the_store_unchanged(
    lab: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
) -> None:
    said(capsys, "set", LARMOR, "1.41", "MHz")
    before = (lab / parameter_log.FILE).read_bytes()
    text = said(capsys, *words, code=2)
    assert expected in text and len(text.splitlines()) == 1
    assert (lab / parameter_log.FILE).read_bytes() == before
    assert "1410000" in said(capsys, "get", LARMOR)
