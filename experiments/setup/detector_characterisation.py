"""Dark counts, recovery and after-pulses of a station's detectors."""

from typing import Any

import numpy as np
from artiq.coredevice.exceptions import RTIOOverflow
from artiq.experiment import (
    EnvExperiment,
    NumberValue,
    TBool,
    TInt32,
    TInt64,
    at_mu,
    delay,
    kernel,
    ms,
    now_mu,
    us,
)
from numpy import int64

from atomlink.errors import DeviceError
from atomlink.link_name import of_station
from drivers import parameters
from drivers.network import topology
from experiments.sequences.analyse_run import conclude
from experiments.sequences.live import Columns, Plot, summed_histogram
from experiments.sequences.nodes import Nodes, ask_station
from experiments.sequences.scan import Point, Scan
from experiments.sequences.whole_numbers import ask_whole

BINS = 400  # of 1 mu: waits from a click to the next one, or to the gate's end; the last one takes all that are longer


def _dark_rates(columns: Columns) -> dict[str, Any]:
    clicks, seconds = (np.sum(columns[name], axis=0) for name in ("dark", "t_dark_s"))
    return {"y": clicks / seconds, "x": np.arange(len(clicks)), "error": np.sqrt(clicks + 0.5) / seconds}


PLOTS = (Plot("dark_rates", "xy", _dark_rates), summed_histogram("waits", "followed"))


