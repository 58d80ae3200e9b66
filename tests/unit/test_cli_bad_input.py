"""Bad input: one line that names what it is and what it must be, exit code 2, nothing half-written."""

from pathlib import Path

import pytest
from cli_lab import DEVICE_DB, make_lab, result_files

from sim import cli

RUN = ["run", "experiments/some.py"]
COUNT = [*RUN, "-c", "Count"]
DEVICE = [*RUN, "-c", "Device"]

CASES = [
    ([], "unknown command", ["nonsense"]),
    (["`-c Class`", "Count", "Fail"], "must be named with -c Class", RUN),
    (["did you mean `Count`?"], "unknown class `Coutn`", [*RUN, "-c", "Coutn"]),
    (["must be one of", "the path of a TOML file"], "unknown scenario `her.toml`", [*COUNT, "--scenario", "her.toml"]),
    (["here.toml"], "alice.port.kind", [*COUNT, "--scenario", "here.toml"]),
    (["did you mean `default`?"], "unknown scenario `defalt`", [*COUNT, "--scenario", "defalt"]),
    (["integer >= 0"], "seed is '-1'", [*COUNT, "--seed", "-1"]),
    (["ideal, kasli, kasli_soc"], "costs is 'free'", [*COUNT, "--costs", "free"]),
    ([], "FILE is missing", ["run"]),
    ([], "no file nowhere.py", ["run", "nowhere.py"]),
    (["did you mean `some`?"], "no file and no experiment `soem`", ["run", "soem"]),
    (["did you mean `Count`?"], "no experiment and no scenario has `coutn`", ["list", "coutn"]),
    ([], "unrecognized arguments: --sed", [*COUNT, "--sed=1"]),
    (["did you mean `t_gate`?"], "unknown argument `tgate`", [*COUNT, "tgate=1e-6"]),
    (["1 … 10"], "argument `n` is 11", [*COUNT, "n=11"]),
    (["an integer"], "argument `n` is 2.5", [*COUNT, "n=2.5"]),
    (["1 us (1e-06) … 100 us (0.0001)"], "argument `t_gate` is 1000 us (0.001)", [*COUNT, "t_gate=1e-3"]),
    (["its unit is us (or ps, ns, ms, s)"], "argument `t_gate` is 10 kHz", [*COUNT, "t_gate=10*kHz"]),
    (["unknown unit `parsec`"], "argument `t_gate`", [*COUNT, "t_gate=1*parsec"]),
    (
        ["""scan='{"ty": "RangeScan", "start": 0, "stop": 3e-05, "npoints": 9}'"""],
        "'RangeScan(0,3e-5,9)' is not PYON",
        [*COUNT, "scan=RangeScan(0,3e-5,9)"],
    ),
    (
        ["""scan='{"ty": "ExplicitScan", "sequence": [1, 2]}'"""],
        "'ExplicitScan([1, 2])' is",
        [*COUNT, "scan=ExplicitScan([1, 2])"],
    ),
    (
        ["""'{"ty": "RangeScan", "start": 0.0,"""],
        "'RangeScan(0, 30*us, 9)' is not",
        [*COUNT, "scan=RangeScan(0, 30*us, 9)"],
    ),
    (["""'name="too fast"'"""], "'too fast' is not PYON", [*COUNT, "name=too fast"]),
    (["did you mean `fast`?"], "argument `mode` is 'fats'", [*COUNT, "mode=fats"]),
    (["fast, slow"], "argument `mode` is 'fasst'", [*COUNT, 'mode="fasst"']),
    (["true or false"], "argument `twice` is 1", [*COUNT, "twice=1"]),
    (["must be text"], "argument `name` is 5", [*COUNT, "name=5"]),
    (["0:100us:21"], "argument `scan` is True", [*COUNT, "scan=true"]),
    (["0 … 10"], "argument `scan` is 11", [*COUNT, 'scan={"ty": "RangeScan", "start": 0, "stop": 11, "npoints": 3}']),
    (["ARG=VALUE"], "argument `n`", [*COUNT, "n"]),
    ([], "argument `n` is given twice", [*COUNT, "n=1", "n=2"]),
    (["one of build, prepare"], "argument `stage` has no default", [*RUN, "-c", "Fail"]),
    (["experiments/some.py:"], "Unit parsec is unknown", [*RUN, "-c", "Unit"]),
    (["did you mean `spare`?"], "unknown device `spar`", [*DEVICE, 'device="spar"']),
    (["channel"], "row `no_channel` has `arguments` that do not fit TTLOut", [*DEVICE, 'device="no_channel"']),
    (["--results"], "cannot be made (Not a directory)", [*COUNT, "--results", "here.toml/results"]),
    ([], "row `no_class` names artiq.coredevice.ttl.TTLOutt", [*DEVICE, 'device="no_class"']),
    (["at most 131 us"], "Gate `snspd` is 2 s long", [*RUN, "-c", "Tight"]),
    (["does not exist"], "`nowhere.h5`", ["report", "nowhere.h5"]),
    (["run an experiment first"], "no results file in", ["report"]),
    ([], "`here.toml`", ["report", "here.toml"]),
    ([], "no journal `nowhere.journal`", ["recover", "nowhere"]),
]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_lab(tmp_path)
    monkeypatch.chdir(root)
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SCENARIO", "ATOMLINK_SEED", "ATOMLINK_COSTS"):
        monkeypatch.delenv(name, raising=False)
    return root


