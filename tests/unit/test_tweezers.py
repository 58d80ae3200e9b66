"""Tweezer arrays in the world: loading, images, moves, and what happens to atoms on the way; seeds fixed, 4 sigma."""

import math

import numpy as np
import pytest
from array_lab import AXIS, TIMING, ArrayLab, segment, tones, up_travel_down
from signal_lab import CYCLE, lab

from atomlink.errors import DeviceError, ScenarioError
from drivers.rtio.awg_ramps import duration_s, ramps
from drivers.rtio.rearrangement import ALONG_ROW, Plan, Target, plan, split
from drivers.site_finder import SiteFinder, split_histogram
from sim.physics.camera import error_rates, grid
from sim.physics.loading import stationary_filling
from sim.world import World, load_scenario
from sim.world.atoms.labels import ABSENT, F2, QUBIT, READY
from sim.world.scenario import load_scenario as read

FINDER = SiteFinder(32, 32, (9.0, 9.0), 6.0, 0.9, 25.0, 0.2)


def electrons(image: np.ndarray) -> np.ndarray:
    return FINDER.electrons((image - 200.0) * 0.107)


@pytest.fixture
def room() -> ArrayLab:
    made = ArrayLab()
    made.load()
    return made


def test_a_lab_without_arrays_ignores_their_signals() -> None:
    world = World(load_scenario("default"), 1)
    assert world.nodes["alice"].tweezers is None
    for line in ("awg_trigger", "camera_trigger", "hiding"):
        world.output(f"alice_{line}", "level")(1000, 1)
    world.advance(10_000_000)
    assert world.frames("alice_grabber")(0, 10_000_000) == []


def test_every_site_fills_as_the_birth_death_chain_says() -> None:
    """8 loadings of 1,024 sites, the port's among them."""
    room, filled = ArrayLab(), []
    for _ in range(8):
        room.load()
        filled.append(room.array.occupied)
    p = stationary_filling(room.node.truth.loading)
    n = np.size(filled)
    assert abs(np.mean(filled) - p) < 4 * math.sqrt(p * (1 - p) / n)
    assert np.isnan(room.array.temperature_k).sum() == (~room.array.occupied).sum()


def test_atoms_wait_as_long_as_the_vacuum_lets_them(room: ArrayLab) -> None:
    before = room.array.occupied.sum()
    room.room.play(room.room.t + 30_000_000_000)
    p = math.exp(-30 / room.node.truth.atom.vacuum_lifetime_s)
    assert abs(room.array.occupied.sum() / before - p) < 4 * math.sqrt(p * (1 - p) / before)


def test_asking_for_the_array_does_not_change_its_future() -> None:
    seen = []
    for ask in (True, False):
        room = ArrayLab()
        room.load()
        for _ in range(4):
            room.room.play(room.room.t + 5_000_000_000)
            if ask:
                assert room.array.occupied.any() and room.array.temperature_k.shape == (32, 32)
        seen.append((room.array.occupied, room.picture()))
    assert np.array_equal(seen[0][0], seen[1][0]) and np.array_equal(seen[0][1], seen[1][1])


def test_images_err_and_lose_atoms_as_the_camera_model_says(room: ArrayLab) -> None:
    """20 images: calls against the truth before each; survival e^(-loss t)."""
    truth, light = room.array.truth, room.node.truth.imaging
    missed = false = present = absent = 0
    kept = []
    for _ in range(20):
        before = room.array.occupied
        seen = FINDER.occupied(electrons(room.picture()))
        missed, false = missed + (before & ~seen).sum(), false + (seen & ~before).sum()
        present, absent = present + before.sum(), absent + (~before).sum()
        kept.append(room.array.occupied.sum() / before.sum())
    sites = grid(truth.camera, (32, 32), truth.site_m, truth.readout.first_site_m)
    weight = np.multiply.outer(sites.down[:, 5], sites.across[:, 5]).ravel()
    p_missed, p_false = error_rates(truth.camera, weight[weight > 1e-9], 25.0, light.loss_hz, 20e-3)
    for found, n, p in ((missed, present, float(p_missed[0])), (false, absent, float(p_false[0]))):
        assert abs(found - n * p) < 4 * math.sqrt(n * p + 1)
    stays = math.exp(-light.loss_hz * 20e-3)
    assert abs(np.mean(kept) - stays) < 4 * math.sqrt(stays * (1 - stays) / present)


def test_the_two_peaks_of_the_histogram_are_where_the_camera_puts_them(room: ArrayLab) -> None:
    """Mean electrons of bright and dark sites; the background's own estimate is unbiased."""
    before = room.array.occupied
    found = electrons(room.picture())
    stays = room.array.occupied
    bright, dark = found[before & stays], found[~before]
    assert abs(bright.mean() - 100) < 4 * bright.std() / math.sqrt(len(bright))
    assert abs(dark.mean()) < 4 * dark.std() / math.sqrt(len(dark)) + 0.1  # counts are rounded
    assert 10 < split_histogram(found) < 90


