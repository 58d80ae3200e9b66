"""Five mistakes found in published lab code, each behind an argument: what would the data of such a run look like?

cool --[ pump ]--[ excite ]--[ wait ]--[ gates ]--> herald? --[ map, push out, image ]     (no rotation: ZZ)
"""

import numpy as np
from artiq.coredevice.exceptions import RTIOUnderflow
from artiq.experiment import (
    BooleanValue,
    EnumerationValue,
    EnvExperiment,
    NumberValue,
    TBool,
    TInt32,
    at_mu,
    delay,
    delay_mu,
    kernel,
    ms,
    now_mu,
    ns,
    parallel,
    rpc,
)
from numpy import int64

from experiments.sequences.nodes import ask_link

BUGS = ("none", "late gate", "beam left on", "unit twice", "no stop at the click")
PUMP_MU, PULSE_MU, FLIGHT_MU, GATE_MU = 4000, 504, 552, 500


class FiveBugs(EnvExperiment):
    """Herald in software and read out in ZZ, with or without one of the mistakes"""

    def build(self):
        self.setattr_device("core")
        self.setattr_argument("bug", EnumerationValue(list(BUGS), default="none"))
        self.setattr_argument("n_shots", NumberValue(100, precision=0, scale=1, step=1, min=1, type="int"))
        self.setattr_argument("n_attempts", NumberValue(20000, precision=0, scale=1, step=1, min=1, type="int"))
        self.nodes = ask_link(self)
        self.c_h, self.c_v, self.d_h, self.d_v = (
            self.get_device(f"snspd_{key}") for key in ("c_h", "c_v", "d_h", "d_v")
        )

    def prepare(self):
        self.call_child_method("prepare")
        self.late = int64(FLIGHT_MU if self.bug == "late gate" else 0)
        # "unit twice": the wait is a time already, and is multiplied by ns once more where it is used.
        self.wait_s = FLIGHT_MU * ns * (ns if self.bug == "unit twice" else 1.0)
        self.left_on = self.bug == "beam left on"
        self.goes_on = self.bug == "no stop at the click"
        self.attempts = 0
        self.heralds = 0
        self.rows = []

    @rpc(flags={"async"})
    def record(self, pattern: TInt32, alice: TInt32, bob: TInt32):
        self.rows.append([pattern, alice, bob])

    def run(self):
        self.take()
        self.set_dataset("attempts", self.attempts)
        self.set_dataset("heralds", self.heralds)
        self.set_dataset("shots", np.array(self.rows, dtype=np.int32).reshape(-1, 3))

    @kernel
    def take(self):
        self.nodes.init()
        self.c_h.input()
        self.c_v.input()
        self.d_h.input()
        self.d_v.input()
        self.nodes.image()
        while self.heralds < self.n_shots and self.attempts < self.n_attempts:
            self.shot()

    @kernel
    def shot(self):
        self.nodes.load()
        self.nodes.cool()
        found = 0
        for _k in range(50):
            pattern = self.attempt()
            self.attempts += 1
            if pattern == 3 or pattern == 12 or pattern == 9 or pattern == 6:
                if found == 0:
                    found = pattern
                    self.heralds += 1
                if not self.goes_on:
                    break
        if found != 0:
            with parallel:
                self.nodes.nodes[0].qubit.map_to_f2()
                self.nodes.nodes[1].qubit.map_to_f2()
            self.nodes.push_out()
        self.nodes.image()
        if found != 0:
            there_a = 1 if self.nodes.there[0] else 0
            there_b = 1 if self.nodes.there[1] else 0
            self.record(found, there_a, there_b)

    @kernel
    def attempt(self) -> TInt32:
        self.core.break_realtime()
        self.pump(self.nodes.nodes[0])
        self.pump(self.nodes.nodes[1])
        delay_mu(PUMP_MU)
        self.nodes.nodes[0].pumping.off()
        self.nodes.nodes[1].pumping.off()
        if self.left_on:
            self.nodes.nodes[0].pumping.off()
            self.nodes.nodes[1].pumping.off()
        else:
            self.nodes.nodes[0].repump.off()
            self.nodes.nodes[1].repump.off()
        delay_mu(104)
        t_mu = now_mu()
        with parallel:
            self.nodes.nodes[0].excitation.pulse_mu(int64(PULSE_MU))
            self.nodes.nodes[1].excitation.pulse_mu(int64(PULSE_MU))
        at_mu(t_mu)
        delay(self.wait_s)
        delay_mu(self.late)
        with parallel:
            self.c_h.gate_rising_mu(int64(GATE_MU))
            self.c_v.gate_rising_mu(int64(GATE_MU))
            self.d_h.gate_rising_mu(int64(GATE_MU))
            self.d_v.gate_rising_mu(int64(GATE_MU))
        end_mu = now_mu()
        pattern = 0
        if self.c_h.count(end_mu) > 0:
            pattern += 1
        if self.c_v.count(end_mu) > 0:
            pattern += 2
        if self.d_h.count(end_mu) > 0:
            pattern += 4
        if self.d_v.count(end_mu) > 0:
            pattern += 8
        self.core.break_realtime()
        return pattern

    @kernel
    def pump(self, node):
        node.pumping.on()
        node.repump.on()


class ShiftedData(EnvExperiment):
    """Push out every second atom; a try that underflows is repeated, and its row is kept or dropped"""

    def build(self):
        self.setattr_device("core")
        self.setattr_argument("keep_failed", BooleanValue(False))
        self.nodes = ask_link(self)

    def prepare(self):
        self.call_child_method("prepare")
        self.pushed = []
        self.there = []

    @rpc(flags={"async"})
    def planned(self, pushed: TInt32):
        self.pushed.append(pushed)

    @rpc(flags={"async"})
    def seen(self, there: TInt32):
        self.there.append(there)

    def run(self):
        self.take()
        self.set_dataset("pushed", np.array(self.pushed, dtype=np.int32))
        self.set_dataset("there", np.array(self.there[: len(self.pushed)], dtype=np.int32))

    @kernel
    def take(self):
        self.nodes.init()
        self.nodes.image()
        for k in range(20):
            self.planned(k % 2)
            done = False
            tries = 0
            while not done:
                try:
                    self.one(k % 2, k == 6 and tries == 0)
                    done = True
                except RTIOUnderflow:
                    tries += 1
                    if self.keep_failed:
                        self.seen(0)  # the bug: what the failed try had counted stays in the data
                    self.nodes.recover()
                    self.nodes.image()

    @kernel
    def one(self, push_out: TInt32, too_late: TBool):
        self.nodes.load()
        if too_late:
            delay(-100 * ms)
        if push_out == 1:
            self.nodes.push_out()
        self.nodes.image()
        self.seen(1 if self.nodes.there[0] else 0)
