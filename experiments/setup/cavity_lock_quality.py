"""How well the servos hold the cavities: residual detuning, volts per linewidth, and whether they catch again."""

import time
from typing import Any

from artiq.experiment import EnvExperiment, NumberValue, RangeScan, Scannable, TFloat, V, delay, kernel, ms, now_mu

from atomlink.at_port import belief, row
from drivers import parameters
from drivers.interlock import LockMonitor, LockState, Reading
from experiments.sequences.analyse_run import conclude
from experiments.sequences.live import mean_curve
from experiments.sequences.lock_monitors import CAVITY
from experiments.sequences.nodes import ask_names
from experiments.sequences.scan import Axis, Point, Scan


class CavityLockQuality(EnvExperiment):
    """Cavity lock quality

    servo at v_setpoint |‾‾‾ run ‾‾‾|____ hold: t_hold ____|‾ run ‾|
    readings                ^ ^ ^ ^ x shots               ^       ^      error signal, light behind the cavity
    The set point moves the cavity along its resonance: the light tells by how many linewidths.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.names = ask_names(self)
        self.scan = Scan(
            self,
            (Axis("v_setpoint", Scannable(RangeScan(-1.2 * V, 1.2 * V, 9), unit="V", global_min=-2 * V,
                                          global_max=2 * V), "V", "Set point of the error signals."),),
            shots=30,
            plots=[mean_curve(node, "v_setpoint", ("light_v", i)) for i, node in enumerate(self.names)],
        )  # fmt: skip
        self.setattr_argument("t_step", NumberValue(100 * ms, unit="ms", precision=1, min=1 * ms, max=10_000 * ms),
                              "Readings", "From reading to reading.")  # fmt: skip
        self.setattr_argument("t_hold", NumberValue(1000 * ms, unit="ms", precision=1, min=1 * ms, max=60_000 * ms),
                              "Readings", "The servo is held so long, then let run again.")  # fmt: skip
        gain = {"precision": 3, "scale": 1.0, "step": 0.1, "min": -1e6, "max": 1e6}
        self.setattr_argument("gain", NumberValue(-0.1, unit="V/V", **gain), "Servo", "Proportional, as in a run.")
        self.setattr_argument("integral", NumberValue(-1000.0, unit="1/s", **gain), "Servo", "Integral, as in a run.")

    def prepare(self) -> None:
        """Read what the lab believes of the light behind a locked cavity."""
        self.call_child_method("prepare")
        self.bright_v = {node: parameters.get(self, belief(node, "v_transmitted_v")) for node in self.names}

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.locks = {node: self.get_device(row(node, "cavity_lock")) for node in self.names}
        self.monitors = {node: LockMonitor(row(node, "cavity_lock"), CAVITY, self.reader(node)) for node in self.locks}
        self.scan.run(self.measure, self.begin, self.end, {"scan.nodes": ",".join(self.names)})

    def begin(self) -> None:
        """Reset the timeline."""
        self.reset()

    def end(self) -> None:
        """Leave the servos running, on resonance."""
        for lock in self.locks.values():
            lock.set_pid(self.gain, self.integral)
            lock.run()

    def reader(self, node: str) -> Any:
        """Return the function that reads by how much light one cavity falls short."""
        lock, bright_v = self.locks[node], self.bright_v[node]
        return lambda: Reading(1 - lock.transmission_v() / bright_v, time.monotonic())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return one row: error signals and light of every cavity, running, held and running again."""
        for lock in self.locks.values():
            lock.set_pid(self.gain, self.integral, point.v_setpoint)
            lock.run()
        self.wait(self.t_step)
        row: dict[str, Any] = {
            "error_v": [[] for _ in self.names],
            "light_v": [[] for _ in self.names],
            "states": [[0] * len(LockState) for _ in self.names],
        }
        for _ in range(self.scan.shots):
            for i, (node, lock) in enumerate(self.locks.items()):
                seen = lock.telemetry(0.0)
                row["error_v"][i].append(seen.adc_v[0])
                row["light_v"][i].append(seen.adc_v[1])
                row["states"][i][self.monitors[node].check(time.monotonic())] += 1
            self.wait(self.t_step)
        return row | self.held()

    def held(self) -> dict[str, Any]:
        """Hold the servos, let them run again; return the light at the end of either."""
        for lock in self.locks.values():
            lock.hold()
        self.wait(self.t_hold)
        held = [lock.transmission_v() for lock in self.locks.values()]
        for lock in self.locks.values():
            lock.run()
        self.wait(self.t_step)
        return {"held_v": held, "again_v": [lock.transmission_v() for lock in self.locks.values()]}

    def analyze(self) -> None:
        """Fit light against set point; with `apply` the light of a locked cavity becomes what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def reset(self):
        """Begin a new timeline."""
        self.core.reset()

    @kernel
    def wait(self, t_s: TFloat):
        """Return after so much lab time."""
        self.core.break_realtime()
        delay(t_s)
        self.core.wait_until_mu(now_mu())
