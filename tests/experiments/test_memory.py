"""Experiments with a memory end to end, through kernels and bus: clicks are what the Maxwell-Bloch equations say."""

import math
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab_runs import execute
from other_labs import SCENARIOS

from analysis import fits, stored_photons
from analysis.experiments import control_delay, control_detuning, control_power, retrieved_g2, storage_time
from analysis.load import Run
from analysis.report import main_report
from atomlink.errors import ScenarioError
from atomlink.signals import Tone
from drivers.parameter_log import read
from drivers.parameters import table
from experiments.calibration.graph import Graph
from experiments.calibration.nodes import nodes_of
from sim.physics import eit
from sim.world.network.memory_cell import MemoryCell
from sim.world.network.station import refuse_cloud
from sim.world.scenario import load_scenario
from sim.world.world import World

BELIEFS = {"control_power": ("a_control", 0.03), "control_delay": ("t_control_off_s", 50e-9)}  # and largest errors
BRIGHT = SCENARIOS / "bright_memory.toml"
AMPLITUDE, OFF_S = 0.4, 450e-9  # as believed


@cache
def bright_cell() -> MemoryCell:
    return World(load_scenario(str(BRIGHT)), 1).memories["vault"]


def stored(off_s: float = OFF_S, amplitude: float = AMPLITUDE, frequency_hz: float = 80e6) -> eit.Stored:
    """Return what becomes of alice's photon, integrated here; the pulse is played on the coarse clock.

    The cloud, filled for 30 ms every 0.5 ms, is that of 0.25 ms after the MOT, the mean of the time for which it is
    used.
    """
    cell = bright_cell()
    emission = cell.port.emission(496, 1.0, 0.0)
    power = cell.truth.aom.diffraction(amplitude**2)
    kept = math.exp(-0.5e-3 / cell.truth.decay_s)
    filled = math.expm1(-3) / (kept * math.exp(-3) - 1) * math.exp(-0.25e-3 / cell.truth.decay_s)
    cloud = eit.Cloud(cell.truth.optical_depth * filled, cell.truth.gamma_rad_s)
    detuning = 2 * math.pi * (frequency_hz - cell.truth.carrier_hz)
    control = eit.Control(cell.truth.control_rad_s * math.sqrt(power), detuning)
    field = emission.amplitude / math.sqrt(np.trapezoid(np.abs(emission.amplitude) ** 2, emission.t_s))
    return eit.store_and_retrieve(cloud, emission.t_s, field, control, off_s, read_s=1e-6)


def test_storage_time_finds_efficiency_and_life_and_they_become_beliefs(tmp_path: Path) -> None:
    done = execute(tmp_path, "memory/storage_time.py", "--scenario", str(BRIGHT), "--seed", "3", "shots=400",
                   "t_storage=[2e-6, 60e-6, 120e-6, 200e-6, 300e-6]", "apply=True")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = storage_time.analyse(done.run)
    assert abs(result.estimates["efficiency"].sigmas_from(stored().retrieved)) < 4
    assert abs(result.estimates["t_spin_wave_s"].sigmas_from(200e-6)) < 4
    assert result.estimates["t_spin_wave_s"].error < 40e-6
    (revision,) = read(next(tmp_path.glob("params*.log")))
    assert "param.vault.t_spin_wave_s" in revision.changes
    assert any("t_spin_wave_s" in line for line in main_report(done.run.path))


def agrees(run: Run, axis: str, expected: Callable[[float], eit.Stored]) -> None:
    """Hold the clicks of each point against what the equations say, within 4 sigma: those at the read-out and, where
    the run counts them, those before it.

    The share of photons that come at all is the run's own, with its error; noise is 0.5 in 300 shots.
    """
    came = float(np.sum(run.datasets["scan.came"]) / np.sum(run.datasets["scan.n_came"]))
    relative = 1 / math.sqrt(np.sum(run.datasets["scan.came"]))
    for k, value in enumerate(run.datasets[f"scan.{axis}"]):
        share = expected(float(value))
        for name, part in (("clicks", share.retrieved), ("leaked", share.leaked)):
            if f"scan.{name}" in run.datasets:
                seen, shots = run.datasets[f"scan.{name}"][k], run.datasets["scan.n_clicks"][k]
                mean = shots * (came * part + 0.5 / 300)
                assert abs(seen - mean) < 4 * math.hypot(math.sqrt(mean), mean * relative), (value, seen, mean)


