"""A lab whose shutters were left open, and the idle kernel after it: for tests/experiments/test_lost_lock.py."""

from artiq.experiment import kernel

import experiments.setup.idle


class LeftOpen(experiments.setup.idle.Idle):
    def run(self) -> None:
        self.leave_open()
        opened = self.shutters_open()
        super().run()
        print(f"shutters open before {opened}, after {self.shutters_open()}")

    @kernel
    def leave_open(self):
        self.nodes.init()
        self.core.wait_until_mu(self.core.get_rtio_counter_mu() + 50_000_000)

    def shutters_open(self) -> int:
        self.core.sync()
        return sum(beam.shutter_open for node in self.core.world.nodes.values() for beam in node.beams.values())
