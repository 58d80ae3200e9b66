"""Photons from both nodes, seen by the RTIO inputs and by the time tagger, for test_tagged_photons.py."""

import numpy as np
from artiq.experiment import *
from numpy import int32, int64

from drivers.network import topology
from drivers.rtio.attempt import Attempt, believed_timing
from drivers.rtio.heralding import make_heralder
from experiments.sequences.nodes import ask_link

MOST = 4_000  # each block takes the lists to the core and back
ATTEMPTS = 50  # per block
LATCHES_AT, LOOKED_AT_AT = 8, 12  # blocks


class TaggedPhotons(EnvExperiment):
    """Attempts in blocks between loadings; keeps every stamp of the RTIO inputs, every gate and every tag.

    With `latch` one detector latches before a block; some blocks later the electronics are asked, and reset it.
    """

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("tagger")
        self.setattr_device("snspd_electronics")
        self.setattr_argument("blocks", NumberValue(20, precision=0, scale=1, step=1, min=1, max=1000, type="int"))
        self.setattr_argument("bias_ua", NumberValue(20.0, precision=3))
        self.setattr_argument("latch", BooleanValue(False))
        self.nodes = ask_link(self)
        self.port = Attempt(self, self.nodes.nodes)
        self.herald = make_heralder(self, self.port, topology(self).station("midpoint"), "software")

    def prepare(self) -> None:
        self.call_child_method("prepare")
        self.herald.setup(believed_timing(self, self.nodes.link), (0b1111,))
        self.stamps_mu = [int64(0)] * MOST
        self.detectors = [int32(0)] * MOST
        self.ends_mu = [int64(0)] * MOST
        self.n_stamps = 0
        self.n_gates = 0

    def run(self) -> None:
        for k in range(4):
            self.snspd_electronics.set_bias_ua(k, self.bias_ua)
        self.nodes.init()
        self.tagger.start()
        self.start_mu = self.core.world.element("tagger").start_mu
        blocks = []
        for k in range(self.blocks):
            if self.latch and k == LATCHES_AT:
                self.core.world.counters["snspd_d_h"].latch(self.core.world.now_mu)
            self.block(ATTEMPTS)
            blocks += list(self.tagger.tags())
            if k == LOOKED_AT_AT:
                found = [channel for channel in range(4) if self.snspd_electronics.latched(channel)]
                self.set_dataset("snspd.latched", found)
                self.set_dataset("snspd.reset", [self.snspd_electronics.delatch(channel) for channel in found])
        self.nodes.close()
        self.tagger.stop()
        blocks += list(self.tagger.tags())
        self.archive(blocks)

    def archive(self, blocks) -> None:
        self.set_dataset("tags.start_mu", int(self.start_mu))
        self.set_dataset("tags.time_ps", np.concatenate([times for times, _ in blocks]))
        self.set_dataset("tags.channel", np.concatenate([channels for _, channels in blocks]))
        self.set_dataset("rtio.stamps_mu", np.array(self.stamps_mu[: self.n_stamps]))
        self.set_dataset("rtio.detectors", np.array(self.detectors[: self.n_stamps]))
        self.set_dataset("rtio.gate_ends_mu", np.array(self.ends_mu[: self.n_gates]))
        self.set_dataset("rtio.gate_mu", int(self.herald.gate_mu))

    @kernel
    def block(self, n: TInt32):
        """Load, cool, attempt n times."""
        self.core.break_realtime()
        self.herald.arm()
        self.nodes.image()
        self.nodes.load()
        self.nodes.cool()
        for _ in range(n):
            self.core.break_realtime()
            end_mu = self.herald.attempt()
            self.ends_mu[self.n_gates] = end_mu
            self.n_gates += 1
            for k in range(self.herald.n):
                self.keep(k, self.herald.detectors[k].timestamp_mu(end_mu))
                while self.last_mu >= 0:
                    self.keep(k, self.herald.detectors[k].timestamp_mu(end_mu))

    last_mu = int64(-1)

    @kernel
    def keep(self, detector: TInt32, stamp_mu: TInt64):
        """Keep a time stamp unless there was none."""
        self.last_mu = stamp_mu
        if stamp_mu >= 0:
            self.stamps_mu[self.n_stamps] = stamp_mu
            self.detectors[self.n_stamps] = detector
            self.n_stamps += 1