class DetectorCharacterisation(EnvExperiment):
    """Detector characterisation

    shutters closed       [ edge counters: t_dark ][ time stamps: t_dark ]   x shots    dark counts, after-pulses
    calibration light   |‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾‾|
      time stamps         [ t_gate ]  [ t_gate ]  ...  one detector at a time  x gates  recovery
    """

    kernel_invariants = {"core", "probe", "inputs", "counters", "n"}

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(self, (), shots=50, repeats=4, plots=PLOTS)
        self.setattr_argument(
            "t_dark", NumberValue(50 * ms, unit="ms", precision=3, min=1 * ms, max=2000 * ms), "Darkness", "One gate."
        )
        self.setattr_argument(
            "t_gate", NumberValue(20 * us, unit="us", precision=3, min=1 * us, max=50 * us), "Light",
            "One gate: some clicks up to some ten, which an input's FIFO holds.",
        )  # fmt: skip
        ask_whole(self, "gates", 250, 1, 10**6, "Light", "Gates of each detector in one row.", step=10)
        self.station = ask_station(self)
        self.nodes = Nodes(self, topology(self).nodes_at(self.station.name))
        self.probe = self.get_device(f"{self.station.name}_probe")
        self.detectors = [detector.row for detector in self.station.detectors]
        self.n = len(self.detectors)
        self.inputs = [self.get_device(name) for name in self.detectors]
        self.counters = [self.get_device(f"{name}_counter") for name in self.detectors]

    def prepare(self) -> None:
        """Turn times into machine units."""
        self.call_child_method("prepare")
        self.dark_mu, self.gate_mu = (int64(self.core.seconds_to_mu(t)) for t in (self.t_dark, self.t_gate))
        parameters.get(self, of_station(self.station.name, "dark_rate_hz"))
        self.dark = [0] * self.n
        self.clear()

    def clear(self) -> None:
        """Forget the time stamps."""
        self.clicks = 0  # time stamps
        self.followed = [0] * BINS  # waits that ended with a click
        self.unfollowed = [0] * BINS  # waits that the gate's end cut off
        self.longer_mu = int64(0)  # by which waits were longer than the bins, summed

    def run(self) -> None:
        """Take every row; keep what there is when asked to stop."""
        level = {"scan.t_bin_s": self.core.ref_period, "scan.station": self.station.name,
                 "scan.detectors": ",".join(self.station.roles)}  # fmt: skip
        self.scan.run(self.measure, self.begin, self.end, level)

    def begin(self) -> None:
        """Initialise, then close the nodes: no light of theirs reaches the station."""
        self.nodes.init()
        self.nodes.close()
        self.open_inputs()

    def end(self) -> None:
        """Leave all dark."""
        self.nodes.close()
        self.light(False)

    def measure(self, _point: Point) -> dict[str, Any]:
        """Return one row: dark clicks, waits in the dark, waits under light; each by detector."""
        self.count_dark(self.scan.shots)
        row: dict[str, list[Any]] = {
            "dark": [int(n) for n in self.dark],
            "t_dark_s": [self.scan.shots * self.t_dark] * self.n,
        }
        found = [self.waits(k, self.scan.shots, self.dark_mu) for k in range(self.n)]
        row |= {"stamped": [each[0] for each in found], "followers": [sum(each[1][:-1]) for each in found]}
        self.light(True)
        found = [self.waits(k, self.gates, self.gate_mu) for k in range(self.n)]
        self.light(False)
        for column, name in enumerate(("clicks", "followed", "unfollowed", "longer_mu")):
            row[name] = [each[column] for each in found]
        return row

    def waits(self, detector: int, gates: int, gate_mu: int64) -> tuple[int, list[int], list[int], int]:
        """Return clicks of one detector in so many gates, and the histograms of what came after each."""
        self.clear()
        if not self.stamp(detector, gates, gate_mu):
            raise DeviceError(f"{self.detectors[detector]} clicks faster than its input can be read: look for light at "
                              "the station, shorten the gate, or weaken the calibration light.")  # fmt: skip
        followed, unfollowed = ([int(n) for n in waits] for waits in (self.followed, self.unfollowed))
        return int(self.clicks), followed, unfollowed, int(self.longer_mu)

    def analyze(self) -> None:
        """Work out rates and recovery; with `apply` the mean dark rate becomes what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def open_inputs(self):
        """Make the detectors inputs."""
        self.core.break_realtime()
        for ttl in self.inputs:
            ttl.input()
            delay(1 * us)

    @kernel
    def light(self, on: TBool):
        """Switch the calibration light."""
        self.core.break_realtime()
        self.probe.set_o(on)
        delay(1 * ms)

    @kernel
    def count_dark(self, shots: TInt32):
        """Count the clicks of all detectors with their edge counters."""
        self.core.break_realtime()
        for k in range(self.n):
            self.dark[k] = 0
        for _ in range(shots):
            t_mu = now_mu()
            for counter in self.counters:
                at_mu(t_mu)
                counter.gate_rising_mu(self.dark_mu)
            for k in range(self.n):
                self.dark[k] += self.counters[k].fetch_count()
            self.core.break_realtime()

    @kernel
    def stamp(self, detector: TInt32, gates: TInt32, gate_mu: TInt64) -> TBool:
        """Take the time stamps of one detector in so many gates; return False where they come too fast."""
        self.core.break_realtime()
        good = True
        try:
            for _ in range(gates):
                t_end_mu = self.inputs[detector].gate_rising_mu(gate_mu)
                self.sort(detector, t_end_mu)
                self.core.break_realtime()
        except RTIOOverflow:
            good = False
        return good

    @kernel
    def sort(self, detector: TInt32, t_end_mu: TInt64):
        """Sort the waits of one gate."""
        last_mu = int64(-1)
        k = 0
        t_mu = self.inputs[detector].timestamp_mu(t_end_mu)
        while t_mu >= 0:
            if last_mu >= 0:
                k = self.bin(t_mu - last_mu)  # not inside the index: kernels evaluate the target of += twice
                self.followed[k] += 1
            self.clicks += 1
            last_mu = t_mu
            t_mu = self.inputs[detector].timestamp_mu(t_end_mu)
        if last_mu >= 0:
            k = self.bin(t_end_mu - last_mu)
            self.unfollowed[k] += 1

    @kernel
    def bin(self, wait_mu: TInt64) -> TInt32:
        """Return the bin of a wait, and keep by how much it is longer than the bins."""
        k = BINS - 1
        if wait_mu < BINS:
            k = int(wait_mu)
        else:
            self.longer_mu += wait_mu - (BINS - 1)
        return k
