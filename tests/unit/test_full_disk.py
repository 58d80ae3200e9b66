"""A disk that is full: one line with what to do, no temporary files, nothing half written, no belief in between."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import pytest
from cli_lab import make_lab, result_files

from analysis import archive, export, load
from analysis.journal import Journal
from analysis.report import report
from atomlink.errors import DataError
from drivers import line_log
from sim import cli
from sim.command.lab import Lab, next_rid

EXPERIMENT = '''
import numpy as np
from artiq.experiment import *

from analysis.journal import Journal


class Large(EnvExperiment):
    def build(self):
        self.setattr_argument("journal", BooleanValue(False))
        self.setattr_argument("fails", BooleanValue(False))
        self.setattr_device("scheduler")

    def run(self):
        if self.journal:
            Journal.create(".", self.scheduler.rid, "Large", {}).close(True)
        self.set_dataset("counts", np.arange(200_000))
        self.set_dataset("kept", 5, persist=True)
        if self.fails:
            raise ValueError("atom lost")
'''
ROOM = 300_000  # bytes of the largest file: enough for the database of datasets, too little for the results


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: EFBIG where a full disk says ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_lab(tmp_path)
    (root / "experiments" / "large.py").write_text(EXPERIMENT)
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("journal", "remedy"),
    [(True, "`atomlink recover"), (False, "free the disk")],
)
def test_results_that_do_not_fit_are_one_line_and_leave_no_temporary_file(
    lab: Path, capsys: pytest.CaptureFixture[str], journal: bool, remedy: str
) -> None:
    with room_for(ROOM):
        assert cli.main(["run", "experiments/large.py", f"journal={journal}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "000000000-Large.h5` cannot be written (File too large)" in line and remedy in line
    assert [path.suffix for path in result_files(lab)] == [".journal"] * journal


def test_what_ended_the_run_is_said_beside_the_full_disk(
    lab: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with room_for(ROOM):
        assert cli.main(["run", "experiments/large.py", "fails=True"]) == 1
    assert "ValueError: atom lost" in capsys.readouterr().err
    assert [record.message for record in caplog.records if "cannot be written (File too large)" in record.message]
    assert result_files(lab) == []


def test_results_go_where_temporary_files_go_where_their_disk_is_full(
    lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spare = tmp_path / "spare"
    spare.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    write_whole = archive.write_whole

    def full(path: Path, content: bytes, remedy: str = "") -> None:
        if path.parent != spare:
            raise DataError(f"File `{path}` cannot be written (No space left on device): free the disk.")
        write_whole(path, content, remedy)

    monkeypatch.setattr(archive, "write_whole", full)
    assert cli.main(["run", "experiments/large.py"]) == 2
    assert f"Meanwhile it is kept as {spare}/000000000-Large.h5: move it." in capsys.readouterr().err
    assert len(load(spare / "000000000-Large.h5").datasets["counts"]) == 200_000 and result_files(lab) == []


def write_csv(run: Any, folder: Path) -> None:
    export.to_csv(run, folder)


@pytest.mark.parametrize(
    "write",
    [lambda run, folder: report(run.path), write_csv, lambda run, folder: archive.write_results(
        folder / "new.h5", {"rid": 1, "class_name": "New", "created": 1.0}, run.datasets)],
    ids=["page", "CSV", "HDF5"],
)  # fmt: skip
def test_every_file_is_written_whole_or_not_at_all(tmp_path: Path, write: Any) -> None:
    archive.write_results(tmp_path / "000000001-Made.h5", {"rid": 1, "class_name": "Made", "created": 1.0},
                          {"scan.x": list(range(5000))})  # fmt: skip
    run = load(tmp_path / "000000001-Made.h5")
    with room_for(1000), pytest.raises(DataError, match=r"cannot be written \(File too large\): free the disk"):
        write(run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["000000001-Made.h5"]


def test_a_run_number_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "last_rid.pyon").write_text("41\n")
    with room_for(0), pytest.raises(DataError, match="last_rid.pyon` cannot be written"):
        next_rid(Lab(tmp_path), tmp_path / "results")
    assert (tmp_path / "last_rid.pyon").read_text() == "41\n" and len(list(tmp_path.iterdir())) == 1


def test_a_journal_that_cannot_begin_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with room_for(10), pytest.raises(DataError, match=r"cannot be written \(File too large\): free the disk"):
        Journal.create(tmp_path, 1, "Full", {})
    assert list(tmp_path.iterdir()) == []


NAME = "param.alice.t_mw_pi_s"


def belief(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert cli.main(["params", "get", NAME]) == 0
    return capsys.readouterr().out.splitlines()[0].split(" = ")[1]


@pytest.mark.usefixtures("lab")
def test_a_belief_that_cannot_be_logged_is_not_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["params", "set", NAME, "7", "us"]) == 0
    with room_for(os.path.getsize("params.log") + 20):
        assert cli.main(["params", "set", NAME, "8", "us"]) == 2
    assert "params.log` cannot be written (File too large): free the disk" in capsys.readouterr().err
    assert belief(capsys) == "7e-06 s"


@pytest.mark.usefixtures("lab")
def test_a_belief_that_is_logged_counts_and_is_no_failure_where_the_datasets_cannot_be_saved(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from artiq.master.databases import DatasetDB

    def full(_database: Any) -> None:
        raise lmdb.DiskError("mdb_txn_commit: No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(DatasetDB, "save", full)
        assert cli.main(["params", "set", NAME, "9", "us"]) == 0
    said = capsys.readouterr().out
    assert f"{NAME} = 9e-06" in said and "note: The persistent datasets cannot be saved" in said
    assert belief(capsys) == "9e-06 s"
    assert cli.main(["params", "set", "param.bob.t_mw_pi_s", "8", "us"]) == 0  # which brings the datasets up to date
    assert belief(capsys) == "9e-06 s"


def test_a_log_whose_fsync_fails_is_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.log"
    line_log.append(path, {"a": 1})
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(DataError, match="No space left on device"):
            line_log.append(path, {"a": 2})
    assert path.read_bytes() == before


def test_datasets_that_cannot_be_saved_are_told_and_the_results_are_there(
    lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from artiq.master.databases import DatasetDB

    monkeypatch.setattr(DatasetDB, "save", lambda _database: (_ for _ in ()).throw(lmdb.DiskError("No space left")))
    assert cli.main(["run", "experiments/large.py"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith("atomlink: error: The persistent datasets cannot be saved (No space left)")
    assert load(result_files(lab)[0]).datasets["kept"] == 5
