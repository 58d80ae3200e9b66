"""Datasets of the pip-only `artiq`: what an experiment sets, what everybody sees, what ends up on disk."""

import artiq
import h5py
import lmdb
import numpy as np
import pytest
from artiq.experiment import *
from artiq.master.databases import DatasetDB
from artiq.master.worker_db import DatasetManager

from atomlink.errors import DataError
from sim.artiq_runtime import pyon
from sim.artiq_runtime.sync_struct import Notifier, process_mod

pytestmark = pytest.mark.skipif(
    not getattr(artiq, "__host_runtime__", False), reason="a real ARTIQ is installed; these tests are of its stand-in"
)


@pytest.fixture
def db(tmp_path):
    database = DatasetDB(tmp_path / "dataset_db.mdb")
    yield database
    database.close_db()


@pytest.fixture
def manager(db):
    return DatasetManager(db)


@pytest.fixture
def exp(manager):
    return EnvExperiment((None, manager, None, {}))


def test_a_plain_dataset_stays_with_the_experiment(exp, db):
    exp.set_dataset("a", 1)
    assert exp.get_dataset("a") == 1
    with pytest.raises(KeyError):
        db.get("a")


def test_a_missing_dataset_is_a_key_error_or_the_default(exp):
    with pytest.raises(KeyError):
        exp.get_dataset("a")
    assert exp.get_dataset("a", 5) == 5
    assert exp.get_dataset_metadata("a", None) is None
    exp.setattr_dataset("a", 6)
    assert exp.a == 6


def test_persist_implies_broadcast_and_a_plain_set_takes_the_broadcast_back(exp, db):
    exp.set_dataset("a", 1, persist=True)
    assert db.get("a") == 1
    exp.set_dataset("a", 2)
    assert exp.get_dataset("a") == 2
    with pytest.raises(KeyError):
        db.get("a")


def test_appending_to_a_broadcast_dataset_adds_each_value_once_everywhere(exp, db):
    exp.set_dataset("a", [], broadcast=True)
    exp.append_to_dataset("a", 1)
    exp.append_to_dataset("a", 2)
    assert exp.get_dataset("a") == db.get("a") == [1, 2]


def test_the_local_store_keeps_a_reference_and_the_database_a_copy(exp, db):
    values = np.zeros(3)
    exp.set_dataset("a", values, broadcast=True)
    values[0] = 7
    assert exp.get_dataset("a")[0] == 7
    assert db.get("a")[0] == 0


def test_append_needs_a_list_and_an_existing_dataset(exp):
    exp.set_dataset("number", 0)
    with pytest.raises(AttributeError):
        exp.append_to_dataset("number", 1)
    exp.set_dataset("shared", 0, broadcast=True)
    with pytest.raises(AttributeError):
        exp.append_to_dataset("shared", 1)
    with pytest.raises(KeyError, match="Cannot mutate nonexistent dataset 'none'"):
        exp.append_to_dataset("none", 1)


@pytest.mark.parametrize("broadcast", [False, True])
def test_a_tuple_as_index_is_one_slice_and_a_tuple_of_tuples_one_per_dimension(exp, db, broadcast):
    exp.set_dataset("line", np.zeros(6), broadcast=broadcast)
    exp.mutate_dataset("line", 0, 9)
    exp.mutate_dataset("line", (1, 6, 2), 5)
    exp.set_dataset("plane", np.zeros((3, 3)), broadcast=broadcast)
    exp.mutate_dataset("plane", ((0, 2), (1, 3)), 1)
    for source in [exp.get_dataset] + [db.get] * broadcast:
        assert source("line").tolist() == [9, 5, 0, 5, 0, 5]
        assert source("plane").tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 0]]


def test_metadata_has_only_what_was_given(exp, db):
    exp.set_dataset("a", 0, unit="kV", precision=2, broadcast=True)
    exp.set_dataset("b", 0, scale=1000)
    assert exp.get_dataset_metadata("a") == db.get_metadata("a") == {"unit": "kV", "precision": 2}
    assert exp.get_dataset_metadata("b") == {"scale": 1000}


def test_a_dataset_that_goes_nowhere_is_warned_about(exp, caplog):
    exp.set_dataset("a", 0, archive=False)
    assert "'a' will not be stored" in caplog.text


def test_a_shared_dataset_is_archived_and_a_second_time_with_a_warning(exp, db, manager, caplog):
    db.set("a", 3)
    assert exp.get_dataset("a") == 3
    assert caplog.text == ""
    assert manager.archive == {"a": 3}
    exp.get_dataset("a")
    assert "already in archive, overwriting" in caplog.text
    db.set("b", 4)
    exp.get_dataset("b", archive=False)
    assert "b" not in manager.archive


def test_a_broadcast_of_what_pyon_cannot_write_is_a_type_error(exp):
    with pytest.raises(TypeError, match="PYON"):
        exp.set_dataset("a", object(), broadcast=True)


def test_a_name_that_the_database_cannot_hold_is_refused(exp):
    for name in ("", "x" * 600):
        with pytest.raises(ValueError, match="1 to 511 bytes"):
            exp.set_dataset(name, 1, broadcast=True)


# On disk.


def reopened(db) -> DatasetDB:
    db.save()
    db.close_db()
    return DatasetDB(db.persist_file)


def test_persistent_datasets_and_only_they_come_back_with_type_and_metadata(exp, db):
    exp.set_dataset("param.f", 1e6, persist=True, unit="MHz")
    exp.set_dataset("param.n", np.int32(3), persist=True)
    exp.set_dataset("param.a", np.arange(3), persist=True)
    exp.set_dataset("live", 5, broadcast=True)
    again = reopened(db)
    assert sorted(again.data.raw_view) == ["param.a", "param.f", "param.n"]
    assert again.data.raw_view["param.f"] == (True, 1e6, {"unit": "MHz"})
    assert type(again.get("param.n")) is np.int32
    assert again.get("param.a").tolist() == [0, 1, 2]
    again.close_db()


