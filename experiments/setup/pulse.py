"""Pulse one TTL line: the smallest experiment, to see that everything between here and the hardware works."""

from artiq.experiment import EnumerationValue, EnvExperiment, NumberValue, delay, kernel, now_mu, us

from drivers.network import topology

NODE_LINES = ("camera_trigger", "awg_trigger", "mw_switch", "shutter")


class Pulse(EnvExperiment):
    """Pulse one TTL line

    line ____|‾‾‾‾‾‾|____
    """

    kernel_invariants = {"line", "duration"}

    def build(self) -> None:
        self.setattr_device("core")
        lines = [f"{node}_{line}" for node in topology(self).node_names for line in NODE_LINES]
        self.setattr_argument(
            "line_name", EnumerationValue(lines, default=lines[0]), "Pulse", "Which line of the device database."
        )
        self.setattr_argument(
            "duration",
            NumberValue(10e-6, unit="us", precision=3, step=1e-6, min=8e-9, max=1.0),
            "Pulse",
            "How long it is high.",
        )
        self.line = self.get_device(self.line_name or lines[0])  # None while arguments are examined

    @kernel
    def run(self):
        self.core.reset()
        self.line.pulse(self.duration)
        delay(1 * us)
        self.core.wait_until_mu(now_mu())  # the pulse is over when the experiment is