def test_a_plan_is_carried_out_and_atoms_are_lost_as_the_move_model_says(room: ArrayLab) -> None:
    """Nobody arrives where the plan sends nobody; each move costs two hand-overs."""
    before = room.array.occupied
    edge = math.isqrt(int(before.sum() / 1.15))
    moves = plan(before, Target.centred(before.shape, edge, edge))
    segments = ramps(moves, AXIS, AXIS, TIMING)
    room.play(segments)
    after, planned = room.array.occupied, moves.after(before)
    assert not (after & ~planned).any()
    lost = (planned & ~after).sum()
    handovers = 2 * len(moves.start)
    p = room.array.truth.deflector.handover_loss
    waiting = before.sum() * duration_s(segments) / room.node.truth.atom.vacuum_lifetime_s
    assert abs(lost - handovers * p - waiting) < 4 * math.sqrt(handovers * p)


def test_an_awg_with_few_tones_carries_out_the_same_plan(room: ArrayLab) -> None:
    before = room.array.occupied
    whole = plan(before, Target.centred(before.shape, 20, 20))
    few = split(whole, 5)
    assert np.diff(few.first).max() <= 5 and np.array_equal(few.after(before), whole.after(before))
    room.play(ramps(few, AXIS, AXIS, TIMING))
    planned = whole.after(before)
    assert not (room.array.occupied & ~planned).any()
    assert room.array.occupied[planned].mean() > 0.97


def test_an_atom_that_is_carried_to_the_port_becomes_the_interface_atom(room: ArrayLab) -> None:
    room.only((9, 7))
    assert room.node.label == ABSENT
    room.carry((9, 7), (0, 0))
    assert room.node.label == F2 and room.array.occupied.sum() == 1 and room.array.occupied[0, 0]
    room.room.pump("alice")
    assert room.node.label == READY
    room.carry((0, 0), (3, 0))
    assert room.node.label == ABSENT and room.array.label(3, 0) == READY


def test_a_pair_survives_the_array_and_the_port_is_free_for_the_next() -> None:
    """Herald a pair, store alice's qubit, hide it, image her port, bring it back: the same state, still shared."""
    room = ArrayLab(3)
    room.room.load()
    room.only((0, 0))
    herald = room.room.entangler.run(room.room.t, room.room.t + 20_000 * CYCLE.length_mu, CYCLE)
    assert herald.pattern
    room.room.t = herald.t_end_mu
    pair = room.room.pair()
    assert pair is not None
    room.carry((0, 0), (4, 4))
    assert room.node.label == ABSENT and room.array.label(4, 4) == QUBIT and room.array.state(4, 4) is pair
    room.room.pulse("alice", "hiding", 40_000_000, room.room.t)
    room.room.pulse("alice", ("cooling", "repump"), 20_000_000, room.room.t)
    room.room.play(room.room.t + 41_000_000)
    assert room.array.state(4, 4) is pair
    room.carry((4, 4), (0, 0))
    assert room.node.label == QUBIT and room.room.pair() is pair


def test_cooling_light_that_is_not_hidden_destroys_a_stored_qubit() -> None:
    room = ArrayLab(3)
    room.room.load()
    room.only((0, 0))
    herald = room.room.entangler.run(room.room.t, room.room.t + 20_000 * CYCLE.length_mu, CYCLE)
    room.room.t = herald.t_end_mu
    room.carry((0, 0), (4, 4))
    room.room.pulse("alice", ("cooling", "repump"), 1_000_000)
    assert room.array.state(4, 4) is None and room.array.label(4, 4) == F2
    bob = room.room.nodes[1]
    assert bob.state is not None and bob.state.parts == [bob.register.part(bob.site)]


def test_hidden_sites_do_not_shine(room: ArrayLab) -> None:
    room.only((0, 0), (5, 5))
    if room.node.label == ABSENT:
        room.carry((5, 5), (0, 0))
        room.only((0, 0), (5, 5))
    room.room.sinks["alice", "hiding"](room.room.t, 1)
    found = electrons(room.picture())
    assert found[0, 0] > 50 and abs(found[5, 5]) < 20


def test_tones_that_cross_lose_their_atoms(room: ArrayLab) -> None:
    room.only((10, 10), (10, 14), (10, 20))
    room.play(up_travel_down(room, ([10], [10]), ([10, 14, 20], [15, 11, 21])))
    assert np.argwhere(room.array.occupied).tolist() == [[10, 21]]


def test_a_spot_that_passes_over_a_standing_atom_costs_both(room: ArrayLab) -> None:
    room.only((10, 10), (10, 12), (20, 5))
    room.play(up_travel_down(room, ([10], [10]), ([10], [14])))
    assert np.argwhere(room.array.occupied).tolist() == [[20, 5]]


def test_an_atom_put_down_on_another_costs_both(room: ArrayLab) -> None:
    room.only((10, 10), (10, 12))
    room.play(up_travel_down(room, ([10], [10]), ([10], [12])))
    assert not room.array.occupied.any()


