"""Beliefs belong to a lab, the hardware or a scenario: none reads another's, and what comes from elsewhere is said."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from artiq.experiment import EnvExperiment, HasEnvironment
from artiq.master.worker_db import DatasetManager, DeviceManager
from cli_lab import DEVICE_DB

from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import labs, origins, parameter_log, parameters
from drivers.labs import HARDWARE, HOME, LabName
from drivers.parameter_store import ParameterStore
from experiments.calibration.graph import Node, State, Verdict
from experiments.calibration.history import History
from experiments.calibration.subexperiment import _Datasets as ChildDatasets
from experiments.sequences.current_parameters import CurrentParameters
from sim.artiq_runtime.dataset_db import DatasetDB
from sim.cli import main

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

LARMOR, PULSE = "param.alice.f_larmor_hz", "param.bob.t_mw_pi_s"
DEFAULT = TABLE[LARMOR].default
REAL = {"type": "local", "module": "artiq.coredevice.core", "class": "Core", "arguments": {"host": "192.0.2.1"}}


def simulated(scenario: str) -> dict[str, Any]:
    return {"module": "sim.rtio.core", "arguments": {"scenario": scenario}}


class Rows(dict[str, Any]):
    """A device database of the core alone."""

    def get_device_db(self) -> dict[str, Any]:
        return self

    def get(self, name: str, resolve_alias: bool = False) -> Any:  # type: ignore[override]
        return self[name]


class Scheduler:
    """What a run is known by."""

    def __init__(self, rid: int, override: dict[str, Any]) -> None:
        self.rid, self.expid = rid, {"devarg_override": {"core": override} if override else {}}


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatasetDB]:
    monkeypatch.setenv(parameter_log.ROOT_VARIABLE, str(tmp_path))
    monkeypatch.setattr(parameters, "_announced", set())
    db = DatasetDB(tmp_path / "dataset_db.mdb")
    yield db
    db.close_db()


class Running(EnvExperiment):
    """An experiment that does nothing by itself"""

    def build(self) -> None:
        self.setattr_device("scheduler")


NETWORK = {"type": "local", "module": "drivers.network", "class": "Network",
           "arguments": {"nodes": {"alice": {}, "bob": {}}}}  # fmt: skip


def run_in(core: dict[str, Any], database: DatasetDB, rid: int = 7, **override: Any) -> Any:
    devices = DeviceManager(Rows(core=core, network=NETWORK), virtual_devices={"scheduler": Scheduler(rid, override)})
    return Running((devices, DatasetManager(database), None, {}))


ROWS = {"default": simulated("default"), "drifting": simulated("drifting"), "hardware": REAL}


def test_no_lab_sees_the_beliefs_of_another(database: DatasetDB) -> None:
    for k, row in enumerate(ROWS.values(), start=1):
        ParameterStore.of(run_in(row, database)).set(LARMOR, 1e6 + k)
    for k, row in enumerate(ROWS.values(), start=1):
        run = run_in(row, database)
        assert parameters.get(run, LARMOR) == parameters.get(HasEnvironment(run), LARMOR) == 1e6 + k
        filed = {**run._HasEnvironment__dataset_mgr.archive, **run._HasEnvironment__dataset_mgr.local}
        assert filed == {LARMOR: 1e6 + k}, "a results file has the same names whichever lab it was"
        assert len(ParameterStore.of(run).revisions()) == 1
    assert parameters.get(run_in(simulated("pair"), database), LARMOR) == DEFAULT
    assert sorted(key for key in database.data.raw_view if key.endswith("larmor_hz")) == [
        f"lab.drifting.{LARMOR}", f"lab.hardware.{LARMOR}", LARMOR]  # fmt: skip


def test_nor_does_the_calibration_graph(database: DatasetDB) -> None:
    drifting, default = (History(run_in(ROWS[name], database)) for name in ("drifting", "default"))
    imaging = Node("imaging", "x:X")
    drifting.keep(imaging, State(Verdict.IN_SPEC, 20.0, 10.0, {}), 20.0, 0)
    assert drifting.state(imaging).verdict == Verdict.IN_SPEC and default.state(imaging) == State()


def test_the_lab_is_that_of_the_core_whatever_its_row_is_called(database: DatasetDB) -> None:
    overridden = run_in(simulated("default"), database, scenario="drifting")  # the dashboard's way
    assert labs.of(overridden) == LabName("drifting")
    devices = DeviceManager(Rows(core="kasli", kasli=REAL), virtual_devices={})  # an alias, and no scheduler
    assert labs.of(HasEnvironment((devices, None, None, {}))) == HARDWARE


def test_a_scenario_file_is_a_lab_of_its_own_that_moves_with_its_folder(tmp_path: Path) -> None:
    inside, outside = (labs.of_scenario(str(folder / "default.toml"), tmp_path / "a")
                       for folder in (tmp_path / "a" / "scenarios", tmp_path))  # fmt: skip
    assert len({inside, outside, HOME}) == 3 and inside.name.startswith("default-")
    moved = labs.of_scenario(str(tmp_path / "b" / "scenarios" / "default.toml"), tmp_path / "b")
    assert moved == inside
    odd = labs.of_scenario(str(tmp_path / ("mein labor.µ" + "x" * 300 + ".toml")), tmp_path)
    assert odd.name.isascii() and len(odd.key(max(TABLE, key=len))) < 511


def test_parts_that_outlive_a_calibration_read_what_it_set(database: DatasetDB) -> None:
    run = run_in(ROWS["drifting"], database)
    fresh = CurrentParameters(run)
    part = HasEnvironment(fresh.managers)
    assert parameters.get(part, LARMOR) == DEFAULT
    child = HasEnvironment((None, ChildDatasets(run, "larmor.measure"), None, {}))
    assert parameters.get(part, PULSE) == 1e-5 and child.get_dataset(f"lab.drifting.{LARMOR}", None) is None
    child.set_dataset(f"lab.drifting.{LARMOR}", 1.41e6, persist=True, archive=False)  # what its store does
    assert parameters.get(part, LARMOR) == 1.41e6
    fresh.file()
    assert (run.get_dataset(LARMOR), run.get_dataset(PULSE)) == (1.41e6, 1e-5)
    assert parameters.known(run)[LARMOR] == 1.41e6


# -- concurrent runs that share a master's datasets


@pytest.mark.parametrize("row", list(ROWS.values()), ids=list(ROWS))
def test_a_run_that_read_a_belief_early_takes_nothing_back(database: DatasetDB, row: dict[str, Any]) -> None:
    """ARTIQ goes on answering with what a run has filed; the store must look at what all share."""
    long, short = run_in(row, database, 1), run_in(row, database, 2)
    assert parameters.get(long, LARMOR) == DEFAULT  # a default is filed with the run
    ParameterStore.of(short).set(LARMOR, 1.41e6)
    ParameterStore.of(long).set(PULSE, 9e-6)
    store = ParameterStore.of(run_in(row, database))
    assert store.get(LARMOR) == 1.41e6
    assert [revision.why for revision in store.revisions()] == ["set", "set"], "nobody has edited anything by hand"
    ParameterStore.of(long).set(LARMOR, DEFAULT)  # not what it has believed all along: that is past
    assert store.get(LARMOR) == DEFAULT and store.revisions()[-1].changes[LARMOR].previous == 1.41e6


def test_what_is_measured_last_holds_and_the_history_says_over_what(database: DatasetDB) -> None:
    long, other = run_in(ROWS["drifting"], database, 1), run_in(ROWS["drifting"], database, 2)
    went_by = {name: parameters.get(long, name) for name in (LARMOR, PULSE)}
    ParameterStore.of(other).set(LARMOR, 1.41e6)
    measured = {LARMOR: (1.42e6, None), PULSE: (9e-6, None)}
    found = ParameterStore.of(long).set_all(measured, "Ramsey", believed=went_by)
    assert found is not None
    assert found.why == f"Ramsey; holds over what others set while it ran: {LARMOR} 1.4e+06 -> 1.41e+06"
    again = ParameterStore.of(long).set_all(measured, "Ramsey", {LARMOR: {}}, believed=went_by)
    assert again is not None and again.why == "Ramsey", "it was this run itself"


def test_a_rollback_takes_its_turn(tmp_path: Path, database: DatasetDB) -> None:
    store = ParameterStore.of(run_in(ROWS["default"], database))
    store.set(LARMOR, 1.41e6)
    other = ParameterStore.of(run_in(ROWS["default"], database))
    turn = store._turn

    def late() -> Any:
        other.set(PULSE, 9e-6)  # just before
        return turn()

    store._turn = late  # type: ignore[method-assign]
    store.rollback(0)
    assert (store.get(LARMOR), store.get(PULSE)) == (DEFAULT, 1e-5)


# -- where beliefs come from


def older(path: Path) -> None:
    """Rewrite a history as it was before labs were told apart."""
    rows = [{key: value for key, value in row.items() if key != "lab"} for row in parameter_log.line_log.read(path)]
    path.unlink()
    for row in rows:
        for change in row["changes"].values():
            del change["origin"]
        parameter_log.line_log.append(path, row)


def test_an_older_store_is_read_and_one_line_says_so_until_it_is_adopted(
    tmp_path: Path, database: DatasetDB, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ParameterStore.of(run_in(ROWS["default"], database))
    first.set_all({LARMOR: (1.41e6, None), PULSE: (9e-6, None)})
    older(first.path)
    run = run_in(ROWS["default"], database)
    assert [parameters.get(run, name) for name in (LARMOR, PULSE)] == [1.41e6, 9e-6]
    (line,) = capsys.readouterr().out.splitlines()
    assert "2 from before labs were told apart" in line and "params adopt default" in line
    store = ParameterStore.of(run)
    store.set(PULSE, 8e-6)
    store.rollback(1)
    assert "2 from before" in str(origins.note(HOME, tmp_path)), "a rollback is no measurement"
    store.adopt(store)
    assert origins.note(HOME, tmp_path) is None and store.get(PULSE) == 9e-6


def test_adopted_beliefs_are_named_until_they_are_measured(tmp_path: Path, database: DatasetDB) -> None:
    drifting, hardware = (ParameterStore.of(run_in(ROWS[name], database)) for name in ("drifting", "hardware"))
    assert "none yet" in str(origins.note(HARDWARE, tmp_path)) and origins.note(HOME, tmp_path) is None
    drifting.set_all({LARMOR: (1.41e6, None), PULSE: (9e-6, None)})
    hardware.adopt(drifting)
    assert "2 from lab drifting" in str(origins.note(HARDWARE, tmp_path)) and hardware.get(LARMOR) == 1.41e6
    hardware.set_all({LARMOR: (1.41e6, None)}, "Ramsey", {LARMOR: {"error": 10.0}})
    assert "1 from lab drifting" in str(origins.note(HARDWARE, tmp_path))
    hardware.set(PULSE, 8e-6)
    assert origins.note(HARDWARE, tmp_path) is None


# -- the command


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "device_db.py").write_text(DEVICE_DB)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sim.command.params.MASTER_PORT", 1)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[str]:
    assert main(["params", *words]) == code
    captured = capsys.readouterr()
    return (captured.err if code else captured.out).splitlines()


def test_the_command_says_which_lab_it_is_about(
    lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(capsys, "set", LARMOR, "1.41", "MHz", "--scenario", "drifting")[-1] == "lab drifting (simulated)"
    said(capsys, "--scenario=drifting", "set", "param.bob.v_shim_x_v", "-300", "mV")
    assert said(capsys, "get", LARMOR)[0].endswith("1400000 Hz")
    assert said(capsys, "log")[-1] == "lab default (simulated); others with beliefs of their own: drifting"
    monkeypatch.setenv("ATOMLINK_TARGET", "hardware")
    shown = said(capsys, "adopt", "drifting")
    assert shown[-2:] == ["lab hardware; others with beliefs of their own: drifting",
                          "note: beliefs of lab hardware: 2 from lab drifting (`atomlink params log`)"]  # fmt: skip
    assert any(line.endswith("was 1400000 (of lab drifting)") for line in shown)
    assert json.loads((lab / "params.hardware.log").read_text().partition(" ")[2])["lab"] == "hardware"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("adopt", "nowhere"), "must be one of: default"),
        (("list", "--scenario"), "--scenario has no value"),
        (("list", "--scenario", "nix"), "unknown scenario `nix`"),
        (("list", "--lab", "127.0.0.1:1"), "127.0.0.1:1"),
    ],
)
@pytest.mark.usefixtures("lab")
def test_what_is_no_lab_is_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str) -> None:
    (line,) = said(capsys, *words, code=2)
    assert expected in line
