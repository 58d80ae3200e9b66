"""Drifts of a scenario: refused where they are wrong, the same whoever asks when, and felt by the link."""

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from signal_lab import CYCLE, SignalLab, put_atom

from atomlink.errors import ScenarioError
from atomlink.heralds import FOUR
from atomlink.topology import NodeSpec, PortSpec, Topology, pair
from drivers import parameters
from sim.physics.imaging import error_rates
from sim.validation.optimum import best_parameters
from sim.world import World, load_scenario
from sim.world.elements.catalog import names
from sim.world.scenario import DETECTORS, PAIR, Scenario

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

BELIEVED = {name: row.default for name, row in TABLE.items()}
OU = 'process = "ornstein_uhlenbeck"\nrms = 2e-3\ncorrelation_s = 600.0\n'
SOLO = Topology((NodeSpec("solo", (PortSpec("solo", "port"),)),))
FIELD = "alice.coils.background_gauss.2"


def with_drifts(folder: Path, *drifts: tuple[str, str], step_s: float = 10.0, base: str = "default") -> Scenario:
    """Return a scenario with these (path, process and its numbers)."""
    text = f'description = "test"\nextends = "{base}"\ndrift_step_s = {step_s}\n'
    for path, process in drifts:
        text += f'[[drift]]\npath = "{path}"\nsource = "a test"\n{process}\n'
    file = folder / "drift.toml"
    file.write_text(text)
    return load_scenario(str(file))


