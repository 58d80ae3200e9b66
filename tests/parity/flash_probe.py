"""Kernels for the core device's configuration: one for its start, one for when nobody wants it."""

from artiq.experiment import *


class StartUp(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("alice_shutter")

    @kernel
    def run(self):
        core_log("starting up")
        self.core.reset()
        self.alice_shutter.pulse(1 * ms)
        self.core.wait_until_mu(now_mu())


class Idle(EnvExperiment):
    def build(self):
        self.setattr_device("core")
        self.setattr_device("bob_shutter")

    @kernel
    def run(self):
        core_log("idling")
        self.core.reset()
        while True:
            self.bob_shutter.pulse(10 * ms)
            self.core.wait_until_mu(now_mu())
            self.core.break_realtime()
