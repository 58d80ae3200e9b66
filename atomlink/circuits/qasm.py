"""Read OpenQASM 2, the common subset of OpenQASM 3, and Qiskit's circuits.

Read: registers, gates of qelib1.inc and stdgates.inc, `gate` definitions, measure, reset, barrier, `if`, and in
version 3 `const`, `ctrl @` and `inv @`. Refused with line and column: loops, subroutines, timing, `opaque`, `input`.
Source: OpenQASM 2 (arXiv 1707.03429), OpenQASM 3 (arXiv 2104.14722).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from atomlink.circuits.circuit import Circuit, CircuitError, Op
from atomlink.circuits.gates import CONTROLLED, PRELUDE
from atomlink.circuits.tokens import Reader, Word, fail, split

MOST_QUBITS = 10_000
MOST_OPS = 1_000_000
_NATIVE = {"u": (3, 1), "cp": (1, 2), "rzz": (1, 2)}
_ADJOINT = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t", "sx": "sxdg", "sxdg": "sx", "cs": "csdg", "csdg": "cs"}
_OWN_ADJOINT = frozenset((
    "x", "y", "z", "h", "id", "cx", "cy", "cz", "ch", "ccx", "ccz", "cswap", "swap", "c3x",
))  # fmt: skip
_NOT_READ = frozenset((
    "for", "while", "def", "opaque", "input", "output", "let", "delay", "box", "cal", "defcal", "extern",
    "return", "switch", "gphase", "int", "uint", "float", "angle", "bool", "complex", "duration", "stretch",
    "array", "pragma", "end",
))  # fmt: skip
_ROTATIONS = frozenset((
    "p", "phase", "u1", "rx", "ry", "rz", "cp", "cphase", "cu1", "crx", "cry", "crz", "rxx", "ryy", "rzz", "rzx",
))  # fmt: skip


@dataclass(frozen=True)
class _Gate:
    """A gate's parameter and qubit names, and where its body begins among the words it was read from."""

    params: tuple[str, ...]
    qubits: tuple[str, ...]
    words: list[Word]
    body: int
    file: str


def read(path: Path | str) -> Circuit:
    """Read a circuit from a file; raise CircuitError, naming line and column, where it is not one."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise CircuitError(f"Cannot read the circuit {path}: {reason}; name an OpenQASM file.") from None
    return parse(text, Path(path).name)


def parse(text: str, file: str = "circuit") -> Circuit:
    """Return the circuit that a text in OpenQASM 2 or 3 describes."""
    return _Parser(text, file, dict(_library())).circuit()


def from_qiskit(circuit: object) -> Circuit:
    """Return a Qiskit circuit in our gates, by way of Qiskit's own OpenQASM 2 writer."""
    try:
        from qiskit import qasm2, transpile
    except ImportError:
        raise CircuitError("Qiskit is not installed: pip install qiskit, or hand over an OpenQASM file.") from None
    known = sorted({*_NATIVE, "measure", "reset", "h", "x", "cx", "cz", "rz", "rx", "ry", "rxx", "ryy"})
    return parse(qasm2.dumps(transpile(circuit, basis_gates=known, optimization_level=0)), "qiskit")


@cache
def _library() -> tuple[tuple[str, _Gate], ...]:
    parser = _Parser(PRELUDE, "gates", {})
    while parser.r.next.kind != "end":
        parser.define()
    return tuple(parser.gates.items())


