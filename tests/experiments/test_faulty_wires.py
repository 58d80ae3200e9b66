"""The wire of an instrument fails during a run that watches it: dark at the end, one line, and no shot mislabelled."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.load import load
from analysis.veto import is_vetoed
from drivers.instruments.transport import LinkLostError, NoReplyError
from sim.cli import main
from sim.instruments import in_process

ROOT = Path(__file__).resolve().parents[2]
STATE = ":oxc:swit:conn:stat?"
GOOD_READINGS = 2  # before the shots, and after the first eight


class Wire:
    """A transport between the driver of the fibre switch and its twin, which fails from some reading on."""

    def __init__(self, inner: Any, lab: Any, fault: Callable[[Wire, str], str]) -> None:
        self.inner, self.lab, self.fault = inner, lab, fault
        self.readings = 0
        self.late: list[str] = []  # replies that come after the time-out
        self.clears = 0

    def query(self, text: str) -> str:
        self.readings += text == STATE
        if self.readings > GOOD_READINGS:
            return self.fault(self, text)
        return str(self.inner.query(text))

    def clear(self) -> None:
        """Drop what has come; the late reply comes after the first of these."""
        self.clears += 1
        if self.clears > 1:
            self.late.clear()
        self.inner.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def garbage(_wire: Wire, _text: str) -> str:
    return "\x00(@!,\x7f"


def truncated(wire: Wire, text: str) -> str:
    return str(wire.inner.query(text))[:-3]


def peer_closes(wire: Wire, _text: str) -> str:
    wire.inner.close()
    raise LinkLostError("The peer has closed the connection.")


def dead_port(_wire: Wire, _text: str) -> str:
    raise LinkLostError("192.0.2.7:5025 refused the connection: is the instrument on?")


def endless_errors(wire: Wire, text: str) -> str:
    """The mirrors have moved, and whatever is asked for is refused, without end."""
    wire.lab.world.element("fibre_switch").connections[1] = 30
    return '-310,"System error"' if "err" in text.lower() else str(wire.inner.query(text))


def late_once(wire: Wire, text: str) -> str:
    """One reply comes after the time-out: the next question finds it in front of its own answer."""
    if wire.readings == GOOD_READINGS + 1 and text == STATE:
        wire.readings += 1
        wire.late.append(str(wire.inner.query(text)))
        raise NoReplyError("no reply within 2 s")
    answer = str(wire.inner.query(text))
    if wire.late:
        wire.late.append(answer)
        return wire.late.pop(0)
    return answer


def watched_run(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Wire, str], str]) -> tuple[int, Any]:
    """Take shots with this fault in the lab; return exit code and world."""
    open_row = in_process.open_row
    labs: list[Any] = []

    def opened(dmgr: Any, name: str, driver: str, device: str) -> Any:
        made = open_row(dmgr, name, driver, device)
        if name == "fibre_switch":
            labs.append(dmgr.get("core"))
            made.transport = Wire(made.transport, labs[0], fault)
        return made

    monkeypatch.setattr(in_process, "open_row", opened)
    shutil.copy(ROOT / "device_db.py", folder)
    monkeypatch.chdir(folder)
    file = shutil.copy(ROOT / "experiments/link/remote_entanglement.py", folder)
    code = main(["run", file, "--scenario", "bright", "n_pairs=24", "watch_locks=True", "randomise=False"])
    return code, labs[0].world


def entries(folder: Path) -> list[dict[str, Any]]:
    (log,) = folder.glob("results/*/*/*.instruments.jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize(
    ("fault", "why", "logged"),
    [
        (garbage, r"it cannot be read \(.*identifies as", "which is no list of connections"),
        pytest.param(truncated, r"it cannot be read \(", "cannot be read", marks=pytest.mark.slow),
        pytest.param(peer_closes, r"it cannot be read \(The peer has closed", "The peer has closed",
                     marks=pytest.mark.slow),
        pytest.param(dead_port, r"it cannot be read \(.*refused the connection", "refused the connection",
                     marks=pytest.mark.slow),
        (endless_errors, "port 1 leads to 30, must to 17; 3 attempts", "after 100 reads of its error queue"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)  # fmt: skip
def test_a_wire_that_fails_ends_the_run_dark_with_one_line_and_its_data(
    fault: Callable[[Wire, str], str], why: str, logged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    code, world = watched_run(tmp_path, monkeypatch, fault)
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and re.match(f"atomlink: error: fibre_switch has tripped: {why}", lines[-1]), lines[-5:]
    assert any(logged in json.dumps(entry) for entry in entries(tmp_path))
    world.reach(world.now_mu + 10**8)  # mechanical shutters take some ms
    assert not any(beam.shutter_open for node in world.nodes.values() for beam in node.beams.values())
    (file,) = tmp_path.glob("results/*/*/*.h5")
    data = load(file).datasets
    assert data["shots.valid"].tolist() == [1] * 8 + [0] * 8 and data["run.complete"] == 0


def test_a_reply_after_the_time_out_costs_the_shots_before_it_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _ = watched_run(tmp_path, monkeypatch, late_once)
    assert code == 0
    (file,) = tmp_path.glob("results/*/*/*.h5")
    data = load(file).datasets
    vetoed = is_vetoed(data["shots.t_herald_mu"], data["link.veto_mu"])
    assert vetoed[8:16].all() and vetoed.sum() == 8 and data["shots.valid"].tolist() == (1 - vetoed).tolist()
