"""OpenQASM is read exactly, refused with line and column, and brought to fewer gates without changing what it does."""

from pathlib import Path

import numpy as np
import pytest

from atomlink.circuits import dense, qasm
from atomlink.circuits.circuit import Circuit, CircuitError
from atomlink.circuits.native import breaks, native

DATA = Path(__file__).parents[1] / "data" / "circuits"
X = np.array([[0, 1], [1, 0]])
Z = np.diag([1, -1])
I2 = np.eye(2)


def unitary(circuit: Circuit) -> np.ndarray:
    """Columns are the outputs for the basis states, the last qubit the least significant bit."""
    columns = []
    for index in range(2**circuit.n):
        start = dense.Dense(np.random.default_rng(0))
        start.add(*range(circuit.n))
        for q in range(circuit.n):
            if index >> (circuit.n - 1 - q) & 1:
                start.flip(q)
        columns.append(dense.run(circuit, start.rng, start)[0].vector(list(range(circuit.n))))
    return np.array(columns).T


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return abs(np.trace(a.conj().T @ b)) / len(a)


def circuit_of(body: str, n: int = 3, version: str = "2.0") -> Circuit:
    return qasm.parse(f'OPENQASM {version};\ninclude "qelib1.inc";\nqreg q[{n}];\ncreg c[{n}];\n{body}')


def rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    return np.cos(angle / 2) * np.eye(len(axis)) - 1j * np.sin(angle / 2) * axis


def controlled(u: np.ndarray) -> np.ndarray:
    return np.block([[np.eye(len(u)), np.zeros_like(u)], [np.zeros_like(u), u]])


Y = 1j * X @ Z
H = (X + Z) / np.sqrt(2)
SWAP = np.eye(4)[[0, 2, 1, 3]]
GATES = {
    "h q[0]": H,
    "x q[0]": X,
    "y q[0]": Y,
    "z q[0]": Z,
    "s q[0]": np.diag([1, 1j]),
    "sdg q[0]": np.diag([1, -1j]),
    "t q[0]": np.diag([1, np.exp(0.25j * np.pi)]),
    "sx q[0]": rotation(X, np.pi / 2),
    "sxdg q[0]": rotation(X, -np.pi / 2),
    "rx(0.7) q[0]": rotation(X, 0.7),
    "ry(0.7) q[0]": rotation(Y, 0.7),
    "rz(0.7) q[0]": rotation(Z, 0.7),
    "cx q[0],q[1]": controlled(X),
    "cy q[0],q[1]": controlled(Y),
    "cz q[0],q[1]": controlled(Z),
    "ch q[0],q[1]": controlled(H),
    "crx(0.7) q[0],q[1]": controlled(rotation(X, 0.7)),
    "cry(0.7) q[0],q[1]": controlled(rotation(Y, 0.7)),
    "crz(0.7) q[0],q[1]": controlled(rotation(Z, 0.7)),
    "cp(0.7) q[0],q[1]": np.diag([1, 1, 1, np.exp(0.7j)]),
    "swap q[0],q[1]": SWAP,
    "rzz(0.7) q[0],q[1]": rotation(np.kron(Z, Z), 0.7),
    "rxx(0.7) q[0],q[1]": rotation(np.kron(X, X), 0.7),
    "ryy(0.7) q[0],q[1]": rotation(np.kron(Y, Y), 0.7),
    "rzx(0.7) q[0],q[1]": rotation(np.kron(Z, X), 0.7),
    "ccx q[0],q[1],q[2]": controlled(controlled(X)),
    "ccz q[0],q[1],q[2]": controlled(controlled(Z)),
    "cswap q[0],q[1],q[2]": controlled(SWAP),
    "c3x q[0],q[1],q[2],q[3]": controlled(controlled(controlled(X))),
}


@pytest.mark.parametrize("call", GATES)
def test_a_library_gate_is_its_matrix(call):
    want = GATES[call]
    assert overlap(unitary(circuit_of(call + ";", int(np.log2(len(want))))), want) == pytest.approx(1, abs=1e-12)


WORDS = {
    "h": 1,
    "rx(0.3)": 1,
    "t": 1,
    "x": 1,
    "y": 1,
    "s": 1,
    "cx": 2,
    "cz": 2,
    "cp(0.7)": 2,
    "rzz(0.4)": 2,
    "cry(0.3)": 2,
    "ccx": 3,
}


def random_circuit(rng: np.random.Generator, n: int, gates: int) -> Circuit:
    lines = []
    for _ in range(gates):
        word = rng.choice(list(WORDS))
        if WORDS[word] <= n:
            lines.append(f"{word} " + ",".join(f"q[{q}]" for q in rng.permutation(n)[: WORDS[word]]) + ";")
    return circuit_of("\n".join(lines), n)


