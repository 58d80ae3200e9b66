"""AOM power, detectors and cavity locks end to end: they find what light, detectors and servos are. 4 sigma each."""

import math
from pathlib import Path

from lab_runs import execute

from analysis.experiments import aom_power, cavity_lock_quality, detector_characterisation
from analysis.report import main_report
from atomlink.signals import Tone
from drivers.parameter_log import read
from sim.physics import pdh
from sim.world.elements.cavity_lock import LIGHT, TRANSMITTED_V, V_PER_W
from sim.world.elements.pickup import FULL_W
from sim.world.scenario import DETECTORS, NODES, load_scenario
from sim.world.world import World

SEED = 9


def scenario(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(f'extends = "default"\ndescription = "of a test"\n{text}')
    return path


def test_the_amplitude_found_gives_the_power_wanted(tmp_path: Path) -> None:
    options = ("--scenario", "drifting", "--seed", str(SEED), "shots=10", "apply=True")
    done = execute(tmp_path, "setup/aom_power.py", *options)
    assert done.code == 0 and done.run is not None, done.text
    result = aom_power.analyse(done.run)
    world = World(load_scenario("drifting"), SEED)
    (revision,) = read(next(tmp_path.glob("params*.log")))
    for node in NODES:
        truth = world.nodes[node].truth
        full = FULL_W * (world.quantities.value(f"{node}.excitation.rabi_rad_s") / (2 * math.pi * 10e6)) ** 2
        assert abs(result.estimates[f"{node}.a_saturation"].sigmas_from(math.sqrt(truth.aom.saturation_w))) < 4
        assert abs(result.estimates[f"{node}.p_full_w"].sigmas_from(full)) < 4
        amplitude = revision.changes[f"param.{node}.a_excitation"].value
        beam = world.nodes[node].beams["excitation"]
        beam.set_shutter(True)
        beam.set_switch(True)
        beam.set_tone(0, Tone(80e6, amplitude, 0.0, 0.0, True))
        assert abs(world.element(f"{node}_pickup").light_w() / FULL_W - 1) < 2e-3  # of what was aimed at
    main_report(done.run.path)


def test_detectors_are_what_the_scenario_says(tmp_path: Path) -> None:
    odd = {"c_v": "dark_rate_hz = 150.0", "d_h": "recovery_s = 60e-9", "d_v": "afterpulse_probability = 0.05"}
    own = scenario(tmp_path, "".join(f"[midpoint.detectors.{name}]\n{line}\n" for name, line in odd.items()))
    done = execute(tmp_path, "setup/detector_characterisation.py", "--scenario", str(own), "--seed", str(SEED),
                   "repeats=2", "gates=100", "apply=True")  # fmt: skip
    assert done.code == 0 and done.run is not None, done.text
    result = detector_characterisation.analyse(done.run)
    truths = dict(zip(DETECTORS, load_scenario(str(own)).station("midpoint").detectors, strict=True))
    found = result.estimates
    for name, truth in truths.items():
        after = truth.afterpulse_probability
        assert abs(found[f"{name}.dark_rate_hz"].sigmas_from(truth.dark_rate_hz * (1 + after))) < 4
        assert abs(found[f"{name}.p_afterpulse"].value - after) < 4 * found[f"{name}.p_afterpulse"].error + 0.3 * after
        if not after:  # its clicks after 30 ns look like a faster recovery
            assert abs(found[f"{name}.t_recovery_s"].sigmas_from(truth.recovery_s)) < 4
            assert abs(found[f"{name}.lit_rate_hz"].sigmas_from(1e6 * truth.efficiency)) < 4
    assert found["d_v.p_afterpulse"].value > 4 * found["c_h.p_afterpulse"].error
    (revision,) = read(next(tmp_path.glob("params*.log")))
    assert revision.changes["param.midpoint.dark_rate_hz"].value == found["dark_rate_hz"].value
    main_report(done.run.path)


def test_lock_leaves_what_the_scenario_says_and_catches_again(tmp_path: Path) -> None:
    own = scenario(tmp_path, "[alice.port]\nlock_rms_over_2pi_hz = 137.5e3\n")  # 0.05 kappa; bob has none
    done = execute(tmp_path, "setup/cavity_lock_quality.py", "--scenario", str(own), "--seed", str(SEED), "apply=True")
    assert done.code == 0 and done.run is not None, done.text
    result = cavity_lock_quality.analyse(done.run)
    port = load_scenario(str(own)).node("alice").port
    slope_v = V_PER_W * pdh.slope_w_s(port, LIGHT) * port.kappa_rad_s  # type: ignore[union-attr, arg-type]
    for node in NODES:
        assert abs(result.estimates[f"{node}.v_per_kappa_v"].sigmas_from(slope_v)) < 4
        assert abs(result.estimates[f"{node}.v_offset_v"].sigmas_from(0.0)) < 4
        assert abs(result.estimates[f"{node}.v_transmitted_v"].value / TRANSMITTED_V - 1) < 0.005
        assert result.estimates[f"{node}.locked"].value == 1.0
        assert result.estimates[f"{node}.caught_again"].value == 1.0
        assert result.estimates[f"{node}.light_held"].value < 0.99  # nothing holds it meanwhile
    assert abs(result.estimates["alice.rms_kappa"].sigmas_from(0.05)) < 4
    assert result.estimates["bob.rms_kappa"].value < 0.002  # the photodiode's noise
    (revision,) = read(next(tmp_path.glob("params*.log")))
    assert {f"param.{node}.v_transmitted_v" for node in NODES} == set(revision.changes)
    main_report(done.run.path)
