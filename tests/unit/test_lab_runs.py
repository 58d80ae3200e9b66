"""`atomlink lab` and `atomlink run --lab`: the command, and what a run and the lab's instruments see of each other."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import pytest
from daemon_lab import ROOT, Kept, hardware_rows, kept

from sim.cli import main
from sim.daemon.watchdog import LOOKS, Watchdog

EXPERIMENT = '''
from artiq.experiment import *


class Dim(EnvExperiment):
    """Open the shutter, turn the laser down from the host, from an RPC, and after a pause."""

    def build(self):
        for name in ("core", "alice_shutter", "alice_mw_switch", "alice_laser", "alice_camera", "scheduler"):
            self.setattr_device(name)

    @kernel
    def open_shutter(self):
        self.core.reset()
        self.alice_shutter.on()
        for _ in range(400):  # until the counter has passed the shutter's time
            self.alice_mw_switch.on()
            delay(2*us)
        self.turn_down(90.0)
        self.core.break_realtime()
        delay(10*ms)
        self.alice_shutter.off()

    @rpc
    def turn_down(self, current_ma) -> TNone:
        self.alice_laser.set_current_ma(current_ma)

    def run(self):
        self.open_shutter()
        self.turn_down(80.0)
        self.core.comm.close()
        self.turn_down(70.0)
        self.set_dataset("identity", self.alice_camera.identity)
        self.set_dataset("simulated", self.alice_laser.simulated)
'''


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A laboratory with our device_db.py and one experiment."""
    shutil.copy(ROOT / "device_db.py", tmp_path)
    (tmp_path / "dim.py").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def watched(lab: Kept) -> list[tuple[float, int]]:
    """Return a list that grows by (current, lab time) whenever the current is set."""
    laser: Any = lab.world.element("alice_laser")
    seen: list[tuple[float, int]] = []
    set_current = laser.set_current

    def note(current_ma: float) -> None:
        set_current(current_ma)
        seen.append((current_ma, lab.world.now_mu))

    laser.set_current = note
    return seen


def test_a_run_turns_the_labs_laser_down_at_its_counter(checkout: Path) -> None:
    with kept(rows=hardware_rows("alice_laser", "alice_camera")) as lab:
        seen = lab.do(lambda: watched(lab))
        levels: list[tuple[int, int]] = []
        output = lab.world.output

        def spied(port: str, kind: str) -> Any:
            sink = output(port, kind)

            def note(t_mu: int, level: int) -> None:
                levels.append((level, len(seen)))
                sink(t_mu, level)

            return note if port == "alice_shutter" else sink

        lab.world.output = spied  # type: ignore[method-assign]
        assert main(["run", "dim.py", "--lab", lab.address]) == 0
        currents, times = [current for current, _ in seen], [t_mu for _, t_mu in seen]
    assert currents == [95.0, 90.0, 80.0, 70.0]  # the driver sets the clip when it opens, which applies the current
    # 90 mA in the RPC: after the shutter opened; 80 mA: the kernel had ended, 10 ms of timeline were still to come;
    # 70 mA: the run had let go of the timeline, on which everything had happened then.
    assert levels[:2] == [(1, 1), (0, 3)]
    assert times[0] == 0 and 125_000 <= times[1] < times[2] < 10_000_000 <= times[3]
    file = next(checkout.glob("results/*/*/*.h5"))
    with h5py.File(file) as found:
        assert found["datasets/simulated"][()]
        assert found["datasets/identity"][()].decode().startswith("Hamamatsu")


CLICKS = """
import numpy
from artiq.experiment import *


class Clicks(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("snspd_c_h")
        self.times = [numpy.int64(0)] * 20

    @kernel
    def first_click(self, i):
        self.core.break_realtime()
        gate_end = self.snspd_c_h.gate_rising(200*ms)
        self.times[2 * i] = self.snspd_c_h.timestamp_mu(gate_end)
        self.times[2 * i + 1] = self.core.get_rtio_counter_mu()

    def run(self):
        self.core.reset()
        for i in range(10):
            self.first_click(i)
        self.set_dataset("times", self.times)
"""


def test_the_same_seed_gives_the_same_clicks_and_counter_in_a_fresh_lab_as_in_process(checkout: Path) -> None:
    (checkout / "clicks.py").write_text(CLICKS)
    with kept(rows={}) as lab:
        assert main(["run", "clicks.py", "--lab", lab.address, "--results", "over"]) == 0
    assert main(["run", "clicks.py", "--seed", "1", "--results", "here"]) == 0
    files = [next(checkout.glob(f"{name}/*/*/*.h5")) for name in ("over", "here")]
    with h5py.File(files[0]) as over, h5py.File(files[1]) as here:
        times = here["datasets/times"][()].tolist()
        assert over["datasets/times"][()].tolist() == times
    assert len({t_mu for t_mu in times if t_mu > 0}) >= 10


