"""Shots survive: kill -9 at random instants, torn and corrupted tails, a full disk, unreadable results files."""

import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import schema
from analysis.journal import Journal, fold, read_journal, recover
from analysis.load import load
from analysis.records import header_line, record
from atomlink.errors import DataError
from experiments.sequences.recorder import open_journal

CHILD = """
import sys
from analysis.journal import Journal
header = {"datasets": {"link.nodes": "alice,bob"}}
with Journal.create(sys.argv[1], int(sys.argv[2]), "Killed", header, fsync_s=0.02) as journal:
    for k in range(10**9):
        journal.append({"pattern": 3, "attempts": k, "t_click_mu": [k, k + 1], "link.attempts": k})
        sys.stdout.write(f"{k}\\n")
        sys.stdout.flush()
"""
KILLS = 20


def row(k: int) -> dict[str, object]:
    return {"pattern": 3, "attempts": k + 1, "counts": [400, k], "link.attempts": 10 * k}


ROWS = [*map(row, range(40)), {"run.complete": 1}]  # of `whole`


def make(folder: Path, rows: int, rid: int = 1, complete: bool = True) -> Path:
    with Journal.create(folder, rid, "Made", {"datasets": {"link.nodes": "alice,bob"}, "start_time": 5.0}) as journal:
        for k in range(rows):
            journal.append(row(k))
        journal.close(complete)
    return journal.path