@pytest.mark.parametrize(("also", "says", "words"), CASES, ids=[case[1] for case in CASES])
def test_bad_input_is_one_line_and_exit_code_2(
    lab: Path, capsys: pytest.CaptureFixture[str], also: list[str], says: str, words: list[str]
) -> None:
    assert cli.main(words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("atomlink: error: ") and says in line
    assert all(part.strip("`") in line for part in also)
    assert not (lab / "results").exists() and result_files(lab) == []


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"type": "local", "class": "TTLOut"}', "row `x` lacks the key `module`"),
        ('{"module": "m", "class": "TTLOut"}', "row `x` lacks the key `type`"),
        ('{"type": "controller", "host": "::1"}', "row `x` lacks the key `port`"),
        ('{"type": "remote"}', "row `x` has type 'remote', must be one of: local, controller"),
        ('"y"', "row `x` is an alias of `y`"),
        ('"alias"', "is an alias of `"),
        ("3", "row `x` is 3, must be a dict"),
    ],
)
def test_a_bad_row_of_device_db_is_named_where_it_is_asked_for_and_stops_nobody_else(
    lab: Path, capsys: pytest.CaptureFixture[str], row: str, says: str
) -> None:
    (lab / "device_db.py").write_text(DEVICE_DB + f'\ndevice_db["x"] = {row}\ndevice_db["alias"] = "x"\n')
    for name in ("x", "alias"):
        assert cli.main([*DEVICE, f'device="{name}"']) == 2
        line = capsys.readouterr().err
        assert says in line
        assert len(line.splitlines()) == 1
    assert not (lab / "last_rid.pyon").exists()
    cli.main(["doctor"])
    assert says.removeprefix("device_db.py: ") in capsys.readouterr().out
    assert cli.main(COUNT) == 0


def test_a_folder_that_is_no_lab_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.py").write_text("")
    assert cli.main(["list"]) == 2
    assert "no device_db.py in or above" in capsys.readouterr().err


def test_an_unreadable_dataset_db_is_named(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "dataset_db.mdb").write_bytes(b"not a database" * 1000)
    assert cli.main(COUNT) == 2
    error = capsys.readouterr().err
    assert "dataset_db.mdb" in error and "ove it away" in error and len(error.splitlines()) == 1


def test_hardware_takes_no_scenario(
    lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATOMLINK_TARGET", "hardware")
    assert cli.main([*COUNT, "--seed", "1"]) == 2
    assert "--seed is for a simulated lab" in capsys.readouterr().err


def test_a_driver_that_cannot_be_imported_is_named_with_the_reason(
    lab: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab / "broken_driver.py").write_text("import not_there")
    monkeypatch.syspath_prepend(lab)
    assert cli.main([*DEVICE, 'device="no_import"']) == 2
    assert "its module broken_driver cannot be imported: No module named 'not_there'" in capsys.readouterr().err
