"""A distributed program on the registers of several nodes: its arguments, and its rows in machine units.

The kernels that walk them: `experiments.sequences.program_kernels`. Table and places: `atomlink.circuits.cycles`.
Conventions of axes and storage: `drivers.rtio.qubit`, `drivers.rtio.storage`.
"""

from typing import Any

from artiq.language.environment import NumberValue
from numpy import int32, int64

from analysis import circuit_beliefs
from atomlink.at_port import belief, node_of
from atomlink.circuits.cycles import HALF_TURN, Cycles, Do
from atomlink.circuits.table import TURN as WHOLE
from atomlink.errors import UsageError
from atomlink.topology import LinkSpec
from drivers import parameters
from drivers.network import topology
from drivers.rtio.heralding import BACKENDS
from drivers.rtio.register import Register
from drivers.rtio.together import Together
from experiments.sequences.backend import ask_backend
from experiments.sequences.chain import Half
from experiments.sequences.nodes import Nodes
from experiments.sequences.program_kernels import (
    HALF_POW,
    MARGIN_MU,
    QUARTER_POW,
    SETTLE_MU,
    STORE_MU,
    ProgramKernels,
)
from experiments.sequences.states import PUMP_TIMES


class ProgramRun(ProgramKernels):
    """The kernel side of a distributed circuit; `registers` in the order of `names`, one half per link."""

    kernel_invariants = {"core", "registers", "halves", "n_registers", "n_atoms", "n_rows", "do", "at", "a", "b", "c",
                         "bit", "value", "length_mu", "spacing_mu", "pump_mu", "feed_mu", "gate_pow",
                         "pair_pow", "end_register", "beside_port", "n_cycles"}  # fmt: skip

    def build(self, names: tuple[str, ...], links: tuple[LinkSpec, ...]) -> None:
        self.core = self.get_device("core")
        self.links = links
        others = [atom for link in links for atom in link.atoms if atom != node_of(atom)]
        whole = {"precision": 0, "scale": 1, "step": 1, "type": "int"}
        gateware = all(topology(self).station(link.station).heralder for link in links)
        self.backend = ask_backend(self, BACKENDS if gateware else ("software",), links)
        self.spacing = self.get_argument(
            "spacing", NumberValue(1.2e-3, unit="ms", precision=3, step=0.1e-3, min=0.1e-3, max=0.1), "Storage",
            "Gap between two refocusing pulses; two gaps make a cycle.",
        )  # fmt: skip
        self.max_cycles = self.get_argument(
            "max_cycles", NumberValue(100, min=1, max=100_000, **whole), "Storage",
            "Give a shot up after so many cycles of attempts for one pair.",
        )  # fmt: skip
        self.rows = self.get_argument("rows", NumberValue(4, min=2, max=1000, **whole), "Register",
                                      "Rows of each array.")  # fmt: skip
        self.columns = self.get_argument("columns", NumberValue(6, min=2, max=1000, **whole), "Register",
                                         "Columns of each array.")  # fmt: skip
        self.side_column = self.get_argument(
            "side_column", NumberValue(4, min=2, max=1000, **whole), "Register",
            "Column of the site of a node's second port, in the row of the first one.",
        )  # fmt: skip
        # The first port of a node comes first: it acts on what is the node's.
        atoms = [atom for name in names for atom in (name, *(o for o in others if node_of(o) == name))]
        self.nodes = Nodes(self, tuple(dict.fromkeys(atoms)), links=links)
        self.registers = [Register(self, name, self.nodes[name]) for name in names]
        self.halves = [Half(self, link, [self.nodes[atom] for atom in link.atoms], self.backend) for link in links]
        self.n_registers = len(self.registers)
        self.together = Together(self)

    def load_program(self, program: Cycles) -> None:
        """Take the program whose rows are walked; before `prepare`."""
        self.program = program

    def prepare(self) -> None:
        """Read the beliefs and write the rows in machine units; UsageError where reading does not fit into a gap."""
        for register in self.registers:
            register.set_size(self.rows, self.columns)
        self.call_child_method("prepare")
        period = self.core.ref_period
        self.spacing_mu = int64(self.core.seconds_to_mu(self.spacing))
        self.pump_mu = [int64(PUMP_TIMES) * parameters.duration_mu(self, belief(register.node, "t_pump_s"))
                        for register in self.registers]  # fmt: skip
        self.feed_mu = [max(int64(STORE_MU), int64(half.herald.back_mu)) for half in self.halves]
        # Half of what a pair has too much goes to each of its atoms: a third of the error is left.
        phases = [[parameters.get(self, belief(register.node, f"cz_{which}_turns")) for which in ("phase", "excess")]
                  for register in self.registers]  # fmt: skip
        self.gate_pow = [int32(round(65536 * (phase + 0.5 * excess)) & 0xFFFF) for phase, excess in phases]
        self._check_side()
        least_mu = max(self._least_mu(register) for register in self.registers)
        if self.spacing_mu < least_mu:
            raise UsageError(f"spacing is {self.spacing:g} s, but reading and recooling between two pulses take "
                             f"{least_mu * period:.4g} s: wait longer, or set param.*.t_local_image_s and "
                             "t_recooling_s.")  # fmt: skip
        self.n_cycles = int(self.max_cycles)
        names = [register.node for register in self.registers]
        self.end_register = [[names.index(node_of(atom)) for atom in link.atoms] for link in self.links]
        self.beside_port = [[int(atom != node_of(atom)) for atom in link.atoms] for link in self.links]
        self.pair_pow = [int32(round(65536 * half.phase_turns) & 0xFFFF) for half in self.halves]
        self._write_rows()
        n = len(self.program.node_of)
        self.n_atoms = n
        self.x, self.z, self.phase_pow, self.fresh = [0] * n, [0] * n, [int32(0)] * n, [1] * n
        self.reference_mu, self.since_mu = [int64(0)] * n, [int64(0)] * n
        self.bits = [0] * max(1, self.program.bits)
        self.reading, self.read_atom, self.read_bit = 0, [0] * self.n_registers, [0] * self.n_registers
        self.read_node = [0] * self.n_registers
        self.free_mu = [int64(0)] * self.n_registers
        self.waited = [0] * max(1, self.program.pairs)  # cycles of attempts, by pair
        self.start_mu = self.t_mu = self.t_lab_mu = int64(0)
        self.pulses = 0
        self.walked = 0
        self.attempts = 0  # from the last recooling to the herald, summed over the pairs of a shot
        self.turn_mu = int64(0)  # a turn of the last shot, map and transfer aside
        self.off_mu2 = 0.0  # square of the time from storing to the middle of its gap, summed over the pairs of a shot

    def _check_side(self) -> None:
        """Refuse a second port whose atom could not be stored there, or would take part in the gates."""
        sides = {node_of(atom) for link in self.links for atom in link.atoms if atom != node_of(atom)}
        for register in self.registers:
            column = register.array.port[1]
            site = (register.array.port[0], int(self.side_column) - 1)
            if register.node in sides and (site not in register.zone or site[1] < column + 2):
                raise UsageError(
                    f"side_column is {self.side_column}, but the second port of {register.node} has to be in its gate "
                    f"zone, columns {column + 3} to {register.zone[-1][1] + 1}."
                )

    def run_level(self) -> dict[str, Any]:
        """Return the datasets that hold for the whole run, and file the beliefs that its prediction rests on."""
        for name in circuit_beliefs.names(self.links, [register.node for register in self.registers]):
            parameters.get(self, name)
        gate_mu = [half.herald.timing.gate_stop_mu - half.herald.timing.gate_start_mu for half in self.halves]
        map_mu = [register.tweezer.qubit.mw_pi_mu >> 1 for register in self.registers]
        return {
            **self.nodes.run_level(),
            "scan.links": ",".join(link.name for link in self.links),
            "scan.registers": ",".join(register.node for register in self.registers),
            "scan.n_registers": self.n_registers,
            "scan.herald": self.backend,
            "scan.spacing_s": float(self.spacing_mu) * self.core.ref_period,
            # From the clicks until both halves are stored, by link.
            "scan.t_zeeman_s": [float(gate + feed + map_mu[0]) * self.core.ref_period
                                for gate, feed in zip(gate_mu, self.feed_mu, strict=True)],
        }  # fmt: skip

    def _least_mu(self, register: Register) -> int:
        imaging = register.tweezer.imaging
        read = int(register.measure_mu) + int(imaging.pushout_mu)  # who is left is pushed out
        return max(read, int(imaging.recooling_mu)) + SETTLE_MU + MARGIN_MU

    def _write_rows(self) -> None:
        """Lay the table out in columns; pulses in mu, phases in 1/65536 turns, moves by their number."""
        rows, moves = self.program.rows, 0
        self.n_rows = len(rows)
        self.do, self.at, self.a, self.b, self.c = ([int32(row[k]) for row in rows] for k in range(5))
        self.bit, self.value = ([int32(row[k]) for row in rows] for k in (5, 6))
        self.length_mu = [int64(0)] * self.n_rows
        for i, row in enumerate(rows):
            if row.do == Do.TURN:
                self.b[i] = int32(row.b >> 15)
            elif row.do == Do.ROTATE:
                turned, pi_mu = min(row.b, WHOLE - row.b), self.registers[row.node].tweezer.qubit.raman_pi_mu
                self.length_mu[i] = int64(round(turned / HALF_TURN * pi_mu))
                self.b[i] = int32(QUARTER_POW if row.b <= HALF_TURN else QUARTER_POW + HALF_POW)
            elif row.do == Do.HERALD:
                self.c[i] = int32(sum(each.do == Do.HERALD for each in rows[:i]))
                self.value[i] = int32(row.b)
                self.b[i] = int32(row.a)
            elif row.do == Do.MOVE:
                self.a[i] = int32(moves)
                moves += 1
        self.move_mu = [int64(0)] * max(1, moves)
