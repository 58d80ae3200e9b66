"""`atomlink runs`: search, compare, run again; and `--results` of the commands about results."""

from pathlib import Path

import pytest
from cli_lab import make_lab, result_files

from sim import cli

EXPERIMENT = '''
from artiq.experiment import *


class Measure(EnvExperiment):
    def build(self):
        self.setattr_argument("shots", NumberValue(10, precision=0, step=1))
        self.setattr_argument("f_offset", NumberValue(50*kHz, unit="kHz"))
        self.setattr_argument("t_wait", Scannable(RangeScan(0, 1*us, 2), unit="us"))

    def run(self):
        self.set_dataset("param.alice.t_mw_pi_s", 1e-5 + 1e-6 * (self.shots > 20))
        self.set_dataset("fit.alice.contrast", 0.9 + 0.001 * self.shots)
        self.set_dataset("fit.alice.contrast.error", 0.01)
        self.set_dataset("run.complete", 1)
        for key, value in (("target", "simulation"), ("scenario", "bright"), ("costs", "ideal")):
            self.set_dataset("run." + key, value)
        self.set_dataset("run.seed", self.shots)
'''


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    root = make_lab(tmp_path)
    (root / "experiments" / "measure.py").write_text(EXPERIMENT)
    monkeypatch.chdir(root)
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SCENARIO", "ATOMLINK_SEED", "ATOMLINK_COSTS"):
        monkeypatch.delenv(name, raising=False)
    for words in (["measure"], ["measure", "shots=30", "f_offset=60kHz", "t_wait=0:5us:3"], ["Count", "n=5"]):
        assert cli.main(["run", *words]) == 0
    capsys.readouterr()
    return root


@pytest.mark.parametrize(
    ("words", "rids"),
    [
        ([], [0, 1, 2]),
        (["meas"], [0, 1]),
        (["count"], [2]),
        (["contrast"], [0, 1]),
        (["shots=30"], [1]),
        (["f_offset>55kHz"], [1]),
        (["f_offset=60kHz", "shots<31"], [1]),
        (["contrast>0.92"], [1]),
        (["alice.contrast<=0.91"], [0]),
        (["scenario=bright"], [0, 1]),
        (["seed!=30"], [0]),
        (["rid>=1"], [1, 2]),
        (["20", "--most", "1"], []),
        (["2"], []),
        (["--most", "2"], [1, 2]),
        (["1999-01-01"], []),
    ],
)
def test_runs_are_found_by_what_they_are(
    lab: Path, capsys: pytest.CaptureFixture[str], words: list[str], rids: list[int]
) -> None:
    assert cli.main(["runs", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in lines if line.split()[0].isdigit()] == rids
    assert all(len(line) <= 120 for line in lines)
    assert bool(rids) is not lines[0].startswith("no run in ")


def test_a_day_is_a_word(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = next((lab / "results").iterdir()).name
    for word in (day, day[:7]):
        cli.main(["runs", word, "measure"])
        assert "     1  " in capsys.readouterr().out


def test_two_runs_are_compared_with_the_standard_errors_between_them(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["runs", "compare", "0", "1"]) == 0
    text = capsys.readouterr().out
    assert "  shots     default  30\n" in text and "  f_offset  default  60000\n" in text and "0:5e-06:3" in text
    assert "param.alice.t_mw_pi_s  1e-05  1.1e-05" in text
    assert "alice.contrast  0.910 ± 0.010  0.930 ± 0.010  +1.4 σ" in text
    assert "seed        10" in text and "differs" in text


def test_a_run_is_carried_out_again_with_its_arguments_but_for_those_given(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["runs", "again", "1", "shots=31"]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert "shots=31" in line and "shots=30" not in line and "f_offset=60000" in line
    assert "--scenario bright --seed 30 --costs ideal" in line
    cli.main(["runs", "shots=31", "f_offset=60kHz"])
    assert "     3  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["runs", "compare", "0"], "compare takes two runs, not 1"),
        (["runs", "compare", "0", "77"], "Run 77 has no results file"),
        (["runs", "compare", "0", "x"], "`x` is no run"),
        (["runs", "again"], "RID is missing"),
        (["runs", "--most", "0"], "--most is 0, must be 1 or more"),
        (["runs", "shots=3parsec"], "unknown unit `parsec`"),
        (["runs", "--results", "nowhere"], "--results is 'nowhere', must be a folder that exists"),
        (["report", "--results", "nowhere"], "--results is 'nowhere', must be a folder that exists"),
        (["report", "0", "--day"], "give one of the two"),
    ],
)
def test_bad_words_are_one_line(lab: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert cli.main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_run_whose_file_is_gone_says_what_it_was_given(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "experiments" / "measure.py").unlink()
    assert cli.main(["runs", "again", "1"]) == 2
    assert "which is not there: run another file with its arguments: shots=30" in capsys.readouterr().err


def test_results_may_be_elsewhere(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lab / "results").rename(lab / "kept")
    for words in (["report", "1"], ["report"], ["report", "--day"], ["runs", "shots=30"]):
        assert cli.main([*words, "--results", "kept"]) == 0
    assert any(path.suffix == ".html" for path in (lab / "kept").rglob("*")) and result_files(lab) == []


def test_the_page_of_a_day_leads_to_the_pages_of_its_runs(lab: Path) -> None:
    assert cli.main(["report", "1"]) == 0
    assert cli.main(["report", "--day"]) == 0
    (page,) = (lab / "results").rglob("day.html")
    hour = next(path.parent for path in page.parent.rglob("*.h5")).name
    text = page.read_text()
    assert f'<a href="{hour}/000000001-Measure.html">1</a>' in text
    assert f'<a href="{hour}/000000000-Measure.h5">0</a>' in text
