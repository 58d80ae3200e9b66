"""The beliefs that the budget rests on come from measurements: drawn from known laws, 4 sigma."""

import math
from typing import Any

import numpy as np
import pytest
from synthetic_runs import as_run

from analysis.experiments import optical_pumping, pushout_fidelity, ramsey, tweezer_loading
from analysis.load import Run
from analysis.result import Result

NODES, SHOTS = ("alice", "bob"), 400


def drawn(axis: str, x: Any, shares: dict[str, Any], seed: int = 4, **more: Any) -> Run:
    """Return a scan of `axis`; `shares`: chance of each column `scan.{name}` at x."""
    rng, x = np.random.default_rng(seed), np.asarray(x)
    columns = {axis: x, "n": np.full(len(x), SHOTS), **{k: rng.binomial(SHOTS, p) for k, p in shares.items()}}
    return as_run({**{f"scan.{name}": column for name, column in columns.items()}, **more})


def test_the_share_pumped_is_that_after_the_time_that_is_believed_from_then_on() -> None:
    t = np.linspace(0.4e-6, 6e-6, 10)
    share = 0.99 * (1 - np.exp(-t / 0.6e-6))
    result = optical_pumping.analyse(drawn("t_pump", t, {f"bright_{node}": share for node in NODES}))
    for node in NODES:
        t_s, pumped = (result.updates[f"param.{node}.{name}"] for name in ("t_pump_s", "p_pumped"))
        assert abs(pumped.sigmas_from(0.99 * (1 - math.exp(-t_s.value / 0.6e-6)))) < 4
        assert result.estimates[f"{node}.pumped"].value <= 1


def test_a_try_of_the_believed_length_loads_with_the_believed_share() -> None:
    t = np.linspace(5e-3, 0.1, 10)
    share = 0.8 * (1 - np.exp(-t / 0.02))
    run = drawn("t_loading", t, {f"bright_{node}": share for node in NODES},
                **{f"param.{node}.t_loading_s": 30e-3 for node in NODES})  # fmt: skip
    for node in NODES:
        loaded = tweezer_loading.analyse(run).updates[f"param.{node}.p_loading"]
        assert abs(loaded.sigmas_from(0.8 * (1 - math.exp(-1.5)))) < 4


@pytest.mark.parametrize("longest_s", [50e-6, 4e-3])
def test_only_pulses_of_milliseconds_tell_what_push_out_costs_f1(longest_s: float) -> None:
    t = np.append(np.linspace(1e-6, 50e-6, 8), longest_s * np.array([0.5, 0.75, 1.0]))
    shares = {f"{node}_f2": np.exp(-t / 5e-6) for node in NODES} | {f"{node}_f1": np.exp(-40 * t) for node in NODES}
    run = drawn("t_pushout", t, shares, **{f"param.{node}.t_pushout_s": 50e-6 for node in NODES})
    result = pushout_fidelity.analyse(run)
    updates = result.updates
    assert len(result.notes) == (0 if updates else len(NODES))
    assert set(updates) == ({f"param.{node}.p_pushout_f1" for node in NODES} if longest_s > 1e-3 else set())
    for lost in updates.values():
        assert abs(lost.sigmas_from(-math.expm1(-40 * 50e-6))) < 4 and lost.error < 0.5e-3


def fringes(longest_s: float) -> Result:
    """Return what fringes with a T2* of 300 us and a T2 of 2 ms give, waits up to `longest_s`."""
    t = np.linspace(5e-6, longest_s, 60)
    share = 0.25 + 0.25 * np.cos(2 * math.pi * 20e3 * t) * np.exp(-((t / 300e-6) ** 2) - t / 2e-3)
    level = {"scan.f_offset": 20e3, **{f"scan.f_believed_{node}": 1.4e6 for node in NODES},
             **{f"param.{node}.t2_s": 2e-3 for node in NODES}}  # fmt: skip
    return ramsey.analyse(drawn("t_wait", t, {f"bright_{node}": share for node in NODES}, **level))


@pytest.mark.parametrize(("longest_s", "says"), [(30e-6, "waits up to 30 µs see no decay that tells T2*"),
                                                 (100e-6, "must be to 10% to become a belief")])  # fmt: skip
def test_ramsey_says_where_a_scan_does_not_tell_t2_star(longest_s: float, says: str) -> None:
    result = fringes(longest_s)
    assert not [name for name in result.updates if name.endswith("t2_star_s")]
    assert len(result.notes) == len(NODES) and all(says in note for note in result.notes)
    assert bool([name for name in result.estimates if name.endswith("t2_star_s")]) == ("10%" in says)


def test_ramsey_takes_the_decay_of_an_echo_off_its_own() -> None:
    result = fringes(500e-6)
    assert not result.notes
    for node in NODES:
        found = result.updates[f"param.{node}.t2_star_s"]
        assert abs(found.sigmas_from(300e-6)) < 4 and found == result.estimates[f"{node}.t2_star_s"]
