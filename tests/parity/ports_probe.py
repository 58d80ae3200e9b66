"""What the core device's other ports have to tell about a run: pulses, clicks, messages in both logs, an underflow."""

import numpy as np
from artiq.experiment import *


class PortsProbe(EnvExperiment):
    def build(self):
        for name in ("core", "alice_shutter", "snspd_c_h"):
            self.setattr_device(name)
        self.begin_mu = np.int64(0)

    def run(self):
        self.set_dataset("clicks_mu", [])
        self.probe()

    @kernel
    def probe(self):
        self.core.reset()
        core_log("the probe begins", 42)
        self.begin_mu = now_mu()
        rtio_log("probe", "marker", 7)
        for i in range(3):
            self.alice_shutter.pulse((i + 1) * us)
            delay(1 * us)
        self.take(self.snspd_c_h.gate_rising(20 * ms))
        at_mu(self.core.get_rtio_counter_mu() - 1000)
        try:
            self.alice_shutter.off()
        except RTIOUnderflow:
            core_log("too late")

    @kernel
    def take(self, end_mu):
        t_mu = self.snspd_c_h.timestamp_mu(end_mu)
        while t_mu >= 0:
            self.note(t_mu)
            t_mu = self.snspd_c_h.timestamp_mu(end_mu)

    @rpc
    def note(self, t_mu):
        self.append_to_dataset("clicks_mu", t_mu)

    def analyze(self):
        self.set_dataset("begin_mu", self.begin_mu)
