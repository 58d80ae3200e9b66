"""Cycles of distributed programs: without errors they count what the circuit says, with errors as closed forms say."""

import math

import numpy as np
import pytest

from analysis.circuit_noise import NodeNoise, Noise, counts, hellinger_fidelity, ideal
from atomlink.circuits import named, qasm
from atomlink.circuits.circuit import CircuitError
from atomlink.circuits.cycles import BESIDE, HOME, MOVES, PORT, SIDE, Cycles, Do, Link
from atomlink.circuits.distribute import distribute, line
from drivers.parameters import parameter
from sim.physics.rydberg import Imperfection, cz, pair_shift_rad_s, state, two_pulse

HEAD = 'OPENQASM 3;\ninclude "stdgates.inc";\n'


def perfect(nodes: int) -> Noise:
    return Noise([NodeNoise()] * nodes, np.tile([1.0, 0, 0, 0], (max(1, nodes - 1), 1)), 0.0, [0] * 50)


def read(name: str) -> str:
    return named.source(name)


def check_places(program: Cycles) -> None:
    """Follow every atom: it starts where it stands, goes where nobody is, and acts where it must be."""
    for node, moves in enumerate(program.moves):
        place = dict.fromkeys(program.atoms(node), HOME)
        taken = iter(moves)
        carried = 0
        for row in program.rows:
            here = program.node_of[row.a] == node if row.do in (Do.INIT, Do.ROTATE, Do.CZ, Do.MEASURE) else False
            if row.do == Do.MOVE and row.node == node:
                move = next(taken)
                carried += 1
                assert place[move.atom] == move.start
                assert move.stop == HOME or move.stop not in place.values()
                place[move.atom] = move.stop
            elif row.do == Do.PULSE and row.node == 1:
                assert carried <= MOVES
                carried = 0
            elif here and row.do != Do.CZ:
                assert place[row.a] == PORT and SIDE not in place.values()
            elif here:
                assert {place[row.a], place[row.b]} == {PORT, BESIDE} and SIDE not in place.values()
            if row.do == Do.MEASURE and here:
                del place[row.a]
        assert next(taken, None) is None


@pytest.mark.parametrize("sides", [False, True])
@pytest.mark.parametrize(("name", "nodes", "pairs"), [("bell", 2, 1), ("cnot", 2, 1), ("ghz_4", 2, 1), ("qft_4", 1, 0),
                                                      ("qft_4", 2, 2), ("ghz_6", 2, 1), ("ghz_6", 3, 2)])  # fmt: skip
def test_a_program_without_errors_counts_what_the_circuit_says(name: str, nodes: int, pairs: int, sides: bool) -> None:
    """2,000 shots of a fixed seed: each share within 4 sigma, and nothing that the circuit does not make."""
    circuit = qasm.parse(read(name))
    links = [Link(k, k + 1, SIDE if sides and k else PORT) for k in range(nodes - 1)]
    program = distribute(circuit, nodes, links)
    assert program.pairs == pairs
    check_places(program)
    expected, found = ideal(circuit), counts(program, perfect(nodes), 2000, circuit.bits)
    assert not found[expected < 1e-12].any()
    assert (np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / 2000) + 1e-12).all()


def test_gates_of_every_angle_between_nodes_and_a_bit_that_decides() -> None:
    """A random circuit with one qubit a node against its state vector; then an X that waits for a bit."""
    body = "qubit[3] q;\nbit[3] c;\n"
    rng = np.random.default_rng(4)
    for _ in range(3):
        for q in range(3):
            body += f"u3({rng.uniform(0, 3)}, {rng.uniform(0, 6)}, {rng.uniform(0, 6)}) q[{q}];\n"
        body += f"cp({rng.uniform(0, 6)}) q[0], q[1];\nrzz({rng.uniform(0, 6)}) q[1], q[2];\n"
    circuit = qasm.parse(HEAD + body + "c = measure q;\n")
    program = distribute(circuit, 3, line(3))
    check_places(program)
    found = counts(program, perfect(3), 20_000, 3)
    assert hellinger_fidelity(found, ideal(circuit)) > 0.999
    decided = HEAD + "qubit[2] q;\nbit[2] c;\nh q[0];\nc[0] = measure q[0];\nif (c[0]) x q[1];\nc[1] = measure q[1];\n"
    circuit = qasm.parse(decided)
    for nodes in (1, 2):
        shares = counts(distribute(circuit, nodes, line(nodes)), perfect(nodes), 2000, 2)
        assert shares[1] == shares[2] == 0 and abs(shares[0] - 0.5) < 4 * math.sqrt(0.25 / 2000)


def test_errors_cost_what_closed_forms_say() -> None:
    """One qubit, one kind of error at a time; 20,000 shots, 4 sigma and the next order."""
    idle, flip = (distribute(qasm.parse(HEAD + f"qubit[1] q;\nbit[1] c;\n{gate}c = measure q;\n"), 1, [])
                  for gate in ("", "x q[0];\n"))  # fmt: skip
    for program, right, noise, wrong in (
        (idle, 0, NodeNoise(p_pushout=0.1), 0.1),
        (idle, 0, NodeNoise(p_handover=0.05), 1 - 0.95 ** (2 * len(idle.moves[0]))),
        (flip, 1, NodeNoise(pulse_rms=0.1), (math.pi * 0.1 / 2) ** 2),
        (flip, 1, NodeNoise(p_map=0.03), 0.02),
    ):
        found = 1 - counts(program, Noise([noise], np.eye(4)[:1], 0.0, []), 20_000, 1)[right]
        assert abs(found - wrong) < 4 * math.sqrt(wrong / 20_000) + wrong**2, noise
    bell = qasm.parse(read("bell"))
    program = distribute(bell, 2, line(2))
    werner = [[0.9, 0.1 / 3, 0.1 / 3, 0.1 / 3]]
    found = counts(program, Noise([NodeNoise()] * 2, np.array(werner), 0.0, [0]), 20_000, 2)
    assert abs(found[1] + found[2] - 0.2 / 3) < 4 * math.sqrt(0.067 / 20_000)  # X and Y errors show


def test_the_believed_excess_is_that_of_the_believed_light() -> None:
    """Two atoms at 5 um under the default pulses: the phase of the pair, beside those of its atoms, is pi + 0.174."""
    rabi = 2 * math.pi * 4.6e6
    blockade = pair_shift_rad_s(state("Rb-87", 70).c6_hz_m6, 5e-6) / rabi
    a = cz(two_pulse(), Imperfection(blockade=blockade)).amplitudes
    beyond = math.remainder(float(np.angle(a[3] * a[0] / (a[1] * a[2]))) - math.pi, 2 * math.pi)
    assert abs(2 * math.pi * parameter("param.alice.cz_excess_turns").default - beyond) < 1e-3


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(CircuitError, match="share no link|No links lead|connected"):
        distribute(qasm.parse(read("ghz_4")), 2, [])


def test_the_same_circuit_gives_the_same_cycles() -> None:
    circuit = qasm.parse(read("qft_4"))
    assert distribute(circuit, 2, line(2)) == distribute(circuit, 2, line(2))
