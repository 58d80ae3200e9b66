"""Several qubits of a register, stored and refocused, while one of them is measured: what the others keep."""

from typing import Any

from artiq.experiment import (
    BooleanValue,
    EnvExperiment,
    RangeScan,
    Scannable,
    TInt32,
    TInt64,
    at_mu,
    delay,
    kernel,
    ms,
    now_mu,
)
from numpy import int64

from atomlink.at_port import belief
from atomlink.errors import DeviceError, UsageError
from drivers import parameters
from drivers.rtio.register import Register, Site
from drivers.rtio.storage import BLOCK
from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import ask_node
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.states import PUMP_TIMES
from experiments.sequences.whole_numbers import ask_whole

MAX_LOADS = 50  # that often too few atoms: then something is broken
HALF_TURN_POW = 0x8000


class RegisterRamsey(EnvExperiment):
    """Register: coherence of stored qubits

    load, fill the gate zone by moves --[ cool ]--[ pump to F = 2, m = 0 ]--[ pi/2 ]--
      --( XY8 x blocks )--[ hide, push out and image the port's atom, show ]--( XY8 x blocks )--
      --[ pi/2, or -pi/2 ]--[ push out ]--[ image ]--> next shot
    An atom that has kept its phase is left after pi/2 and pushed out after -pi/2; shots take turns. Qubit 0 is at the
    port and is measured midway, in the gap between two pulses of the train; the others stand beside it.
    """

    simulated_in = "register"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        waits = Scannable(RangeScan(0.1, 1.6, 6), unit="s", global_min=1e-3, global_max=20.0)
        self.node = ask_node(self, "Register", "Whose register.")
        ask_whole(self, "n_qubits", 4, 2, 16, "Register", "Qubits in the gate zone, that at the port among them.")
        ask_whole(self, "rows", 4, 1, 1000, "Register", "Rows of the array.")
        ask_whole(self, "columns", 6, 1, 1000, "Register", "Columns of the array.")
        ask_whole(self, "blocks", 1, 1, 1000, "Storage", "XY8 blocks before the measurement, and as many after it.")
        self.setattr_argument("measure_midway", BooleanValue(True), "Storage", "Off: the same without a measurement.")
        self.n_qubits: int = max(2, int(self.n_qubits or 2))  # None while arguments are examined
        kept = {f"qubit {k}": (("kept", k), "n") for k in range(1, self.n_qubits)}
        self.scan = Scan(self, (Axis("t_wait", waits, "s", "From the first pi/2 pulse to the last."),), shares=kept,
                         shots=40)  # fmt: skip
        self.register = Register(self, self.node)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        register = self.register
        register.set_size(self.rows, self.columns)
        self.call_child_method("prepare")
        if self.n_qubits > len(register.zone):
            raise UsageError(f"n_qubits is {self.n_qubits}, but the gate zone of {self.node} has {len(register.zone)} "
                             f"sites: take fewer, or set param.{self.node}.zone_columns.")
        self.sites: tuple[Site, ...] = register.zone[: self.n_qubits]
        parameters.get(self, belief(self.node, "t2_storage_s"))  # filed: the prediction rests on it
        self.pump_mu = int64(PUMP_TIMES) * parameters.duration_mu(self, belief(self.node, "t_pump_s"))
        for point in self.scan.points:
            self.spacing_mu(point.t_wait)

    def spacing_mu(self, t_wait: float) -> int64:
        """Return the gap between two pulses of the train; UsageError where the measurement does not fit into one."""
        spacing_mu = self.register.storage.spacing_mu(t_wait, 2 * self.blocks)
        storage = self.register.storage
        least_mu = int(storage.after_mu + self.register.measure_mu + storage.before_mu)
        if self.measure_midway and spacing_mu < least_mu:
            needed = 2 * BLOCK * self.blocks * least_mu * self.core.ref_period
            raise UsageError(f"t_wait is {t_wait:g} s, but with {2 * self.blocks} blocks the measurement needs "
                             f"{needed:g} s: wait longer, take fewer blocks, or measure_midway=False.")
        return spacing_mu

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.register.connect()
        self.filled = False
        level = {"scan.node": self.node, "scan.n_qubits": self.n_qubits, "scan.blocks": int(self.blocks),
                 "scan.measure_midway": int(self.measure_midway)}  # fmt: skip
        self.scan.run(self.measure, self.begin, self.end, level)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how many shots saw each qubit where its phase should bring it, and what the measurement midway saw."""
        spacing_mu = self.spacing_mu(point.t_wait)
        row = {"kept": [0] * self.n_qubits, "n": self.scan.shots, "seen_midway": 0, "moves": 0, "loads": 0}
        for shot in range(self.scan.shots):
            self.fill(row)
            after = (0, HALF_TURN_POW)[shot % 2]
            row["seen_midway"] += int(self.shoot(spacing_mu, after))
            self.register.look()
            for k, site in enumerate(self.sites):
                row["kept"][k] += int(self.register.there(site) == (after == 0))
        return row

    def fill(self, row: dict[str, Any]) -> None:
        """Bring an atom to every site of the qubits, from the array, loaded anew where that has too few."""
        register = self.register
        for _ in range(MAX_LOADS):
            missing = [site for site in self.sites if not register.there(site)]
            register.keep_spares((r, c) for r in range(self.rows) for c in range(self.columns)
                                 if (r, c) not in register.zone)  # fmt: skip
            if len(missing) <= len(register.spares):
                for site in missing:
                    self.fetch(*site)
                row["moves"] += len(missing)
                if not missing:
                    return
                register.look()  # a hand-over loses an atom now and then
            else:
                self.load()
                register.look()
                row["loads"] += 1
        raise DeviceError(
            f"{MAX_LOADS} loadings and moves did not fill {self.n_qubits} sites of {self.node}: check cooling light, "
            f"coil and shutter, param.{self.node}.site_threshold, and whether the lab has a register."
        )

    def analyze(self) -> None:
        """Estimate the storage's T2; with `apply` it becomes what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def begin(self):
        """Reset the core device and initialise the register."""
        self.core.reset()
        self.register.init()

    @kernel
    def end(self):
        """Leave the node dark, its shutter closed; works after an exception, too."""
        self.core.reset()
        self.register.close()
        self.core.wait_until_mu(now_mu())

    @kernel
    def load(self):
        """Load all sites once."""
        self.core.break_realtime()
        self.register.tweezer.imaging.load()
        self.core.wait_until_mu(now_mu())

    @kernel
    def fetch(self, row: TInt32, column: TInt32):
        """Bring a spare atom to a site."""
        self.core.break_realtime()
        self.register.fetch(row, column)
        self.core.wait_until_mu(now_mu())

    @kernel
    def shoot(self, spacing_mu: TInt64, after_pow: TInt32) -> TInt32:
        """Take one shot up to the last push-out; return 1 if the measurement midway saw an atom."""
        self.core.break_realtime()
        seen = 0
        half = BLOCK * self.blocks
        storage = self.register.storage
        self.register.show()
        self.register.tweezer.imaging.cool()
        self.register.ready(self.pump_mu)
        storage.quarter_turn(0)
        start_mu = now_mu()
        storage.pulses(start_mu, spacing_mu, 0, half)
        at_mu(start_mu + spacing_mu * int64(half) - (spacing_mu >> 1) + storage.after_mu)
        self.register.hide()
        if self.measure_midway and self.register.measure():
            seen = 1
        self.register.show()
        storage.pulses(start_mu, spacing_mu, half, 2 * half)
        storage.quarter_turn(after_pow)
        self.register.tweezer.imaging.push_out()
        delay(1 * ms)
        self.core.wait_until_mu(now_mu())
        return seen
