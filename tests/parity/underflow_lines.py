"""Where do kernels underflow? `python underflow_lines.py PRESET` prints a source line per kernel of `Tight`, or "none".

Runs under real ARTIQ with its stock drivers, or under the pip-only runtime: the answer must be the same. Exits 3 where
`artiq` was asked for by ATOMLINK_NEED_ARTIQ and is not there.
"""

import os
import sys
import traceback
from pathlib import Path

os.environ["ATOMLINK_COSTS"] = sys.argv[1]
os.environ["ATOMLINK_SCENARIO"] = "default"

if __name__ == "__main__":
    import sim.artiq_runtime

    sim.artiq_runtime.install()

import artiq
from artiq.coredevice.exceptions import RTIOUnderflow
from artiq.experiment import EnvExperiment, MHz, delay, delay_mu, kernel, ms, ns, parallel, us


class Tight(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.ttl = self.get_device("alice_mw_switch")
        self.other = self.get_device("bob_mw_switch")
        self.dds = self.get_device("alice_dds_raman_b")
        self.cpld = self.get_device("alice_urukul1_cpld")
        self.counter = self.get_device("alice_fluorescence_counter")

    def note(self, n):
        pass

    @kernel
    def start(self):
        self.core.reset()
        self.cpld.init()
        self.dds.init()
        delay(10 * ms)

    @kernel
    def fast_pulses(self):
        self.core.break_realtime()
        for _ in range(1000):
            self.ttl.pulse(200 * ns)
            delay(200 * ns)

    @kernel
    def dds_in_a_row(self):
        self.core.break_realtime()
        self.dds.set(80 * MHz)
        self.ttl.pulse(1 * us)
        for _ in range(300):
            self.dds.set(81 * MHz, amplitude=0.5)
        self.ttl.off()

    @kernel
    def after_a_reading(self):
        self.core.break_realtime()
        self.counter.gate_rising(100 * us)
        n = self.counter.fetch_count()
        self.ttl.on()
        if n >= 0:
            self.ttl.off()

    @kernel
    def after_a_call_to_the_host(self):
        self.core.break_realtime()
        self.ttl.pulse(1 * us)
        self.note(1)
        delay(2 * ms)
        self.ttl.pulse(1 * us)
        self.other.pulse(1 * us)

    @kernel
    def backwards(self):
        self.core.break_realtime()
        with parallel:
            self.ttl.pulse(50 * us)
            self.other.pulse(20 * us)
        delay_mu(-190000)
        self.ttl.on()
        delay(1 * ms)
        self.ttl.off()


KERNELS = ("fast_pulses", "dds_in_a_row", "after_a_reading", "after_a_call_to_the_host", "backwards")


def line_of(error: BaseException) -> int:
    """Return the innermost line of this file that an exception passed through."""
    frames = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
    return frames[-1] or 0


def main() -> int:
    if os.environ.get("ATOMLINK_NEED_ARTIQ") and getattr(artiq, "__host_runtime__", False):
        return 3
    from artiq.language.environment import ProcessArgumentManager
    from artiq.master.databases import DatasetDB, DeviceDB
    from artiq.master.worker_db import DatasetManager, DeviceManager

    devices = DeviceManager(DeviceDB(str(Path(__file__).resolve().parents[2] / "device_db.py")))
    datasets = DatasetDB("dataset_db.mdb")
    experiment = Tight((devices, DatasetManager(datasets), ProcessArgumentManager({}), {}))
    experiment.start()
    for name in KERNELS:
        try:
            getattr(experiment, name)()
            print(name, "none")
        except RTIOUnderflow as error:
            print(name, line_of(error))
    devices.close_devices()
    return 0


if __name__ == "__main__":
    sys.exit(main())
