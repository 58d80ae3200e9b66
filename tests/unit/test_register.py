"""The driver of the register, its kernels on the bus: what is stored, moved, coupled, measured, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artiq.language.core import delay, delay_mu, kernel, now_mu
from artiq.language.environment import EnvExperiment, ProcessArgumentManager
from artiq.language.types import TInt32, TInt64
from artiq.language.units import ms

from atomlink.errors import DeviceError, UsageError
from drivers.rtio.register import Register
from sim.physics.rydberg import Imperfection, cz, pair_shift_rad_s, state, two_pulse
from sim.world.atoms.labels import ABSENT, F2, READY
from sim.world.atoms.states import JointState, Part

ROOT = Path(__file__).resolve().parents[2]
RABI = 2 * math.pi * 4.6e6
PLUS = np.array([1, 0, 1]) / math.sqrt(2)


class Lab(EnvExperiment):
    """Alice's register, and kernels that use it."""

    def build(self) -> None:
        self.core = self.get_device("core")
        self.register = Register(self, "alice")
        self.register.set_size(4, 6)
        self.took_mu = 0

    def keep(self, took_mu) -> None:
        self.took_mu = int(took_mu)

    def note(self, seen) -> None:
        self.register.occupied[self.register.array.port] = bool(seen)

    @kernel
    def begin(self):
        self.core.reset()
        self.register.init()
        self.core.wait_until_mu(now_mu())

    @kernel
    def there_and_back(self, spacing_mu: TInt64):
        """A quarter turn of the Zeeman qubit, stored and refocused, and the quarter turn back."""
        self.core.break_realtime()
        t_ref_mu = now_mu()
        half_mu = self.register.tweezer.qubit.raman_pi_mu >> 1
        self.register.rotate(t_ref_mu, 0, half_mu)
        self.register.store()
        self.register.storage.hold(spacing_mu, 1)
        self.register.recall()
        self.register.rotate(t_ref_mu + self.register.storage.stored_mu, 0x8000, half_mu)
        self.core.wait_until_mu(now_mu())

    @kernel
    def gate(self):
        self.core.break_realtime()
        self.register.cz()
        self.core.wait_until_mu(now_mu())

    @kernel
    def measure(self):
        """Hide, measure, show."""
        self.core.break_realtime()
        self.register.hide()
        start_mu = now_mu()
        seen = self.register.measure()
        self.keep(now_mu() - start_mu)
        self.core.break_realtime()
        self.note(seen)
        self.core.break_realtime()
        self.register.show()
        self.core.wait_until_mu(now_mu())

    @kernel
    def fetch(self) -> TInt32:
        self.core.break_realtime()
        found = 0
        if self.register.fetch(0, 0):
            found = 1
        delay(1 * ms)
        self.core.wait_until_mu(now_mu())
        return found

    @kernel
    def turn_on_the_way(self):
        """Let the clock light make half a turn while an atom is carried."""
        self.core.break_realtime()
        took_mu = self.register.array.next_block()
        self.core.break_realtime()
        self.register.array.awg_trigger.pulse_mu(1000)
        delay_mu(took_mu >> 1)
        self.register.storage.turn_mu(0, self.register.storage.clock_pi_mu)
        delay_mu(took_mu)
        self.core.wait_until_mu(now_mu())

    @kernel
    def move(self, row: TInt32, column: TInt32, to_row: TInt32, to_column: TInt32):
        self.core.break_realtime()
        self.register.move(row, column, to_row, to_column)
        self.core.wait_until_mu(now_mu())


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Lab:
    from artiq.master.databases import DatasetDB, DeviceDB
    from artiq.master.worker_db import DatasetManager, DeviceManager

    monkeypatch.setenv("ATOMLINK_SCENARIO", "register")
    monkeypatch.setenv("ATOMLINK_TARGET", "simulation")
    monkeypatch.chdir(tmp_path)
    devices = DeviceManager(DeviceDB(str(ROOT / "device_db.py")))
    datasets = DatasetManager(DatasetDB(str(tmp_path / "dataset_db.mdb")))
    made = Lab((devices, datasets, ProcessArgumentManager({}), {}))
    made.call_child_method("prepare")
    made.register.connect()
    made.begin()
    quiet(made)
    return made


