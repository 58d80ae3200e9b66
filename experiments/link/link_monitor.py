"""Look at the link now and then, and have it calibrated when it has fallen.

What to calibrate depends on what fell. The rate is made by few nodes (pumping, cavity, excitation, the photon's delay),
each checked in seconds: they are also checked whenever one of their time-outs has passed, so that the rate need not
fall first. The fidelity depends on all nodes, minutes of checks: these wait for an alarm. At an alarm no time-out is
trusted.
"""

from pathlib import Path
from typing import Any

from artiq.experiment import (
    BooleanValue,
    EnumerationValue,
    EnvExperiment,
    NumberValue,
    TBool,
    TInt64,
    kernel,
)
from numpy import int64

from analysis import health, pair_rows
from analysis.health import Look, Reference, Verdict
from drivers.network import topology
from experiments.calibration import calibrate
from experiments.calibration.graph import Graph
from experiments.calibration.history import History
from experiments.calibration.nodes import nodes_of
from experiments.sequences.analyse_run import conclude
from experiments.sequences.current_parameters import CurrentParameters
from experiments.sequences.nodes import ask_link
from experiments.sequences.pair_counts import PairCounts, fidelity_curve, rate_curve
from experiments.sequences.pairs import Pairs
from experiments.sequences.scan import Point, Scan
from experiments.sequences.settings import XX, YY, ZZ
from experiments.sequences.whole_numbers import ask_whole

IDLE_S = 5.0  # between two questions to the scheduler while nothing happens
SETTINGS = (XX, YY, ZZ)


