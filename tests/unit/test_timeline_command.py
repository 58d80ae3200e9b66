"""`atomlink timeline`: the tables and the VCD of a run, also of one that fails; bad input."""

import shutil
from pathlib import Path

import h5py
import pytest
from cli_lab import result_files
from test_timeline_vcd import read

from sim import cli

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = '''
from artiq.experiment import *

class Loop(EnvExperiment):
    """Pulse a shutter and count, again and again."""

    def build(self):
        self.setattr_device("core")
        self.setattr_argument("pause", NumberValue(10*us, unit="us"))
        self.setattr_argument("n", NumberValue(10, precision=0, step=1))
        self.shutter = self.get_device("alice_shutter")
        self.camera = self.get_device("alice_camera_trigger")
        self.counter = self.get_device("snspd_c_h")

    def run(self):
        self.pulses()
        self.set_dataset("clicks", self.count())

    @kernel
    def pulses(self):
        at_mu(self.core.get_rtio_counter_mu() + 30000)
        for i in range(self.n):
            self.camera.pulse_mu(8)  # the tight line
            delay(self.pause)
        self.shutter.on()

    @kernel
    def count(self) -> TInt32:
        self.core.break_realtime()
        return self.counter.count(self.counter.gate_rising(500*ms))
'''


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "device_db.py", tmp_path)
    (tmp_path / "loop.py").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SCENARIO", "ATOMLINK_SEED", "ATOMLINK_COSTS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def timeline(*words: str) -> int:
    return cli.main(["timeline", "loop.py", *words])


def test_the_vcd_has_the_edges_of_the_run_and_lies_beside_its_results(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert timeline("n=3", "--costs", "ideal") == 0
    results, vcd = result_files(lab)
    assert (results.name, vcd.name) == ("000000000-Loop.h5", "000000000-Loop.vcd")
    changes = read(vcd.read_text())
    t = [30_000 + k * 10_008 for k in range(3)]
    assert changes["lab.alice_camera_trigger"] == [(0, "0"), *((u, v) for s in t for u, v in ((s, "1"), (s + 8, "0")))]
    assert changes["lab.alice_shutter"] == [(0, "0"), (t[-1] + 10_008, "1")]
    assert changes["lab.slack_ns"][1] == (30_000, "30000.0")
    opened, closed = changes["lab.snspd_c_h_gate"][1:]
    assert (opened[1], closed[1], closed[0] - opened[0]) == ("1", "0", 500_000_000)
    with h5py.File(results) as file:
        clicks = int(file["datasets/clicks"][()])
    rises = [c for c in changes.get("lab.snspd_c_h_click", []) if c[1] == "1"]
    assert len(rises) == clicks > 0  # 25 dark clicks are expected
    assert all(opened[0] < u <= closed[0] for u, _ in rises)
    text = capsys.readouterr().out
    assert f"VCD: {vcd.relative_to(lab)}" in text and "no line underflows" in text


def test_the_tables_name_the_line_that_takes_the_time(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert timeline("n=3", "--costs", "ideal", "--vcd", "out.vcd") == 0
    assert (lab / "out.vcd").stat().st_size > 200
    time_table, _, slack_table = capsys.readouterr().out.partition("Slack by source line")
    largest = time_table.partition("by line of the experiment")[2].splitlines()[2].split()
    gate = next(i for i, text in enumerate(EXPERIMENT.splitlines(), 1) if "gate_rising" in text)
    # Half a second of gate, and before it 125 us: pulses, and what break_realtime adds to them.
    assert largest[:5] == ["100.0", "%", "500.000", "ms", f"loop.py:{gate}"]
    assert "self.camera.pulse_mu(8)  # the tight line" in slack_table


def test_an_underflow_is_reported_with_its_line_and_the_vcd_is_still_written(
    lab: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert timeline("n=1000", "pause=100e-9", "--costs", "kasli", "--vcd", "out.vcd") == 1
    output = capsys.readouterr()
    tight = next(i for i, text in enumerate(EXPERIMENT.splitlines(), 1) if "the tight line" in text)
    assert f"UNDERFLOW (1) at loop.py:{tight}: self.camera.pulse_mu(8)  # the tight line" in output.out
    assert "RTIOUnderflow" in output.err and f"loop.py:{tight}" in output.err
    assert len(read((lab / "out.vcd").read_text())["lab.alice_camera_trigger"]) > 20


def test_what_is_run_is_what_run_runs(lab: Path) -> None:
    assert timeline("--seed", "5") == 0
    assert cli.main(["run", "loop.py", "--seed", "5"]) == 0
    seen, unseen = (path for path in result_files(lab) if path.suffix == ".h5")
    with h5py.File(seen) as first, h5py.File(unseen) as second:
        assert first["datasets/clicks"][()] == second["datasets/clicks"][()] > 0


def test_bad_input_is_one_line(lab: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert timeline("--vcd", "no/such/folder/out.vcd") == 2
    assert "out.vcd cannot be written (No such file or directory)" in capsys.readouterr().err
    assert result_files(lab) == []
    assert timeline("m=1") == 2
    assert "unknown argument `m`" in capsys.readouterr().err
    assert cli.main(["timeline"]) == 2
    assert "FILE is missing: atomlink timeline FILE" in capsys.readouterr().err
    monkeypatch.setenv("ATOMLINK_TARGET", "hardware")
    assert timeline() == 2
    assert "target is the hardware" in capsys.readouterr().err


def test_a_long_dump_names_the_option_with_which_pulseview_can_hold_it() -> None:
    from sim.command.timeline import _pulseview

    assert _pulseview(1_000_000) == "and so does pulseview"
    assert _pulseview(8_930_000_000) == "pulseview with -I vcd:downsample=100"