def test_mistimed_control_costs_what_the_equations_say(tmp_path: Path) -> None:
    """Clicks at the read-out and before it, for each time of the edge, within 4 sigma."""
    done = execute(tmp_path, "memory/control_delay.py", "--scenario", str(BRIGHT), "--seed", "4", "shots=300",
                   "t_off=[0.12e-6, 0.3e-6, 0.45e-6, 0.8e-6]", "t_storage=2e-6")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    agrees(done.run, "t_off", stored)


def test_retrieved_photons_are_single_ones_up_to_the_memorys_noise(tmp_path: Path) -> None:
    done = execute(tmp_path, "memory/retrieved_g2.py", "--scenario", str(BRIGHT), "--seed", "5", "shots=600",
                   "repeats=2", "t_storage=2e-6")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = retrieved_g2.analyse(done.run)
    assert abs(result.estimates["g2_of_photons"].sigmas_from(0.0)) < 4
    assert result.estimates["g2"].value < 0.2 and result.estimates["g2"].error < 0.1


def test_detuned_control_stores_as_little_as_the_equations_say(tmp_path: Path) -> None:
    """Within 4 sigma at three frequencies."""
    done = execute(tmp_path, "memory/control_detuning.py", "--scenario", str(BRIGHT), "--seed", "6", "shots=150",
                   "f_control=[76e6, 80e6, 84e6]", "t_storage=2e-6")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    agrees(done.run, "f_control", lambda frequency_hz: stored(frequency_hz=frequency_hz))


def test_strong_control_lets_the_photon_through_and_weak_control_keeps_it_out(tmp_path: Path) -> None:
    """As much as the equations say, within 4 sigma at three amplitudes."""
    done = execute(tmp_path, "memory/control_power.py", "--scenario", str(BRIGHT), "--seed", "6", "shots=150",
                   "a_control=[0.1, 0.4, 1.0]", "t_storage=2e-6")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    agrees(done.run, "a_control", lambda amplitude: stored(amplitude=amplitude))


def test_truth_of_the_resonance_lies_within_the_errors_of_its_calibration(tmp_path: Path) -> None:
    done = execute(tmp_path, "memory/control_detuning.py", "--scenario", str(BRIGHT), "--seed", "7", "shots=150",
                   "f_control=75e6:85e6:7", "t_storage=2e-6", "apply=True")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    found = control_detuning.analyse(done.run).estimates["f_control_hz"]
    assert abs(found.sigmas_from(80e6)) < 3 and found.error < 0.3e6
    (revision,) = read(next(tmp_path.glob("params*.log")))
    assert "param.vault.f_control_hz" in revision.changes


def best(scanned: str) -> float:
    """Return where the integrated efficiency is highest: a parabola through points around it."""
    guess, step = (0.39, 0.03) if scanned == "a_control" else (0.43e-6, 0.04e-6)
    at = guess + step * np.arange(-2, 3)
    kept = [stored(amplitude=x) if scanned == "a_control" else stored(off_s=x) for x in at]
    curvature, slope, _ = np.polyfit(at - guess, [each.retrieved for each in kept], 2)
    return guess - slope / (2 * curvature)


PEAKS = [("control_power", "a_control=0.2:0.65:10", control_power), ("control_delay", "t_off=0.15us:0.75us:9",
                                                                    control_delay)]  # fmt: skip


@pytest.mark.parametrize(("name", "scan", "twin"), PEAKS)
def test_top_of_a_lopsided_peak_lies_within_the_errors_of_its_calibration(name: str, scan: str, twin: Any,
                                                                        tmp_path: Path) -> None:  # fmt: skip
    done = execute(tmp_path, f"memory/{name}.py", "--scenario", str(BRIGHT), "--seed", "12", "shots=100", scan,
                   "t_storage=2e-6")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result, (belief, width) = twin.analyse(done.run), BELIEFS[name]
    found = result.estimates[belief]
    assert abs(found.sigmas_from(best(scan.partition("=")[0]))) < 2 and found.error < width
    top = stored(off_s=found.value) if belief == "t_control_off_s" else stored(amplitude=found.value)
    assert abs(result.estimates["efficiency"].sigmas_from(top.retrieved)) < 4


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize(("name", "scan", "twin"), PEAKS)
def test_default_runs_find_the_top_at_every_seed(name: str, scan: str, twin: Any, seed: int, tmp_path: Path) -> None:
    done = execute(tmp_path, f"memory/{name}.py", "--scenario", "memory", "--seed", str(seed))
    assert done.code == 0 and done.run is not None, done.text
    found = twin.analyse(done.run).estimates[BELIEFS[name][0]]
    assert abs(found.sigmas_from(best(scan.partition("=")[0]))) < 2