class LinkMonitor(EnvExperiment):
    """Link monitor

    ( herald and read out a few pairs )--[ charts of rate and fidelity ]--as it was--[ dark until the next look is due ]
      ^                       fallen, or a time-out has passed--[ Calibrate, ahead of this run ]--[ beliefs anew ]--+
      +--------------------------------------------------------------------------------------------------------------+
    """

    calibration = Path(calibrate.__file__).resolve()  # the file of `Calibrate`

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        plots = [rate_curve("t_s", "t_attempting_s"), fidelity_curve("t_s")]
        self.scan = Scan(self, (), shots=150, repeats=6, plots=plots)
        self._build_arguments()
        self.beliefs = CurrentParameters(self)
        self.nodes = ask_link(self, self.beliefs.managers)
        self.pairs = Pairs(self.beliefs.managers, self.nodes, choose_feed_forward=False)
        self.register_child(self.nodes)
        self.register_child(self.pairs)

    def _build_arguments(self) -> None:
        self.setattr_argument(
            "period",
            NumberValue(600.0, unit="s", precision=0, step=60, min=0, max=86400),
            "Monitor",
            "From the start of one look to the start of the next.",
        )
        self.setattr_argument(
            "fraction",
            NumberValue(0.9, precision=3, step=0.01, min=0.3, max=0.99),
            "Monitor",
            "Of rate or fidelity: a fall to this part of the reference is to be found.",
        )
        ask_whole(self, "looks_to_false_alarm", 500, 2, 10**6, "Monitor",
                  "An unchanged link raises an alarm once in so many looks, or more seldom.", step=100)  # fmt: skip
        self.calibrations = nodes_of(topology(self))
        names = [calibrate.ALL, *(node.name for node in self.calibrations)]

        def first(name: str) -> str:
            return next((node for node in names if node.startswith(name)), calibrate.ALL)

        for key, value, tooltip in (
            ("calibrate", BooleanValue(True), "Submit calibrations."),
            ("target_fidelity", EnumerationValue(names, first("pair_phase")), "Calibrated if the fidelity fell."),
            ("target_rate", EnumerationValue(names, first("fibre_delay")), "Calibrated if the rate fell."),
            ("upkeep", BooleanValue(True), "Have what makes the rate checked when a time-out of it has passed."),
        ):
            self.setattr_argument(key, value, "Calibration", tooltip)

    def prepare(self) -> None:
        """Read the beliefs, the references among them."""
        self.call_child_method("prepare")
        self.pairs.setup(SETTINGS)
        self.counts = PairCounts(self.pairs)
        self.period_mu = int64(self.core.seconds_to_mu(self.period))
        self.reference = Reference(
            self.pairs.of_station("reference_rate_hz"),
            self.pairs.of_station("reference_fidelity"),
            self.fraction,
            self.looks_to_false_alarm,
        )
        self.looks: list[Look] = []  # since the last alarm
        self.history = History(self)
        graph = Graph(self.calibrations)
        self.rate_nodes = graph.order("" if self.target_rate == calibrate.ALL else self.target_rate)
        self.start_mu = int64(-1)
        self.taken = 0

    def run(self) -> None:
        """Look again and again; keep what there is when asked to stop."""
        try:
            self.counts.open()
            self.scan.run(self.measure, self.begin, self.nodes.close, self._run_level())
        finally:
            self.beliefs.file()

    def _run_level(self) -> dict[str, Any]:
        return {
            **self.counts.run_level(),
            "monitor.period_s": self.period,
            "monitor.reference_rate_hz": self.reference.rate_hz,
            "monitor.reference_fidelity": self.reference.fidelity,
            "monitor.fraction": self.fraction,
            "monitor.looks_to_false_alarm": self.looks_to_false_alarm,
        }

    def begin(self) -> None:
        """Take over what is believed now: others may have run. The nodes stay dark."""
        self.nodes.prepare()
        self.pairs.prepare()
        self.pairs.setup(SETTINGS)
        self.nodes.close()

    def measure(self, _point: Point) -> dict[str, Any]:
        """Wait until the next look is due, look, judge, and have calibrated what needs it."""
        self.wait()
        t_mu = self.counter_mu()
        self.nodes.init()
        row = self.counts.measure(self.scan.shots)
        self.nodes.close()
        self.looks.append(pair_rows.look(row))
        verdict = health.judge(self.looks, self.reference)
        self._say(verdict)
        self.taken += 1
        alarm = bool(verdict.fallen) and self.calibrate
        overdue = self.overdue() if self.calibrate and self.upkeep and not alarm else []
        if alarm:
            self.submit(self.target_rate if verdict.fallen == health.RATE else self.target_fidelity, recheck=True)
            self.looks = []
        elif overdue:
            print(f"To be checked: {', '.join(overdue)}.")
            self.submit(self.target_rate, recheck=False)  # the charts go on: it may find that nothing has changed
        return {
            "t_s": int(t_mu - self.start_mu) * self.core.ref_period,
            **row,
            "evidence_rate": verdict.rate[-1],
            "evidence_fidelity": verdict.fidelity[-1],
            "fallen_rate": int(verdict.fallen == health.RATE),
            "fallen_fidelity": int(verdict.fallen == health.FIDELITY),
            "calibrated": int(alarm),
            "kept_up": int(bool(overdue)),
        }

    def wait(self) -> None:
        """Let lab time pass until the next look is due; others may run meanwhile."""
        if self.start_mu < 0:
            self.start_mu = int64(self.counter_mu())
            self.history.begin(int(self.start_mu))
        due_mu = self.start_mu + self.taken * self.period_mu
        while not self.idle_until(due_mu):
            self.core.comm.close()
            self.scheduler.pause()
            self.begin()

    def overdue(self) -> list[str]:
        """Return the nodes behind the rate whose time-out has passed."""
        return self.history.overdue(self.rate_nodes, self.history.time_s(int(self.counter_mu())))

    def submit(self, target: str, recheck: bool) -> None:
        """Submit a calibration that comes before this run; it has its turn before the next look."""
        expid = {
            "log_level": (self.scheduler.expid or {}).get("log_level", 30),
            "file": str(self.calibration),
            "class_name": "Calibrate",
            "arguments": {"target": target, "recheck": recheck},
        }
        rid = self.scheduler.submit(self.scheduler.pipeline_name, expid, self.scheduler.priority + 1)
        print(f"Calibration of {target} submitted, RID {rid}.")

    def _say(self, verdict: Verdict) -> None:
        look = self.looks[-1]
        fallen = f": the {verdict.fallen} has fallen" if verdict.fallen else ""
        rate = look.heralds / look.t_attempting_s
        what = f"{rate:.0f} heralds per second of attempting, fidelity {look.fidelity:.3f}"
        print(f"Look {self.taken + 1}: {what}{fallen}")

    @kernel
    def idle_until(self, t_mu: TInt64) -> TBool:
        """Wait until lab time t_mu; return early, False, where another run is due."""
        while self.core.get_rtio_counter_mu() < t_mu:
            self.core.wait_until_mu(min(t_mu, self.core.get_rtio_counter_mu() + self.core.seconds_to_mu(IDLE_S)))
            if self.scheduler.check_pause():
                return False
        return True

    @kernel
    def counter_mu(self) -> TInt64:
        """Return lab time."""
        return self.core.get_rtio_counter_mu()

    def analyze(self) -> None:
        """Say how the link did."""
        self.result = conclude(self, self.scan)