def test_the_native_form_does_the_same_with_no_more_gates():
    rng = np.random.default_rng(5)
    before = after = 0
    for _ in range(60):
        circuit = random_circuit(rng, int(rng.integers(2, 5)), 25)
        fewer = native(circuit)
        assert overlap(unitary(circuit), unitary(fewer)) == pytest.approx(1, abs=1e-9)
        assert fewer.two_qubit_gates <= circuit.two_qubit_gates
        before, after = before + circuit.two_qubit_gates, after + fewer.two_qubit_gates
    assert after < 0.95 * before


@pytest.mark.parametrize(
    ("file", "gates"),
    [("ising_2d_6x6_t5", 300), ("qaoa_3reg_32_p4", 192), ("qaoa_er05_32", 244), ("qft_32", 496), ("ghz_40", 39)],
)
def test_zz_rotations_are_found_in_cx_rz_cx(file, gates):
    assert native(qasm.read(DATA / f"{file}.qasm")).two_qubit_gates == gates


def test_openqasm_3_and_2_read_alike():
    three = qasm.parse(
        'OPENQASM 3.0; include "stdgates.inc"; qubit[3] q; bit[3] c; const float a = pi/2; gate my(t) x, '
        "y { cp(t) x, y; } h q; my(a/2) q[0], q[1]; ctrl @ x q[1], q[2]; inv @ s q[0]; c[0] = measure "
        "q[0]; if (c[0] == 1) { x q[1]; } c[1] = measure q[1];"
    )
    two = circuit_of(
        "gate my(t) x,y { cp(t) x,y; } h q; my(pi/4) q[0],q[1]; cx q[1],q[2]; sdg q[0]; "
        "measure q[0] -> c[0]; if(c[0]==1) x q[1]; measure q[1]->c[1];"
    )
    assert three == two


def test_a_condition_on_a_register_is_on_all_its_bits():
    circuit = circuit_of("measure q -> c; if (c==5) x q[0];")
    assert circuit.ops[-1].when == ((0, 1), (1, 0), (2, 1))


REFUSED = {
    "h q[0]": (5, 7, "must be `;`"),
    "foo q[0];": (5, 1, "gate `foo` is not supported"),
    "h q[3];": (5, 5, "below its size 3"),
    "cx q[0],q[0];": (5, 1, "one qubit twice"),
    "h r[0];": (5, 3, "not declared"),
    "rx(1/0) q[0];": (5, 4, "no real value"),
    "rx q[0];": (5, 1, "0 parameters"),
    "h q[0];\n  $": (6, 3, "no meaning"),
    "rx((1) q[0];": (5, 8, "must be"),
    "if (c[0]==1) x q[0];": (5, 5, "not measured"),
    "for int i in [0:3] { }": (5, 1, "not supported"),
    "opaque magic q;": (5, 1, "not supported"),
    "qreg q[2];": (5, 6, "declared twice"),
    "measure q[0] -> c;": (5, 1, "into 3 bits"),
    "gate a x { b x; } gate b x { a x; } a q[0];": (5, 35, "calls itself"),
    "gate a x { h x;": (5, 6, "closing brace"),
    "rx(" + "(" * 200 + "1": (5, 104, "within one another"),
    'include "x.inc";': (5, 9, "must be"),
    "ctrl @ ccz q[0],q[1],q[2];": (5, 8, "not supported"),
    "rx(2**9999) q[0];": (5, 4, "real value"),
    "rx((-1)**0.5) q[0];": (5, 4, "real value"),
    "qreg r[0];": (5, 6, "must have 1"),
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line_with_line_and_column(body):
    line, column, reason = REFUSED[body]
    with pytest.raises(CircuitError) as caught:
        circuit_of(body)
    text = str(caught.value)
    assert reason in text
    assert "\n" not in text
    if "calls itself" not in reason:
        assert text.startswith(f"circuit:{line}:{column}: "), text


@pytest.mark.parametrize("text", ["", "OPENQASM 4.0;", "OPENQASM 2.0;", "qreg q[2];"])
def test_a_file_without_version_or_qubits_is_refused(text):
    with pytest.raises(CircuitError, match="circuit:1:"):
        qasm.parse(text)


def test_a_missing_or_binary_file_is_refused(tmp_path):
    (tmp_path / "x.qasm").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.qasm", tmp_path, tmp_path / "x.qasm"):
        with pytest.raises(CircuitError, match="Cannot read the circuit"):
            qasm.read(path)


def test_a_diagonal_gate_breaks_no_segment():
    ops = circuit_of("t q[0]; h q[0]; rz(1) q[0]; measure q[0] -> c[0];").ops
    assert [breaks(op) for op in ops] == [False, True, False, True]


def test_qiskit_circuits_are_read():
    qiskit = pytest.importorskip("qiskit")
    circuit = qiskit.QuantumCircuit(3)
    circuit.h(0)
    circuit.cp(0.3, 0, 1)
    circuit.ccx(0, 1, 2)
    assert overlap(
        unitary(qasm.from_qiskit(circuit)), unitary(circuit_of("h q[0]; cp(0.3) q[0],q[1]; ccx q[0],q[1],q[2];"))
    ) == pytest.approx(1, abs=1e-9)