@pytest.mark.parametrize("fixed", [{"amplitude": 0.3}, {"amplitude": 0.5}, {"off_s": 300e-9}, {"off_s": 600e-9}])
def test_tops_of_integrated_curves_lie_beside_the_fit_by_no_more_than_it_says(fixed: dict[str, float]) -> None:
    """Against the edge at two amplitudes, against the amplitude at two edges; clicks as expected, without noise."""
    scanned, x = ("off_s", np.linspace(0.1e-6, 0.9e-6, 17)) if "amplitude" in fixed else (
        "amplitude", np.linspace(0.2, 0.65, 19))  # fmt: skip
    retrieved = np.array([stored(**{scanned: float(at), **fixed}).retrieved for at in x])
    fit = stored_photons.near_fit(fits.shares(x, np.round(2000 * retrieved), np.full(len(x), 2000)), 0.0)
    middle = slice(int(np.argmax(retrieved)) - 2, int(np.argmax(retrieved)) + 3)
    scale = x[middle][2]
    curvature, slope, _ = np.polyfit(x[middle] / scale - 1, retrieved[middle], 2)
    top = scale * (1 - slope / (2 * curvature))
    assert abs(fit["centre"].value - top) < stored_photons.BESIDE * fit["width"].value


def test_a_refused_fit_still_tells_noise_and_passing_photons(tmp_path: Path) -> None:
    done = execute(tmp_path, "memory/control_power.py", "--scenario", str(BRIGHT), "--seed", "3", "shots=30",
                   "a_control=[0.3, 0.35, 0.4]", "t_storage=2e-6")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    assert "vault: no estimate. Fit of Gaussian refused" in done.text
    assert {"fit.noise", "fit.came"} <= done.run.datasets.keys() and "fit.refused" in done.run.datasets
    said = " ".join(main_report(done.run.path))
    assert "came" in said and "noise" in said and "refused" in said


def test_the_calibration_graph_of_a_lab_has_nodes_for_its_memory() -> None:
    graph = Graph(nodes_of(load_scenario("memory").topology))
    names = [node.name for node in graph.order()]
    assert names.index("control_detuning") < names.index("control_delay") < names.index("storage_time")
    assert graph.nodes["storage_time"].tolerances.keys() <= table(load_scenario("memory").topology).keys()


@pytest.mark.parametrize(("arguments", "said"), [
    (("t_storage=[2e-3]",), "must be within its window of 600000 mu"),
    (("t_storage=[1e-7]",), "must be after the control light is off"),
    (("memory=attic",), "Memory 'attic' is not in this lab; it must be one of vault"),
])  # fmt: skip
def test_what_the_memory_cannot_do_is_refused_in_one_line(arguments: tuple, said: str, tmp_path: Path) -> None:
    done = execute(tmp_path, "memory/storage_time.py", "--scenario", str(BRIGHT), "shots=1", *arguments)
    assert done.code == 2 and said in done.text, done.text


def test_a_lab_without_memory_refuses(tmp_path: Path) -> None:
    done = execute(tmp_path, "memory/storage_time.py", "--scenario", "default", "shots=1")
    assert done.code == 2 and "This lab has no memory" in done.text


@pytest.mark.parametrize("backend", ["entangler", "software"])
def test_where_the_cloud_is_gone_pairs_are_those_of_the_lab_without_memory(backend: str, tmp_path: Path) -> None:
    """To the last bit, if the rails lose nothing: nobody fills the cloud in this experiment."""
    file = tmp_path / "own.toml"
    file.write_text('extends = "memory"\n[memories]\nrails = [1.0, 1.0]\nrail_phase_rad = 0.0\n')
    found = []
    for scenario in (str(file), "default"):
        done = execute(tmp_path, "link/remote_entanglement.py", "--scenario", scenario, "--seed", "2", "n_pairs=12",
                       f"backend={backend}")  # fmt: skip
        assert done.code == 0 and done.run is not None, done.text
        found.append({key: value for key, value in done.run.datasets.items() if key.startswith("shots.")})
    assert found[0].keys() == found[1].keys() and found[0]
    for key, value in found[0].items():
        assert np.array_equal(value, found[1][key]), key


