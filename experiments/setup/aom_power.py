"""How much excitation light each AOM lets through, and the amplitude that gives the power wanted."""

from typing import Any

from artiq.experiment import EnvExperiment, NumberValue, RangeScan, Scannable, TFloat, delay, kernel, ms, now_mu

from atomlink.at_port import belief, row
from drivers import parameters
from experiments.sequences.analyse_run import conclude
from experiments.sequences.live import mean_curve
from experiments.sequences.nodes import ask_nodes
from experiments.sequences.scan import Axis, Point, Scan


class AomPower(EnvExperiment):
    """AOM power calibration

    excitation, all nodes   |‾‾‾‾‾ DDS amplitude ‾‾‾‾‾|‾‾ next amplitude ‾‾
    power meters                 ^ ^ ^ ^  x shots          ^ ^ ^ ^
    The meters look at the light behind the AOM, shutter open; they are zeroed in the dark first. No atoms.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        self.nodes = ask_nodes(self)
        self.scan = Scan(
            self,
            (Axis("amplitude", Scannable(RangeScan(0.1, 1.0, 10), global_min=0.0, global_max=1.0, precision=3),
                  "", "DDS amplitude of the excitation beams, of full scale."),),
            shots=16,
            plots=[mean_curve(node, "amplitude", ("p_w", i)) for i, node in enumerate(self.nodes.names)],
        )  # fmt: skip
        self.setattr_argument(
            "wavelength",
            NumberValue(780.241e-9, unit="nm", scale=1e-9, step=1e-9, precision=3, min=400e-9, max=1100e-9),
            "Light",
            "What the meters correct their reading for.",
        )

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        self.call_child_method("prepare")
        for node in self.nodes.names:  # filed with the results: what the analysis aims at
            parameters.get(self, belief(node, "p_excitation_w"))

    def run(self) -> None:
        """Take every point; keep what there is when asked to stop."""
        self.meters = [self.get_device(row(node, "power_meter")) for node in self.nodes.names]
        for meter in self.meters:
            meter.set_wavelength(self.wavelength * 1e9)
            meter.set_auto_range(True)
        self.scan.run(self.measure, self.begin, self.nodes.close, self.nodes.run_level())

    def begin(self) -> None:
        """Initialise the nodes, and take the room's light off the meters while all beams are off."""
        self.nodes.init()
        for meter in self.meters:
            meter.zero()

    def measure(self, point: Point) -> dict[str, Any]:
        """Return so many readings of each meter, (nodes, shots)."""
        self.light(point.amplitude)
        readings = [[meter.power_w() for _ in range(self.scan.shots)] for meter in self.meters]
        self.dark()
        return {"p_w": readings}

    def analyze(self) -> None:
        """Fit the curves; with `apply` the amplitudes become what the lab believes."""
        self.result = conclude(self, self.scan)

    @kernel
    def light(self, amplitude: TFloat):
        """Switch the excitation beams on; returns when the light has settled."""
        self.core.break_realtime()
        for node in self.nodes.nodes:
            node.excitation.set(node.excitation.frequency, amplitude)
        for node in self.nodes.nodes:
            node.excitation.on()
        delay(5 * ms)
        self.core.wait_until_mu(now_mu())

    @kernel
    def dark(self):
        """Switch the beams off."""
        self.core.break_realtime()
        for node in self.nodes.nodes:
            node.excitation.off()
        delay(1 * ms)