@pytest.mark.parametrize(
    ("path", "process", "says"),
    [
        ("alice.ramen.rabi_rad_s", 'process = "walk"\nrms_per_sqrt_s = 1.0', r"drift\.0\.path: Quantity 'alice\.ramen"),
        (FIELD, 'process = "brown"', r"drift\.0\.process is 'brown', but must be one of ornstein_uhlenbeck, walk"),
        (FIELD, "", r"drift\.0\.process is None"),
        (FIELD, 'process = "walk"', r"drift\.0\.rms_per_sqrt_s is missing"),
        (FIELD, 'process = "walk"\nrms_sqrt_s = 1.0', r"drift\.0\.rms_sqrt_s does not exist .*'rms_per_sqrt_s'"),
        (FIELD, 'process = "offset"\nvalue = "much"', r"drift\.0\.value is 'much', but must be a number"),
        (FIELD, OU.replace("2e-3", "-2e-3"), r"drift\.0: Drift\.rms is -0\.002, but must be a number in \[0, inf\)"),
        (FIELD, OU + 'mode = "times"', r"drift\.0: mode is 'times', but must be one of add, multiply"),
    ],
)
def test_a_wrong_drift_is_named(tmp_path: Path, path: str, process: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        with_drifts(tmp_path, (path, process))


def test_a_drift_without_a_source_and_a_lattice_without_length_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "drift.toml"
    head = 'description = "test"\nextends = "default"\n'
    file.write_text(f'{head}[[drift]]\npath = "{FIELD}"\nprocess = "offset"\nvalue = 1.0\nsource = " "\n')
    with pytest.raises(ScenarioError, match=r"drift\.0: source is empty"):
        load_scenario(str(file))
    file.write_text(f"{head}drift_step_s = 0.0\n")
    with pytest.raises(ScenarioError, match=r"drift_step_s is 0\.0, but must be a number in"):
        load_scenario(str(file))


def test_a_drift_that_leaves_the_allowed_range_is_named_not_clipped(tmp_path: Path) -> None:
    scenario = with_drifts(tmp_path, ("bob.fibre.insertion", 'process = "linear"\nper_s = 0.01'))
    world = World(scenario, 1)
    with pytest.raises(ScenarioError, match=r"bob\.fibre\.insertion has become 1\.05.*must be a number in \[0, 1\]"):
        world.reach(60 * 10**9)


def course(scenario: Scenario, seed: int, times_s: list[float], path: str = FIELD) -> list[float]:
    world, out = World(scenario, seed), []
    for t in times_s:
        world.reach(round(t * 1e9))
        out.append(world.quantities.value(path))
    return out


def test_a_course_is_the_same_whoever_asks_when(tmp_path: Path) -> None:
    scenario = with_drifts(tmp_path, (FIELD, OU))
    often = course(scenario, 3, list(np.arange(0.0, 3600.5, 0.7)) + [3600.0 + 1e-3])
    assert often[-1] == pytest.approx(course(scenario, 3, [3600.0])[0], rel=1e-12)
    assert len(set(often)) == 361
    assert often[-1] != course(scenario, 4, [3600.0])[0]


def test_touching_between_knots_does_not_change_a_course(tmp_path: Path) -> None:
    scenario = with_drifts(tmp_path, (FIELD, OU))
    world = World(scenario, 3)
    world.reach(95 * 10**9)
    before = world.quantities.value(FIELD)
    world.quantities.touch()
    assert world.quantities.value(FIELD) == before == course(scenario, 3, [90.0])[0]


def test_an_ornstein_uhlenbeck_drift_has_its_rms_and_its_correlation(tmp_path: Path) -> None:
    """400 seeds: rms within 4 sigma (14 %), correlation after one time constant within 4 sigma of 1/e."""
    scenario = with_drifts(tmp_path, (FIELD, OU), step_s=60.0)
    pairs = np.array([course(scenario, seed, [1200.0, 1800.0]) for seed in range(400)]) - 1.0
    assert pairs.std() == pytest.approx(2e-3, rel=4 / math.sqrt(2 * 800))
    rho = float(np.mean(pairs[:, 0] * pairs[:, 1])) / 4e-6
    assert abs(rho - math.exp(-1)) < 4 * math.sqrt((1 + math.exp(-2)) / 400)


def test_a_walk_spreads_with_the_root_of_time(tmp_path: Path) -> None:
    """300 seeds: rms after 400 s within 4 sigma (16 %)."""
    scenario = with_drifts(tmp_path, (FIELD, 'process = "walk"\nrms_per_sqrt_s = 1e-4'))
    ends = np.array([course(scenario, seed, [400.0])[0] for seed in range(300)]) - 1.0
    assert ends.std() == pytest.approx(2e-3, rel=4 / math.sqrt(600))


def test_sine_line_and_offset_add_and_multiply(tmp_path: Path) -> None:
    path = "alice.raman.rabi_rad_s"
    scenario = with_drifts(
        tmp_path,
        (path, 'process = "offset"\nmode = "multiply"\nvalue = -0.1'),
        (path, 'process = "linear"\nper_s = 1000.0'),
        (path, 'process = "sine"\namplitude = 5000.0\nperiod_s = 400.0'),
    )
    rabi = load_scenario("default").node("alice").raman.rabi_rad_s
    assert course(scenario, 1, [0.0, 100.0, 209.0], path) == pytest.approx(
        [0.9 * rabi, 0.9 * rabi + 105e3, 0.9 * rabi + 200e3], rel=1e-9
    )


def test_a_day_in_the_dark_is_one_step() -> None:
    """`drifting` has 2880 knots a day; the truth is built a few times, not once for each."""
    world = World(load_scenario("drifting"), 1)
    built = []
    apply = world.apply
    world.apply = lambda truth: built.append(1) or apply(truth)  # type: ignore[method-assign]
    world.reach(86_400 * 10**9)
    assert 1 <= len(built) <= 3 and world.now_s == 86_400


def heralds(room: SignalLab, seconds: float) -> int:
    """Return the heralds of so much lab time of attempts, on atoms that do not get lost."""
    stop, n = room.t + round(seconds * 1e9), 0
    while room.t < stop:
        for node in room.nodes:
            put_atom(node)
        result = room.entangler.run(room.t, min(stop, room.t + 100 * CYCLE.length_mu), CYCLE)
        n, room.t = n + bool(result.pattern), max(result.t_end_mu, room.t + CYCLE.length_mu)
    return n


def test_the_entanglers_rate_follows_a_drift_of_transmission(tmp_path: Path) -> None:
    """Both fibres fall to 40 % within 2 s: the rate of the second half is 0.16 of that at the start; 5 sigma."""
    falling = 'process = "sine"\nmode = "multiply"\namplitude = -0.6\nperiod_s = 8.0'
    drifts = [(f"{node}.fibre.insertion", falling) for node in ("alice", "bob")]
    room = SignalLab(with_drifts(tmp_path, *drifts, step_s=0.05, base="bright"))
    room.t = 20_000_000
    first = heralds(room, 0.02)
    room.t = 1_960_000_000
    room.world.advance(room.t)
    last = heralds(room, 0.09)
    expected = 0.16 * first * 0.09 / 0.02
    assert abs(last - expected) < 5 * math.sqrt(last + expected**2 / first)
    assert first > 100 and last < 3 * first


def test_a_repetition_ends_at_a_knot(tmp_path: Path) -> None:
    """Cycles that began before it had the old truth: the model is built anew once per knot, not per cycle."""
    scenario = with_drifts(tmp_path, ("alice.fibre.insertion", 'process = "linear"\nper_s = -1e-3'), step_s=0.1)
    room, built = SignalLab(scenario), []
    model = room.world.stations["midpoint"].model
    room.world.stations["midpoint"].model = lambda *args: built.append(args) or model(*args)  # type: ignore[method-assign]
    for node in room.nodes:
        node.register.lose(node.site)
    room.entangler.run(room.t, 1_010_000_000, CYCLE)
    assert 10 <= len(built) <= 12


@pytest.mark.parametrize("orders", [list(itertools.permutations(range(4)))[k] for k in (9, 16, 23)])
def test_results_do_not_depend_on_the_order_in_which_the_lab_is_asked(orders: tuple[int, ...]) -> None:
    """Detectors, drifting quantities and elements are asked in other orders: every click and value is the same.

    Elements are made at their turn: it must not matter who was there first.
    """
    assert asked(orders) == asked((0, 1, 2, 3))


def asked(order: tuple[int, ...]) -> list[object]:
    """Return what a lab of `drifting` shows in 65 s if detectors, paths and elements are asked in this order."""
    world = World(load_scenario("drifting"), 7)
    ports = [world.clicks(f"snspd_{key}") for key in DETECTORS]
    paths = [FIELD, "bob.port.detuning_rad_s", "midpoint.detectors.d_v.dark_rate_hz", "bob.polarisation.beta_rad"]
    elements = ["bob_laser", "alice_cavity_lock", "snspd_electronics", "bob_microwave"]
    clicks: list[list[int]] = [[] for _ in order]
    values: list[list[float]] = [[] for _ in order]
    for start in range(0, 65_000_000_000, 13_000_000_000):
        for k in order:
            world.reach(start)
            assert world.element(elements[k]) is world.element(elements[k])
            world.quantities.touch()
            values[k].append(world.quantities.value(paths[k]))
            clicks[k] += ports[k](start, start + 200_000_000)
    return [clicks, values, [world.nodes["bob"].larmor_rad_s]]


def test_drifts_do_not_depend_on_the_order_of_their_tables() -> None:
    scenario = load_scenario("drifting")
    labs = [World(each, 7) for each in (scenario, dataclasses.replace(scenario, drift=scenario.drift[::-1]))]
    for lab in labs:
        lab.reach(3600 * 10**9)
    for path in labs[0].quantities.paths():
        assert labs[1].quantities.value(path) == pytest.approx(labs[0].quantities.value(path), rel=1e-12), path


def test_to_ask_for_an_element_changes_nothing() -> None:
    """The truth of `drifting` after 100 s, touched, with every element made and with none."""
    labs = [World(load_scenario("drifting"), 7) for _ in range(2)]
    for name in names(PAIR):
        labs[1].element(name)
    for lab in labs:
        lab.reach(100 * 10**9)
        lab.quantities.touch()
    for path in labs[0].quantities.paths():
        assert labs[1].quantities.value(path) == pytest.approx(labs[0].quantities.value(path), rel=1e-12), path


# -- `drifting` and its optimum ----------------------------------------------------------------------------------------


def test_the_default_lab_is_best_where_it_believes_to_be() -> None:
    best = best_parameters(World(load_scenario("default"), 1), BELIEVED)
    for name, value in best.items():
        if name.split(".")[-1] in ("f_larmor_hz", "t_raman_pi_s", "t_mw_pi_s", "v_piezo_v", "v_paddle_turn_v",
                                   "t_photon_alice_s", "dark_rate_hz"):  # fmt: skip
            assert value == pytest.approx(BELIEVED[name], rel=1e-3, abs=1e-9)


def test_the_drifting_lab_is_off_in_every_belief_and_its_optimum_undoes_that() -> None:
    """Set points out of the optimum leave field, cavity and polarisation where `default` has them."""
    world = World(load_scenario("drifting"), 1)
    best = best_parameters(world, BELIEVED)
    for name, value in best.items():
        if name not in ("param.alice.midpoint.t_photon_s", "param.bob.image_threshold", "param.midpoint.dark_rate_hz",
                        "param.alice-bob.midpoint.phase_rad"):  # fmt: skip
            assert abs(value - BELIEVED[name]) > 2e-3 * abs(BELIEVED[name])
    for name, node in world.nodes.items():
        node.port.piezo_v = best[f"param.{name}.v_piezo_v"]
        node.port.set_paddle(0, best[f"param.{name}.v_paddle_turn_v"])
        node.port.set_paddle(1, best[f"param.{name}.v_paddle_phase_v"])
        drive, port = node.truth.excitation, node.truth.port
        assert port.detuning_rad_s + node.port.piezo_v * drive.cavity_rad_s_per_v == pytest.approx(0.0, abs=1.0)
        assert np.allclose(node.port.arm(500, 0.0).jones, np.eye(2))
        light, threshold = node.truth.imaging, best[f"param.{name}.image_threshold"]
        assert sum(error_rates(20e-3, threshold, light)) < 0.02


def test_no_drift_of_the_drifting_lab_leaves_its_range_in_a_week() -> None:
    for seed in range(3):
        world = World(load_scenario("drifting"), seed)
        for hours in range(0, 168, 6):
            world.reach(hours * 3600 * 10**9)


def test_drifts_of_numbered_places_are_those_of_the_labs_own_nodes_and_stations() -> None:
    of_two = load_scenario("drifting", pair(("Emu", "n_2"), FOUR))
    assert {drift.path.partition(".")[0] for drift in of_two.drift} == {"Emu", "n_2", "midpoint"}
    here = [drift.path.split(".")[1:] for drift in load_scenario("drifting").drift]
    assert [drift.path.split(".")[1:] for drift in of_two.drift] == here


def test_drifts_of_places_that_a_lab_does_not_have_are_left_out() -> None:
    (only,) = {drift.path.partition(".")[0] for drift in load_scenario("drifting", SOLO).drift}
    assert only == "solo"


def test_a_drift_of_an_unknown_quantity_of_a_numbered_node_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="alice.coils.nonsense"):
        with_drifts(tmp_path, ("node.1.coils.nonsense", OU))
