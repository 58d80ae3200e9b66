"""Quantities: what the scenario says, what acts on it, what is true now, and who follows."""

import dataclasses
import math

import numpy as np
import pytest
from rtio_lab import Devices
from signal_lab import CYCLE, LARMOR_HZ, SignalLab, lab

from atomlink.errors import ScenarioError
from sim.physics.detector import Detector
from sim.world import World, load_scenario
from sim.world.atoms.labels import QUBIT, READY
from sim.world.detectors.counter import Counter
from sim.world.elements.catalog import names
from sim.world.scenario import DETECTORS, PAIR
from sim.world.scenario.paths import paths, read, write

EFFICIENCY = "midpoint.detectors.c_h.efficiency"
FIELD = "alice.coils.background_gauss.2"


def world() -> World:
    return World(load_scenario("default"), 1)


def test_every_number_of_the_scenario_is_a_quantity() -> None:
    scenario = load_scenario("default")
    assert {EFFICIENCY, FIELD, "bob.fibre.insertion", "midpoint.overlap"} <= set(paths(scenario))
    assert read(scenario, FIELD) == 1.0
    for path in paths(scenario):
        assert read(scenario, path) == read(write(scenario, path, read(scenario, path)), path)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("alice.raman.rabi", "alice.raman.rabi_rad_s"),
        ("alice", "such as"),
        ("name", "such as"),
        ("midpoint.detectors.e_h.efficiency", "midpoint.detectors"),
        ("alice.coils.background_gauss.3", "alice.coils.background_gauss"),
        ("", "such as"),
    ],
)
def test_an_unknown_path_is_refused_with_a_near_one(path: str, near: str) -> None:
    with pytest.raises(ScenarioError, match=rf"Quantity '{path}' does not exist.*{near}"):
        world().quantities.attach(path, lambda value, _t: value)


def test_what_the_cables_were_laid_by_cannot_change() -> None:
    with pytest.raises(ScenarioError, match=r"alice\.shutter_s is fixed"):
        world().quantities.attach("alice.shutter_s", lambda value, _t: value)


def test_an_effect_acts_from_the_next_touch_on() -> None:
    room = world()
    room.quantities.attach(EFFICIENCY, lambda value, _t: value / 2)
    assert room.quantities.value(EFFICIENCY) == 0.88
    room.quantities.touch()
    assert room.quantities.value(EFFICIENCY) == 0.44
    assert room.quantities.base(EFFICIENCY) == 0.88
    assert room.stations["midpoint"].truth.detectors[0].efficiency == 0.44
    assert room.counters["snspd_c_h"].detector.efficiency == 0.44


def test_the_order_of_effects_is_drift_then_owners_by_name() -> None:
    """(0.88 - 0.2) x 0.5 + 0.1, however they were attached."""
    effects = {"": lambda v, _t: v - 0.2, "alpha": lambda v, _t: v * 0.5, "zeta": lambda v, _t: v + 0.1}
    for order in (("zeta", "alpha", ""), ("", "alpha", "zeta"), ("alpha", "", "zeta")):
        room = world()
        for owner in order:
            room.quantities.attach(EFFICIENCY, effects[owner], owner)
        room.quantities.touch()
        assert room.quantities.value(EFFICIENCY) == pytest.approx(0.44)


def test_a_value_out_of_range_is_named_with_its_path_and_changes_nothing() -> None:
    room = world()
    room.quantities.attach(EFFICIENCY, lambda value, _t: 2 * value)
    with pytest.raises(ScenarioError, match=r"midpoint\.detectors\.c_h\.efficiency has become 1\.76 .*\[0, 1\]"):
        room.quantities.touch()
    assert room.quantities.value(EFFICIENCY) == 0.88


def test_touch_at_acts_when_lab_time_gets_there() -> None:
    room = world()
    room.quantities.attach(FIELD, lambda value, t: value + (t >= 2.0))
    room.quantities.touch_at(2.0)
    room.advance(1_999_999_999)
    assert room.nodes["alice"].larmor_rad_s == pytest.approx(2 * math.pi * LARMOR_HZ)
    room.advance(2_000_000_000)
    assert room.nodes["alice"].larmor_rad_s == pytest.approx(4 * math.pi * LARMOR_HZ)
    assert room.now_s == 2.0