def test_rails_turn_the_pair_of_a_photon_that_passes() -> None:
    """Mean fidelity (1 + 2 sqrt(r1 r2) e^(-sigma^2/2)/(r1 + r2))/2 of a Bell state, 4 sigma of 4,000."""
    world = World(load_scenario("memory"), 3)
    station, truth = world.stations["midpoint"], world.memories["vault"].truth
    bell = np.array([0, 1, 1, 0]) / math.sqrt(2)
    kept = np.array([abs(np.vdot(bell, station.turned(bell, (True, True)))) ** 2 for _ in range(4000)])
    h, v = truth.rails
    mean = (1 + 2 * math.sqrt(h * v) * math.exp(-(truth.rail_phase_rad**2) / 2) / (h + v)) / 2
    assert abs(kept.mean() - mean) < 4 * kept.std() / math.sqrt(len(kept))
    assert np.array_equal(station.turned(bell, (False, True)), bell)  # bob's photon meets no memory


def test_repeated_cycles_of_the_gateware_are_refused_while_the_cloud_is_there() -> None:
    world = World(load_scenario("memory"), 2)
    port = world.memories["vault"].port
    refuse_cloud(port, 1000)
    world.output("vault_ttl_mot", "level")(2000, 1)
    world.advance(3000)
    with pytest.raises(ScenarioError, match=r"leads through the cloud of memory vault.*backend=software"):
        refuse_cloud(port, 3000)


def test_noise_comes_while_the_control_light_is_on_and_the_cloud_is_there() -> None:
    """Counts of an empty read-out, 3 sigma."""
    world = World(load_scenario("memory"), 2)
    cell, row = world.memories["vault"], "snspd_c_h"
    truth = world.stations["midpoint"].truth
    tone = Tone(80e6, 1.0, 0.0, 0.0, False)
    for signal, kind, value in (("vault_ttl_mot", "level", 1), ("vault_dds_control", "tone", tone)):
        world.output(signal, kind)(0, value)
    seen = 0
    for k in range(200):
        start = 100_000_000 + k * 1_000_000
        world.output("vault_ttl_control", "level")(start, 1)
        world.output("vault_ttl_control", "level")(start + 500_000, 0)
        world.advance(start + 700_000)
        seen += len(world.clicks(row)(start, start + 700_000))
    through = truth.transmission * truth.detectors[0].efficiency / 4 * cell.port.truth.fibre.insertion
    mean = 200 * (500 * cell.truth.noise_photons * through + 0.7e-3 * truth.detectors[0].dark_rate_hz)
    assert abs(seen - mean) < 3 * math.sqrt(mean)


def test_a_pause_gives_the_control_light_back_as_the_scan_had_it(tmp_path: Path) -> None:
    """Within 4 sigma at two frequencies; the run in between leaves the light off and detuned."""
    shutil.copy(Path(__file__).with_name("paused_memory.py"), tmp_path)
    done = execute(tmp_path, str(tmp_path / "paused_memory.py"), "--scenario", str(BRIGHT), "--seed", "8", "shots=300",
                   "f_control=[76e6, 80e6]", "t_storage=200e-6")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    kept = math.exp(-200e-6 / 200e-6)
    agrees(done.run, "f_control", lambda frequency_hz: stored(frequency_hz=frequency_hz)._replace(
        retrieved=stored(frequency_hz=frequency_hz).retrieved * kept))  # fmt: skip


def test_read_outs_of_an_atom_that_is_gone_count_in_no_pattern(tmp_path: Path) -> None:
    """Some blocks lose theirs; read-outs by pattern are as many as read-outs, and as bright, 4 sigma."""
    file = tmp_path / "own.toml"
    file.write_text(f"{BRIGHT.read_text()}\n[nodes.atom]\nvacuum_lifetime_s = 2.0\n")
    found = []
    for scenario in (str(BRIGHT), str(file)):
        done = execute(tmp_path, "memory/retrieved_g2.py", "--scenario", scenario, "--seed", "5", "shots=600",
                       "repeats=1", "t_storage=2e-6")  # fmt: skip
        assert done.code == 0 and done.run is not None, done.text
        patterns, n = np.sum(done.run.datasets["scan.patterns"], axis=0), int(np.sum(done.run.datasets["scan.n"]))
        assert patterns.sum() == n >= 600
        found.append((patterns[1:].sum() / n, n))
    (bright, n), (short, m) = found
    assert abs(bright - short) < 4 * math.sqrt(bright * (1 - bright) * (1 / n + 1 / m))
