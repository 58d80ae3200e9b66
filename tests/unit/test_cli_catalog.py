"""`atomlink list` and `atomlink doctor` tell what there is and what is missing."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from cli_lab import make_lab

from sim import cli
from sim.command import doctor


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_lab(tmp_path)
    monkeypatch.chdir(root)
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SCENARIO", "ATOMLINK_SEED", "ATOMLINK_COSTS"):
        monkeypatch.delenv(name, raising=False)
    return root


def test_list_is_a_line_for_each_experiment_and_scenario(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    assert "experiments/\n  Count                      Count to a number.\n" in text and "More about it" not in text
    assert "t_gate" not in text and "  default " in text
    assert max(map(len, text.splitlines()[1:])) <= 120


@pytest.mark.parametrize("words", [["list", "-v"], ["list", "count"], ["run", "count", "--help"]])
def test_details_have_arguments_with_default_unit_range_and_meaning(
    lab: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert cli.main(words) == 0
    text = capsys.readouterr().out
    assert "  (experiments/some.py, class Count)\n  Count to a number.\n" in text
    assert "n = 3                          [integer, 1 … 10]  how far" in text
    assert "t_gate = 10us                  [us, 1us … 100us]" in text
    assert "scan = 0:1:5                   [scan, 0 … 10]" in text
    assert "mode = fast                    [one of fast, slow]" in text
    assert ("stage = …                      [one of build, prepare, run, analyze]" in text) is (words == ["list", "-v"])
    assert ("arguments unknown: Unit parsec is unknown" in text) is (words == ["list", "-v"])
    assert not (lab / "results").exists()


@pytest.mark.parametrize("name", ["Count", "count", "experiments/some.py", "some"])
def test_an_experiment_is_found_by_class_or_file(lab: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert cli.main(["run", name, "-c", "Count", "t_gate=20us", "mode=slow", "scan=0:10:3"]) == 0
    (file,) = (lab / "results").rglob("*.h5")
    assert file.name == "000000000-Count.h5"
    with h5py.File(file) as written:
        expid = json.loads(written["expid"][()])
    assert expid["arguments"] == {
        "t_gate": pytest.approx(2e-5), "mode": "slow",
        "scan": {"ty": "RangeScan", "start": 0.0, "stop": 10.0, "npoints": 3},
    }  # fmt: skip


def test_a_name_that_two_files_have_is_refused_with_both(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "experiments" / "other").mkdir()
    (lab / "experiments" / "other" / "some.py").write_text((lab / "experiments" / "some.py").read_text())
    for name in ("some", "Count"):
        assert cli.main(["run", name]) == 2
        assert "experiments/other/some.py, experiments/some.py" in capsys.readouterr().err


def test_the_command_runs_as_a_module() -> None:
    said = subprocess.run([sys.executable, "-m", "atomlink", "--version"], capture_output=True, text=True, check=True,
                          cwd=Path(cli.__file__).resolve().parents[1])  # fmt: skip
    assert said.stdout.startswith("atomlink ")


def test_a_broken_file_is_named_and_does_not_hide_the_others(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "experiments" / "broken.py").write_text("import no_such_module\n")
    assert cli.main(["list"]) == 1
    text = capsys.readouterr().out
    assert "experiments/broken.py  skipped: ModuleNotFoundError" in text and "Count to a number." in text


def test_list_also_looks_where_artiq_keeps_experiments(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "experiments").rename(lab / "repository")
    assert cli.main(["list"]) == 0
    assert "repository/\n  Count " in capsys.readouterr().out


def test_list_says_where_it_looked_and_found_nothing(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "experiments").rename(lab / "scripts")
    assert cli.main(["list"]) == 0
    assert "none: looked for .py files in experiments/ and repository/ there; any" in capsys.readouterr().out


def test_doctor_names_versions_engines_lab_and_presets(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    text = capsys.readouterr().out
    for part in ("python", "numpy", "lmdb", "ARTIQ", "engine: host", "ld.lld", str(lab), "ideal, kasli, kasli_soc"):
        assert part in text


def test_doctor_says_how_to_get_what_is_missing(
    lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda tool: None)
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda name: ["no-such-package>=1"])
    monkeypatch.setenv("ATOMLINK_COSTS", "free")
    assert cli.main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "ld.lld" in text and "apt install" in text
    assert "MISSING no-such-package" in text and "pip install no-such-package" in text
    assert "unset ATOMLINK_COSTS" in text