@pytest.mark.parametrize(("row", "strength"), [(10.4, 1.0), (10.0, 0.7)], ids=["between sites", "too shallow"])
def test_a_spot_between_sites_or_too_shallow_picks_up_nothing(room: ArrayLab, row: float, strength: float) -> None:
    room.only((10, 10))
    room.play(up_travel_down(room, ([row], [row]), ([10], [15]), strength))
    assert np.argwhere(room.array.occupied).tolist() == [[10, 10]]


def test_an_atom_put_down_between_sites_or_jerked_away_is_lost(room: ArrayLab) -> None:
    room.only((10, 10), (20, 20))
    room.play(up_travel_down(room, ([10], [10.5]), ([10], [10])))
    assert np.argwhere(room.array.occupied).tolist() == [[20, 20]]
    up, _, down = up_travel_down(room, ([20], [25]), ([20], [20]))
    room.play([up, down])  # the tone jumps by five sites
    assert not room.array.occupied.any()


def test_a_move_faster_than_the_trap_can_follow_loses_the_atom(room: ArrayLab) -> None:
    """20 sites in 20 us: 100 um at a peak of 7.5 um/us; 400 us are gentle."""
    for time_s, stays in ((20e-6, False), (400e-6, True)):
        room.only((10, 5))
        up, _, down = up_travel_down(room, ([10], [10]), ([5], [25]))
        way = segment(room, tones([10.0]), tones([5.0], [25.0]), time_s)
        room.play([up, way, down])
        assert room.array.occupied[10, 25] == stays


def test_triggers_without_a_block_or_during_one_are_missed(room: ArrayLab) -> None:
    room.only((10, 10))
    room.trigger(10_000)
    assert room.array.missed_triggers == 1 and room.array.queued == 0
    block = up_travel_down(room, ([10], [10]), ([10], [15]))
    for _ in range(2):
        room.array.queue(block)
    room.trigger(100_000)
    room.trigger(1_000_000)
    assert room.array.missed_triggers == 2 and room.array.queued == 1
    room.array.clear()
    assert room.array.queued == 0


def test_a_camera_that_is_busy_misses_the_trigger(room: ArrayLab) -> None:
    for k in range(3):
        room.room.pulse("alice", "camera_trigger", 1000, room.room.t + k * 22_000_000)
    room.room.play(room.room.t + 80_000_000)
    assert len(room.array.frames) == 2 and room.array.camera.missed_triggers == 1


def test_a_block_that_no_card_could_play_is_refused(room: ArrayLab) -> None:
    good = segment(room, tones([1.0]), tones([1.0]))
    for bad in (good._replace(duration_s=0.0), good._replace(rows=good.rows._replace(stop_hz=np.zeros(2))),
                good._replace(rows=good.rows._replace(stop_hz=np.array([math.nan])))):  # fmt: skip
        with pytest.raises(DeviceError, match="Segment 0"):
            room.array.queue([bad])


@pytest.mark.parametrize(("line", "message"), [
    ("rows = 32", "rows"), ("port_row = 0", "port_row"), ("handover_loss = 0.003", "handover_loss"),
    ("pixel_m = 0.8333333e-6", "pixel_m"),
])  # fmt: skip
def test_an_array_that_cannot_be_is_refused_with_its_path(tmp_path, line: str, message: str) -> None:  # type: ignore[no-untyped-def]
    from sim.world.scenario import FOLDER

    text = (FOLDER / "array.toml").read_text()
    assert line in text
    bad = tmp_path / "bad.toml"
    bad.write_text(text.replace(line, f"{line.split(' = ')[0]} = -1"))
    with pytest.raises(ScenarioError, match=rf"alice\.array.*{message}"):
        read(str(bad))


def test_both_nodes_have_arrays_of_their_own() -> None:
    room = lab("array")
    room.pulse("alice", ("mot_coil", "cooling", "repump"), 60_000_000)
    alice, bob = (node.tweezers for node in room.nodes)
    assert alice is not None and bob is not None
    assert alice.occupied.any() and not bob.occupied.any()


def test_tones_that_have_drifted_off_their_sites_pick_up_nothing(room: ArrayLab) -> None:
    """0.3 sites are 1.5 um, more than a waist; 0.1 sites still hold."""
    for sites, moved in ((0.1, True), (0.3, False)):
        room.only((9, 7))
        room.drift = sites * 0.5e6
        if sites == 0.1:
            path = "alice.array.deflector.row_site_0_hz"
            room.world.quantities.attach(path, lambda value, _t: value + room.drift)
        room.world.quantities.touch()
        room.play(ramps(plan_one((9, 7), (9, 3)), AXIS, AXIS, TIMING))
        assert room.array.occupied[9, 3] == moved and room.array.occupied[9, 7] != moved


def plan_one(start: tuple[int, int], stop: tuple[int, int]) -> Plan:
    """Return the plan of one atom along its row."""
    one = np.ones(1, dtype=np.int64)
    return Plan(one * ALONG_ROW, one * start[0], np.arange(2), one * start[1], one * stop[1])