def quiet(lab: Any) -> None:
    """Take the noise out of alice's truth."""
    node = lab.core.world.nodes["alice"]
    truth = node.truth
    for_ever = replace(truth.memory, t2_star_s=1e9, t2_s=1e9, t1_s=1e9)
    deflector = replace(truth.array.deflector, handover_loss=0.0)
    node.truth = replace(
        truth, memory=for_ever, raman=replace(truth.raman, amplitude_rms=0.0),
        microwave=replace(truth.microwave, amplitude_rms=0.0), array=replace(truth.array, deflector=deflector),
        storage=replace(truth.storage, memory=for_ever, clock_rms=0.0, hidden_scatter_hz=0.0),
        rydberg=replace(truth.rydberg, rabi_rms=0.0, wavenumber_rad_m=0.0),
    )  # fmt: skip


def put(lab: Any, *sites: tuple[int, int], psi: Any = None, stored: bool = True) -> list[Part]:
    """Have atoms on these sites alone: in F = 2, or each in a state over |0>, |1>, |2>; the lab believes it."""
    node = lab.core.world.nodes["alice"]
    register = node.register
    register.handles.clear()
    register.label[:], register.death_mu[:], register.temperature_k[:] = ABSENT, np.inf, 20e-6
    parts = []
    for site in sites:
        flat = node.tweezers.site(*site)
        register.label[flat] = F2
        if psi is not None:
            part = register.new_part(lab.core.world.now_mu)
            JointState(np.asarray(psi, dtype=complex), [part])
            register.become(flat, part)
            if stored:
                node.storage.settle(part, 20e-6, True)
            parts.append(part)
    register.note_deaths()
    lab.register.occupied[:] = False
    for site in sites:
        lab.register.occupied[site] = True
    return parts


def test_a_qubit_that_was_stored_and_refocused_comes_back_with_its_phase(lab: Lab) -> None:
    (part,) = put(lab, (0, 0), psi=[1, 0, 0], stored=False)
    for spacing_mu in (100_000, 123_400):
        lab.there_and_back(np.int64(spacing_mu))
        assert not part.stored and part.populations()[0] > 0.995, part.populations()


def test_the_gate_turns_two_stored_neighbours_by_pi_and_leaves_an_atom_in_the_array_alone(lab: Lab) -> None:
    for _ in range(5):  # an atom in |r> decays in one of 200 gates
        one, other, third = put(lab, (0, 0), (0, 1), (3, 5), psi=PLUS)
        lab.register.pair((0, 0), (0, 1))
        lab.gate()
        lab.core.world.nodes["alice"].gate.settle()
        if lab.core.world.nodes["alice"].label != ABSENT:
            break
    assert one.state is other.state and third.state is not one.state
    psi = np.transpose(one.state.psi, [one.axis, other.axis])[np.ix_((0, 2), (0, 2))]
    turned = np.angle(psi[1, 1] * psi[0, 0] / (psi[0, 1] * psi[1, 0]))
    # The pulses that the lab believes, under the blockade of two atoms at 5 um: somewhat less than pi.
    a = cz(two_pulse(), Imperfection(blockade=pair_shift_rad_s(state("Rb-87", 70).c6_hz_m6, 5e-6) / RABI)).amplitudes
    expected = np.angle(a[3] * a[0] / (a[1] * a[2]))
    assert abs(math.remainder(turned - expected, 2 * math.pi)) < 0.05 and abs(expected) > 2.9
    assert np.abs(psi) == pytest.approx(0.5 * np.ones((2, 2)), abs=0.03)
    assert abs(np.vdot(PLUS, third.state.psi)) ** 2 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("psi", "left"), [((1, 0, 0), True), ((0, 0, 1), False)])
