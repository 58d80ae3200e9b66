"""Add heralded pairs up into a row of a scan: outcomes by setting, the read-out calibration, time and attempts.

A row holds, for m settings: `table` (4 m counts: not/not, not/seen, seen/not, seen/seen of first/second, setting after
setting), `unpushed` (the same four of the shots without push-out), `heralds`, `vetoed`, `attempts`, `t_attempting_s`,
`t_lab_s`; and, for the error of rates, `attempts_squared` and `t_lab_squared_s2`, the sums of the squares of each
herald's own. The pairs must be fed forward in the kernel. `analysis/pair_rows.py` reads it.
"""

from typing import Any

import numpy as np

from analysis.pair_rows import raw_fidelity
from analysis.veto import is_vetoed
from experiments.sequences.live import Columns, Plot
from experiments.sequences.pairs import Pairs


def fidelity_curve(axis: str) -> Plot:
    """Return the plot of the raw fidelity with Psi+ against a column; the settings must be XX, YY, ZZ."""

    def of(columns: Columns) -> dict[str, Any]:
        x, tables = np.asarray(columns[axis], dtype=float), np.asarray(columns["table"]).reshape(len(columns[axis]), -1)
        added = {value: tables[x == value].sum(axis=0).reshape(-1, 2, 2) for value in np.unique(x)}
        found = {value: fidelity for value, table in added.items() if (fidelity := raw_fidelity(table)) is not None}
        y, error = (np.array([getattr(each, part) for each in found.values()]) for part in ("value", "error"))
        return {"y": y, "x": np.array(list(found)), "error": error}

    return Plot("fidelity", "xy", of, about=("raw fidelity", axis))


def rate_curve(axis: str, *seconds: str) -> Plot:
    """Return the plot of heralds per second, of the sum of these columns, against a column."""

    def of(columns: Columns) -> dict[str, Any]:
        x, heralds = (np.asarray(columns[name], dtype=float) for name in (axis, "heralds"))
        spent = np.sum([columns[name] for name in seconds], axis=0)
        at = np.unique(x)
        n, t = (np.array([each[x == value].sum() for value in at]) for each in (heralds, spent))
        return {"y": n / t, "x": at, "error": np.sqrt(np.maximum(n, 1)) / t}

    return Plot("rate", "xy", of, about=("heralds per s", axis))


LEVEL = ("setting_names", "nodes", "name", "herald", "wait_s", "t_gate_s")  # of `link.*`, what the analysis needs


class PairCounts:
    """Take rows of heralded pairs."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        self._veto_mu: list[tuple[int, int]] = []
        self._shots: list[dict[str, Any]] = []
        self._lab_s = 0.0

    def open(self) -> None:
        """Open the locks that are watched, before the first row."""
        self._pairs.open(self.veto)

    def veto(self, intervals_mu: list[tuple[int, int]]) -> None:
        """Veto the shots heralded in these times; a new list takes the place of the last."""
        self._veto_mu = intervals_mu

    def add(self, row: dict[str, Any], totals: dict[str, Any]) -> None:
        """Keep one shot of the row under way."""
        self._shots.append(row)
        self._lab_s = totals["link.t_lab_s"]

    def run_level(self) -> dict[str, Any]:
        """Return what the analysis of such rows needs beside them: `pairs.setting_names` and more."""
        level = self._pairs.run_level()
        return {f"pairs.{key}": level[f"link.{key}"] for key in LEVEL}

    def measure(self, wanted: int) -> dict[str, Any]:
        """Take so many pairs and return the row; DeviceError or TimingError where that cannot be done."""
        pairs = self._pairs
        self._shots, self._lab_s = [], 0.0
        before_mu = int(pairs.herald.t_attempting_mu)
        pairs.explain(pairs.take(wanted, self.add))
        if pairs.locks.watching:
            pairs.locks.check(pairs.locks.counter_mu())  # the last shots are known to be good or not
        return {
            **self._counted(),
            "heralds": len(self._shots),
            "attempts": pairs.total_attempts,
            "t_attempting_s": (int(pairs.herald.t_attempting_mu) - before_mu) * pairs.core.ref_period,
            "t_lab_s": self._lab_s,
            **self._squares(),
        }

    def _squares(self) -> dict[str, float]:
        """Return what tells how evenly the heralds came."""
        attempts = np.array([shot["attempts"] for shot in self._shots], dtype=float)
        t_mu = np.array([int(self._pairs.t_start_mu), *(shot["t_herald_mu"] for shot in self._shots)])
        between_s = np.diff(t_mu) * self._pairs.core.ref_period
        return {"attempts_squared": float(attempts @ attempts), "t_lab_squared_s2": float(between_s @ between_s)}

    def _counted(self) -> dict[str, Any]:
        """Return the counts of the shots that are valid, and how many are not."""
        vetoed = is_vetoed([shot["t_herald_mu"] for shot in self._shots], self._veto_mu)
        table = np.zeros((len(self._pairs.settings), 4), dtype=int)
        unpushed = np.zeros(4, dtype=int)
        bad = 0
        for shot, spoiled in zip(self._shots, vetoed, strict=True):
            cell = 2 * shot["present"][0] + shot["present"][1]
            if spoiled or not shot["valid"]:
                bad += 1
            elif shot["pushout"]:
                table[shot["setting"], cell] += 1
            else:
                unpushed[cell] += 1
        return {"table": table.ravel().tolist(), "unpushed": unpushed.tolist(), "vetoed": bad}