def test_everything_derived_follows_the_truth() -> None:
    """Larmor frequency and flight time with shims as set, diffraction of tones that go on, depth per volt."""
    room = lab()
    node, quantities = room.nodes[0], room.world.quantities
    for channel, volts in ((2, 1.0), (3, 5.0)):
        room.world.output(f"alice_zotino/{channel}", "voltage")(room.t, volts)
    room.world.advance(room.t + 1)
    changes = {FIELD: 2.0, "alice.fibre.length_m": 20.0, "alice.aom.saturation_w": 4.0, "alice.atom.trap_k_per_v": 1e-4}
    for path, new in changes.items():
        quantities.attach(path, lambda _value, _t, new=new: new)
    quantities.touch()
    assert node.larmor_rad_s == pytest.approx(2 * math.pi * 1.4e6 * 2.1)
    assert node.port.flight_s == pytest.approx(20 * 1.468 / 299_792_458)
    assert node.beams["cooling"].available == pytest.approx(math.sin(math.pi / 4) ** 2)
    assert node.trap_k == pytest.approx(0.5e-3)


def test_statistics_of_attempts_follow_the_truth() -> None:
    """Model efficiency is proportional to the fibre's transmission, also after the model was kept."""
    room = lab()
    before = room.world.stations["midpoint"].model(CYCLE, room.entangler.outputs)[0].nodes[0].detected
    room.world.quantities.attach("alice.fibre.insertion", lambda value, _t: value / 3)
    room.world.quantities.touch()
    after = room.world.stations["midpoint"].model(CYCLE, room.entangler.outputs)[0].nodes[0].detected
    assert after == pytest.approx(before / 3)


def test_a_photon_in_flight_is_settled_by_the_truth_it_left_under() -> None:
    """Alice fires; before the photon can have been seen, her laser fails: the atom has emitted all the same."""
    room = lab()
    emitted = 0
    for _ in range(12):
        room.cool()
        room.load()
        room.pump("alice")
        if room.nodes[0].label != READY:
            continue
        room.pulse("alice", "excitation", 500, room.t)
        for start, level, node, name in sorted(room.plan):
            room.sinks[node, name](start, level)
        room.plan.clear()
        room.world.carry_out(room.t + 1001)
        room.world.quantities.attach("alice.excitation.rabi_rad_s", lambda _value, _t: 0.0, "fault")
        room.world.quantities.touch()
        emitted += room.nodes[0].label == QUBIT
        room.t += 10_000
        room.world.quantities._effects.clear()
        room.world.quantities.touch()
    assert emitted > 6


def test_precession_of_a_qubit_changes_at_the_change_and_not_before() -> None:
    """1 ms at 1.4 MHz, then another at twice the field, is 4200 turns, whatever asks in between."""
    room = lab()
    node = room.nodes[0]
    node.truth = dataclasses.replace(
        node.truth, memory=dataclasses.replace(node.truth.memory, t2_star_s=1e9, t2_s=1e6, t1_s=1e6)
    )
    room.load()
    node.label = QUBIT
    state = node.register.qubit(node.site, room.t).state
    state.psi = np.array([1, 1, 0], dtype=complex) / math.sqrt(2)
    room.world.reach(room.t + 1_000_000)
    stronger = dataclasses.replace(node.truth.coils, background_gauss=(0.0, 0.0, 2.0))
    node.apply(dataclasses.replace(node.truth, coils=stronger), room.t + 1_000_000)
    node.register.qubit(node.site, room.t + 2_000_000)
    turns = np.angle(state.psi[1] / state.psi[0]) / (2 * math.pi)
    assert abs(turns - round(turns)) < 0.02


# -- elements ----------------------------------------------------------------------------------------------------------


def test_an_unknown_element_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"'alice_lasr' does not exist.*did you mean 'alice_laser'"):
        world().element("alice_lasr")
    assert {"bob_cavity_lock", "fibre_switch", "snspd_electronics"} <= set(names(PAIR))


# -- counters ----------------------------------------------------------------------------------------------------------

NANOWIRE = Detector(0.9, 0.0, 0.0, 0.0, latch_limit_hz=10e6, latch_memory_s=1e-6)


def counter(detector: Detector) -> Counter:
    return Counter(detector, np.random.default_rng(5))


