"""Results files that are damaged: no value changes in silence, each error names its file, recover mends what it can."""

import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from analysis import archive, digest
from analysis.journal import Journal, recover
from analysis.load import Run, load
from analysis.report_day import date, report_day
from atomlink.errors import DataError
from sim import cli

HEADER = {"datasets": {"link.nodes": "alice,bob", "link.settings": [[0.0, 1.0, 2.0, 3.0]], "run.target": "simulation"},
          "start_time": 5.0, "expid": {"class_name": "Made", "arguments": {"n": 3}}}  # fmt: skip


def made(folder: Path, rid: int = 1, rows: int = 30) -> Path:
    """Write a journal and recover it; return the results file."""
    with Journal.create(folder, rid, "Made", HEADER) as journal:
        for k in range(rows):
            journal.append({"pattern": 3 + k % 9, "attempts": k + 1, "counts": [400 + k, k], "link.t_lab_s": 0.1 * k})
    recover(journal.path)
    return journal.path.with_suffix(".h5")


def same(a: Run, b: Run) -> bool:
    """Return whether two runs say the same, units and description included."""
    flat = [(run.rid, run.class_name, run.start_time, run.run_time, run.artiq_version, run.expid, run.metadata)
            for run in (a, b)]  # fmt: skip
    stores = ((a.datasets, b.datasets), (a.archive, b.archive))
    return flat[0] == flat[1] and all(
        x.keys() == y.keys() and all(digest.of(x[key]) == digest.of(y[key]) for key in x) for x, y in stores
    )


def spoiled(whole: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(whole))
    return whole[:at] + chance.randbytes(64) + whole[at + 64 :]


@pytest.mark.parametrize("places", [60, pytest.param(600, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))])
def test_spoiled_bytes_are_told_with_the_files_name_and_never_change_a_value(tmp_path: Path, places: int) -> None:
    path = made(tmp_path)
    whole, good, chance = path.read_bytes(), load(path), random.Random(150)
    refused = 0
    for _ in range(places):
        path.write_bytes(spoiled(whole, chance))
        try:
            found = load(path)
        except DataError as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error) and "atomlink recover" in str(error)
            assert recover(path)[0].action == "written"
            found = load(path)
        assert same(found, good)
    assert refused > places / 3
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("places", [60, pytest.param(600, marks=(pytest.mark.slow, pytest.mark.timeout(1800)))])
def test_a_file_without_digest_is_unchecked_and_its_damage_no_plain_exception(tmp_path: Path, places: int) -> None:
    path = made(tmp_path)
    with h5py.File(path, "r+") as file:
        del file[digest.NAME]
        del file.attrs[digest.NAME]
    assert load(path).integrity == "unchecked"
    whole, chance, refused = path.read_bytes(), random.Random(151), 0
    for _ in range(places):
        path.write_bytes(spoiled(whole, chance))
        try:
            load(path)
        except DataError as error:
            refused += 1
            assert str(path) in str(error)
        assert recover(path)[0].action in ("kept", "written")
    assert refused > places / 5


@pytest.mark.parametrize("lost", ["dataset", "attribute"])
def test_a_digest_of_which_half_is_lost_is_damage(tmp_path: Path, lost: str) -> None:
    path = made(tmp_path)
    with h5py.File(path, "r+") as file:
        if lost == "dataset":
            del file[digest.NAME]
        else:
            del file.attrs[digest.NAME]
    with pytest.raises(DataError, match="its digest is spoiled"):
        load(path)


def test_what_is_added_to_a_file_is_no_damage_and_what_is_changed_is(tmp_path: Path) -> None:
    path = made(tmp_path)
    with h5py.File(path, "r+") as file:
        file["datasets/note"] = "a remark"
    assert load(path).integrity == "checked"
    with h5py.File(path, "r+") as file:
        file["datasets/shots.pattern"][3] += 1
    with pytest.raises(DataError, match=r"`datasets/shots.pattern` is not what was written"):
        load(path)