def test_the_port_is_measured_within_a_millisecond_and_neighbours_keep_their_phase(
    lab: Lab, psi: tuple[int, int, int], left: bool
) -> None:
    port, beside = put(lab, (0, 0), (0, 1), psi=PLUS)
    port.state.psi = np.array(psi, dtype=complex)
    lab.measure()
    assert lab.register.there((0, 0)) is left and 0 < lab.took_mu < 1_000_000
    assert (lab.core.world.nodes["alice"].label != ABSENT) is left
    assert abs(np.vdot(PLUS, beside.state.psi)) ** 2 == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("ready", [False, True])
def test_clock_light_turns_an_atom_on_its_way_as_it_turns_one_that_stands(lab: Lab, ready: bool) -> None:
    """|0> to |2>, and an atom that was pumped, which is in |2>, to |0>: a pulse of 1 % spread leaves 1e-3 at most."""
    (part,) = put(lab, (2, 1), psi=[1, 0, 0])
    node = lab.core.world.nodes["alice"]
    if ready:
        node.register.leave(node.tweezers.site(2, 1))
        node.register.label[node.tweezers.site(2, 1)] = READY
    lab.register.array.carry((2, 1), (3, 4))
    lab.turn_on_the_way()
    part = node.tweezers.part(3, 4)
    assert part is not None and part.stored and part.populations()[0 if ready else 2] > 0.995


def test_a_lost_atom_is_fetched_from_a_spare_site_until_there_is_none(lab: Lab) -> None:
    put(lab, (2, 3), (3, 4))
    lab.register.keep_spares([(2, 3)])
    assert lab.fetch() == 1
    assert lab.core.world.nodes["alice"].label == F2 and lab.register.there((0, 0))
    lab.move(0, 0, 1, 1)
    assert lab.fetch() == 0  # (3, 4) was not given as a spare
    assert lab.core.world.nodes["alice"].tweezers.label(1, 1) == F2


def test_what_the_last_image_showed_is_what_is_believed(lab: Lab) -> None:
    put(lab, (0, 1), (2, 2), (3, 5))
    lab.register.occupied[:] = False
    lab.register.look()
    assert np.argwhere(lab.register.occupied).tolist() == [[0, 1], [2, 2], [3, 5]]


@pytest.mark.parametrize(
    ("one", "other", "error", "message"),
    [
        ((0, 0), (1, 0), UsageError, r"\(1, 0\) is not in the gate zone"),
        ((0, 0), (0, 2), UsageError, "not neighbours"),
        ((0, 0), (0, 1), DeviceError, r"no atom at site \(0, 1\)"),
        ((0, 2), (0, 3), DeviceError, r"atom at \(0, 0\) is less than 3 sites"),
    ],
)
def test_a_gate_that_would_not_be_the_one_meant_is_refused(
    lab: Lab, one: tuple[int, int], other: tuple[int, int], error: type, message: str
) -> None:
    put(lab, (0, 0), (0, 2), (0, 3))
    with pytest.raises(error, match=message):
        lab.register.pair(one, other)


def test_moves_from_nowhere_onto_atoms_or_out_of_the_array_are_refused_before_the_trigger(lab: Lab) -> None:
    put(lab, (0, 0), (0, 2))
    with pytest.raises(DeviceError, match=r"no atom at site \(1, 1\)"):
        lab.move(1, 1, 2, 2)
    with pytest.raises(DeviceError, match=r"site \(0, 2\) has an atom already"):
        lab.move(0, 0, 0, 2)
    with pytest.raises(UsageError, match=r"Site \(4, 0\) is not of the array"):
        lab.move(0, 0, 4, 0)
    assert lab.register.there((0, 0)) and not lab.register.array.more()


def test_trains_that_do_not_fit_are_refused(lab: Lab) -> None:
    with pytest.raises(UsageError, match="at least one"):
        lab.register.storage.spacing_mu(1.0, 0)
    with pytest.raises(UsageError, match="wait longer"):
        lab.register.storage.spacing_mu(1e-4, 1)


def test_a_zone_larger_than_the_array_is_refused(lab: Lab) -> None:
    lab.register.set_size(4, 3)
    with pytest.raises(UsageError, match="gate zone of alice has 1 x 4 sites"):
        lab.register.prepare()
