"""Counts of a circuit that ran on several nodes. Twin of experiments/network/distributed_circuit.py.

Hellinger fidelity (sum sqrt(p q))^2 of the measured shares with the circuit's own probabilities, beside that of what
the lab believes: the same program with pairs, gates, storage, moves and read-out that err as believed. Shares of n
shots overlap less than their probabilities do, by some 1/(4 n) for each outcome that comes: so the prediction is of n
shots, too, the mean of 200 draws. Method: `analysis.circuit_noise`, beliefs: `analysis.circuit_beliefs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analysis import circuit_beliefs, circuit_noise
from analysis.circuit_noise import hellinger_fidelity
from analysis.estimates import Estimate, binomial, rate
from analysis.figures import ACCENT, INK, PALE, SIDE_COLOURS, canvas, legend_above, styled
from analysis.load import Run
from analysis.result import Result, columns
from atomlink.circuits import qasm
from atomlink.circuits.cycles import Link
from atomlink.circuits.distribute import distribute
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
TRAJECTORIES = 20_000
DRAWS = 200
SHOWN = 16  # outcomes in the figure
SEED = 1


@dataclass(frozen=True)
class Outcomes:
    """Counts of all outcomes, the circuit's own probabilities, and the believed ones, None without beliefs; each
    (2**bits,).
    """

    counts: npt.NDArray[np.int64]
    ideal: Floats
    believed: Floats | None

    @property
    def n(self) -> int:
        """Return the number of shots."""
        return int(self.counts.sum())


def outcomes(run: Run) -> Outcomes:
    """Return what was counted beside what should be; DataError without a shot."""
    (found,) = columns(run, "outcomes")
    bits = int(run.datasets["scan.bits"])
    counted = np.bincount(np.concatenate([np.asarray(row, dtype=np.int64) for row in found]), minlength=1 << bits)
    if not counted.sum():
        raise DataError(f"Run {run.label} has no shot, must have one at least: take more, or raise max_cycles.")
    circuit = qasm.parse(run.text("scan.qasm"))
    links = [Link(*(int(k) for k in row)) for row in np.atleast_2d(run.datasets["scan.link_table"])]
    program = distribute(circuit, int(run.datasets["scan.n_nodes"]), links, int(run.datasets["scan.n_registers"]))
    waited, off, turn, attempts = (np.sum(np.asarray(each, dtype=float), axis=0) / counted.sum()
                         for each in columns(run, "waited", "off_middle_s2", "t_turn_s",
                                                 "attempts"))  # fmt: skip
    pairs = max(1, program.pairs)
    noise = circuit_beliefs.noise(run, waited.tolist(), float(off) / pairs, float(turn), float(attempts) / pairs)
    believed = None if noise is None else circuit_noise.counts(program, noise, TRAJECTORIES, bits)
    return Outcomes(counted, circuit_noise.ideal(circuit), believed)


def analyse(run: Run) -> Result:
    """Return the Hellinger fidelity, measured and predicted, and rates."""
    seen = outcomes(run)
    n, rng = seen.n, np.random.default_rng(SEED)
    fidelity = hellinger_fidelity(seen.counts / n, seen.ideal)
    again = [hellinger_fidelity(rng.multinomial(n, seen.counts / n) / n, seen.ideal) for _ in range(DRAWS)]
    estimates = {"hellinger_fidelity": Estimate(fidelity, float(np.std(again)), n, "with the circuit's probabilities")}
    if seen.believed is not None:
        drawn = [hellinger_fidelity(rng.multinomial(n, seen.believed) / n, seen.ideal) for _ in range(DRAWS)]
        estimates["hellinger_predicted"] = Estimate(float(np.mean(drawn)), float(np.std(drawn) / np.sqrt(DRAWS)), DRAWS,
                                                    "of so many shots, as believed")  # fmt: skip
    allowed = seen.ideal > 1e-9
    if not allowed.all():
        estimates["p_allowed"] = binomial(int(seen.counts[allowed].sum()), n, "outcomes that the circuit makes at all")
        if seen.believed is not None:
            p = float(seen.believed[allowed].sum())
            estimates["p_allowed_predicted"] = Estimate(p, float(np.sqrt(p * (1 - p) / TRAJECTORIES)), TRAJECTORIES,
                                                        "as believed")  # fmt: skip
    lab_s, given_up, waited = (np.sum(np.asarray(each, dtype=float)) for each in columns(run, "t_lab_s", "given_up",
                                                                                        "waited"))  # fmt: skip
    estimates["rate"] = rate(n, float(lab_s), "shots per s of lab time")
    estimates["given_up"] = binomial(int(given_up), n + int(given_up), "of the shots: no pair came")
    pairs = int(run.datasets["scan.pairs"])
    notes = [f"{pairs} pair{'' if pairs == 1 else 's'} and {int(run.datasets['scan.cycles'])} cycles a shot on "
             f"{int(run.datasets['scan.n_nodes'])} nodes."]  # fmt: skip
    if pairs:
        cycle_s = 2 * float(run.datasets["scan.spacing_s"])
        estimates["t_pair_s"] = Estimate(cycle_s * float(waited) / (n * pairs), 0.0, n, "mean wait for one", "s")
    return Result(f"Circuit {run.text('scan.circuit')}", estimates, notes=tuple(notes))


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw the share of each outcome beside what the circuit says and what the lab believes."""
    seen = outcomes(run)
    picture, (axes,) = canvas(run, 9.6, 3.6)
    bits = int(run.datasets["scan.bits"])
    weight = np.maximum(seen.counts / seen.n, seen.ideal)
    chosen = np.sort(np.argsort(-weight, kind="stable")[: min(SHOWN, 1 << bits)])
    at, shares = np.arange(len(chosen)), seen.counts[chosen] / seen.n
    errors = np.sqrt((shares * (1 - shares) + 0.25 / seen.n) / seen.n)
    axes.bar(at, seen.ideal[chosen], 0.8, color=PALE, label="the circuit")
    if seen.believed is not None:
        axes.hlines(seen.believed[chosen], at - 0.4, at + 0.4, color=ACCENT, lw=1.6, label="as believed")
    axes.errorbar(at, shares, errors, fmt="o", ms=4, color=SIDE_COLOURS[0], ecolor=INK, label=f"{seen.n} shots")
    axes.set_xticks(at, [format(k, f"0{bits}b") for k in chosen], rotation=60 if bits > 3 else 0)
    axes.set(xlabel="outcome, last bit of the circuit first", ylabel="share of shots", ylim=(0, None))
    legend_above(axes, 3)
    return picture
