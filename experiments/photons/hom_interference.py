"""Two-photon interference of the nodes' photons against their relative delay."""

from typing import Any

from artiq.experiment import (
    BooleanValue,
    EnvExperiment,
    RangeScan,
    Scannable,
    TerminationRequested,
    us,
)

from analysis import schema
from atomlink.heralds import FOUR
from atomlink.interrupts import held
from drivers import parameters
from drivers.progress import Progress
from drivers.rtio.attempt import believed_timing
from experiments.sequences.analyse_run import conclude_run
from experiments.sequences.backend import need_polarisations
from experiments.sequences.filing import ending, file_datasets
from experiments.sequences.foretold import foretell
from experiments.sequences.nodes import ask_link
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.recorder import open_journal, provenance, stopped
from experiments.sequences.scan import Axis, check_values
from experiments.sequences.whole_numbers import ask_whole


class HomInterference(EnvExperiment):
    """HOM interference

    per delay:  load --[ recool ]--( pump --[ excite first ]--------[ gate, four detectors ] ) x attempts
                                          --[ delay ][ excite second ]
    counts c & d coincidences of one polarisation, which interfere, and of crossed polarisation, which do not; then
    single clicks, then clicks without excitation light: from these follow the accidental coincidences.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.setattr_device("ccb")
        delays = Scannable(RangeScan(-0.48 * us, 0.48 * us, 13), unit="us", global_min=-0.5 * us, global_max=0.5 * us)
        self.axis = Axis("delays", delays, "s", "The second end's light after the first's; played on the 8 ns grid.")
        self.setattr_argument("delays", delays, "Scan", self.axis.tooltip)
        ask_whole(self, "attempts", 200_000, 1, 10**9, "Scan",
                  "Attempts per delay in which coincidences are counted.", step=1000)  # fmt: skip
        ask_whole(self, "singles_attempts", 4000, 1, 10**9, "Accidentals",
                  "Attempts per delay in which single clicks are counted.", step=1000)  # fmt: skip
        ask_whole(self, "dark_attempts", 200_000, 0, 10**9, "Accidentals",
                  "Attempts without excitation light.", step=1000)  # fmt: skip
        self.setattr_argument(
            "apply",
            BooleanValue(False),
            "Result",
            "Let the visibility without delay become what the lab believes (parameter store).",
        )
        self.nodes = ask_link(self)
        self.photons = PhotonCounter(self, self.nodes, watch=True)

    def prepare(self) -> None:
        """Read beliefs and lay out the timing of every delay."""
        need_polarisations(self, self.nodes, FOUR)
        self.call_child_method("prepare")
        check_values(self.axis, list(self.delays))
        delays = [float(delay) for delay in self.delays]
        longest = max(abs(delay) for delay in delays)
        self.timings = [believed_timing(self, self.nodes.link, delay, longest) for delay in delays]
        for name in ("dark_rate_hz", "visibility"):  # filed: the analysis may fall back on the one, updates the other
            parameters.get(self, self.nodes.link.of_station(name))

    def run(self) -> None:
        """Measure every delay, then the dark counts; keep what there is when asked to stop."""
        gate = self.timings[0].gate_stop_mu - self.timings[0].gate_start_mu
        self.run_level: dict[str, Any] = {**provenance(self), "hom.t_gate_s": gate * self.core.ref_period,
                                         "hom.nodes": ",".join(self.nodes.names),
                                         "hom.link": self.nodes.link.name}  # fmt: skip
        self.points: dict[str, list[Any]] = {
            name: [] for name in ("delay_s", "attempts", "coincidences_parallel", "coincidences_orthogonal", "singles")
        }
        self.journal = open_journal(self, self.run_level)
        self.ccb.issue("create_applet", "hom", "${artiq_applet}plot_xy live.hom.visibility --x live.hom.delay_s "
                       f'--title "RID {self.scheduler.rid} HomInterference: raw visibility against delay (s)"',
                       group="hom_interference")  # fmt: skip
        complete = False
        try:
            each = self.attempts + self.singles_attempts
            foretell(self, self.photons.herald, each * len(self.timings) + self.dark_attempts)
            self.nodes.init()
            with Progress(len(self.timings), "delays") as progress:
                for k, timing in enumerate(self.timings):
                    self.measure_point(timing)
                    progress.update(k + 1)
            self.measure_dark()
            complete = True
        except (TerminationRequested, KeyboardInterrupt):
            print(stopped(len(self.points["attempts"]), len(self.timings), "delays"))
        finally:
            with ending(self.nodes.close):
                self.archive(complete)

    def measure_point(self, timing: Any) -> None:
        """Count coincidences and single clicks at one delay."""
        herald = self.photons.herald
        pairs = self.photons.count(timing, herald.same_polarisation + herald.psi_minus, self.attempts, sure=True)
        attempts = int(self.photons.done)
        singles = self.photons.count(timing, herald.singles, self.singles_attempts, sure=True)
        row = {
            "delay_s": timing.delay_mu * self.core.ref_period,
            "attempts": attempts,
            "coincidences_parallel": sum(pairs[p] for p in herald.same_polarisation),
            "coincidences_orthogonal": sum(pairs[p] for p in herald.psi_minus),
            # Scaled to the attempts in which coincidences were counted: that is what accidentals need.
            "singles": [round(singles[p] * attempts / int(self.photons.done)) for p in herald.singles],
        }
        with held():  # columns of one length
            for name, value in row.items():
                self.points[name].append(value)
            self.journal.append({f"hom.{name}": column for name, column in self.points.items()})
        self.publish()

    def measure_dark(self) -> None:
        """Count single clicks with the excitation light off; pumping and gates go on."""
        if self.dark_attempts == 0:
            return
        self.photons.excite()
        clicks = self.photons.count(self.timings[0], self.photons.herald.singles, self.dark_attempts)
        self.photons.excite_all()
        self.run_level["hom.dark_clicks"] = [clicks[p] for p in self.photons.herald.singles]
        self.run_level["hom.dark_gates"] = int(self.photons.done)

    def publish(self) -> None:
        """Broadcast the curve so far."""
        orthogonal = [max(n, 1) for n in self.points["coincidences_orthogonal"]]
        visibility = [1 - p / o for p, o in zip(self.points["coincidences_parallel"], orthogonal, strict=True)]
        self.set_dataset("live.hom.delay_s", self.points["delay_s"], broadcast=True, archive=False)
        self.set_dataset("live.hom.visibility", visibility, broadcast=True, archive=False)

    def archive(self, complete: bool) -> None:
        """Close the journal and write every dataset of the run."""
        self.complete = complete
        self.everything = {**self.run_level, **{f"hom.{name}": column for name, column in self.points.items()}}
        try:
            self.journal.append({key: value for key, value in self.run_level.items() if key.startswith("hom.")})
            self.journal.close(complete)
        finally:  # a disk that is full does not keep the points from the results file
            file_datasets(self, {**self.everything, "run.complete": int(complete)})

    def analyze(self) -> None:
        """Print the visibility, if there are enough coincidences for one; with `apply` the lab believes it."""
        if self.apply and not self.complete:
            print("The run was stopped: its result does not become what the lab believes.")
        datasets = {key: schema.array(key, value) for key, value in self.everything.items()}
        self.result = conclude_run(self, datasets, apply=bool(self.apply) and self.complete)
