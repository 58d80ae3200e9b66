"""The rate that many atoms at one port are expected to give: each number of atoms with its own times."""

from typing import Any

import numpy as np
import pytest
from synthetic_runs import as_run

from analysis.experiments import multiplexed_port
from analysis.load import Run
from atomlink.heralds import FOUR
from atomlink.topology import pair
from drivers import parameters

TABLE = parameters.table(pair(("alice", "bob"), FOUR))

ROUNDS, ATTEMPTS = 400, 50
PREPARE_S, SWITCH_S = {1: 0.05, 4: 0.15}, 2e-3


def run_of(seed: int) -> Run:
    """Return rounds drawn from the law: attempts until a herald, and times that grow with the number of atoms."""
    beliefs = {name: row.default for name, row in TABLE.items()}
    level = {"pairs.attempts_per_visit": ATTEMPTS, "pairs.t_gate_s": 0.9e-6, "pairs.setting_names": "XX,YY,ZZ"}
    t = multiplexed_port.believed(as_run({**beliefs, **level}))
    rng, rows = np.random.default_rng(seed), []
    for n, prepare_s in PREPARE_S.items():
        first = rng.geometric(1 - (1 - t["p"]) ** ATTEMPTS, ROUNDS)  # the visit that heralds
        visits, heralds = np.minimum(first, n).sum(), int((first <= n).sum())
        port_s = visits * (t["t_recooling_s"] + ATTEMPTS * t["t_cycle_s"]) + (visits - ROUNDS) * SWITCH_S
        rows.append({
            "n_atoms": n, "rounds": ROUNDS, "visits": visits, "heralds": heralds, "heralds_carried": 0,
            "attempts": visits * ATTEMPTS, "t_prep_s": ROUNDS * prepare_s, "t_port_s": port_s,
            "t_switch_s": (visits - ROUNDS) * SWITCH_S, "t_move_s": (visits - ROUNDS) * 1e-3,
            "table": [0, heralds // 6, heralds // 6, 0] * 3, "unpushed": [0, 0, 0, 0],
        })  # fmt: skip
    columns: dict[str, Any] = {f"scan.{name}": np.array([row[name] for row in rows]) for name in rows[0]}
    return as_run({**beliefs, **level, **columns}, class_name="MultiplexedPort")


def test_each_number_of_atoms_is_expected_with_its_own_times() -> None:
    """4 sigma of the heralds; with the mean of both preparations 1 atom would be off by a factor of 2."""
    found = multiplexed_port.analyse(run_of(3)).estimates
    for n in PREPARE_S:
        rate = found[f"rate_{n}_hz"]
        assert abs(rate.sigmas_from(found[f"rate_{n}_expected_hz"].value)) < 4
        assert found[f"t_prep_{n}_s"].value == pytest.approx(PREPARE_S[n])
    assert abs(found["gain"].sigmas_from(found["gain_expected"].value)) < 4
    assert found["gain"].source == "4 atoms over 1"