LOSING = """
import os, signal, sys
from artiq.experiment import *


class Losing(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("alice_shutter")
        self.setattr_argument("pid", NumberValue(precision=0, step=1))

    @kernel
    def toggle(self):
        self.core.reset()
        self.alice_shutter.on()
        self.core.wait_until_mu(now_mu() + 1000)

    def run(self):
        try:
            self.set_dataset("kept", 1)
            self.toggle()
            os.kill(int(self.pid), signal.SIGKILL)
            while True:
                self.toggle()
        finally:
            self.toggle()
"""


def test_a_run_whose_lab_is_killed_says_so_in_one_line_and_keeps_its_data(
    checkout: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (checkout / "losing.py").write_text(LOSING)
    with started() as (process, address):
        assert main(["run", "losing.py", f"pid={process.pid}", "--lab", address]) == 2
    kept_line, error = capsys.readouterr().err.splitlines()[-2:]
    assert kept_line.startswith("what there was by then is in") and f"the lab at {address} is lost" in error
    assert not caplog.records
    with h5py.File(next(checkout.glob("results/*/*/*.h5"))) as found:
        assert found["datasets/kept"][()] == 1


STOPPED = '''
import os, signal
from artiq.experiment import *


class Stopped(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("alice_shutter")

    @kernel
    def open_shutter(self):
        self.core.reset()
        self.alice_shutter.on()
        self.core.wait_until_mu(now_mu() + 100_000_000)
        self.stop()
        self.core.break_realtime()
        self.alice_shutter.on()
        self.core.wait_until_mu(now_mu())

    @rpc
    def stop(self):
        os.kill(os.getpid(), signal.SIGSTOP)

    @kernel
    def close_shutter(self):
        self.core.break_realtime()
        self.alice_shutter.off()
        self.core.wait_until_mu(now_mu())

    def run(self):
        self.set_dataset("kept", 1)
        try:
            self.open_shutter()
        finally:
            self.close_shutter()
'''


def test_a_run_that_is_stopped_with_open_shutters_loses_the_timeline_and_its_light(checkout: Path) -> None:
    """Its process is alive and its connection stands, so only its silence can tell."""
    (checkout / "stopped.py").write_text(STOPPED)
    with kept(rows={}) as lab:
        watchdog = Watchdog(lab.daemon.service, 30.0)
        command = [sys.executable, "-m", "sim.cli", "run", "stopped.py", "--lab", lab.address]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
                assert open_shutters(lab) and lab.daemon.service.holder == f"process {process.pid}"
                for _ in range(LOOKS):
                    lab.do(watchdog.look)
                assert open_shutters(lab)  # the first look learns how much was heard, the last but one is too early
                lab.do(watchdog.look)
                assert not open_shutters(lab) and lab.daemon.service.holder is None
            finally:
                process.send_signal(signal.SIGCONT)
            errors = process.communicate(timeout=60)[1].splitlines()
        assert not open_shutters(lab)
    assert process.returncode == 2
    assert "what there was by then is in" in errors[-2] and f"taken from process {process.pid}" in errors[-1]
    assert "it said nothing for 30 s; start it again" in errors[-1]
    with h5py.File(next(checkout.glob("results/*/*/*.h5"))) as found:
        assert found["datasets/kept"][()] == 1


def open_shutters(lab: Kept) -> int:
    """Return how many beams' shutters are open, after time for shutters to move."""
    world = lab.world
    lab.do(lambda: world.reach(world.now_mu + 100_000_000))
    return sum(beam.shutter_open for node in world.nodes.values() for beam in node.beams.values())


@contextmanager
def started() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command in a process of its own; give it, and the lab's address."""
    command = [sys.executable, "-m", "sim.cli", "lab", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            line = next((text for text in process.stdout if text.startswith("runs:")), "")
            assert line, process.stderr.read()
            yield process, line.split("--lab ")[1].split()[0]
        finally:
            process.kill()


@pytest.mark.parametrize("words", ["--port 70000", "--bind ::1", "--bind everywhere", "--scenario no", "--heartbeat 0",
                                   "--heartbeat nan"])
@pytest.mark.usefixtures("checkout")
def test_bad_options_are_one_line_and_exit_code_2(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", *words.split()]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("checkout")
def test_the_command_prints_its_table_refuses_a_second_and_stops_cleanly(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "sim.cli", "lab", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = []
        while not (lines and lines[-1].startswith("runs:")):
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        port = lines[-1].split("--lab 127.0.0.1:")[1].split()[0]
        assert main(["lab", "--port", port]) == 2
        assert "another lab may be running" in capsys.readouterr().err
        process.send_signal(number)
        rest, complaints = process.communicate(timeout=60)
    assert process.returncode == 0 and "shutters closed" in rest and complaints == ""
    assert len(lines) == 3 + len(hardware_rows())
    assert any("alice_microwave" in line and "TCPIP::127.0.0.1::" in line for line in lines)
