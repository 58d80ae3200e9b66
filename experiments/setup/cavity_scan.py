"""Where each cavity is resonant with its photon, how wide the resonance is, and what it gives at best."""

from typing import Any

from artiq.experiment import EnvExperiment, RangeScan, Scannable, TFloat, V, delay, kernel, ms

from drivers import parameters
from drivers.rtio.heralder import SINGLES
from drivers.rtio.photon_port import believed_timing
from experiments.sequences.conclude import conclude
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.two_nodes import TwoNodes


class CavityScan(EnvExperiment):
    """Cavity scan

    [ piezo: v_piezo ]-- load --[ recool ]--( pump --[ excite one node ]--[ gate, four detectors ] ) x shots
    once with alice's light, once with bob's; both cavities are scanned alike. The locks must not hold them meanwhile.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.scan = Scan(
            self,
            (Axis("v_piezo", Scannable(RangeScan(-10 * V, 9.9 * V, 11), unit="V", global_min=-10 * V,
                                       global_max=9.99 * V), "V", "Voltage at both cavity piezos."),),
            shares={node: (f"clicks_{node}", f"n_{node}") for node in parameters.NODES},
            shots=4000,
        )  # fmt: skip
        self.nodes = TwoNodes(self)
        self.photons = PhotonCounter(self, self.nodes)

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        self.call_child_method("prepare")
        self.timing = believed_timing(self)
        for name in ("cavity_hz_per_v", "f_kappa_hz"):  # filed with the results: the analysis rests on them
            for node in parameters.NODES:
                parameters.get(self, f"param.{node}.{name}")
        parameters.get(self, "param.link.dark_rate_hz")
        self.believed_v = [parameters.get(self, f"param.{node}.v_piezo_v") for node in parameters.NODES]

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        gate_s = (self.timing.gate_stop_mu - self.timing.gate_start_mu) * self.core.ref_period
        self.scan.run(self.measure, self.nodes.init, self.end, {"scan.t_gate_s": gate_s})

    def measure(self, point: Point) -> dict[str, Any]:
        """Return clicks of so many attempts of each node."""
        self.set_piezos(point.v_piezo, point.v_piezo)
        row: dict[str, Any] = {}
        for node, lit in (("alice", (True, False)), ("bob", (False, True))):
            self.photons.excite(*lit)
            found = self.photons.count(self.timing, SINGLES, self.scan.shots, sure=True)
            row |= {f"clicks_{node}": sum(found[p] for p in SINGLES), f"n_{node}": int(self.photons.done)}
        self.photons.excite(True, True)
        return row

    def end(self) -> None:
        """Leave the nodes dark and the cavities where they were believed best."""
        self.nodes.close()
        self.set_piezos(self.believed_v[0], self.believed_v[1])

    def analyze(self) -> None:
        """Fit both resonances; with `apply` their centres become what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def set_piezos(self, alice: TFloat, bob: TFloat):
        """Set both piezos and let them settle."""
        self.core.break_realtime()
        delay(1 * ms)
        self.nodes.alice.tweezers.set_piezo(alice)
        delay(1 * ms)
        self.nodes.bob.tweezers.set_piezo(bob)
        delay(10 * ms)
