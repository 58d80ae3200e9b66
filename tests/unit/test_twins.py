"""The twin of an experiment is found by its class's name, in the folder of the twins or where all lay before."""

import re
from pathlib import Path

import pytest

import analysis
from analysis.twins import module_name, twin_of
from atomlink.errors import DataError
from experiments.sequences.analyse_run import conclude_run

TWIN = "def analyse(run): ...\ndef figure(run, result): ...\n"


@pytest.mark.parametrize(("name", "module"), [("HbtG2", "hbt_g2"), ("MicrowaveRabi", "microwave_rabi"),
                                              ("CZBell", "cz_bell"), ("Ramsey", "ramsey")])  # fmt: skip
def test_a_class_names_its_module(name: str, module: str) -> None:
    assert module_name(name) == module


def test_a_labs_own_twin_in_analysis_itself_is_still_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "our_own_scan.py").write_text(TWIN)
    monkeypatch.setattr(analysis, "__path__", [*analysis.__path__, str(tmp_path)])
    found = twin_of("OurOwnScan")
    assert found is not None
    assert found.__name__ == "analysis.our_own_scan"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["Load", "Journal", "Idle", "Nosuchthing", "Ärger"])
def test_what_is_no_twin_is_none(name: str) -> None:
    assert twin_of(name) is None


def test_an_experiment_without_a_twin_is_told_where_to_write_one() -> None:
    with pytest.raises(DataError, match=re.escape("Idle has no twin: write analysis/experiments/idle.py")):
        conclude_run(type("Idle", (), {})(), {}, apply=False)
