"""Atoms of an array take turns at the port, end to end. Seed fixed, 4 sigma."""

from pathlib import Path

import numpy as np
from lab_runs import execute

from analysis import figures
from analysis.experiments.multiplexed_port import analyse, figure, totals

FILE = "link/multiplexed_port.py"
# The default lab's array and the bright lab's link, so that few rounds herald many pairs.
LAB = """description = "an array and a link of little loss"
extends = "array"

[nodes.fibre]
insertion = 0.85  # as in `bright`

[midpoint]
transmission = 1.0  # as in `bright`
"""


def test_atoms_brought_to_the_port_herald_and_their_pairs_keep_their_populations(tmp_path: Path) -> None:
    """Truth: 0.056 heralds per attempt; atoms of a pair are in opposite states wherever they have been carried."""
    scenario = tmp_path / "port.toml"
    scenario.write_text(LAB)
    numbers = 'n_atoms={"ty": "ExplicitScan", "sequence": [1, 3]}'
    done = execute(tmp_path, FILE, "--scenario", str(scenario), "--seed", "2", numbers, "shots=14", "attempts=20")
    assert done.code == 0 and done.run is not None, done.text
    result, rows = analyse(done.run), totals(done.run)
    heralds, attempts = (sum(row[name] for row in rows.values()) for name in ("heralds", "attempts"))
    assert abs(heralds - 0.056 * attempts) < 4 * np.sqrt(0.056 * attempts)
    assert result.estimates["heralds_carried"].value > 0
    assert rows[1]["visits"] == rows[1]["rounds"] == 14 and 14 < rows[3]["visits"] <= 42
    assert result.estimates["stored_zz"].sigmas_from(0.0) < -4
    assert figures.as_svg(figure(done.run, result)).count("<path") > 20


def test_a_lab_without_an_array_is_refused(tmp_path: Path) -> None:
    done = execute(tmp_path, FILE, "--scenario", "default", "shots=1")
    assert done.code == 2 and "array" in done.text
