"""Fill the registers of several nodes for a shot: which atom stands where, and what the AWGs carry in it."""

from typing import Any

import numpy as np
from artiq.language.environment import HasEnvironment

from atomlink.circuits.cycles import BESIDE, PORT, SIDE, Cycles
from atomlink.errors import DeviceError, TimingError
from drivers.rtio.awg_ramps import Segment, duration_s
from drivers.rtio.register import Register, Site
from experiments.sequences.program import ProgramRun
from experiments.sequences.program_kernels import DONE, FAILED, GIVEN_UP

MOST_LOADS = 50  # that often too few atoms: then something is broken
MOST_FAILURES = 20  # RTIO errors in succession
MOST_GIVEN_UP = 50  # shots in succession without a pair


class Processors(HasEnvironment):
    """The registers of a run: atoms for a program are taken where the last image shows some, the nearest ones first."""

    def build(self, run: ProgramRun) -> None:
        self.run = run
        self.core = self.get_device("core")
        self.routes: dict[tuple[int, Site, Site], list[Segment]] = {}
        self.loads = self.failures = self.given_up = 0

    @property
    def program(self) -> Cycles:
        """Return what is run."""
        return self.run.program

    def connect(self) -> None:
        """Get AWGs and cameras; from the host, before the first kernel."""
        for register in self.run.registers:
            register.connect()

    def begin(self) -> None:
        """Initialise everything; nothing is on the cards, and nobody knows of atoms."""
        for register in self.run.registers:
            register.array.awg.arm()
            register.occupied[:] = False
        self.run.start()

    def shoot(self) -> int:
        """Fill the registers and take one shot; return why it ended: DONE or GIVEN_UP or FAILED."""
        homes = self._fill()
        self._send(homes)
        reason = int(self.run.take())
        self.failures = self.failures + 1 if reason == FAILED else 0
        if self.failures >= MOST_FAILURES:
            raise TimingError(f"{MOST_FAILURES} RTIO errors in succession: the kernel needs more time, so raise "
                              "`spacing`.")  # fmt: skip
        self.given_up = self.given_up + 1 if reason == GIVEN_UP else 0
        if self.given_up >= MOST_GIVEN_UP:
            raise DeviceError(f"{MOST_GIVEN_UP} shots in succession had no pair within max_cycles: look at the links "
                              "with RemoteEntanglement, or raise max_cycles.")  # fmt: skip
        if reason != DONE:
            if reason == FAILED:
                self.run.close()
                self.run.start()
            self.run.discard()
        return reason

    def _fill(self) -> list[list[Site]]:
        """Return sites for each node's atoms in the order of their numbers, after a picture that shows enough of them.
        """
        for _ in range(MOST_LOADS):
            self._look()
            homes = [self._occupied(register) for register in self.run.registers]
            short = [k for k, sites in enumerate(homes) if len(sites) < len(self.program.atoms(k))]
            if not short:
                return homes
            self.run.load()
            self.loads += 1
        node = self.run.registers[short[0]].node
        raise DeviceError(
            f"{MOST_LOADS} loadings did not give {node} the {len(self.program.atoms(short[0]))} atoms outside its gate "
            "zone that the program takes: give it more rows and columns, as the array has them, or check cooling "
            f"light, coil, shutter and param.{node}.site_threshold."
        )

    def _look(self) -> None:
        for register in self.run.registers:
            register.array.arm_camera()
        self.run.picture()
        for register in self.run.registers:
            register.occupied = register.array.read()[2]

    @staticmethod
    def _occupied(register: Register) -> list[Site]:
        """Return the sites with an atom outside the gate zone, the nearest to the port first."""
        occupied = [(int(row), int(column)) for row, column in np.argwhere(register.occupied)]
        sites = [site for site in occupied if site not in register.zone]
        row, column = register.array.port
        return sorted(sites, key=lambda site: (abs(site[0] - row) + abs(site[1] - column), site))

    def _send(self, homes: list[list[Site]]) -> None:
        """Write the moves of a shot on the cards, one block each, and tell the kernel how long each takes."""
        taken = [0] * len(homes)
        number = {atom: k for node in range(len(homes)) for k, atom in enumerate(self.program.atoms(node))}
        moves = [row.node for row in self.program.rows if row.do.name == "MOVE"]
        for count, node in enumerate(moves):
            move = self.program.moves[node][taken[node]]
            taken[node] += 1
            register = self.run.registers[node]
            row, column = register.array.port
            places = {PORT: (row, column), BESIDE: (row, column + 1), SIDE: (row, self.run.side_column - 1)}
            home = homes[node][number[move.atom]]
            start, stop = places.get(move.start, home), places.get(move.stop, home)
            segments = self._route(node, start, stop)
            register.array.awg.write_segments(segments)
            self.run.move_mu[count] = np.int64(round(duration_s(segments) / self.core.ref_period)) + np.int64(1000)

    def _route(self, node: int, start: Site, stop: Site) -> Any:
        key = node, start, stop
        if key not in self.routes:
            array = self.run.registers[node].array
            array.carry(start, stop)
            self.routes[key] = array.blocks.pop()
        return self.routes[key]
