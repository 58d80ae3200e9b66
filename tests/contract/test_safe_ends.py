"""However an experiment ends, the shutters are closed: something fails right after they were opened.

    nodes initialised --[ fault ]--> `finally` --> the world's shutters closed, one line, exit code 2
"""

import ast
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from artiq.language.core import kernel

from atomlink.errors import DeviceError
from drivers.rtio.node import Node
from sim.cli import main
from sim.world.atoms.beam import Beam

ROOT = Path(__file__).resolve().parents[2]
NO_LIGHT = {"Pulse", "Idle", "CavityLockQuality"}  # they open no shutter
# One of each way to run; the others share `Scan.run` and `RecordedPairs.run` with one of these.
FEW = {"LoadAndImage", "Rearrangement", "Ramsey", "RemoteEntanglement", "HomInterference", "AomPower", "LinkMonitor"}
LAST = {"Rearrangement": "alice", "CzBell": "alice"}  # the node initialised last: bob, but where there is one
LINE = {"Calibrate": "Calibration ended with .* not in spec.*"}  # what fails are the runs that it submits


def experiments() -> list[tuple[str, str]]:
    """Return (file, class) of every experiment of the repository."""
    found = []
    for path in sorted((ROOT / "experiments").rglob("*.py")):
        found += [(str(path.relative_to(ROOT)), node.name) for node in ast.parse(path.read_text()).body
                  if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "EnvExperiment"
                                                            for base in node.bases)]  # fmt: skip
    return [(file, name) for file, name in found if name not in NO_LIGHT]


def cases() -> list[Any]:
    """Return the experiments as parameters; most are slow."""
    marks = {name: () if name in FEW else (pytest.mark.slow,) for _, name in experiments()}
    return [pytest.param(file, name, id=name, marks=marks[name]) for file, name in experiments()]


@pytest.mark.parametrize(("file", "name"), cases())
def test_an_experiment_that_fails_with_open_shutters_closes_them(
    file: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: set[int] = set()
    reached: set[str] = set()
    worlds: list[Any] = []
    set_shutter, init = Beam.set_shutter, Node.init

    def noted(beam: Beam, is_open: bool) -> None:
        set_shutter(beam, is_open)
        if is_open:
            opened.add(id(beam))

    def fault(node, core):  # a remote call from the kernel
        worlds.append(core.world)
        reached.add(node)
        if node == LAST.get(name, "bob"):
            raise DeviceError("the injected fault")

    @kernel
    def broken(node):
        init(node)
        fault(node.name, node.core)

    monkeypatch.setattr(Beam, "set_shutter", noted)
    monkeypatch.setattr(Node, "init", broken)
    shutil.copy(ROOT / "device_db.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    code = main(["run", shutil.copy(ROOT / file, tmp_path), "-c", name])
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and re.fullmatch(f"atomlink: error: {LINE.get(name, 'the injected fault')}", lines[-1]), lines[-5:]
    world = worlds[-1]
    world.reach(world.now_mu + 10**8)  # mechanical shutters take some ms
    beams = [beam for node in world.nodes.values() for beam in node.beams.values()]
    assert len(opened) == sum(len(world.nodes[node].beams) for node in reached)
    assert not any(beam.shutter_open for beam in beams)
