"""`atomlink list` and `atomlink doctor` tell what there is and what is missing."""

from pathlib import Path

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


def test_list_shows_experiments_with_first_line_arguments_and_units(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["list"]) == 0
    text = capsys.readouterr().out
    assert "experiments/some.py  Count\n      Count to a number.\n" in text and "More about it" not in text
    assert "n = 3  [integer, >= 1, <= 10]  how far" in text
    assert "t_gate = 10 us (1e-05)  [number, >= 1 us (1e-06), <= 100 us (0.0001)]" in text
    assert "stage = …  [one of build, prepare, run, analyze]" in text
    assert "arguments unknown: Unit parsec is unknown" in text


def test_a_broken_file_is_named_and_does_not_hide_the_others(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "experiments" / "broken.py").write_text("import no_such_module\n")
    assert cli.main(["list"]) == 1
    text = capsys.readouterr().out
    assert "experiments/broken.py  skipped: ModuleNotFoundError" in text and "experiments/some.py  Count" in text


def test_list_also_looks_where_artiq_keeps_experiments(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "experiments").rename(lab / "repository")
    assert cli.main(["list"]) == 0
    assert "  repository/some.py  Count\n" in capsys.readouterr().out


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
