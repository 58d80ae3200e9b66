"""Let H and V of each node's photon arrive as H and V at the midpoint."""

from typing import Any

from artiq.experiment import (
    EnvExperiment,
    RangeScan,
    Scannable,
    TFloat,
    V,
    delay,
    kernel,
    ms,
)

from drivers import parameters
from drivers.rtio.photon_port import believed_timing
from experiments.sequences.atom_photon import AtomPhoton
from experiments.sequences.conclude import conclude
from experiments.sequences.photons import PhotonCounter
from experiments.sequences.readout import Readout
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.settings import ZZ
from experiments.sequences.two_nodes import TwoNodes


class PolarisationAlignment(EnvExperiment):
    """Polarisation alignment

    [ compensator: v_turn, v_phase ]-- load --( pump --[ excite one node ]--[ gate ] ) until a click
                                     --[ map |1>, push out ]--[ image ]--> next shot
    once with alice's light, once with bob's. An aligned photon is H where its atom stays (|0>), V where it leaves.
    Three voltages per axis, as far apart as a quarter turn, tell all that can be told; see the analysis.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        wide = {"unit": "V", "global_min": -10 * V, "global_max": 9.99 * V}
        self.scan = Scan(
            self,
            (Axis("v_turn", Scannable(RangeScan(-8 * V, 8 * V, 3), **wide), "V", "Rotators of both compensators."),
             Axis("v_phase", Scannable(RangeScan(-8 * V, 8 * V, 3), **wide), "V", "Retarders of both compensators.")),
            shares={node: (f"agree_{node}", "n") for node in parameters.NODES},
            shots=80,
        )  # fmt: skip
        self.nodes = TwoNodes(self)
        photons = PhotonCounter(self, self.nodes)
        self.correlations = AtomPhoton(self, self.nodes, photons, Readout(self, self.nodes))

    def prepare(self) -> None:
        """Read the beliefs and lay out timing and points."""
        self.call_child_method("prepare")
        self.correlations.setup(believed_timing(self), (ZZ,))
        for node in parameters.NODES:
            for name in ("turn_rad_per_v", "phase_rad_per_v"):  # filed with the results: the analysis rests on them
                parameters.get(self, f"param.{node}.{name}")
        self.believed_v = [
            [parameters.get(self, f"param.{node}.v_paddle_{name}_v") for name in ("turn", "phase")]
            for node in parameters.NODES
        ]

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.scan.run(self.measure, self.nodes.init, self.end)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return how often photon and atom agreed, of so many clicks of each node."""
        self.set_paddles(point.v_turn, point.v_phase, point.v_turn, point.v_phase)
        row: dict[str, Any] = {"n": self.scan.shots}
        for node in parameters.NODES:
            c_h, c_v, d_h, d_v = self.correlations.measure(node, 0, self.scan.shots)
            row[f"agree_{node}"] = c_h[1] + d_h[1] + c_v[0] + d_v[0]
        return row

    def end(self) -> None:
        """Leave the nodes dark and the compensators where they were believed best."""
        self.nodes.close()
        self.set_paddles(*self.believed_v[0], *self.believed_v[1])

    def analyze(self) -> None:
        """Work out both fibres' angles; with `apply` what undoes them becomes what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def set_paddles(self, alice_turn: TFloat, alice_phase: TFloat, bob_turn: TFloat, bob_phase: TFloat):
        """Set both compensators and let them settle."""
        self.core.break_realtime()
        delay(1 * ms)
        self.nodes.alice.tweezers.set_paddles(alice_turn, alice_phase)
        delay(1 * ms)
        self.nodes.bob.tweezers.set_paddles(bob_turn, bob_phase)
        delay(10 * ms)
