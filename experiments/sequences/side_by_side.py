"""Herald on several links at once: one kernel keeps the heralders of several stations going.

    load all --[ cool ]--+--[ recool ]--+--( link 0: pump, excite, gate ) x block --+--> ten times --[ still there? ]
      ^                  |              +--( link 1: pump, excite, gate ) x block --+                     |
      +------------------+--------------------------------------------------------------------------------+
A link that heralds goes on with what is left of its block, beside the others. The links' stations are different, and so
are their ports; they may share a node. What came since the last look at the atoms is dropped where one is gone.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow
from artiq.language.core import delay_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment, StringValue
from artiq.language.types import TInt32, TInt64
from artiq.language.units import us
from numpy import int64

from atomlink.errors import DeviceError, TimingError, UsageError
from atomlink.topology import LinkSpec, Topology
from drivers import parameters
from drivers.network import topology
from drivers.rtio.attempt import Attempt, believed_timing
from drivers.rtio.herald import RUNNING
from drivers.rtio.heralding import BACKENDS, make_heralder
from experiments.sequences.backend import ask_backend
from experiments.sequences.live import Columns, Plot
from experiments.sequences.nodes import Nodes

# From one poll of a heralder to the next: the longest that a link which has heralded waits until it goes on.
SLICE_S = 60 * us
LOOK_BLOCKS = 10  # blocks between two looks at the atoms and the scheduler
MAX_DROPPED = 50  # looks in succession that find an atom gone
LEAD_S = 20 * us  # heralding leaves little slack, and the CPU writes the first node's edges before the last one's
MAX_FAILURES = 20  # RTIO errors in succession
DONE, PAUSE, NO_ATOM, LOST, TOO_TIGHT = range(5)  # why the kernel came back


def ask_links(owner: Any) -> tuple[LinkSpec, ...]:
    """Ask for links that go side by side (argument `links`), by default the first two that can; none in a lab that has
    none such, which `SideBySide` refuses once it is prepared.
    """
    text = owner.get_argument(
        "links", StringValue(""), "Nodes", "Which links, separated by commas, as alice-charlie.west@left,"
        "charlie.east-bob@right; empty: the first two that can go side by side."
    )  # fmt: skip
    network = topology(owner)
    if not text and not _pairs(network):
        return ()
    return chosen_links(text or "", network)


def chosen_links(text: str, network: Topology) -> tuple[LinkSpec, ...]:
    """Return the links that a text names; UsageError where they cannot go side by side."""
    if not text:
        for pair in _pairs(network):
            return pair
        raise UsageError(
            "Heralding side by side needs two links with stations and ports of their own, but this lab has "
            f"{', '.join(link.name for link in network.links) or 'no link'}: add a station, or take a lab that has "
            "two, such as the scenario chain3."
        )
    links = named_links(text, network)
    for one, other in combinations(links, 2):
        why = _in_the_way(one, other)
        if why:
            names = f"{one.name} and {other.name}"
            raise UsageError(f"Links {names} cannot go side by side, both need {why}: leave one out.")
    if len(links) < 2:
        raise UsageError(f"Argument links={text!r} names one link, must name two or more, separated by commas.")
    return links


def named_links(text: str, network: Topology) -> tuple[LinkSpec, ...]:
    """Return the links that a text names, separated by commas; UsageError for one that the lab does not have."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"Argument links={text!r} must name a link before and after each comma: take out the rest.")
    return tuple(network.link(name) for name in names)


def rates_plot(links: str) -> Plot:
    """Return the plot of heralds per second of all rows by the number of a link; `links` says what is counted there."""

    def of(columns: Columns) -> dict[str, Any]:
        heralds, t_s = (np.sum(columns[name], axis=0) for name in ("heralds", "t_s"))
        return {"y": heralds / t_s, "x": np.arange(len(heralds)), "error": np.sqrt(heralds + 0.5) / t_s}

    return Plot("rates", "xy", of, about=("heralds per s", links))


def _pairs(network: Topology) -> list[tuple[LinkSpec, LinkSpec]]:
    return [pair for pair in combinations(network.links, 2) if not _in_the_way(*pair)]


