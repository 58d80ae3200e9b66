"""Heralds per second against the number of atoms that share a port. Twin of experiments/link/multiplexed_port.py.

A round prepares all atoms, then each has n attempts at the port until one heralds. With p a herald per attempt, q =
(1 - p)^n that a visit is in vain, N atoms, one of them at the port already:
    heralds per round  1 - q^N,   visits per round  v = (1 - q^N)/(1 - q)
    R = (1 - q^N)/(t_prep + (v - 1) t_move + v t_em)
which for few heralds is R = N (n p)/(t_prep + (N - 1) t_move + N t_em): many atoms share one preparation, and the rate
grows until moves and attempts fill the round. As the lab believes: t_prep is image, cooling and picture, without
loading; t_move both moves of a switch as planned, t_em recooling and n cycles. Beside it the same with t_prep and
t_move as this run took them with each number of atoms: loading, which takes longer the more atoms there must be, and
what it takes the host to send each move. Reading out counts for neither. The gain is the rate with most atoms over that
with fewest.

No echo keeps what is stored: Raman light reaches the port only, so the half turn would have to come between two
storings of equal length, and the host sends moves after the herald, for longer than T2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis import heralding
from analysis.estimates import PER_S, Estimate, binomial
from analysis.figures import ACCENT, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.pair_rows import PairRows
from analysis.result import Result, columns
from atomlink import at_port
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COUNTED = ("rounds", "visits", "heralds", "heralds_carried", "attempts", "t_prep_s", "t_port_s", "t_switch_s",
           "t_move_s")  # fmt: skip


def totals(run: Run) -> dict[int, dict[str, float]]:
    """Return the sums of all rows by number of atoms."""
    n_atoms, *values = columns(run, "n_atoms", *COUNTED)
    return {int(n): {name: float(value[n_atoms == n].sum()) for name, value in zip(COUNTED, values, strict=True)}
            for n in np.unique(n_atoms)}  # fmt: skip


def predicted(run: Run, n_atoms: float, t_prep_s: float, t_move_s: float) -> float:
    """Return heralds per second of the formula; DataError where the file lacks a belief."""
    t, attempts = believed(run), float(run.datasets["pairs.attempts_per_visit"])
    q = (1 - t["p"]) ** attempts
    heralds = 1 - q**n_atoms
    visits = heralds / (1 - q)
    return heralds / (t_prep_s + (visits - 1) * t_move_s + visits * (t["t_recooling_s"] + attempts * t["t_cycle_s"]))


def believed(run: Run) -> dict[str, float]:
    """Return the herald probability of an attempt and the times of a round."""

    def belief(name: str) -> float:
        value = run.belief(name)
        if value is None:
            raise DataError(f"The file has no `{name}`: the prediction needs it.")
        return float(value)

    def slowest(name: str) -> float:
        return max(belief(at_port.belief(node, name)) for node in run.nodes)

    link, gate = run.link, float(run.datasets["pairs.t_gate_s"])
    photon = [belief(link.of_channel(end, "t_photon_s")) for end in range(2)]
    return {
        "p": heralding.believed(link, run.scheme, run.detectors, belief).probability,
        "t_prep_s": slowest("t_image_s") + slowest("t_cooling_s") + belief(at_port.belief(run.nodes[0], "t_frame_s"))
        + belief(at_port.belief(run.nodes[0], "t_readout_s")),
        "t_recooling_s": slowest("t_recooling_s"),
        "t_cycle_s": slowest("t_pump_s") + max(photon) + gate + max(0.0, max(photon) - slowest("t_aom_s")),
    }  # fmt: skip


def rates(run: Run) -> dict[int, Estimate]:
    """Return heralds per second by number of atoms, without the time of reading out.

    A round gives one herald or none: the error is that of the share of rounds with one, far below that of a count
    where nearly every round ends so. How much longer one round takes than another is left out.
    """
    out = {}
    for n, row in totals(run).items():
        rounds, time_s = int(row["rounds"]), row["t_prep_s"] + row["t_port_s"]
        out[n] = replace(binomial(int(row["heralds"]), rounds) * (rounds / time_s), n=int(row["heralds"]))
    return out


def planned(run: Run) -> tuple[float, float]:
    """Return the time of preparing a round and of a switch in s, as the lab plans them."""
    rows = totals(run).values()
    return believed(run)["t_prep_s"], sum(row["t_move_s"] for row in rows) / _switches(list(rows))


def taken(run: Run) -> dict[int, tuple[float, float]]:
    """Return the same as this run took them on average, by number of atoms; a switch that never was takes none."""
    return {n: (row["t_prep_s"] / row["rounds"], row["t_switch_s"] / _switches([row]))
            for n, row in totals(run).items()}  # fmt: skip


def expected(run: Run) -> dict[int, float]:
    """Return heralds per second of the formula with the times of each number of atoms."""
    return {n: predicted(run, n, *pair) for n, pair in taken(run).items()}


def _switches(rows: list[dict[str, float]]) -> float:
    return max(sum(row["visits"] - row["rounds"] for row in rows), 1.0)


def analyse(run: Run) -> Result:
    """Return rates beside what was predicted, and what the stored pairs are worth; DataError without a herald."""
    plan, found, wanted = planned(run), rates(run), expected(run)
    estimates: dict[str, Estimate] = {}
    for n, value in found.items():
        estimates[f"rate_{n}_hz"] = Estimate(value.value, value.error, value.n, _atoms(n), PER_S)
        estimates[f"rate_{n}_believed_hz"] = _known(predicted(run, n, *plan), PER_S, "as the lab believes, no loading")
        estimates[f"rate_{n}_expected_hz"] = _known(wanted[n], PER_S, "with the times of these rounds")
    fewest, most = min(found), max(found)
    if most > fewest and found[fewest].value > 0:
        estimates["gain"] = replace(found[most] / found[fewest], source=f"{_atoms(most)} over {fewest}")
        estimates["gain_expected"] = _known(wanted[most] / wanted[fewest], "", "with the times of these rounds")
    for name, (prepare, switch) in {"planned": plan, **{str(n): pair for n, pair in taken(run).items()}}.items():
        estimates[f"t_prep_{name}_s"] = _known(prepare, "s", "once a round")
        if switch > 0:
            estimates[f"t_switch_{name}_s"] = _known(switch, "s", "one atom home, the next to the port")
    rows = totals(run).values()
    attempts, heralds = (int(sum(row[name] for row in rows)) for name in ("attempts", "heralds"))
    if not heralds:
        raise DataError(f"Run {run.label} heralded no pair: take more rounds.")
    per_attempt = replace(binomial(heralds, attempts), source="heralds per attempt, lost atoms' attempts included")
    estimates["heralds_per_attempt"] = per_attempt
    carried = sum(row["heralds_carried"] for row in rows)
    estimates["heralds_carried"] = _known(carried, "", "of atoms that were brought to the port")
    pairs = PairRows.of(run)
    shots = {name: int(pairs.table(name).sum()) for name in ("XX", "YY", "ZZ")}
    if all(shots.values()):
        estimates["stored_zz"] = pairs.combined({"ZZ": 1.0})
        estimates["stored_fidelity"] = pairs.fidelity()
    return Result("Multiplexed port", estimates=estimates, notes=(
        "Rates without the time of reading out.",
        "Stored: the first end's half was carried into the array and back. That takes longer than T2*, and an echo "
        "would need Raman light in the array: only the populations survive.",))  # fmt: skip


def _atoms(n: int) -> str:
    return f"{n} atom" if n == 1 else f"{n} atoms"


def _known(value: float, unit: str, source: str) -> Estimate:
    return Estimate(float(value), 0.0, 0, source, unit)


@styled
def figure(run: Run, _result: Result) -> Figure:
    """Draw the rate against the number of atoms, with the prediction."""
    figure, (axes,) = canvas(run, 9.6, 3.6)
    found = rates(run)
    n = np.array(list(found))
    axes.errorbar(n, [e.value for e in found.values()], [e.error for e in found.values()], fmt="o", ms=4,
                  color=SIDE_COLOURS[0], label="measured")  # fmt: skip
    fine = np.linspace(1, n.max() + 1, 200)
    axes.plot(fine, [predicted(run, x, *planned(run)) for x in fine], "--", color=ACCENT, lw=1.2,
              label="as the lab believes, no loading")  # fmt: skip
    axes.plot(n, list(expected(run).values()), "_", ms=18, mew=1.6, color=ACCENT,
              label="with the times of these rounds")  # fmt: skip
    axes.set_xticks(range(1, int(n.max()) + 2, max(1, int(n.max()) // 10)))
    axes.set(xlabel="atoms that share the port", ylabel="heralds per second", ylim=(0, None))
    legend_above(axes, 3)
    return figure
