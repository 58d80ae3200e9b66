"""Qubits stored in the array are refocused while the port's atom heralds, in one kernel, with both heralders."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from artiq.language.core import at_mu, delay, kernel, now_mu
from artiq.language.environment import EnvExperiment, ProcessArgumentManager
from artiq.language.types import TInt32, TInt64
from artiq.language.units import ms, us
from numpy import int64
from test_register import PLUS, ROOT, put, quiet

from drivers.rtio.register import Register
from experiments.sequences.nodes import ask_link
from experiments.sequences.pairs import Pairs
from experiments.sequences.settings import ZZ
from sim.world.atoms.labels import F2, QUBIT

STORED = ((2, 1), (2, 4), (3, 3))
PULSES = 16  # two XY8


class Lab(EnvExperiment):
    """Alice's register, and the link from her port to bob's."""

    def build(self) -> None:
        self.core = self.get_device("core")
        self.register = Register(self, "alice")
        self.register.set_size(4, 6)
        self.nodes = ask_link(self)
        self.pairs = Pairs(self, self.nodes, wait=False, choose_feed_forward=False)
        self.herald = self.pairs.herald
        self.heralded_after = -1
        self.start_mu = self.end_mu = int64(0)

    def keep(self, k) -> None:
        self.heralded_after = int(k)

    @kernel
    def begin(self):
        self.nodes.init()
        self.register.init()
        self.core.wait_until_mu(now_mu())

    @kernel
    def herald_between(self, spacing_mu: TInt64, attempts: TInt32):
        """Refocus by two XY8; in the gap after each pulse, cool the port's atom and let it have its attempts."""
        self.core.break_realtime()
        self.register.hide()
        self.herald.arm()
        delay(1 * ms)
        start_mu = now_mu()
        self.start_mu = start_mu
        pattern = 0
        for k in range(PULSES):
            self.register.storage.pulses(start_mu, spacing_mu, k, k + 1)
            if pattern == 0:
                at_mu(start_mu + spacing_mu * int64(k) + (spacing_mu >> 1))
                delay(50 * us)
                self.nodes.recool()
                pattern = self.herald.attempts(attempts)
                if pattern != 0:
                    self.keep(k)
        at_mu(start_mu + spacing_mu * int64(PULSES))
        self.end_mu = now_mu()
        self.core.wait_until_mu(now_mu())


@pytest.mark.parametrize("backend", ["entangler", "software"])
def test_stored_qubits_are_refocused_while_the_port_heralds(
    backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A detuning that turns 42 rad in 16 x 5 ms: after XY8 between blocks of attempts 1e-3 of the atoms are off."""
    from artiq.master.databases import DatasetDB, DeviceDB
    from artiq.master.worker_db import DatasetManager, DeviceManager

    monkeypatch.setenv("ATOMLINK_SCENARIO", "register")
    monkeypatch.setenv("ATOMLINK_TARGET", "simulation")
    monkeypatch.chdir(tmp_path)
    devices = DeviceManager(DeviceDB(str(ROOT / "device_db.py")), virtual_devices={"scheduler": None, "ccb": None})
    datasets = DatasetManager(DatasetDB(str(tmp_path / "dataset_db.mdb")))
    lab = Lab((devices, datasets, ProcessArgumentManager({"backend": backend}), {}))
    lab.call_child_method("prepare")
    lab.pairs.setup((ZZ,))
    lab.begin()
    quiet(lab)
    alice, bob = lab.core.world.nodes.values()
    parts = put(lab, *STORED, psi=PLUS)
    for node in (alice, bob):
        node.register.label[node.site], node.register.death_mu[node.site] = F2, math.inf
        node.register.temperature_k[node.site] = 20e-6
    for part in parts:  # this shot's field noise: one and a half of its rms
        part.clock_rad_s = 1.5 * math.sqrt(2) / 4e-3
    born_mu = lab.core.world.now_mu
    lab.herald_between(int64(5_000_000), 100)
    assert 0 <= lab.heralded_after < PULSES and alice.label == QUBIT
    end_mu = lab.core.world.now_mu
    outside = 0.5 * parts[0].clock_rad_s * (int(lab.start_mu) - born_mu + end_mu - int(lab.end_mu)) * 1e-9
    expected = PLUS * np.exp(1j * np.array([-outside, 0, outside]))  # before the train and after it
    for site, part in zip(STORED, parts, strict=True):
        alice.register.qubit(alice.tweezers.site(*site), end_mu)
        assert part.stored and abs(np.vdot(expected, part.state.psi)) ** 2 > 0.999