def _in_the_way(one: LinkSpec, other: LinkSpec) -> str:
    """Return what two links both need, "" where they do not."""
    if one.station == other.station:
        return f"station {one.station}"
    return next((f"port {port.key}" for port in one.ports if port in other.ports), "")


class SideBySide(HasEnvironment):
    """Heralders of several links, and how often each heralded. By link, since `count` began: `heralds`, `attempts`.

    Links that cannot have their ways at once are counted in turns: `count` has the fibre switches give the active ones
    theirs.
    """

    kernel_invariants = {"core", "scheduler", "nodes", "heralders", "n", "slice_mu", "lead_mu", "block"}

    def build(self, links: Sequence[LinkSpec], in_turns: bool = False) -> None:
        self.core = self.get_device("core")
        self.scheduler = self.get_device("scheduler")
        network = topology(self)
        self.links = tuple(links)
        self.n = len(self.links)
        stations = [network.station(link.station) for link in self.links]
        self.unserved = [station for station in stations if station.scheme != "polarisation"]
        gateware = all(station.heralder for station in stations) and not self.unserved
        self.backend = ask_backend(self, BACKENDS if gateware else ("software",), self.links)
        atoms = dict.fromkeys(atom for link in self.links for atom in link.atoms) or network.atoms
        self.nodes = Nodes(self, tuple(atoms), links=self.links[:1] if in_turns else self.links)
        self.heralders = [
            make_heralder(self, Attempt(self, [self.nodes[atom] for atom in link.atoms]), station, self.backend)
            for link, station in zip(self.links, stations, strict=True)
        ]
        self.heralds, self.attempts = [0] * self.n, [0] * self.n
        self._new_heralds, self._new_attempts, self._left = [0] * self.n, [0] * self.n, [0] * self.n

    def prepare(self) -> None:
        """Read the beliefs and lay out every link's attempt; UsageError in a lab that has no such links."""
        if not self.links:
            chosen_links("", topology(self))
        for station in self.unserved:
            raise UsageError(
                f"Station {station.name} heralds by {station.scheme!r}, but links that are counted together herald by "
                "'polarisation' only: take pairs of it with RemoteEntanglement, or name other links."
            )
        self.call_child_method("prepare")
        for link, heralder in zip(self.links, self.heralders, strict=True):
            heralder.setup(believed_timing(self, link), heralder.psi_plus + heralder.psi_minus)
        blocks = [int(parameters.get(self, link.of_station("n_recooling"))) for link in self.links]
        self.block = min(blocks, default=1)
        self.slice_mu = int64(self.core.seconds_to_mu(SLICE_S))
        self.lead_mu = int64(self.core.seconds_to_mu(LEAD_S))
        self.done = 0  # blocks
        self.dropped = 0  # looks in succession
        self.t_mu = int64(0)  # of the blocks that count, looks at the atoms and recooling with them

    def row(self, turns: Sequence[Sequence[int]], blocks: int) -> dict[str, Any]:
        """Count turn by turn, a turn's links at once; return lists `heralds`, `attempts`, `t_s` by turn and link."""
        row: dict[str, Any] = {"heralds": [], "attempts": [], "t_s": []}
        for active in turns:
            t_s = self.count(active, blocks)
            for k in active:
                row["heralds"].append(int(self.heralds[k]))
                row["attempts"].append(int(self.attempts[k]))
                row["t_s"].append(t_s)
        return row

    def count(self, active: Sequence[int], blocks: int) -> float:
        """Herald on the links of these numbers for so many blocks; return what they took in s.

        DeviceError where no atom can be loaded or kept.
        """
        mask = sum(1 << k for k in active)
        self.nodes.routes.need([self.links[k] for k in active])
        if self.nodes.routes.needed:
            self.nodes.connect()
        self.heralds, self.attempts = [0] * self.n, [0] * self.n
        self.done, self.dropped, self.t_mu = 0, 0, int64(0)
        reason = PAUSE
        while reason == PAUSE:
            reason = int(self.take(mask, blocks))
            if reason == NO_ATOM:
                raise DeviceError(self.nodes.no_atom_message())
            if reason == LOST:
                raise DeviceError(
                    f"An atom was lost before each of {MAX_DROPPED} looks in succession, must stay for {LOOK_BLOCKS} "
                    "blocks of attempts: check trap depth, and pumping light, which heats."
                )
            if reason == TOO_TIGHT:
                raise TimingError(f"{MAX_FAILURES} RTIO errors in succession: the kernel needs more time between two "
                                  "attempts, raise param.*.t_software_slack_s or param.*.t_register_slack_s.")
            if reason == PAUSE:
                self.nodes.close()
                self.core.comm.close()
                self.scheduler.pause()
                self.nodes.init()
        return int(self.t_mu) * self.core.ref_period

    @kernel
    def take(self, active: TInt32, blocks: TInt32) -> TInt32:
        """Take blocks; return why it ended. An RTIO error costs what came since the last look at the atoms."""
        self.core.break_realtime()
        self.arm(active)
        self.nodes.image()
        reason = -1
        failures = 0
        while reason < 0:
            failed = False
            try:
                reason = self.between_looks(active, blocks)
                failures = 0
            except RTIOUnderflow:
                failed = True
            except RTIOOverflow:
                failed = True
            if failed:
                failures += 1
                self.nodes.recover()
                self.arm(active)
                self.nodes.image()
                if failures >= MAX_FAILURES:
                    reason = TOO_TIGHT
        return reason

    @kernel
    def arm(self, active: TInt32):
        """Write every link's attempt to its hardware."""
        for k in range(self.n):
            if (active >> k) & 1 == 1:
                self.heralders[k].arm()

    @kernel
    def between_looks(self, active: TInt32, blocks: TInt32) -> TInt32:
        """Load, then take blocks until the atoms are due for a look; return why it ended, or -1 to go on."""
        if not self.nodes.load():
            return NO_ATOM
        self.nodes.cool()
        for k in range(self.n):
            self._new_heralds[k] = 0
            self._new_attempts[k] = 0
        n = min(LOOK_BLOCKS, blocks - self.done)
        t_start_mu = self.core.get_rtio_counter_mu()
        for _ in range(n):
            delay_mu(self.lead_mu)
            self.nodes.recool()
            self.one_block(active)
        delay_mu(self.lead_mu)
        self.nodes.image()
        if self.nodes.all_there():
            self.keep(n, self.core.get_rtio_counter_mu() - t_start_mu)
        else:
            self.dropped += 1
        reason = -1
        if self.done >= blocks:
            reason = DONE
        elif self.dropped >= MAX_DROPPED:
            reason = LOST
        elif self.scheduler.check_pause():
            reason = PAUSE
        self.core.break_realtime()
        return reason

    @kernel
    def keep(self, blocks: TInt32, t_mu: TInt64):
        """Count what came since the last look."""
        for k in range(self.n):
            self.heralds[k] += self._new_heralds[k]
            self.attempts[k] += self._new_attempts[k]
        self.t_mu += t_mu
        self.done += blocks
        self.dropped = 0

    @kernel
    def one_block(self, active: TInt32):
        """Let every active link make `block` attempts, whatever the others do meanwhile."""
        going = 0
        for k in range(self.n):
            self._left[k] = 0
            if (active >> k) & 1 == 1:
                self._left[k] = self.block
                self.heralders[k].start(self.block)
                going += 1
        t_mu = now_mu()
        while going > 0:
            t_mu += self.slice_mu
            for k in range(self.n):
                if self._left[k] > 0:
                    going -= self.look_at(k, t_mu)
        self.heralders[0].catch_up()

    @kernel
    def look_at(self, k: TInt32, until_mu: TInt64) -> TInt32:
        """Poll one link; count, and go on after a herald. Return 1 if its block is over."""
        pattern = self.heralders[k].poll(until_mu)
        self._new_attempts[k] += self.heralders[k].n_attempts
        self._left[k] -= self.heralders[k].n_attempts
        over = 0
        if pattern > 0:
            self._new_heralds[k] += 1
        if pattern != RUNNING:
            if pattern > 0 and self._left[k] > 0:
                self.heralders[k].catch_up()
                self.heralders[k].start(self._left[k])
            else:
                self._left[k] = 0
                over = 1
        return over