class _Parser:
    """One pass over the words of a file; gates are expanded as they are met."""

    def __init__(self, text: str, file: str, gates: dict[str, _Gate]) -> None:
        self.r = Reader(split(text, file), file)
        self.gates = gates
        self.registers: dict[str, tuple[int, int]] = {}
        self.bits: dict[str, tuple[int, int]] = {}
        self.constants: dict[str, float] = {}
        self.version = 2
        self.n = self.n_bits = 0
        self.ops: list[Op] = []
        self.written: set[int] = set()

    def circuit(self) -> Circuit:
        """Read the whole file."""
        r = self.r
        r.want("OPENQASM")
        version = r.take()
        if version.text not in ("2.0", "2", "3.0", "3", "3.1"):
            fail(r.file, version, f"OpenQASM version is {version.text}, must be 2.0 or 3.0.")
        self.version = int(version.text[0])
        r.want(";")
        while r.next.kind != "end":
            self._statement(())
        if not self.n:
            fail(r.file, r.next, "there is no qubit: declare some, as `qreg q[4];`.")
        return Circuit(self.n, tuple(self.ops), self.n_bits)

    def _statement(self, when: tuple[tuple[int, int], ...]) -> None:
        r, word = self.r, self.r.next
        if word.text in ("include", "qreg", "creg", "qubit", "bit", "gate", "const") and not when:
            getattr(self, f"_{word.text}", self.define if word.text == "gate" else self._declare)()
        elif r.took("barrier"):
            qubits = [] if r.next.text == ";" else self._operands(self.registers, "qubit")
            r.want(";")
            self.ops.append(Op("barrier", tuple(q for some in qubits for q in some) or tuple(range(self.n))))
        elif r.took("reset"):
            for q in self._operand(self.registers, "qubit"):
                self.ops.append(Op("reset", (q,), when=when))
            r.want(";")
        elif word.text == "measure":
            self._measure(None, when)
        elif word.text == "if":
            self._if(when)
        elif word.kind == "name" and word.text in self.bits:
            bits = self._operand(self.bits, "bit")
            r.want("=")
            self._measure(bits, when)
        elif word.text in _NOT_READ:
            fail(r.file, word, f"`{word.text}` is not supported: write it with gates, measure and `if`.")
        elif word.kind == "name":
            self._call(when)
        else:
            fail(r.file, word, f"found `{word.text}`, must be a statement.")

    def _include(self) -> None:
        self.r.want("include")
        word = self.r.take()
        if word.text not in ('"qelib1.inc"', '"stdgates.inc"'):
            fail(self.r.file, word, f"include is {word.text}, must be \"qelib1.inc\" or \"stdgates.inc\".")
        self.r.want(";")

    def _const(self) -> None:
        self.r.want("const")
        self.r.name("a type")
        if self.r.took("["):
            self.r.integer()
            self.r.want("]")
        name = self.r.name("a name")
        self.r.want("=")
        self.constants[name.text] = self.r.number(self.constants)
        self.r.want(";")

    def _declare(self) -> None:
        r = self.r
        kind, size = r.take().text, 1
        if kind in ("qubit", "bit") and r.took("["):
            size = r.integer()
            r.want("]")
        word = r.name("the name of a register")
        if kind in ("qreg", "creg") and r.took("["):
            size = r.integer()
            r.want("]")
        if word.text in self.registers or word.text in self.bits:
            fail(r.file, word, f"register `{word.text}` is declared twice.")
        if not 1 <= size <= MOST_QUBITS:
            fail(r.file, word, f"register `{word.text}` has {size} members, must have 1 to {MOST_QUBITS}.")
        if kind in ("qreg", "qubit"):
            self.registers[word.text] = (self.n, size)
            self.n += size
        else:
            self.bits[word.text] = (self.n_bits, size)
            self.n_bits += size
        r.want(";")

    def define(self) -> None:
        """Read a gate definition; its body is kept as words and expanded where it is called."""
        r = self.r
        r.want("gate")
        name = r.name("the name of a gate")
        params: list[str] = []
        if r.took("("):
            while not r.took(")"):
                params.append(r.name("a parameter").text)
                r.took(",")
        qubits = [r.name("a qubit").text]
        while r.took(","):
            qubits.append(r.name("a qubit").text)
        r.want("{")
        body = r.at
        while r.next.text != "}":
            if r.next.kind == "end":
                fail(r.file, name, f"gate `{name.text}` has no closing brace.")
            r.take()
        r.take()
        self.gates[name.text] = _Gate(tuple(params), tuple(qubits), r.words, body, r.file)

    def _operand(self, registers: Mapping[str, tuple[int, int]], what: str) -> list[int]:
        word = self.r.name(f"a {what}")
        if word.text not in registers:
            fail(self.r.file, word, f"{what} register `{word.text}` is not declared.")
        start, size = registers[word.text]
        if not self.r.took("["):
            return list(range(start, start + size))
        at = self.r.next
        index = self.r.integer()
        self.r.want("]")
        if index >= size:
            fail(self.r.file, at, f"index {index} of `{word.text}` must be below its size {size}.")
        return [start + index]

    def _operands(self, registers: Mapping[str, tuple[int, int]], what: str) -> list[list[int]]:
        found = [self._operand(registers, what)]
        while self.r.took(","):
            found.append(self._operand(registers, what))
        return found

    def _measure(self, bits: list[int] | None, when: tuple[tuple[int, int], ...]) -> None:
        word = self.r.want("measure")
        qubits = self._operand(self.registers, "qubit")
        if bits is None:
            if self.version == 3 and self.r.next.text == ";":
                bits = list(range(self.n_bits, self.n_bits + len(qubits)))
                self.n_bits += len(qubits)
            else:
                self.r.want("->")
                bits = self._operand(self.bits, "bit")
        self.r.want(";")
        if len(bits) != len(qubits):
            fail(self.r.file, word, f"{len(qubits)} qubits are measured into {len(bits)} bits: must be as many.")
        self.written.update(bits)
        self.ops += [Op("measure", (q,), bit=b, when=when) for q, b in zip(qubits, bits, strict=True)]

    def _if(self, when: tuple[tuple[int, int], ...]) -> None:
        r = self.r
        r.want("if")
        r.want("(")
        conditions: list[tuple[int, int]] = []
        while True:
            word = r.next
            wanted = 0 if r.took("!") else 1
            bits = self._operand(self.bits, "bit")
            if r.took("=="):
                wanted = int(r.take().text == "true") if r.next.text in ("true", "false") else r.integer()
            elif len(bits) > 1:
                fail(r.file, word, "a register of several bits must be compared with a number.")
            if wanted >> len(bits):
                fail(r.file, word, f"{wanted} does not fit {len(bits)} bits.")
            for bit in bits:
                if bit not in self.written:
                    fail(r.file, word, f"the condition is on bit {bit}, not measured before: measure it first.")
            conditions += [(bit, wanted >> k & 1) for k, bit in enumerate(bits)]
            if not r.took("&&"):
                break
        r.want(")")
        if not r.took("{"):
            return self._statement((*when, *conditions))
        while not r.took("}"):
            self._statement((*when, *conditions))
        if r.next.text == "else":
            fail(r.file, r.next, "`else` is not supported: write a second `if`.")
        return None

    def _call(self, when: tuple[tuple[int, int], ...]) -> None:
        r = self.r
        inverse, controls = False, 0
        while r.next.text in ("ctrl", "inv"):
            if r.take().text == "inv":
                inverse = not inverse
            else:
                controls += 1
            r.want("@")
        word = r.name("a gate")
        params = self._arguments(self.constants)
        operands = self._operands(self.registers, "qubit")
        r.want(";")
        name, params = self._modified(word, params, inverse, controls)
        size = max(map(len, operands))
        if any(len(some) not in (1, size) for some in operands):
            fail(r.file, word, f"registers of different size in `{name}`: they must have one size.")
        for k in range(size):
            self._apply(word, name, params, [some[k if len(some) > 1 else 0] for some in operands], when, 0)

    def _modified(self, word: Word, params: list[float], inverse: bool, controls: int) -> tuple[str, list[float]]:
        name = word.text
        for _ in range(controls):
            if name not in CONTROLLED:
                fail(self.r.file, word, f"`ctrl @ {name}` is not supported: write it with cx, cp and u.")
            name = CONTROLLED[name]
        if inverse and name in _ROTATIONS:
            return name, [-value for value in params]
        if inverse and name in ("u", "u3", "U"):
            return name, [-params[0], -params[2], -params[1]]
        if inverse and name not in _ADJOINT and name not in _OWN_ADJOINT:
            fail(self.r.file, word, f"`inv @ {name}` is not supported: write the inverse out.")
        return (_ADJOINT.get(name, name) if inverse else name), params

    def _arguments(self, known: Mapping[str, float]) -> list[float]:
        values: list[float] = []
        if self.r.took("("):
            while not self.r.took(")"):
                values.append(self.r.number(known))
                if self.r.next.text != ")":
                    self.r.want(",")
        return values

    def _apply(self, word: Word, name: str, params: list[float], qubits: list[int], when: tuple[tuple[int, int], ...],
               depth: int) -> None:  # fmt: skip
        gate, file = self.gates.get(name), self.r.file
        if name not in _NATIVE and gate is None:
            fail(file, word, f"gate `{name}` is not supported: define it with `gate`, or use those of qelib1.inc.")
        if depth > 50:
            fail(file, word, f"gate `{name}` calls itself, or 50 others within one another.")
        want = _NATIVE[name] if gate is None else (len(gate.params), len(gate.qubits))
        if (len(params), len(qubits)) != want:
            fail(file, word, f"`{name}` has {len(params)} parameters and {len(qubits)} qubits, must have {want[0]} "
                 f"and {want[1]}.")  # fmt: skip
        if len(set(qubits)) != len(qubits):
            fail(file, word, f"`{name}` names one qubit twice.")
        if gate is None:
            if len(self.ops) >= MOST_OPS:
                fail(file, word, f"more than {MOST_OPS} gates.")
            self.ops.append(Op(name, tuple(qubits), tuple(params), when=when))
            return
        self._expand(gate, params, qubits, when, depth)

    def _expand(self, gate: _Gate, params: list[float], qubits: list[int], when: tuple[tuple[int, int], ...],
                depth: int) -> None:  # fmt: skip
        outer, self.r = self.r, Reader(gate.words, gate.file)
        self.r.at = gate.body
        known = dict(zip(gate.params, params, strict=True))
        named = dict(zip(gate.qubits, qubits, strict=True))
        while not self.r.took("}"):
            word = self.r.name("a gate")
            values = self._arguments(known)
            inner: list[int] = []
            while not inner or self.r.took(","):
                qubit = self.r.name("a qubit")
                if qubit.text not in named:
                    fail(self.r.file, qubit, f"`{qubit.text}` is not a qubit of this gate.")
                inner.append(named[qubit.text])
            self.r.want(";")
            if word.text != "barrier":
                self._apply(word, word.text, values, inner, when, depth + 1)
        self.r = outer


def with_measurements(circuit: Circuit) -> Circuit:
    """Return the circuit with every qubit measured at its end, where it measures none."""
    if any(op.name == "measure" for op in circuit.ops):
        return circuit
    measured = tuple(Op("measure", (q,), bit=q) for q in range(circuit.n))
    return replace(circuit, ops=circuit.ops + measured, bits=max(circuit.bits, circuit.n))


__all__ = ["CircuitError", "from_qiskit", "parse", "read", "with_measurements"]
