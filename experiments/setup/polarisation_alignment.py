"""Let H and V of each node's photon arrive as H and V at the station."""

# ARTIQ's annotations are calls, TList(TFloat), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from typing import Any

from artiq.experiment import (
    EnvExperiment,
    RangeScan,
    Scannable,
    TFloat,
    TList,
    V,
    delay,
    kernel,
    ms,
)

from atomlink.at_port import belief
from drivers import parameters
from drivers.rtio.attempt import believed_timing
from experiments.sequences.analyse_run import conclude
from experiments.sequences.atom_photon import AtomPhoton
from experiments.sequences.backend import need_polarisations
from experiments.sequences.nodes import ask_link
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.readout import Readout
from experiments.sequences.scan import Axis, Point, Scan, by_node
from experiments.sequences.settings import ZZ


class PolarisationAlignment(EnvExperiment):
    """Polarisation alignment

    [ compensator: v_turn, v_phase ]-- load --( pump --[ excite one node ]--[ gate ] ) until a click
                                     --[ map |1>, push out ]--[ image ]--> next shot
    with the light of one node after the other. An aligned photon is H where its atom stays (|0>), V where it leaves.
    Three voltages per axis, as far apart as a quarter turn, tell all that can be told; see the analysis.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_link(self)
        wide = {"unit": "V", "global_min": -10 * V, "global_max": 9.99 * V}
        self.scan = Scan(
            self,
            (Axis("v_turn", Scannable(RangeScan(-8 * V, 8 * V, 3), **wide), "V", "Rotators of the compensators."),
             Axis("v_phase", Scannable(RangeScan(-8 * V, 8 * V, 3), **wide), "V", "Retarders of the compensators.")),
            shares=by_node(self.nodes.names, "agree", "n"),
            shots=80,
        )  # fmt: skip
        photons = PhotonCounter(self, self.nodes)
        self.correlations = AtomPhoton(self, self.nodes, photons, Readout(self, self.nodes))

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        need_polarisations(self, self.nodes)
        self.call_child_method("prepare")
        self.correlations.setup(believed_timing(self, self.nodes.link), (ZZ,))
        for node in self.nodes.names:
            for name in ("turn_rad_per_v", "phase_rad_per_v"):  # filed with the results: the analysis rests on them
                parameters.get(self, belief(node, name))
        self.believed_v = [
            [parameters.get(self, belief(node, f"v_paddle_{name}_v")) for name in ("turn", "phase")]
            for node in self.nodes.names
        ]

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.nodes.init, self.end, self.nodes.run_level())

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how often photon and atom agreed, of so many clicks of each node."""
        self.set_paddles([point.v_turn] * self.nodes.n, [point.v_phase] * self.nodes.n)
        agree = [self.correlations.agreements(node, 0, self.scan.shots) for node in self.nodes.names]
        return {"n": self.scan.shots, "agree": agree}

    def end(self) -> None:
        """Leave the nodes dark and the compensators where they were believed best."""
        self.nodes.close()
        self.set_paddles([turn for turn, _ in self.believed_v], [phase for _, phase in self.believed_v])

    def analyze(self) -> None:
        """Work out the fibres' angles; with `apply` what undoes them becomes what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def set_paddles(self, turn: TList(TFloat), phase: TList(TFloat)):
        """Set the compensators and let them settle."""
        self.core.break_realtime()
        for i in range(self.nodes.n):
            delay(1 * ms)
            self.nodes.nodes[i].tweezers.set_paddles(turn[i], phase[i])
        delay(10 * ms)
