"""Labs of other shapes than two nodes and a midpoint: names, chains, stars, few and many detectors, one node alone."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2

from atomlink.at_port import PORT_ROLES
from atomlink.errors import ScenarioError, UsageError
from atomlink.heralds import patterns
from atomlink.signals import Cycle, Tone
from atomlink.topology import Topology
from sim.world import World, load_scenario
from sim.world.atoms.labels import ABSENT, F1, F2, QUBIT, READY
from sim.world.network.detection import Detection
from sim.world.scenario.paths import ROLES, paths, read, write

FOUR = [f"snspd_{key}" for key in ("c_h", "c_v", "d_h", "d_v")]
HERALDS = (0b0011, 0b1100, 0b1001, 0b0110)
GATE = (4549, 6400)
CYCLE = Cycle(7200, ((0, 4000), (4000, 4500), (4000, 4500), None), (GATE,) * 4, HERALDS)


def topology(**arguments: Any) -> Topology:
    return Topology.from_arguments(arguments)


def chain() -> Topology:
    """n1 - left - Quokka - right - west_2; Quokka has two ports."""
    return topology(
        nodes={"n1": {}, "Quokka": {"ports": ["west", "east"]}, "west_2": {}},
        stations={"left": {"inputs": {"a": ["n1.port"], "b": ["Quokka.west"]}, "detectors": FOUR, "entangler": "e1"},
                  "right": {"inputs": {"a": ["Quokka.east"], "b": ["west_2.port"]},
                            "detectors": [f"right_{k}" for k in range(4)], "entangler": "e2"}},
    )  # fmt: skip


def open_lab(lab: Topology, scenario: str = "bright", seed: int = 1) -> World:
    """Return a world with all light set up and every shutter open."""
    world = World(load_scenario(scenario, lab), seed)
    for node in lab.nodes:
        world.output(f"{node.name}_shutter", "level")(100, 1)
        for k, port in enumerate(node.ports):
            for role in PORT_ROLES if k else ROLES:
                prefix = f"{node.name}_{port.name}" if k else node.name
                offset = 1.4e6 if role == "raman_b" else 0.0
                world.output(f"{prefix}_dds_{role}", "tone")(100, Tone(80e6 + offset, 1.0, 0.0, 0.0, False))
    world.advance(10_000_000)
    return world


def fill(world: World, label: int = F2) -> None:
    """Put a cold atom to every port that the vacuum spares."""
    for node in world.nodes.values():
        register = node.register
        register.handles.clear()
        for port in node.ports.values():
            register.label[port.site], register.temperature_k[port.site] = label, 20e-6
        register.death_mu[:] = np.inf
        register.note_deaths()


def test_names_are_free_and_a_chain_has_a_node_with_two_ports() -> None:
    world = open_lab(chain())
    left, right = world.stations.values()
    assert [port.key for port in left.ports if port] == ["n1.port", "Quokka.west"]
    assert [port.key for port in right.ports if port] == ["Quokka.east", "west_2.port"]
    assert len(world.nodes["Quokka"].register) == 2
    fill(world)
    results = [world.output(row, "entangler").run(20_000_000, 40_000_000, CYCLE) for row in ("e1", "e2")]
    assert all(result.pattern in HERALDS for result in results)
    one, middle, two = world.nodes.values()
    west, east = (port.register.part(port.site) for port in middle.ports.values())
    assert west is not None and east is not None
    assert one.state is west.state and two.state is east.state and west.state is not east.state


def test_quantities_have_the_names_of_the_lab_and_ports_beyond_the_first_their_own(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('extends = "default"\n[node.n1.atom]\ntemperature_k = 3e-5\n[station.right]\noverlap = 0.5\n'
                   '[channel."Quokka.east".fibre]\nlength_m = 77.0\n[nodes]\ncrosstalk = 0.01\n'
                   '[station.left.detectors.d_v]\nefficiency = 0.2\n')  # fmt: skip
    scenario = load_scenario(str(own), chain())
    assert read(scenario, "n1.atom.temperature_k") == 3e-5 and read(scenario, "west_2.atom.temperature_k") == 20e-6
    assert read(scenario, "left.overlap") == 0.97 and read(scenario, "right.overlap") == 0.5
    assert read(scenario, "Quokka.fibre.length_m") == 10.0 and read(scenario, "Quokka.east.fibre.length_m") == 77.0
    assert read(scenario, "left.detectors.d_v.efficiency") == 0.2
    listed = list(paths(scenario))
    assert len(listed) == len(set(listed)) and all(isinstance(read(scenario, path), float) for path in listed)
    changed = write(scenario, "Quokka.east.port.detuning_rad_s", 5.0)
    assert read(changed, "Quokka.east.port.detuning_rad_s") == 5.0
    assert read(changed, "Quokka.port.detuning_rad_s") == 0.0
    world = World(scenario, 1)
    assert [port.flight_s for port in world.nodes["Quokka"].ports.values()] == pytest.approx([49e-9, 377e-9], rel=0.02)


@pytest.mark.parametrize(("text", "says"), [
    ("[node.alice]\nshutter_s = 1e-3\n", r"\[node\.alice\] is of no node of this lab; .* n1, Quokka, west_2"),
    ("[station.midpoint]\noverlap = 1\n", r"\[station\.midpoint\] is of no station .* left, right"),
    ('[channel."n1.east"]\n', r"\[channel\.n1\.east\] is of no channel"),
    ("[midpoint]\noverlap = 1.0\n", r"\[midpoint\] is no node or station of this lab"),
    ("[alice.atom]\ntemperature_k = 1e-5\n", r"\[alice\] is no node .* hold what they share"),
    ("[nodes]\ncrosstalk = 2.0\n", r"crosstalk is 2\.0, .* in \[0, 1\]"),
    ('[channel."Quokka.east"]\ncolumn = 0\n', "Quokka: two ports are at one site"),
    ('[channel."Quokka.east"]\ncolumn = 7\n', "port 'east' is at .* array of 1 x 2"),
    ('[wiring]\nentangler_outputs = [["n1.pumping"]]\n', "for one station, but the lab has 2"),
])  # fmt: skip
def test_what_is_of_no_part_of_the_lab_is_one_line_with_the_remedy(text: str, says: str, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f'extends = "default"\n{text}')
    with pytest.raises(ScenarioError, match=says):
        load_scenario(str(own), chain())


def test_one_node_without_a_station_lives() -> None:
    world = open_lab(topology(nodes={"solo": {}}), "default")
    switch = {role: world.output(f"solo_sw_{role}", "level") for role in ("cooling", "repump", "excitation")}
    coil, t = world.output("solo_mot_coil", "level"), 20_000_000
    while world.nodes["solo"].label == ABSENT:
        for sink in (coil, switch["cooling"], switch["repump"]):
            sink(t, 1)
        for sink in (coil, switch["cooling"], switch["repump"]):
            sink(t + 50_000_000, 0)
        t += 60_000_000
        world.advance(t)
    world.nodes["solo"].label = READY
    switch["excitation"](t, 1)
    switch["excitation"](t + 500, 0)
    world.advance(t + 10_000)
    assert world.nodes["solo"].label == F1  # the photon went nowhere
    with pytest.raises(ScenarioError, match="heralds for no station"):
        world.output("entangler", "entangler")


def test_a_port_that_cannot_serve_the_stations_scheme_is_refused(tmp_path: Path) -> None:
    """A waveguide whose guided mode has one polarisation carries no qubit in it; it does serve time bins."""
    file = tmp_path / "own.toml"
    file.write_text('extends = "default"\n[nodes.port]\nkind = "waveguide"\nguided_rad_s = 4e7\nother_rad_s = 2e7\n'
                    "one_polarisation = true\n")  # fmt: skip
    stations = {"s": {"inputs": {"x": ["a.port"], "y": ["b.port"]}, "detectors": ["c_h", "c_v", "d_h", "d_v"]}}
    lab = topology(nodes={"a": {}, "b": {}}, stations=stations)
    with pytest.raises(ScenarioError, match=r"Port a.port serves one_photon, .* station s heralds by 'polarisation'"):
        World(load_scenario(str(file), lab), 1)
    stations["s"]["scheme"] = "time_bin"
    World(load_scenario(str(file), topology(nodes={"a": {}, "b": {}}, stations=stations)), 1)


@pytest.mark.parametrize(("roles", "share"), [
    (("c_h", "c_v"), 0.25),  # of the coincidences of four detectors: one output of two, both photons there
    (("c_h", "c_v", "d_h", "d_v"), 1.0),
    (("c_h", "c_h_2", "c_v", "d_h", "d_v", "d_v_2"), 1.0),  # shared light is not lost
])  # fmt: skip
def test_a_station_may_have_few_or_many_detectors(roles: tuple[str, ...], share: float) -> None:
    """Heralds per 100,000 attempts on ready atoms, against four detectors; 4 sigma."""
    lab = topology(nodes={"a": {}, "b": {}},
                   stations={"s": {"inputs": {"x": ["a.port"], "y": ["b.port"]},
                                   "detectors": {role: f"row_{role}" for role in roles}}})  # fmt: skip
    world, n = open_lab(lab), 100_000
    station = world.stations["s"]
    cycle = Cycle(7200, CYCLE.outputs, (GATE,) * len(roles), patterns("polarisation", roles))
    model, _ = station.model(cycle, world.output("", "entangler").outputs)
    played = model.attempts(np.random.default_rng(5), np.full((n, 2), READY))
    found = int(np.isin(played.pattern, cycle.patterns).sum())
    chance = model.nodes[0].detected * model.nodes[1].detected / 2  # of one H and one V
    expected = n * chance * share
    assert abs(found - expected) < 4 * np.sqrt(expected) + 0.03 * expected  # gates and overlap
    assert played.first_s.shape == (n, len(roles))


def test_detectors_at_one_place_share_its_light_by_their_efficiencies() -> None:
    detection = Detection(("c_h", "c_h_2", "c_v", "d_h", "d_v"), (1.0, 0.5, 1.0, 1.0, 0.0))
    assert detection.slots == (0.75, 1.0, 1.0, 0.0)
    clicks = detection.assigned(np.random.default_rng(1), np.zeros((30_000, 1), dtype=np.int64))
    assert abs(float((clicks == 0).mean()) - 2 / 3) < 4 * np.sqrt(2 / 9 / 30_000)
    assert detection.inputs("h") == 0b01011 and detection.inputs("v") == 0b10100


def star() -> Topology:
    return topology(
        nodes={name: {} for name in "ijkl"},
        stations={"hub": {"inputs": {"a": ["i.port", "j.port"], "b": ["k.port", "l.port"]}, "detectors": FOUR,
                          "entangler": "entangler"}},
        switches={"fibre_switch": {"from": {"i.port": 1, "j.port": 2, "k.port": 3, "l.port": 4},
                                   "to": {"hub.a": 17, "hub.b": 18}}},
    )  # fmt: skip


def test_a_switch_gives_another_port_the_way_to_the_station() -> None:
    world = open_lab(star())
    hub, switch = world.stations["hub"], world.element("fibre_switch")
    assert [port.key for port in hub.ports if port] == ["i.port", "k.port"]
    switch.connect(4, 18)
    switch.connect(2, 17)
    world.reach(world.now_mu + 30_000_000)
    assert [port.key for port in hub.ports if port] == ["j.port", "l.port"]
    fill(world)
    start = world.now_mu + 1000
    result = world.output("entangler", "entangler").run(start, start + 20_000_000, CYCLE)
    assert result.pattern in HERALDS
    labels = {name: node.label for name, node in world.nodes.items()}
    # i and k are led elsewhere, but their pumping light has the same cable; a few atoms it leaves in F = 2.
    assert labels["j"] == labels["l"] == QUBIT and {labels["i"], labels["k"]} in ({READY}, {READY, F2})
    switch.disconnect(4)
    assert [port and port.key for port in hub.ports] == ["j.port", None]
    fill(world)
    start = world.now_mu + 40_000_000
    world.reach(start)
    assert world.output("entangler", "entangler").run(start, start + 2_000_000, CYCLE).pattern == 0


def test_crosstalk_turns_the_qubit_at_the_other_port_as_far_as_it_says() -> None:
    """A pi pulse at the first port is an angle of pi x crosstalk at the second."""
    turned = []
    for crosstalk in (0.0, 0.1):
        scenario = load_scenario("default", chain())
        quiet = scenario.node("Quokka")
        node = replace(quiet, crosstalk=crosstalk, raman=replace(quiet.raman, amplitude_rms=0.0),
                       memory=replace(quiet.memory, t2_star_s=1e9, t2_s=1e6, t1_s=1e6))  # fmt: skip
        lab = open_lab(chain(), "default")
        lab.nodes["Quokka"].truth = node
        fill(lab, F1)
        port = lab.nodes["Quokka"].ports["east"]
        part = port.register.qubit(port.site, 10_000_000)
        part.state.psi = np.array([1, 0, 0], dtype=complex)
        for role in ("raman_a", "raman_b"):
            switch = lab.output(f"Quokka_sw_{role}", "level")
            switch(10_001_000, 1)
            switch(10_003_000, 0)
        lab.advance(10_010_000)
        turned.append(float(part.populations()[1]))
    assert turned[0] == pytest.approx(0.0, abs=1e-9)
    assert turned[1] == pytest.approx(np.sin(np.pi * 0.1 / 2) ** 2, rel=0.02)


def stored_after(cycles: int, crosstalk: float, row: str, port: str, shots: int) -> float:
    """Return the share of qubits at a port of Quokka that outlast cycles of a station, which heralds nothing."""
    lab = open_lab(chain(), "default")
    node = lab.nodes["Quokka"]
    node.truth = replace(node.truth, crosstalk=crosstalk)
    blind, start, kept = Cycle(7200, CYCLE.outputs, CYCLE.gates, ()), 20_000_000, 0
    for _ in range(shots):
        fill(lab, F1)
        atom = node.ports[port]
        atom.register.alone(atom.site, 0, start)
        result = lab.output(row, "entangler").run(start, start + cycles * blind.length_mu, blind)
        kept += atom.label == QUBIT
        start = result.t_end_mu + 10_000
    return kept / shots


def test_attempts_at_one_port_let_their_light_fall_on_the_qubit_at_the_other() -> None:
    """The second port's repump light is its own: of it the crosstalk falls on the first; the first's is everywhere.

    Survival exp(-repump_hz x crosstalk x pumping time), 4 sigma.
    """
    assert stored_after(100, 0.0, "e2", "west", 20) == 1.0
    assert stored_after(100, 0.0, "e1", "east", 20) == 0.0
    crosstalk, shots = 1e-3, 400
    rate = load_scenario("default", chain()).node("Quokka").pumping.repump_hz * crosstalk
    expected = np.exp(-rate * 40 * 4e-6)  # 40 cycles, each with 4 us of pumping
    assert 0.2 < expected < 0.8
    found = stored_after(40, crosstalk, "e2", "west", shots)
    assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / shots)


# -- several stations at once ------------------------------------------------------------------------------------------


def brute_force(world: World, rng: np.random.Generator, shots: int, cycles: int) -> np.ndarray:
    """Play every attempt of both stations of a chain, one after the other; return the counts of what came first:
    (nothing, left, right) x the number of cycles in four parts.
    """
    ports = [world.output(row, "entangler") for row in ("e1", "e2")]
    models = [port.station.model(CYCLE, port.outputs)[0] for port in ports]
    labels = np.full((shots, 2, 2), F2)
    first, when = np.zeros(shots, dtype=int), np.full(shots, cycles)
    alive = np.arange(shots)
    for n in range(cycles):
        heralded = np.zeros((2, len(alive)), dtype=bool)
        for k, model in enumerate(models):
            played = model.attempts(rng, labels[alive, k])
            labels[alive, k] = played.ends
            heralded[k] = np.isin(played.pattern, HERALDS)
        done = heralded.any(axis=0)
        first[alive[done]] = np.where(heralded[0], 1, 2)[done] + np.where(heralded.all(axis=0), 1, 0)[done] * 2
        when[alive[done]] = n
        alive = alive[~done]
    return counts(first, when, cycles)


def counts(first: np.ndarray, when: np.ndarray, cycles: int) -> np.ndarray:
    part = np.minimum(when * 4 // cycles, 3)
    return np.array([np.bincount(part[first == kind], minlength=4) for kind in range(4)])


SETTINGS = 10


def test_two_stations_that_share_a_node_give_the_statistics_of_every_attempt_played() -> None:
    """Which station heralds first, and when, for ten lengths of stretch against brute force: chi2 over all settings
    p > 1e-3, none beyond 4.5 sigma; seeds fixed before.
    """
    world = open_lab(chain(), seed=20261130)
    rng, total, cells, worst = np.random.default_rng(1130), 0.0, 0, 0.0
    length = CYCLE.length_mu
    for setting in range(SETTINGS):
        cycles, shots = 40 * (setting + 1), 300
        first, when = np.zeros(shots, dtype=int), np.full(shots, cycles)
        for shot in range(shots):
            fill(world)
            start = world.now_mu + 10_000
            found = world.run_together(start, start + cycles * length, {"left": CYCLE, "right": CYCLE})
            hits = [bool(found[name].pattern) for name in ("left", "right")]
            if any(hits):
                first[shot] = (1 if hits[0] else 2) + 2 * all(hits)
                when[shot] = max(result.cycles for result in found.values()) - 1
                assert len({result.t_end_mu for result in found.values()}) == 1
            world.reach(max(result.t_end_mu for result in found.values()))
        ours, theirs = counts(first, when, cycles), brute_force(world, rng, 20 * shots, cycles)
        expected = theirs * shots / theirs.sum()
        enough = expected.ravel() > 5
        deviation = (ours.ravel() - expected.ravel())[enough] / np.sqrt(expected.ravel()[enough] * (1 + 1 / 20))
        total, cells = total + float((deviation**2).sum()), cells + int(enough.sum()) - 1
        worst = max(worst, float(np.abs(deviation).max()))
    assert chi2.sf(total, cells) > 1e-3 and worst < 4.5, (total, cells, worst)


def test_stations_that_share_nothing_herald_as_often_together_as_alone() -> None:
    """Cycles to the first herald of either of two independent links are those of the faster: mean within 4 sigma."""
    lab = topology(
        nodes={name: {} for name in "abcd"},
        stations={"s": {"inputs": {"x": ["a.port"], "y": ["b.port"]}, "detectors": FOUR, "entangler": "e1"},
                  "t": {"inputs": {"x": ["c.port"], "y": ["d.port"]}, "detectors": [f"t_{k}" for k in range(4)],
                        "entangler": "e2"}},
    )  # fmt: skip
    world, shots = open_lab(lab, seed=7), 400
    port = world.output("e1", "entangler")
    single, _ = port.station.model(CYCLE, port.outputs)[0].heralds(np.random.default_rng(3), np.full((40_000, 2), F2))
    pairs = np.minimum(single[:20_000], single[20_000:])
    found = []
    for _ in range(shots):
        fill(world)
        start = world.now_mu + 10_000
        results = world.run_together(start, start + 10**9, {"s": CYCLE, "t": CYCLE})
        found.append(max(result.cycles for result in results.values()))
        world.reach(max(result.t_end_mu for result in results.values()))
    assert abs(np.mean(found) - pairs.mean()) < 4 * np.std(pairs) / np.sqrt(shots)


# -- size --------------------------------------------------------------------------------------------------------------


def large(nodes: int) -> Topology:
    """Pairs of nodes, a station for each pair."""
    names = [f"n{k}" for k in range(nodes)]
    return topology(
        nodes={name: {} for name in names},
        stations={f"s{k}": {"inputs": {"a": [f"{names[2 * k]}.port"], "b": [f"{names[2 * k + 1]}.port"]},
                            "detectors": [f"s{k}_{j}" for j in range(4)], "entangler": f"e{k}"}
                  for k in range(nodes // 2)},
    )  # fmt: skip


def test_sixteen_nodes_eight_stations_and_ten_thousand_sites_are_built_in_a_second(tmp_path: Path) -> None:
    array = (Path(__file__).resolve().parents[2] / "sim" / "scenarios" / "array.toml").read_text()
    table = array[array.index("[nodes.array]") : array.index("[nodes.rydberg]")].replace("[nodes.", "[node.n0.")
    own = tmp_path / "own.toml"
    table = table.replace("rows = 32", "rows = 100").replace("columns = 32", "columns = 100")
    own.write_text('extends = "default"\n' + table)
    start = time.process_time()
    world = World(load_scenario(str(own), large(16)), 1)
    assert time.process_time() - start < 1.0
    assert len(world.nodes) == 16 and len(world.stations) == 8
    assert sorted(len(node.register) for node in world.nodes.values())[-2:] == [1, 10_000]


def test_a_port_that_the_lab_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="names 'b.port'"):
        topology(nodes={"a": {}}, stations={"s": {"inputs": {"x": ["a.port"], "y": ["b.port"]}, "detectors": FOUR}})
