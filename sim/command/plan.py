"""`atomlink plan circuit.qasm`: pairs, makespan and expected fidelity of a circuit on several nodes, before it runs."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from atomlink.circuits import draw, estimate, qasm
from atomlink.circuits.circuit import CircuitError
from atomlink.circuits.partition import partition
from atomlink.circuits.program import Program
from atomlink.circuits.schedule import Schedule, Times, lower_bound, schedule
from atomlink.circuits.verify import verify
from sim.command.words import OneLineParser

RUNS = 50
TRIED = 12  # runs of the pairs that judge a program while it is looked for


OBJECTIVES = ("pairs", "time", "fidelity")


def parser() -> OneLineParser:
    """Return the parser: the circuit, the nodes and the numbers of the links."""
    parser = OneLineParser(prog="atomlink plan", description="Place a circuit on several nodes, and say what it needs.")
    times, errors = Times(), estimate.Errors()
    parser.add_argument("file", metavar="CIRCUIT.qasm", type=Path, help="a circuit in OpenQASM 2 or 3")
    parser.add_argument("--nodes", metavar="N", type=int, default=2, help="nodes (default: 2)")
    parser.add_argument("--room", metavar="N", type=int, help="qubits of a node (default: n/N rounded up, plus 1)")
    parser.add_argument("--ports", metavar="N", type=int, default=4, help="communication atoms of a node (default: 4)")
    parser.add_argument("--links", metavar="0-1,1-2", help="pairs of nodes with a link (default: all)")
    parser.add_argument("--rate", metavar="HZ", type=float, default=times.rate_hz, help="pairs per second and link")
    parser.add_argument("--fidelity", metavar="F", type=float, default=errors.pair_fidelity, help="of a fresh pair")
    parser.add_argument("--gate-error", metavar="P", type=float, default=errors.gate_error, help="of a two-qubit gate")
    parser.add_argument("--read-error", metavar="P", type=float, default=errors.read_error, help="of a read-out")
    parser.add_argument("--t2", metavar="S", type=float, default=errors.t2_s, help="of stored qubits")
    parser.add_argument("--objective", choices=OBJECTIVES, default="pairs",
                        help="what is to be best: pairs (default), time, or expected fidelity")  # fmt: skip
    parser.add_argument("--cutoff", metavar="S", type=float, default=float("inf"), help="age when pairs are dropped")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed of the search and of the pairs")
    parser.add_argument("--effort", metavar="X", type=float, default=0.1, help="of the search; 1 is half a minute")
    parser.add_argument("--draw", action="store_true", help="draw the program")
    parser.add_argument("-v", "--traceback", action="store_true", help="show the traceback of an error")
    return parser


def plan(args: argparse.Namespace) -> list[str]:
    """Return the lines of the plan; raise CircuitError where the circuit or the nodes do not allow one."""
    if not 0 < args.effort <= 100 or args.seed < 0:
        raise CircuitError("Arguments `effort` and `seed` must be 0 to 100 and >= 0.")
    errors = estimate.Errors(args.fidelity, args.gate_error, args.read_error, args.t2)
    times = Times(args.rate, slots=max(12, 2 * args.ports + 2), cutoff_s=args.cutoff)
    if args.nodes > 1:
        estimate.refuse_dying_pairs(errors, args.rate)
    circuit = qasm.read(args.file)
    score = _score(args.objective, times, errors, args.seed)
    program = partition(circuit, args.nodes, args.room, args.ports, _links(args.links), args.seed, args.effort, score)
    found = verify(program, runs=1, seed=args.seed, engine=None if circuit.n <= 12 else "stabiliser")
    runs = [schedule(program, times, np.random.default_rng([args.seed, k])) for k in range(RUNS)]
    spans = np.array([run.makespan_s for run in runs])
    factors = _factors(program, runs, errors)
    worst = min(factors, key=lambda name: factors[name])
    lines = [
        f"{args.file.name}: {circuit.n} qubits, {program.circuit.two_qubit_gates} two-qubit gates, {args.nodes} nodes "
        f"of {program.nodes.room}",
        f"pairs: {program.pairs}; communication atoms used: {found.ports} of {args.ports}; verified ({found.engine})",
        f"makespan: {1e3 * spans.mean():.4g} ± {1e3 * spans.std() / np.sqrt(RUNS):.2g} ms over {RUNS} runs; "
        f"lower bound {1e3 * lower_bound(program, times):.4g} ms",
        f"expected fidelity: {np.prod(list(factors.values())):.3g} (every error fatal), limited by {worst}",
        "  " + ", ".join(f"{name} {value:.4g}" for name, value in factors.items()),
    ]
    return lines + ([draw.draw(program)] if args.draw else [])


def _factors(program: Program, runs: list[Schedule], errors: estimate.Errors) -> dict[str, float]:
    """Return the mean of each factor of the expected fidelity."""
    each = [estimate.fidelity(program, run, errors) for run in runs]
    return {name: float(np.mean([factors[name] for factors in each])) for name in each[0]}


def _score(objective: str, times: Times, errors: estimate.Errors, seed: int) -> Callable[[Program], float] | None:
    """Return what is to be least. The runs that judge are not those that the plan then shows."""
    if objective == "pairs":
        return None

    def score(program: Program) -> float:
        runs = [schedule(program, times, np.random.default_rng([seed, 1, k])) for k in range(TRIED)]
        if objective == "time":
            return float(np.mean([run.makespan_s for run in runs]))
        return -float(np.prod(list(_factors(program, runs, errors).values())))

    return score


def _links(text: str | None) -> list[tuple[int, int]] | None:
    if text is None:
        return None
    links = []
    for word in text.split(","):
        ends = word.split("-")
        if len(ends) != 2 or not all(end.isascii() and end.isdigit() and len(end) < 4 for end in ends):
            raise CircuitError(f"--links has `{word}`, must be pairs of nodes as 0-1,1-2.")
        links.append((int(ends[0]), int(ends[1])))
    return links
