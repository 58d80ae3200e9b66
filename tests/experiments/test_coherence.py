"""Raman pulses, Ramsey fringes and spin echo end to end: they find a lab that is not as believed. 4 sigma each."""

from pathlib import Path

import pytest
from lab_runs import execute

from analysis.result import Result
from analysis.twins import twin_of
from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import parameters
from drivers.parameter_log import read
from sim.validation.optimum import best_parameters
from sim.world import World, load_scenario

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

LAB = """extends = "default"
description = "half of the memory, and atoms that load well"
[nodes.memory]
t2_s = 1e-3
[nodes.loading]
single_loss_fraction = 0.9
arrival_hz = 200.0
loss_hz = 0.2
"""
MORE_LIGHT = "[alice.raman]\nrabi_over_2pi_hz = 350e3\n"  # 250e3 is believed
MORE_FIELD = "[alice.coils]\nbackground_gauss = [0.0, 0.0, 1.006]\n"  # 8.4 kHz more than is believed
BELIEVED = {name: row.default for name, row in TABLE.items()}


def measured(folder: Path, off: str, file: str, seed: int, *options: str) -> tuple[Result, dict[str, float]]:
    """Return what a run in that lab found, and what ought to be believed there."""
    scenario = folder / "other.toml"
    scenario.write_text(LAB + off)
    done = execute(folder, file, "--scenario", str(scenario), "--seed", str(seed), *options)
    assert done.code == 0 and done.run is not None, done.text
    twin = twin_of(done.run.class_name)
    assert twin is not None
    return twin.analyse(done.run), best_parameters(World(load_scenario(str(scenario)), 1), BELIEVED)


# Around crests and troughs of fringes of 0.8 kHz, and once between: there the contrast shows best.
ECHO = (2e-5, 4e-5, 6e-5, 6e-4, 6.5e-4, 9.4e-4, 1.15e-3, 1.25e-3, 1.35e-3)


def axis(name: str, start: float, stop: float, points: int) -> str:
    return (f'{name}={{"ty": "RangeScan", "start": {start}, "stop": {stop}, "npoints": {points}, "randomize": false, '
            '"seed": null}')  # fmt: skip


@pytest.mark.parametrize(
    ("off", "file", "options", "name"),
    [
        (MORE_LIGHT, "atoms/raman_rabi.py", ("shots=16", axis("t_raman", 0.0, 6e-6, 13)), "t_raman_pi_s"),
        (MORE_FIELD, "atoms/ramsey.py", ("shots=14", axis("t_wait", 5e-6, 95e-6, 19)), "f_larmor_hz"),
    ],
    ids=["raman_rabi", "ramsey"],
)
def test_what_is_believed_becomes_what_is_true(
    tmp_path: Path, off: str, file: str, options: tuple[str, ...], name: str
) -> None:
    """Alice is off by more than 5 of the errors, bob is as believed."""
    result, best = measured(tmp_path, off, file, 5, *options, "apply=True")
    for node in ("alice", "bob"):
        key = f"param.{node}.{name}"
        assert abs(result.updates[key].sigmas_from(best[key])) < 4
    alice = f"param.alice.{name}"
    assert abs(result.updates[alice].sigmas_from(BELIEVED[alice])) > 5
    (revision,) = read(next(tmp_path.glob("params*.log")))
    assert revision.changes[alice].value == result.updates[alice].value


def test_an_echo_decays_with_the_memorys_time(tmp_path: Path) -> None:
    """810 shots tell T2 to a quarter; half of the belief of 2 ms."""
    times = f't_wait={{"ty": "ExplicitScan", "sequence": {list(ECHO)}}}'
    result, _ = measured(tmp_path, "", "atoms/spin_echo.py", 7, "shots=90", times)
    for node in ("alice", "bob"):
        found = result.estimates[f"{node}.t2_s"]
        assert abs(found.sigmas_from(1e-3)) < 4 and found.error < 0.4e-3
