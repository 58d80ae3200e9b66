"""What fidelity to expect of a scheduled program, from stated numbers of the links and gates, and what limits it.

Every error counts as fatal: a lower bound, which random Pauli errors that cancel each other exceed a little.
Pairs are Werner states: XX and YY shrink with exp(-2t/T2) while they wait, ZZ does not (T1 is left out).
"""

from dataclasses import dataclass

import numpy as np

from atomlink.circuits.circuit import CircuitError
from atomlink.circuits.program import Program
from atomlink.circuits.schedule import Schedule


@dataclass(frozen=True)
class Errors:
    """Fidelity of a fresh pair, depolarising error of a two-qubit gate, error of a read-out, T2 of storage in s."""

    pair_fidelity: float = 0.961
    gate_error: float = 0.005
    read_error: float = 0.005
    t2_s: float = 1.5

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0.25 <= self.pair_fidelity <= 1:
            raise CircuitError(f"Argument `fidelity` of a pair must be 0.25 to 1, but is {self.pair_fidelity:g}.")
        for name, value in (("gate-error", self.gate_error), ("read-error", self.read_error)):
            if not 0 <= value < 0.5:
                raise CircuitError(f"Argument `{name}` must be >= 0 and < 0.5, but is {value:g}.")
        if not self.t2_s > 0:
            raise CircuitError(f"Argument `t2` must be > 0 s, but is {self.t2_s:g}.")


def aged(fidelity: float, age_s: float, t2_s: float) -> float:
    """Return the fidelity of a pair of which both halves have waited for `age_s`."""
    correlation = (4 * fidelity - 1) / 3
    return (1 + correlation * (1 + 2 * float(np.exp(-2 * age_s / t2_s)))) / 4


def refuse_dying_pairs(errors: Errors, rate_hz: float) -> None:
    """Raise where a pair is no longer entangled when the next one is expected."""
    left = aged(errors.pair_fidelity, 1 / rate_hz, errors.t2_s)
    if left <= 0.5:
        raise CircuitError(f"Pairs die faster than they come: one of fidelity {errors.pair_fidelity:g} has {left:.3f} "
                           f"when the next comes ({1e3 / rate_hz:.3g} ms, T2 {1e3 * errors.t2_s:.3g} ms), must have "
                           "more than 0.5: raise the rate or T2.")  # fmt: skip


def fidelity(program: Program, run: Schedule, errors: Errors) -> dict[str, float]:
    """Return factors of the expected fidelity by cause: pairs, their age, gates, read-outs, memory."""
    fresh = old = 1.0
    for age in run.age[~np.isnan(run.age)]:
        fresh *= errors.pair_fidelity
        old *= aged(errors.pair_fidelity, float(age), errors.t2_s) / errors.pair_fidelity
    kinds = [step.kind for step in program.steps]
    measures = sum(step.op is not None and step.op.name == "measure" for step in program.steps)
    gates = kinds.count("gate") + kinds.count("open")  # an open has one CNOT
    reads = kinds.count("open") + kinds.count("close") + measures
    waits = (1 + float(np.exp(-run.makespan_s / errors.t2_s))) / 2
    return {"pairs": fresh, "age of pairs": old, "gates": (1 - errors.gate_error) ** gates,
            "read-outs": (1 - errors.read_error) ** reads, "memory": waits**program.circuit.n}
