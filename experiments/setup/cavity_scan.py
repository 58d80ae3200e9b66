"""Where each cavity is resonant with its photon, how wide the resonance is, and what it gives at best."""

# ARTIQ's annotations are calls, TList(TFloat), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TFloat, TList, V, delay, kernel, ms

from atomlink.at_port import belief
from drivers import parameters
from drivers.rtio.attempt import believed_timing
from experiments.sequences.analyse_run import conclude
from experiments.sequences.nodes import ask_link
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Axis, Point, Scan, by_node


class CavityScan(EnvExperiment):
    """Cavity scan

    [ piezo: v_piezo ]-- load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors ] ) x shots
    with the light of one node after the other; all cavities are scanned alike. The locks must not hold them meanwhile.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_link(self)
        self.scan = Scan(
            self,
            (Axis("v_piezo", Scannable(RangeScan(-10 * V, 9.9 * V, 11), unit="V", global_min=-10 * V,
                                       global_max=9.99 * V), "V", "Voltage at the cavity piezos."),),
            shares=by_node(self.nodes.names, "clicks", "n", trials_too=True),
            shots=4000,
        )  # fmt: skip
        self.photons = PhotonCounter(self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        self.call_child_method("prepare")
        self.timing = believed_timing(self, self.nodes.link)
        for name in ("cavity_hz_per_v", "f_kappa_hz"):  # filed with the results: the analysis rests on them
            for node in self.nodes.names:
                parameters.get(self, belief(node, name))
        parameters.get(self, self.nodes.link.of_station("dark_rate_hz"))
        self.believed_v = [parameters.get(self, belief(node, "v_piezo_v")) for node in self.nodes.names]

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        gate_s = (self.timing.gate_stop_mu - self.timing.gate_start_mu) * self.core.ref_period
        self.scan.run(self.measure, self.nodes.init, self.end,
                      {**self.nodes.run_level(), "scan.t_gate_s": gate_s})  # fmt: skip

    def measure(self, point: Point) -> dict[str, Any]:
        """Return clicks of so many attempts of each node."""
        self.set_piezos([point.v_piezo] * self.nodes.n)
        row: dict[str, Any] = {"clicks": [], "n": []}
        for node in self.nodes.names:
            self.photons.excite(node)
            clicks, attempts = self.photons.single_clicks(self.timing, self.scan.shots)
            row["clicks"].append(clicks)
            row["n"].append(attempts)
        self.photons.excite_all()
        return row

    def end(self) -> None:
        """Leave the nodes dark and the cavities where they were believed best."""
        self.nodes.close()
        self.set_piezos(self.believed_v)

    def analyze(self) -> None:
        """Fit the resonances; with `apply` their centres become what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def set_piezos(self, volts: TList(TFloat)):
        """Set the piezos and let them settle."""
        self.core.break_realtime()
        for i in range(self.nodes.n):
            delay(1 * ms)
            self.nodes.nodes[i].tweezers.set_piezo(volts[i])
        delay(10 * ms)