VALUES: dict[str, Any] = {
    "int": 5, "float": 0.1, "bool": True, "text": "µ", "empty": "", "list": [1, 2], "bools": [True, False],
    "array": np.arange(6, dtype=np.int32).reshape(2, 3), "strings": np.array([b"a", b"bc"]), "complex": 1 + 2j,
    "none": np.zeros((0, 4)), "nan": float("nan"), "scalar": np.float32(0.1), "long": np.longdouble("0.1"),
    "texts": ["a", "µ"], "half": np.float16(0.5), "big": np.array([1, 2], dtype=">i4"), "strided": np.arange(9)[::2],
}  # fmt: skip


@pytest.mark.parametrize("key", VALUES)
def test_a_value_has_the_same_checksum_before_it_is_written_and_after_it_was_read(tmp_path: Path, key: str) -> None:
    """What an experiment's archive step says of its datasets holds for the file that ARTIQ's master writes of them."""
    path = tmp_path / "000000001-Theirs.h5"
    with h5py.File(path, "w") as file:
        file[f"datasets/{key}"] = VALUES[key]
        file["datasets/calibration.rabi.check.run.digest"] = digest.text({})
        file["datasets/run.digest"] = digest.text({key: VALUES[key]})
    assert load(path).integrity == "checked"
    with h5py.File(path, "r+") as file:
        file["datasets/more"] = 1
        del file["datasets/run.digest"]
        file["datasets/run.digest"] = digest.text({key: "another"})
    with pytest.raises(DataError, match=f"`datasets/{key}` is not what was written"):
        load(path)


def test_what_a_master_writes_is_checked_as_far_as_the_experiment_said(tmp_path: Path) -> None:
    path = tmp_path / "000000001-Theirs.h5"
    with h5py.File(path, "w") as file:
        file["datasets/calibration.rabi.check.scan.n"] = [3, 4]
        file["datasets/calibration.rabi.check.run.digest"] = digest.text({"scan.n": [3, 4]})
        file["archive/param.x"] = 2.0
    assert load(path).integrity == "checked in part"
    with h5py.File(path, "r+") as file:
        file["datasets/calibration.rabi.check.scan.n"][0] = 5
    with pytest.raises(DataError, match=r"`datasets/calibration.rabi.check.scan.n` is not what was written"):
        load(path)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab with a day of three runs, the first of which is damaged and has lost its journal."""
    (tmp_path / "device_db.py").write_text("device_db = {}\n")
    monkeypatch.chdir(tmp_path)
    hour = tmp_path / "results" / "2026-01-02" / "03"
    hour.mkdir(parents=True)
    for rid in (1, 2, 3):
        path = made(hour, rid)
        if rid == 1:
            path.write_bytes(path.read_bytes()[:3000])
            path.with_suffix(".journal").unlink()
    return tmp_path


def test_one_damaged_file_costs_the_page_of_a_day_nothing_but_itself(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", "--day", "2026-01-02"]) == 0
    page = (lab / "results/2026-01-02/day.html").read_text()
    assert "000000001-Made.h5" in page and "1 more damaged" in page and page.count("<td>Made</td>") == 2
    assert cli.main(["report", "1"]) == 2
    error = capsys.readouterr().err
    assert "000000001-Made.h5" in error and "restore it from a copy" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "odd",
    [{"run.complete": "yes"}, {"run.complete": [1, 2]}, {"fit.previous.param.x": "a"}, {"shots.pattern": "x"},
     {"calibration.visits": "{"}, {"hom.delay_s": 5.0}, {"fit.x": [1.0], "fit.x.error": "b"},
     {"link.attempts": "many", "shots.pattern": [1]}],
    ids=str,
)  # fmt: skip
def test_a_file_whose_datasets_make_no_sense_costs_the_page_of_a_day_nothing_else(
    lab: Path, odd: dict[str, Any]
) -> None:
    archive.write_results(lab / "results/2026-01-02/03/000000009-Odd.h5",
                          {"rid": 9, "class_name": "Odd", "created": 5.0}, odd)  # fmt: skip
    page = report_day(lab / "results", date(2026, 1, 2)).read_text()
    assert "<td>Odd</td>" in page and page.count("<td>Made</td>") == 2
