"""A laboratory in a temporary folder, small enough to read: what the tests of the command run in."""

from pathlib import Path

DEVICE_DB = '''
from sim.target import apply

device_db = {
    "core": {"type": "local", "module": "artiq.coredevice.core", "class": "Core",
             "arguments": {"host": "192.0.2.1", "ref_period": 1e-9, "target": "cortexa9"}},
    "network": {"type": "local", "module": "drivers.network", "class": "Network",
                "arguments": {"nodes": {"alice": {}, "bob": {}}}},
    "spare": {"type": "dummy"},
    "no_channel": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut", "arguments": {}},
    "no_import": {"type": "local", "module": "broken_driver", "class": "Broken", "arguments": {}},
    "no_class": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOutt"},
}
apply(device_db)
'''

EXPERIMENTS = '''
import os
import signal

from artiq.experiment import *


class Count(EnvExperiment):
    """Count to a number.

    More about it."""

    def build(self):
        self.setattr_argument("n", NumberValue(3, precision=0, step=1, min=1, max=10), tooltip="how far")
        self.setattr_argument("t_gate", NumberValue(10*us, unit="us", min=1*us, max=100*us))
        self.setattr_argument("mode", EnumerationValue(["fast", "slow"], default="fast"))
        self.setattr_argument("twice", BooleanValue(False))
        self.setattr_argument("name", StringValue("x"))
        self.setattr_argument("scan", Scannable(default=RangeScan(0, 1, 5), global_min=0., global_max=10.))
        self.setattr_device("scheduler")
        self.setattr_device("ccb")

    def run(self):
        self.ccb.issue("create_applet", "a", "b")
        self.set_dataset("counts", [i for i in range(self.n)])
        self.set_dataset("rid_seen", self.scheduler.rid)
        self.set_dataset("param.last", self.get_dataset("param.last", 0) + 1, persist=True)


class Fail(EnvExperiment):
    def build(self):
        self.setattr_argument("stage", EnumerationValue(["build", "prepare", "run", "analyze"]))
        self.fail("build")

    def prepare(self):
        self.fail("prepare")

    def run(self):
        self.set_dataset("kept", 1.5)
        self.fail("run")

    def analyze(self):
        self.set_dataset("analyzed", 1)
        self.fail("analyze")

    def fail(self, stage):
        if self.stage == stage:
            raise ValueError("broken in " + stage)


class Stop(EnvExperiment):
    """Send itself signals, as a user does who presses Ctrl-C."""

    def build(self):
        self.setattr_argument("signals", NumberValue(1, precision=0, step=1))
        self.setattr_argument("clean", BooleanValue(False))
        self.setattr_device("scheduler")

    def run(self):
        for shot in range(1000):
            self.set_dataset("shot", shot)
            if shot == 4:
                for _ in range(self.signals):
                    os.kill(os.getpid(), signal.SIGINT)
            if self.clean and self.scheduler.check_pause():
                return
            self.scheduler.pause()

    def analyze(self):
        self.set_dataset("analyzed", 1)


class Device(EnvExperiment):
    def build(self):
        self.setattr_argument("device", StringValue("spare"))
        self.setattr_device(self.device)

    def run(self):
        pass


class Unit(EnvExperiment):
    def build(self):
        self.setattr_argument("distance", NumberValue(1, unit="parsec"))

    def run(self):
        pass


class InBright(EnvExperiment):
    simulated_in = "bright"

    def run(self):
        print("it is", self.get_device_db()["core"]["arguments"].get("scenario"))


class Unwritable(EnvExperiment):
    def run(self):
        self.set_dataset("good", 1)
        self.set_dataset("bad", {1: 2})


class Tight(EnvExperiment):
    def prepare(self):
        from atomlink.errors import TimingError
        raise TimingError("Gate `snspd` is 2 s long, but its register holds at most 131 us: shorten t_gate.")

    def run(self):
        pass
'''


def make_lab(folder: Path) -> Path:
    """Write a lab with experiments into a folder and return its root."""
    root = folder / "lab"
    (root / "experiments").mkdir(parents=True)
    (root / "device_db.py").write_text(DEVICE_DB)
    (root / "experiments" / "some.py").write_text(EXPERIMENTS)
    (root / "here.toml").write_text('description = "A scenario that lacks the rest."\n')
    return root


def result_files(root: Path) -> list[Path]:
    """Return everything below the results folder that is a file."""
    return sorted(path for path in (root / "results").rglob("*") if path.is_file())