def kill_a_run(folder: Path, rid: int, delay_s: float) -> tuple[int, int]:
    """Start a child that writes shots, kill it `delay_s` after its first; return (acknowledged shots, exit code)."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder), str(rid)], stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdout.readline() == b"0\n"
    killer = threading.Timer(delay_s, child.send_signal, [signal.SIGKILL])
    killer.start()
    acknowledged = 1 + child.stdout.read().count(b"\n")
    child.stdout.close()
    return acknowledged, child.wait()


def test_every_acknowledged_shot_survives_kill_9_at_20_random_instants(tmp_path: Path) -> None:
    instants = random.Random(20)
    delays = [instants.uniform(0.0, 0.05) for _ in range(KILLS)]
    with ThreadPoolExecutor(4) as pool:
        runs = dict(enumerate(pool.map(kill_a_run, [tmp_path] * KILLS, range(KILLS), delays)))
    recovered = {int(entry.journal.name[:9]): entry for entry in recover(tmp_path)}
    assert recovered.keys() == runs.keys()
    for rid, (acknowledged, code) in runs.items():
        assert code == -signal.SIGKILL
        assert recovered[rid].action == "written"
        data = load(recovered[rid].journal.with_suffix(".h5")).datasets
        assert acknowledged <= len(data["shots.attempts"]) <= acknowledged + 1  # one may be written, not yet told
        assert np.array_equal(data["shots.attempts"], np.arange(len(data["shots.attempts"])))
        assert data["run.complete"] == 0
    assert sum(acknowledged for acknowledged, _ in runs.values()) > 20 * KILLS
    assert {entry.action for entry in recover(tmp_path)} == {"kept"}


@pytest.mark.slow  # timed: for a machine that is idle
def test_an_append_takes_at_most_20_us_where_the_machine_is_idle(tmp_path: Path) -> None:
    with Journal.create(tmp_path, 1, "Timed", {}) as journal:
        batches = []
        for _ in range(30):
            start = time.perf_counter()
            for k in range(200):
                journal.append(row(k))
            batches.append((time.perf_counter() - start) / 200)
    assert min(batches) < 20e-6  # the best batch: other processes share the machine


@given(cut=st.integers(0, 4000))
@settings(max_examples=60, deadline=None)
def test_a_journal_cut_anywhere_gives_the_rows_before_the_cut(whole: bytes, folder: Path, cut: int) -> None:
    ends = record_ends(whole)
    path = folder / "cut.journal"
    path.write_bytes(whole[:cut])
    if cut < ends[0]:
        with pytest.raises(DataError):
            read_journal(path)
        return
    _, rows, torn = read_journal(path)
    assert rows == [kept for kept, end in zip(ROWS, row_ends(whole), strict=True) if end <= cut]
    assert torn == min(cut, len(whole)) - max(end for end in ends if end <= cut)


@given(at=st.integers(0, 10**6), flip=st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_a_corrupted_byte_costs_its_own_row_and_no_other(whole: bytes, folder: Path, at: int, flip: int) -> None:
    at %= len(whole)
    damaged = bytearray(whole)
    damaged[at] ^= flip
    path = folder / "000000001-Made.journal"
    path.write_bytes(damaged)
    header, rows, torn = read_journal(path)
    hit = next((k for k, end in enumerate(row_ends(whole)) if row_starts(whole)[k] <= at < end), None)
    assert rows == [kept for k, kept in enumerate(ROWS) if k != hit]
    assert torn > 0 and (header["rid"], header["datasets"]) == (1, {"link.nodes": "alice,bob"})


@pytest.mark.parametrize("times", [30, pytest.param(1000, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))])
def test_damage_of_a_journal_costs_only_the_rows_that_it_hits(whole: bytes, folder: Path, times: int) -> None:
    """Sixty-four bytes at random places, header included; every row that they leave alone is recovered."""
    path, chance = folder / "000000007-Made.journal", random.Random(64)
    for _ in range(times):
        at = chance.randrange(len(whole))
        path.write_bytes(whole[:at] + chance.randbytes(64) + whole[at + 64 :])
        header, rows, torn = read_journal(path)
        starts, ends = row_starts(whole), row_ends(whole)
        left = [kept for k, kept in enumerate(ROWS) if ends[k] <= at or starts[k] >= at + 64]
        assert rows == left and torn > 0 and header["datasets"] == {"link.nodes": "alice,bob"}
        (entry,) = recover(path)
        data = load(path.with_suffix(".h5")).datasets
        assert entry.action == "written"
        assert data["shots.attempts"].tolist() == [kept["attempts"] for kept in left if "attempts" in kept]
        path.with_suffix(".h5").unlink()


def test_a_header_and_its_copy_that_are_both_spoiled_leave_the_rows(whole: bytes, folder: Path) -> None:
    header, copy = whole.index(b"created"), whole.rindex(b"created")
    damaged = bytearray(whole)
    damaged[header] ^= 1
    damaged[copy] ^= 1
    path = folder / "000000007-Made.journal"
    path.write_bytes(damaged)
    found, rows, _ = read_journal(path)
    assert rows == ROWS and (found["rid"], found["class_name"], found["columns"]) == (7, "Made", "shots")


ODD_ROWS: list[dict[str, object]] = [
    {"note": "\ud800"}, {".": 1}, {"..": [1]}, {"": 5}, {"a\0b": 1}, {"note": "a\0b"}, {"a/b.c": 1, "a.b": 2},
    {"link.veto_mu": "junk"}, {"link.veto_mu": [[1]]}, {"link.veto_mu": [[1, "x"]]}, {"link.veto_mu": 5},
    {"t_herald_mu": "early"}, {"t_herald_mu": 10**400}, {"x": 10**400}, {"x": [1.5, 10**400]}, {"x": {"y": [1]}},
    {"link.attempts": None}, {"run.complete": [1, 2]}, {"x": [[1], [2, 3]]}, {"x": float("nan")},
    {"link.nodes/x": 1, "link.nodes": "a"}, {"\ud800.x": 1}, {".header": "x"}, {"/": 1, "/abs.x": 2},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD_ROWS, ids=ascii)
def test_an_odd_row_ends_neither_its_own_recovery_nor_that_of_others(tmp_path: Path, odd: dict[str, object]) -> None:
    for rid in (1, 3):
        make(tmp_path, 2, rid=rid)
    with Journal.create(tmp_path, 2, "Odd", {"datasets": {"link.nodes": "alice,bob"}}) as journal:
        journal.append({"pattern": 3, "t_herald_mu": 10})
        journal.append(odd)
        journal.append({"pattern": 12, "t_herald_mu": 20})
    assert [entry.action for entry in recover(tmp_path)] == ["written"] * 3
    patterns = load(tmp_path / "000000002-Odd.h5").datasets["shots.pattern"]
    assert [k for k in np.asarray(patterns).tolist() if k != -1] == [3, 12]
    assert {entry.action for entry in recover(tmp_path)} == {"kept"}


ODD_HEADERS: list[str] = [
    "[]", "5", "{}", '{"datasets": [1]}', '{"datasets": {".": 1, "x": "\\ud800"}}', '{"rid": "x", "created": "y"}',
    '{"columns": 5, "archive": {"": 1}, "expid": [1]}', '{"expid": "\\ud800"}', '{"rid": 1' + "0" * 30 + "}",
    '{"expid": {"class_name": "\\u0000"}, "columns": "/"}', '{"created": 1e999, "artiq_version": "\\u0000"}',
    '{"a":' * 2000 + "1" + "}" * 2000, "not json",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD_HEADERS, ids=range(len(ODD_HEADERS)))
def test_an_odd_header_with_a_valid_checksum_is_made_good(tmp_path: Path, text: str) -> None:
    journal = tmp_path / "000000005-Odd.journal"
    payload = b'{"pattern":3}'
    journal.write_bytes(header_line(text.encode()) + record(payload))
    make(tmp_path, 1, rid=6)
    assert [entry.action for entry in recover(tmp_path)] == ["written", "written"]
    run = load(journal.with_suffix(".h5"))
    assert [3] in [np.asarray(value).tolist() for value in run.datasets.values()]


@given(tail=st.binary(min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_junk_at_the_end_is_counted_and_harms_nothing(whole: bytes, folder: Path, tail: bytes) -> None:
    path = folder / "junk.journal"
    path.write_bytes(whole + tail)
    _, rows, torn = read_journal(path)
    assert (rows, torn) == (ROWS, len(tail))


def test_zeros_that_a_power_cut_leaves_are_no_rows(whole: bytes, folder: Path) -> None:
    path = folder / "zeros.journal"
    path.write_bytes(whole + bytes(4096))
    assert read_journal(path)[2] == 4096


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journals")


@pytest.fixture(scope="module")
def whole(folder: Path) -> bytes:
    return make(folder, 40).read_bytes()


def record_ends(data: bytes) -> list[int]:
    """Return the end of the header line and of each record."""
    ends = [data.index(b"\n") + 1]
    while ends[-1] < len(data):
        ends.append(ends[-1] + 8 + struct.unpack_from("<I", data, ends[-1])[0])
    return ends


def row_ends(data: bytes) -> list[int]:
    """Return the end of each row: the record after the first one repeats the header."""
    ends = record_ends(data)
    return [ends[1], *ends[3:]]


def row_starts(data: bytes) -> list[int]:
    """Return the start of each row."""
    ends = record_ends(data)
    return [ends[0], *ends[2:-1]]


def test_folding_gives_the_arrays_that_the_schema_promises(tmp_path: Path) -> None:
    data = fold(make(tmp_path, 3))
    assert data["shots.pattern"].dtype == np.int32 and data["shots.attempts"].dtype == np.int64
    assert data["shots.counts"].tolist() == [[400, 0], [400, 1], [400, 2]]
    assert (data["link.attempts"], data["link.nodes"], data["run.complete"]) == (20, "alice,bob", 1)
    assert schema.misfits(data) == []


def test_a_row_without_a_column_keeps_its_place(tmp_path: Path) -> None:
    with Journal.create(tmp_path, 1, "Gap", {}) as journal:
        journal.append({"pattern": 3, "counts": [1, 2], "note": "a"})
        journal.append({"pattern": 12, "level": 0.5})
    data = fold(journal.path)
    assert data["shots.counts"].tolist() == [[1, 2], [-1, -1]]
    assert np.isnan(data["shots.level"][0]) and data["shots.level"][1] == 0.5
    assert data["shots.note"].tolist() == [b"a", b""]


def test_values_that_fit_no_dataset_are_recovered_as_text(tmp_path: Path) -> None:
    with Journal.create(tmp_path, 1, "Odd", {"datasets": {"link.odd": {"a": 1}}}) as journal:
        journal.append({"pattern": 3, "ragged": [1]})
        journal.append({"pattern": 2**40, "ragged": [1, 2]})
    (entry,) = recover(journal.path)
    data = load(entry.journal.with_suffix(".h5")).datasets
    assert (data["shots.ragged"], data["link.odd"]) == ("[[1], [1, 2]]", '{"a": 1}')
    assert data["shots.pattern"] == f"[3, {2**40}]"
    assert entry.shots == 2


def test_numpy_values_are_written_and_objects_are_refused(tmp_path: Path) -> None:
    with Journal.create(tmp_path, 1, "Numpy", {}) as journal:
        journal.append({"pattern": np.int32(3), "counts": np.array([1, 2], dtype=np.int32)})
        with pytest.raises(DataError, match="int, float, str and lists"):
            journal.append({"pattern": object()})
        journal.append({"pattern": 12, "counts": [3, 4]})
    assert fold(journal.path)["shots.counts"].tolist() == [[1, 2], [3, 4]]


def test_a_closed_journal_refuses_rows_and_a_second_one_of_the_same_name(tmp_path: Path) -> None:
    path = make(tmp_path, 1)
    with pytest.raises(DataError, match="exists already"):
        Journal.create(tmp_path, 1, "Made", {})
    with Journal.create(tmp_path, 2, "Made", {}) as journal:
        pass
    with pytest.raises(DataError, match="closed"):
        journal.append({"pattern": 3})
    with pytest.raises(DataError, match="folder must exist"):
        Journal.create(tmp_path / "nowhere", 1, "Made", {})
    assert len(read_journal(path)[1]) == 2


def test_a_run_that_raises_is_not_complete(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Journal.create(tmp_path, 1, "Stopped", {}) as journal:
        journal.append(row(0))
        raise KeyboardInterrupt
    assert fold(journal.path)["run.complete"] == 0


def test_a_full_disk_is_told_and_leaves_no_half_record(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from analysis.journal import Journal, read_journal\n"
        "from atomlink.errors import DataError\n"
        "journal = Journal.create(sys.argv[1], 1, 'Full', {})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "k = 0\n"
        "try:\n"
        "    while True:\n"
        "        journal.append({'attempts': k})\n"
        "        k += 1\n"
        "except DataError as error:\n"
        "    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "journal.append({'attempts': k})\n"
        "journal.close(True)\n"
        "_, rows, torn = read_journal(journal.path)\n"
        "print(torn, [row['attempts'] for row in rows[:-1]] == list(range(k + 1)))\n"
    )
    told = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    message, verdict = told.stdout.splitlines()
    assert "cannot be written (File too large)" in message
    assert verdict == "0 True"


def test_recover_replaces_what_is_unreadable_and_keeps_it_aside(tmp_path: Path) -> None:
    journal = make(tmp_path, 5)
    results = journal.with_suffix(".h5")
    results.write_bytes(b"\x89HDF\r\n\x1a\n killed while writing")
    (entry,) = recover(results)
    assert entry.action == "written" and "5 shots" in str(entry)
    run = load(results)
    assert (run.rid, run.class_name, run.start_time) == (1, "Made", 5.0)
    assert run.metadata["link.attempts"] == {} and len(run.datasets["shots.pattern"]) == 5
    assert (tmp_path / "000000001-Made.h5.unreadable").read_bytes().endswith(b"writing")


def test_recover_leaves_good_files_alone_and_can_be_repeated(tmp_path: Path) -> None:
    journal = make(tmp_path, 5)
    good = journal.with_suffix(".h5")
    with h5py.File(good, "w") as file:  # as ARTIQ's master writes it: without our digest
        for key, value in fold(journal).items():
            file[f"datasets/{key}"] = value
    before = good.read_bytes()
    lost = make(tmp_path, 4, rid=2).with_suffix(".h5")
    assert [entry.action for entry in recover(tmp_path)] == ["kept", "written"]
    written = lost.read_bytes()
    assert [entry.action for entry in recover(tmp_path)] == ["kept", "kept"]
    assert (good.read_bytes(), lost.read_bytes()) == (before, written)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_a_file_without_the_shots_of_its_journal_is_completed(tmp_path: Path) -> None:
    """As a run leaves it that was interrupted while it filed them."""
    journal = make(tmp_path, 5)
    results = journal.with_suffix(".h5")
    with h5py.File(results, "w") as file:
        file["datasets/fit.x"] = 1.5
        file["datasets/fit.x"].attrs["unit"] = "s"
        file["archive/param.y"] = 2.0
        file["expid"] = "{}"
    (entry,) = recover(tmp_path)
    run = load(results)
    assert entry.action == "written" and "incomplete" in entry.detail
    assert len(run.datasets["shots.pattern"]) == 5 and run.datasets["fit.x"] == 1.5
    assert run.metadata["fit.x"] == {"unit": "s"} and run.archive == {"param.y": 2.0}
    assert (tmp_path / "000000001-Made.h5.incomplete").is_file() and [e.action for e in recover(tmp_path)] == ["kept"]


def test_a_part_that_is_carried_out_again_does_not_take_the_number_of_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = SimpleNamespace(scheduler=SimpleNamespace(rid=7, expid=None), journal_label="Calibrate_rabi_check")
    for experiment in (run, run, SimpleNamespace(scheduler=run.scheduler), SimpleNamespace(scheduler=run.scheduler)):
        open_journal(experiment, {}).close(complete=True)
    assert sorted(path.stem for path in tmp_path.iterdir()) == [
        "000000007-Calibrate_rabi_check", "000000007-Calibrate_rabi_check_2", "000000007-SimpleNamespace",
        "000000008-SimpleNamespace"]  # fmt: skip


def test_parts_of_a_finished_pass_stay_in_its_file_and_those_of_a_killed_one_are_written(tmp_path: Path) -> None:
    for rid, label in ((1, "Pass_rabi_check"), (1, "Pass_rabi_check_2"), (2, "Pass_rabi_check")):
        with Journal.create(tmp_path, rid, label, {"expid": {"class_name": "Rabi"}}) as journal:
            journal.append(row(0))
    with h5py.File(tmp_path / "000000001-Pass.h5", "w") as file:
        file.create_group("datasets")
    assert [entry.action for entry in recover(tmp_path)] == ["kept", "kept", "written"]
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == ["000000001-Pass.h5", "000000002-Pass_rabi_check.h5"]
    assert load(tmp_path / "000000002-Pass_rabi_check.h5").class_name == "Rabi"


def test_recover_does_not_touch_a_run_that_is_alive(tmp_path: Path) -> None:
    with Journal.create(tmp_path, 1, "Alive", {}) as journal:
        journal.append(row(0))
        assert [entry.action for entry in recover(tmp_path)] == ["running"]
        assert not journal.path.with_suffix(".h5").exists()
    assert [entry.action for entry in recover(tmp_path)] == ["written"]


def test_recover_tells_apart_what_is_empty_and_what_is_no_journal(tmp_path: Path) -> None:
    whole = make(tmp_path, 1).read_bytes()
    (tmp_path / "000000002-Cut.journal").write_bytes(whole[:30])
    (tmp_path / "000000003-Empty.journal").write_bytes(b"")
    (tmp_path / "000000004-Else.journal").write_bytes(b"not a journal\n" + whole[:200])
    assert [entry.action for entry in recover(tmp_path)] == ["written", "empty", "empty", "failed"]
    assert not list(tmp_path.glob("00000000[234]*.h5"))
    with pytest.raises(DataError, match="no journal"):
        recover(tmp_path / "000000009-None.h5")


def test_importing_the_journal_does_not_load_what_an_experiment_does_not_need() -> None:
    script = "import sys, analysis.journal; print(sorted({'scipy', 'matplotlib', 'h5py', 'lmfit'} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert told.stdout == "[]\n"
