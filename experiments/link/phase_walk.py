"""How fast the optical phase between the two ways of a one-photon station walks."""

from typing import Any

from artiq.experiment import EnvExperiment, ExplicitScan, Scannable, TInt32, TInt64, kernel, ms, now_mu

from atomlink.link_name import of_station
from drivers import parameters
from drivers.network import topology
from drivers.rtio.phase_lock import phase_lock
from experiments.sequences.analyse_run import conclude
from experiments.sequences.backend import need_one_photon
from experiments.sequences.live import mean_curve
from experiments.sequences.nodes import ask_link
from experiments.sequences.scan import Axis, Point, Scan


class PhaseWalk(EnvExperiment):
    """Phase walk

    ( [ calibration light: c, d ]--[ a quarter turn later: c, d ]--[ take the phase out ]____ t_wait ____ ) x shots
    What each reading finds has gathered since the one before. No atoms are needed.
    """

    simulated_in = "one_photon"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        waits = Scannable(ExplicitScan([2 * ms, 5 * ms, 10 * ms, 20 * ms]), unit="ms", global_min=0.1 * ms,
                          global_max=1000 * ms)  # fmt: skip
        self.scan = Scan(self, (Axis("t_wait", waits, "s", "From a correction to the next reading."),), shots=100,
                         plots=[mean_curve("walked", "t_wait", "variance")])  # fmt: skip
        self.nodes = ask_link(self)
        link = self.nodes.link
        self.station: Any = topology(self).station(link.station) if link else None  # None: arguments are examined
        self.phase = phase_lock(self, self.station, self.nodes.nodes[-1].excitation)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        need_one_photon(self, self.station)
        self.call_child_method("prepare")
        parameters.get(self, of_station(self.nodes.link.station, "phase_walk_rad2_s"))  # filed beside what is found
        self.phase.gain = 1.0  # each correction takes all of the phase out: the next reading shows what came since

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.nodes.init, self.nodes.close, self.nodes.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return what so many readings found: mean square, its spread, and the mean age of a correction."""
        self.phase.clear()
        self.read(self.scan.shots, self.core.seconds_to_mu(point.t_wait))
        return self.phase.walked()

    @kernel
    def read(self, shots: TInt32, wait_mu: TInt64):
        """Read and correct once, then again and again with a wait between."""
        self.core.break_realtime()
        self.phase.forget()
        self.phase.hold()
        for _ in range(shots):
            self.core.wait_until_mu(now_mu() + wait_mu)
            self.core.break_realtime()
            self.phase.correct()

    def analyze(self) -> None:
        """Find the walk; with `apply` it becomes what the lab believes."""
        self.result = conclude(self, self.scan)