def test_deleting_and_taking_back_persistence_remove_from_disk(db):
    for key in "abc":
        db.set(key, 1, persist=True)
    db = reopened(db)
    db.delete("a")
    db.set("b", 1, persist=False)
    db = reopened(db)
    assert list(db.data.raw_view) == ["c"]
    db.close_db()


def test_setting_again_keeps_persistence_and_metadata_that_are_left_out(db):
    db.set("a", 1, persist=True, metadata={"unit": "V"})
    db.set("a", 2)
    assert db.data.raw_view["a"] == (True, 2, {"unit": "V"})


def test_the_file_is_in_the_format_of_artiq_8(db):
    db.set("a", 1.5, persist=True, metadata={"unit": "V"})
    db.save()
    with db.lmdb.begin() as transaction:
        assert transaction.get(b"a") == b'{"__jsonclass__":["tuple",[[1.5,{"unit":"V"}]]]}'


def test_a_file_in_the_old_dialect_stays_in_it(tmp_path):
    path = str(tmp_path / "old.mdb")
    with lmdb.open(path, subdir=False, map_size=2**20) as env, env.begin(write=True) as transaction:
        transaction.put(b"a", b'(1.5, {"unit": "V"})')
    db = DatasetDB(path)
    assert db.data.raw_view["a"] == (True, 1.5, {"unit": "V"})
    db.set("b", np.arange(2, dtype=np.int32), persist=True)
    db.save()
    with db.lmdb.begin() as transaction:
        assert transaction.get(b"b") == b'(nparray((2, ), "<i4", b"AAAAAAEAAAA="), {})'
    db.close_db()


def test_changes_are_saved_by_themselves_after_the_autosave_period(tmp_path):
    db = DatasetDB(tmp_path / "a.mdb", autosave_period=0)
    db.set("a", 1, persist=True)
    db.close_db()
    assert list(DatasetDB(tmp_path / "a.mdb").data.raw_view) == ["a"]


def test_a_database_that_cannot_be_read_is_one_line_that_says_what_to_do(tmp_path):
    (tmp_path / "junk.mdb").write_bytes(b"no database" * 1000)
    for path in (tmp_path / "junk.mdb", tmp_path / "no folder" / "a.mdb", tmp_path):
        with pytest.raises(DataError, match="cannot be opened.*Move it away") as caught:
            DatasetDB(path)
        assert "\n" not in str(caught.value)


def test_an_entry_that_is_not_pyon_is_named(tmp_path):
    path = str(tmp_path / "a.mdb")
    with lmdb.open(path, subdir=False, map_size=2**20) as env, env.begin(write=True) as transaction:
        transaction.put(b"good", pyon.encode((1, {})).encode())
        transaction.put(b"bad", b"open('/etc/passwd')")
    with pytest.raises(DataError, match="Dataset `bad`"):
        DatasetDB(path)


# Results files.


def written(manager, path):
    with h5py.File(path, "w") as file:
        manager.write_hdf5(file)


def test_the_results_file_has_datasets_and_archive_with_types_and_attributes(exp, db, manager, tmp_path):
    db.set("param.f", 1e6, metadata={"unit": "MHz"})
    exp.get_dataset("param.f")
    exp.set_dataset("shots.n", np.int32(3), unit="1", scale=2.0, precision=1)
    exp.set_dataset("group/inner", [1, 2])
    exp.set_dataset("name", "alice")
    exp.set_dataset("live", 1, broadcast=True, archive=False)
    written(manager, tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5") as file:
        assert sorted(file) == ["archive", "datasets"]
        assert sorted(file["datasets"]) == ["group", "name", "shots.n"]
        assert file["datasets/shots.n"].dtype == np.int32
        assert dict(file["datasets/shots.n"].attrs) == {"unit": "1", "scale": 2.0, "precision": 1}
        assert file["datasets/group/inner"][:].tolist() == [1, 2]
        assert file["datasets/name"][()] == b"alice"
        assert file["archive/param.f"][()] == 1e6


@pytest.mark.parametrize(
    ("value", "error"),
    [({"a": 1}, TypeError), (None, TypeError), (np.array(["a"]), TypeError), ([[1], [1, 2]], ValueError)],
)
def test_what_hdf5_cannot_hold_is_named_and_does_not_lose_the_rest(exp, manager, tmp_path, value, error):
    exp.set_dataset("before", 1)
    exp.set_dataset("bad", value)
    exp.set_dataset("after", 2)
    with pytest.raises(error, match="Error writing dataset 'bad'"):
        written(manager, tmp_path / "r.h5")
    with h5py.File(tmp_path / "r.h5") as file:
        assert sorted(file["datasets"]) == ["after", "before"]


# The changes that go between experiment and database.


def test_a_copy_that_applies_every_published_change_stays_equal():
    notifier, copy = Notifier({"a": [1], "b": {}}), {"a": [1], "b": {}}
    notifier.publish = lambda mod: process_mod(copy, mod)
    notifier["a"].append(2)
    notifier["a"].insert(0, 0)
    assert notifier["a"].pop() == 2
    notifier["b"]["c"] = 3
    notifier["d"] = 4
    del notifier["d"]
    assert notifier.raw_view == copy == {"a": [0, 1], "b": {"c": 3}}


def test_a_change_is_described_as_artiqs_processes_describe_it():
    mods = []
    notifier = Notifier({"a": (True, [1], {})})
    notifier.publish = mods.append
    notifier["a"][1].append(5)
    assert mods == [{"action": "append", "path": ["a", 1], "x": 5}]