def test_a_counter_latches_in_a_burst_and_is_silent_until_its_reset() -> None:
    """Above 10 clicks within the memory of 1 us the 11th is the last one."""
    detector, latched = counter(NANOWIRE), []
    detector.on_latch = lambda: latched.append(detector.latched)
    for t in range(1000, 1030):
        detector.photon(t)
    assert len(detector.clicks(0, 2000)) == 11 and detector.latched
    detector.photon(5000)
    assert detector.clicks(2000, 6000) == []
    detector.reset(7000)
    detector.photon(8000)
    assert detector.clicks(6000, 9000) == [8000] and latched == [True, False]


def test_a_counter_below_its_limit_never_latches() -> None:
    detector = counter(NANOWIRE)
    for t in range(0, 100_000, 200):
        detector.photon(t + 1)
    assert len(detector.clicks(0, 100_000)) == 500 and not detector.latched


def test_a_latched_detector_heralds_nothing() -> None:
    """The entangler's own statistics know it: without c_h and c_v only patterns of d remain."""
    room = lab("bright")
    for key in ("c_h", "c_v"):
        room.world.counters[f"snspd_{key}"].latch(room.t)
    patterns = set()
    for _ in range(40):
        room.load()
        room.cool()
        result = room.entangler.run(room.t, room.t + 200 * CYCLE.length_mu, CYCLE)
        room.t = result.t_end_mu
        patterns.add(result.pattern)
    assert patterns - {0} == {0b1100}
    for key in ("c_h", "c_v"):
        room.world.counters[f"snspd_{key}"].reset(room.t)
    model = room.world.stations["midpoint"].model(CYCLE, room.entangler.outputs)[0]
    assert model.midpoint.efficiencies == (1.0,) * 4


def clicks_of(order: tuple[int, ...]) -> list[list[int]]:
    """Return the clicks of four detectors in 4 s, whose dark rates fall from 2000 /s to 500 /s on the way."""
    room = world()
    for key in DETECTORS:
        room.quantities.attach(f"midpoint.detectors.{key}.dark_rate_hz", lambda _v, t: 2000.0 if t < 2.0 else 500.0)
    room.quantities.touch()
    room.quantities.touch_at(2.0)
    ask = [room.clicks(f"snspd_{key}") for key in DETECTORS]
    clicks: list[list[int]] = [[] for _ in order]
    for start in range(0, 4_000_000_000, 500_000_000):
        for k in order:
            clicks[k] += ask[k](start, start + 500_000_000)
    return clicks


def test_dark_clicks_follow_a_changed_rate_whatever_detector_is_asked_first() -> None:
    """2 s at each rate, 4 sigma of Poisson."""
    clicks = clicks_of((0, 1, 2, 3))
    early = [sum(t < 2_000_000_000 for t in times) for times in clicks]
    assert all(abs(n - 4000) < 4 * math.sqrt(4000) for n in early)
    assert all(abs(len(times) - n - 1000) < 4 * math.sqrt(1000) for times, n in zip(clicks, early, strict=True))
    assert clicks_of((3, 1, 0, 2)) == clicks


# -- polarisation compensator ------------------------------------------------------------------------------------------


def test_the_compensator_undoes_the_fibre() -> None:
    scenario = write(write(load_scenario("default"), "bob.polarisation.beta_rad", 0.5),
                     "bob.polarisation.gamma_rad", -0.3)  # fmt: skip
    room = SignalLab(scenario)
    node = room.nodes[1]
    assert abs(node.port.arm(500, 0.0).jones[0, 1]) > 0.2
    for channel, volts in ((5, -0.5 / 0.2), (6, 0.3 / 0.2)):
        room.world.output(f"bob_zotino/{channel}", "voltage")(room.t, volts)
    room.world.advance(room.t + 1)
    assert np.allclose(node.port.arm(500, 0.0).jones, np.eye(2))


# -- an instrument's request -------------------------------------------------------------------------------------------


def test_sync_carries_out_what_is_due_and_lets_lab_time_reach_the_counter() -> None:
    """Two events are pending, one before the counter and one after it; only the first has happened then."""
    devices = Devices("ideal", [])
    core, world = devices.core, World(load_scenario("default"), 1)
    devices.gateware.world = world
    happened = devices.gateware.channels[0].seen
    bus = core.bus
    for t_mu in (5_000, 20_000):
        bus.now = t_mu
        bus.output(0, 1)
    bus.counter = 10_000
    core.sync()
    assert [event[0] for event in happened] == [5_000] and world.now_mu == 10_000
    world.quantities.attach(EFFICIENCY, lambda value, t: value * (t >= 10e-6))
    world.quantities.touch()
    assert world.quantities.value(EFFICIENCY) == 0.88
