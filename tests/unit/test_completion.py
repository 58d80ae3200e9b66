"""Completion: what a word may become, and the scripts of three shells that ask for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_lab import make_lab

from sim import cli
from sim.command.completion import SCRIPTS, candidates


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = make_lab(tmp_path)
    (root / "experiments" / "rabi_scan.py").write_text(
        "from artiq.experiment import *\nclass RabiScan(EnvExperiment):\n    pass\n")
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (["ru"], ["run", "runs"]),
        (["run", "rab"], ["rabi_scan"]),
        (["run", "C"], ["Count"]),
        (["run", "count", "t"], ["t_gate=", "twice="]),
        (["run", "Count", "--seed", "1", "mode="], ["mode=fast", "mode=slow"]),
        (["run", "Count", "twice="], ["twice=True", "twice=False"]),
        (["run", "--costs", "k"], ["kasli", "kasli_soc"]),
        (["run", "--scenario", "de"], ["default"]),
        (["timeline", "--f"], ["--figure"]),
        (["completion", "z"], ["zsh"]),
        (["run", "nowhere", "x"], []),
        (["nonsense", "x"], []),
        (["run", "Unit", ""], []),
    ],
)
def test_the_last_word_is_completed_from_what_is_there(lab: Path, words: list[str], known: list[str]) -> None:
    assert candidates(words, list(cli.COMMANDS)) == known


def test_outside_a_lab_nothing_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert candidates(["run", ""], ["run"]) == []


def test_an_unknown_shell_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", "tcsh"]) == 2
    assert "unknown shell `tcsh`, must be one of: bash, zsh, fish" in capsys.readouterr().err


ASKED = {
    "bash": 'source "$1"; COMP_LINE="atomlink run Count mo"; COMP_POINT=${#COMP_LINE}; _atomlink 2>/dev/null; '
            'echo "${COMPREPLY[*]}"',
    "zsh": 'compdef() { : }; compadd() { print -r -- "${@[-1]}" }; source "$1"; '
           "words=(atomlink run Count mo); CURRENT=4; _atomlink",
    "fish": 'source $argv[1]; complete -C "atomlink run Count mo"',
}  # fmt: skip


@pytest.mark.parametrize("shell", SCRIPTS)
def test_each_shell_asks_the_command(
    lab: Path, tmp_path: Path, shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert cli.main(["completion", shell]) == 0
    script = tmp_path / f"completion.{shell}"
    script.write_text(capsys.readouterr().out)
    command = tmp_path / "atomlink"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m atomlink "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", str(Path(cli.__file__).resolve().parents[1]))
    words = [shell, "-c", ASKED[shell]] + ([] if shell == "fish" else [shell]) + [str(script)]
    said = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout.strip() == "mode=", said.stderr
