"""Bring several atoms of one end's array to its photon port one after the other, until one of them heralds a pair."""

from typing import Any

import numpy as np
from artiq.experiment import (
    EnvExperiment,
    ExplicitScan,
    Scannable,
    TBool,
    TInt32,
    at_mu,
    kernel,
    now_mu,
)
from numpy import int64

from atomlink.at_port import belief
from atomlink.errors import DeviceError
from drivers import parameters
from drivers.rtio.tweezer_array import TweezerArray
from experiments.sequences.analyse_run import conclude
from experiments.sequences.backend import need_polarisations
from experiments.sequences.nodes import ask_link
from experiments.sequences.pair_counts import PairCounts, rate_curve
from experiments.sequences.pairs import Pairs
from experiments.sequences.scan import Axis, Point, Scan
from experiments.sequences.settings import XX, YY, ZZ
from experiments.sequences.whole_numbers import ask_whole

MAX_LOADS = 20  # loadings in succession that leave too few atoms: then something is broken
SETTINGS = (XX, YY, ZZ)
Site = tuple[int, int]


class MultiplexedPort(EnvExperiment):
    """Multiplexed port

    load, image the array --+
      +--( AOD: last atom home, next atom to the port --[ recool ]--( pump, excite, gate ) x attempts )  x n_atoms --+
      |  until a herald                                                                                              |
      +--[ AOD: entangled atom into the array and back ]--[ Raman: axis -> z ]--[ map ]--[ push out ]--[ image ]<----+
    The second end has one atom. The first end's sites are hidden from the light, all of them but the port's.
    """

    simulated_in = "array"

    def build(self) -> None:
        self.setattr_device("core")
        self.setattr_device("scheduler")
        numbers = Scannable(ExplicitScan([1, 4]), precision=0, global_min=1, global_max=100)
        self.scan = Scan(self, (Axis("n_atoms", numbers, "", "Atoms of the first end that take turns at the port."),),
                         shots=150, plots=[rate_curve("n_atoms", "t_prep_s", "t_port_s")])  # fmt: skip
        ask_whole(self, "attempts", 50, 1, 10_000, "Port", "Attempts of one atom before the next one has its turn.")
        ask_whole(self, "rows", 6, 1, 1000, "Array", "Rows of the array that are used.")
        ask_whole(self, "columns", 6, 1, 1000, "Array", "Columns of the array that are used.")
        self.nodes = ask_link(self)
        self.pairs = Pairs(self, self.nodes, wait=False, choose_feed_forward=False)
        self.herald = self.pairs.herald
        self.readout = self.pairs.readout
        self.array = TweezerArray(self, self.nodes.names[0], self.nodes.nodes[0].imaging)

    def prepare(self) -> None:
        """Read the beliefs and lay out the points."""
        need_polarisations(self, self.nodes)  # the loop below holds no optical phase, and knows one round
        self.array.set_size(self.rows, self.columns)
        self.call_child_method("prepare")
        self.pairs.setup(SETTINGS)
        for name in ("t_image_s", "t_recooling_s", "t_cooling_s", "t_pump_s"):  # filed: the prediction rests on them
            for node in self.nodes.names:
                parameters.get(self, belief(node, name))
        self.pattern = self.visits = self.tried = 0
        self.begun_mu = self.prepared_mu = self.ended_mu = self.switching_mu = int64(0)
        self.taken = 0  # pairs, over all rows: their settings take turns

    def run(self) -> None:
        """Take rounds with each number of atoms; keep what there is when asked to stop."""
        self.array.connect()
        level = {**PairCounts(self.pairs).run_level(), "pairs.attempts_per_visit": self.attempts}
        self.scan.run(self.measure, self.begin, self.nodes.close, level)

    def measure(self, point: Point) -> dict[str, Any]:
        """Return what `shots` rounds with so many atoms gave."""
        row: dict[str, float] = dict.fromkeys(("rounds", "visits", "heralds", "heralds_carried", "attempts"), 0)
        row.update(dict.fromkeys(("t_prep_s", "t_port_s", "t_switch_s", "t_move_s"), 0.0))
        table = np.zeros((len(SETTINGS), 4), dtype=int)
        for _ in range(self.scan.shots):
            self.plan_round(int(point.n_atoms))
            self.attempt_in_turn(len(self.sites), self.taken % len(SETTINGS))
            if self.pattern:
                table[self.taken % len(SETTINGS), 2 * self.nodes.there[0] + self.nodes.there[1]] += 1
                self.taken += 1
            row["rounds"] += 1
            row["visits"] += int(self.visits)
            row["heralds"] += int(self.pattern != 0)
            row["heralds_carried"] += int(self.pattern != 0 and self.visits > 1)
            row["attempts"] += int(self.tried)
            row["t_prep_s"] += int(self.prepared_mu - self.begun_mu) * self.core.ref_period
            row["t_port_s"] += int(self.ended_mu - self.prepared_mu) * self.core.ref_period
            row["t_switch_s"] += int(self.switching_mu) * self.core.ref_period
            row["t_move_s"] += self.switching_s
        return {**row, "table": table.ravel().tolist(), "unpushed": [0, 0, 0, 0]}

    def plan_round(self, n_atoms: int) -> None:
        """Image until there are enough atoms, and choose those nearest to the port; the port's own atom comes first."""
        fresh = True
        for _ in range(MAX_LOADS):
            self.array.arm_camera()
            if not self.look(fresh, not fresh):
                raise DeviceError(self.nodes.no_atom_message())
            occupied = self.array.read()[2]
            atoms, empty = (self._nearest(mask) for mask in (occupied, ~occupied))
            if len(atoms) >= n_atoms - 1 and empty:
                self.sites = [self.array.port, *atoms[: n_atoms - 1]]
                self.homes = [empty[0], *atoms[: n_atoms - 1]]
                self.switching_s = 0.0
                return
            fresh = False
        raise DeviceError(
            f"{MAX_LOADS} loadings of {self.array.node} gave less than {n_atoms} atoms in {self.rows} x {self.columns} "
            f"sites: use more sites, or check cooling light and param.{self.array.node}.site_threshold."
        )

    def _nearest(self, mask: Any) -> list[Site]:
        """Return the sites of a mask but the port's, the nearest to the port first."""
        port = self.array.port
        sites = [(int(row), int(column)) for row, column in np.argwhere(mask) if (row, column) != port]
        return sorted(sites, key=lambda site: (abs(site[0] - port[0]) + abs(site[1] - port[1]), site))

    def queue_switch(self, k: int) -> None:
        """Queue the moves that take atom k - 1 home and bring atom k to the port."""
        self.switching_s += self.array.carry(self.array.port, self.homes[k - 1])
        self.switching_s += self.array.carry(self.sites[k], self.array.port)

    def queue_storing(self, k: int) -> None:
        """Queue the moves that take atom k, which is entangled, into the array and back."""
        self.array.carry(self.array.port, self.homes[k])
        self.array.carry(self.homes[k], self.array.port)

    @kernel
    def begin(self):
        """Initialise the nodes, show all sites, look for atoms."""
        self.nodes.init()
        self.array.show()
        self.nodes.image()

    @kernel
    def look(self, first: TBool, more: TBool) -> TBool:
        """Load what is missing at the ports (`more`: in the array, too), take a picture; False where that fails."""
        self.core.break_realtime()
        if first:
            self.begun_mu = now_mu()
        self.array.show()
        if more:
            self.nodes.nodes[0].imaging.load()
        self.nodes.image()
        there = self.nodes.load()
        if there:
            self.nodes.cool()
            self.array.picture()
            self.core.wait_until_mu(now_mu())
        return there

    @kernel
    def attempt_in_turn(self, n_atoms: TInt32, setting: TInt32):
        """Let one atom after the other have its attempts; read the pair out if one of them heralds."""
        self.core.break_realtime()
        self.prepared_mu = now_mu()
        self.array.hide()
        self.herald.arm()
        self.pattern = 0
        self.visits = 0
        self.tried = 0
        self.switching_mu = int64(0)
        while self.visits < n_atoms and self.pattern == 0:
            if self.visits > 0:
                before_mu = now_mu()
                self.queue_switch(self.visits)
                self.array.play()
                self.switching_mu += now_mu() - before_mu
            self.nodes.recool()
            self.pattern = self.herald.attempts(self.attempts)
            self.tried += self.herald.n_attempts
            self.visits += 1
        self.ended_mu = now_mu()
        self.pairs.pattern = self.pattern
        if self.pattern != 0:
            self.read_stored(setting)

    @kernel
    def read_stored(self, setting: TInt32):
        """Carry the first end's half of the pair into the array and back, and read both out."""
        self.queue_storing(self.visits - 1)
        self.array.play()
        at_mu(max(now_mu(), self.herald.t_herald_mu + self.herald.back_mu))
        self.pairs.rotate(setting)
        self.readout.read_out(1)

    def analyze(self) -> None:
        """Compare the rate with what the formula gives."""
        self.result = conclude(self, self.scan)
