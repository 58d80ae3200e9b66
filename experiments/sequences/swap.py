"""Entanglement swapping: store one pair, herald another beside it, measure the middle node's two atoms together.

    load all --[ cool ]--( link 1: attempts )--[ store both halves ]--( XY8: pulse ___ pulse ___ ... )
    middle node, first gap     |--[ move its half from the port to beside the other port ]--|
    link 2, every other gap                              |--( attempts )--|   the gap between recools its two atoms
    herald --[ wait ]--+-- middle: [ map ]--[ CZ ]--[ map ]--[ X -> z of both ]--[ map, push out, image ]
                       +-- first end: [ recall ]--[ axis -> z ]--[ map, push out, image ]
                       +-- last end:              [ axis -> z ]--[ map, push out, image ]
Attempts go in the gaps whose middle finds the stored pair refocused, after an even number of pulses; what a herald
before or after this middle leaves unrefocused is half a gap at most. CZ and two readings along X project the middle
node's atoms on one of four maximally entangled states. With Psi+ on both links, and x1, x2 = 0 for an atom that is
left, the ends then show X Z = -(-1)^x1, Z X = -(-1)^x2, Y Y = (-1)^(x1 + x2): a Bell pair up to one Hadamard.
Sources: M. Zukowski, A. Zeilinger, M. A. Horne, A. K. Ekert, PRL 71, 4287 (1993), for swapping; storage and gate as
`drivers.rtio.storage` and `drivers.rtio.rydberg`.
"""

from typing import Any

from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow
from artiq.language.core import at_mu, delay, delay_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment, NumberValue
from artiq.language.types import TBool, TInt32, TInt64
from artiq.language.units import us
from numpy import int32, int64

from analysis import swap
from atomlink.at_port import belief
from atomlink.errors import DeviceError, TimingError, UsageError
from atomlink.topology import LinkSpec
from drivers import parameters
from drivers.network import topology
from drivers.rtio.herald import RUNNING
from drivers.rtio.heralding import BACKENDS
from drivers.rtio.node import Node
from drivers.rtio.together import Together
from drivers.rtio.tweezer_array import TweezerArray
from experiments.sequences.backend import ask_backend
from experiments.sequences.chain import Half, Zone, chain_of
from experiments.sequences.nodes import Nodes
from experiments.sequences.settings import Setting, X, Y, Z, axis_turns, pulse_area_turns

SETTINGS = (Setting("XZ", (X, Z)), Setting("ZX", (Z, X)), Setting("YY", (Y, Y)))
SWAPPED, NO_ATOM, GIVEN_UP, FAILED = range(4)  # why the kernel came back
LOOK_BLOCKS = 10  # blocks of attempts between two looks at the atoms
SIZE = (
    ("rows", 4, 1, "Rows of the middle node's array."),
    ("columns", 6, 3, "Columns of it."),
    ("port_column", 3, 2, "Column of the site of its second port, in the row of the first one."),
)
SWITCH_MU = 200  # the hiding light goes off before the gate, and on behind it
SETTLE_MU = 20_000  # from a refocusing pulse to the first attempt
MAX_FAILURES = 20  # RTIO errors in succession
MOST_ATTEMPTS = 1 << 20  # attempts in one gap, more than fit
MARGIN_S = 100 * us  # from the last poll to the pulse that ends a gap: the kernel writes the pulses of two nodes
STORE_S = 30 * us  # from the herald to the storing pulses
MEASURE_S = 60 * us  # from the second herald to the first pulse of the measurement: five phases are written


class Swap(HasEnvironment):
    """Swaps, one at a time; `take` returns why it ended and leaves the atoms imaged."""

    kernel_invariants = {"core", "nodes", "first", "second", "zones", "array", "n_rounds", "spacing_mu",
                         "feed_mu", "measure_mu", "margin_mu", "pow_first", "pow_last", "mu_first", "mu_last",
                         "half_mu", "mapped_mu", "middle_pow", "beside_pow", "first_turn_pow"}  # fmt: skip

    def build(self, links: tuple[LinkSpec, ...]) -> None:
        self.core = self.get_device("core")
        self.links = links
        whole = {"precision": 0, "scale": 1, "step": 1, "type": "int"}
        gateware = all(topology(self).station(link.station).heralder for link in links)
        self.backend = ask_backend(self, BACKENDS if gateware else ("software",), links)
        self.spacing = self.get_argument(
            "spacing", NumberValue(0.9e-3, unit="ms", precision=3, step=0.1e-3, min=0.1e-3, max=1.0), "Storage",
            "Gap between two refocusing pulses: attempts of the second link go into every other one.",
        )  # fmt: skip
        self.max_pulses = self.get_argument(
            "max_pulses", NumberValue(64, min=2, max=10_000, **whole), "Storage",
            "Give the stored pair up after so many refocusing pulses.",
        )  # fmt: skip
        for name, default, low, tooltip in SIZE:
            self.setattr_argument(name, NumberValue(default, min=low, max=1000, **whole), "Register", tooltip)
        if not links:
            return
        self.nodes = Nodes(self, [atom for link in links for atom in link.atoms], links=links)
        first, middle, beside, last = self.nodes.nodes
        self.first = Half(self, links[0], [first, middle], self.backend)
        self.second = Half(self, links[1], [beside, last], self.backend)
        self.zones = [Zone(self, node) for node in (first, middle, last)]
        self.array = TweezerArray(self, middle.name, middle.imaging)
        self.together = Together(self)

    def prepare(self) -> None:
        """Read the beliefs and lay out pulses and times; UsageError in a lab that has no such links."""
        if not self.links:
            chain_of("", topology(self))
        self.array.set_size(self.rows, self.columns)
        self.call_child_method("prepare")
        first, middle, beside, last = self.nodes.nodes
        self._check_sites(middle.name)
        self.spacing_mu, self.feed_mu, self.measure_mu, self.margin_mu = (
            int64(self.core.seconds_to_mu(t)) for t in (self.spacing, STORE_S, MEASURE_S, MARGIN_S)
        )
        self.feed_mu = max(self.feed_mu, self.first.herald.back_mu)  # before, the nodes cannot know of a herald
        self.measure_mu = max(self.measure_mu, self.second.herald.back_mu)
        recool_mu = max(int(node.imaging.recooling_mu) for node in (middle, last))
        least_mu = recool_mu + 2 * int(self.margin_mu)
        if self.spacing_mu < least_mu:
            raise UsageError(f"spacing is {self.spacing:g} s, but recooling between two pulses takes "
                             f"{least_mu * self.core.ref_period:.4g} s: wait longer, or set param.*.t_recooling_s.")
        self.n_rounds = int(self.max_pulses) // 2
        self._lay_out(first, middle, beside, last)
        self.attempts = [0, 0]
        self.pulses = 0
        self.t_stored_mu = int64(0)
        self.t_lab_mu = int64(0)  # of the last `take`
        self.left = [False] * 3  # of the first end, the middle's second port, the last end
        self.sent = False  # whether the card has the move of the stored atom
        self.failures = 0

    def _check_sites(self, name: str) -> None:
        """Refuse a zone in which the two atoms of the middle node cannot stand side by side, or stand too close now."""
        columns = round(parameters.get(self, belief(name, "zone_columns")))
        row_, column = self.array.port
        self.at_port, self.beside = (row_, column), (row_, int(self.port_column) - 1)
        if not column + 2 <= self.port_column < column + columns:
            raise UsageError(f"port_column is {self.port_column}, but must be {column + 2} to {column + columns - 1}: "
                             "both ports of the middle node have to be in its gate zone, two sites apart or more.")

    def _lay_out(self, first: Node, middle: Node, beside: Node, last: Node) -> None:
        """Turn settings and beliefs into phases and lengths of pulses."""
        dds: Any = first.raman_b.dds
        ends = [(first, 0.0), (last, self.second.phase_turns)]
        self.pow_first, self.pow_last = ([int32(dds.turns_to_pow((axis_turns(s.axes[k][1]) + turned) % 1.0))
                                          for s in SETTINGS] for k, (_, turned) in enumerate(ends))  # fmt: skip
        self.mu_first, self.mu_last = (
            [int64(round(pulse_area_turns(s.axes[k][0]) * node.qubit.raman_pi_mu)) for s in SETTINGS]
            for k, (node, _) in enumerate(ends)
        )
        self.half_mu = int64(beside.qubit.raman_pi_mu) >> 1
        # From the start of the map to that of the map back |1> does not precess, and the two leave a minus sign.
        self.mapped_mu = int64(middle.qubit.mw_pi_mu) + int64(self.zones[1].rydberg.duration_mu) + int64(2 * SWITCH_MU)
        gate = parameters.get(self, belief(middle.name, "cz_phase_turns"))
        mapped = 0.5 - 0.5 * middle.qubit.larmor * float(self.mapped_mu) * self.core.ref_period
        self.beside_pow = int32(dds.turns_to_pow((axis_turns(0.0) + gate + mapped) % 1.0))
        self.middle_pow = int32(dds.turns_to_pow((-axis_turns(0.0) - gate) % 1.0))
        self.first_turn_pow = int32(dds.turns_to_pow(self.first.phase_turns % 1.0))

    def run_level(self) -> dict[str, Any]:
        """Return the datasets that hold for the whole run, and file the beliefs that its prediction rests on."""
        for name in swap.beliefs(self.links, self.nodes.names):
            parameters.get(self, name)
        period = self.core.ref_period
        first_mu, second_mu = (int(half.herald.timing.gate_stop_mu - half.herald.timing.gate_start_mu)
                               for half in (self.first, self.second))  # fmt: skip
        zeeman_mu = (first_mu + self.feed_mu + (self.nodes.nodes[1].qubit.mw_pi_mu >> 1),
                     second_mu + self.measure_mu, second_mu + self.measure_mu + self.mapped_mu)  # fmt: skip
        return {
            **self.nodes.run_level(),
            "scan.links": ",".join(link.name for link in self.links),
            "scan.settings": ",".join(setting.name for setting in SETTINGS),
            "scan.herald": self.backend,
            "scan.spacing_s": float(self.spacing_mu) * period,
            # From clicks to storage; to the analysis pulse of the last end; to that of the middle's second atom.
            "scan.t_zeeman_s": [float(t_mu) * period for t_mu in zeeman_mu],
        }

    # -- host ----------------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Get AWG and camera; from the host, before the first kernel."""
        self.array.connect()

    def begin(self) -> None:
        """Initialise everything; nothing is on the card, and nobody knows of atoms."""
        self.array.blocks.clear()
        self.array.awg.arm()
        self.sent = False
        self.start()

    def send(self) -> int64:
        """Have the move of the next stored atom on the card; return how long it takes in mu."""
        if not self.sent:
            self.array.carry(self.at_port, self.beside)
            self.move_mu = self.array.next_block()
            self.sent = True
        if self.move_mu + 2 * self.margin_mu > self.spacing_mu:
            raise UsageError(f"spacing is {self.spacing:g} s, but the move beside the other port takes "
                             f"{float(self.move_mu) * self.core.ref_period:g} s: wait longer.")
        return self.move_mu

    def measured(self, setting: int) -> tuple[int, list[bool]]:
        """Take one swap, measured by a setting; return why it ended, and which atoms were left: first end, stored one
        of the middle, its other one, last end. DeviceError without atoms, TimingError where nothing is in time.
        """
        move_mu = self.send()
        self.array.arm_camera()
        reason = int(self.take(setting, move_mu))
        if reason == NO_ATOM:
            raise DeviceError(self.nodes.no_atom_message())
        self.failures = self.failures + 1 if reason == FAILED else 0
        if self.failures >= MAX_FAILURES:
            raise TimingError(f"{MAX_FAILURES} RTIO errors in succession: the kernel needs more time, raise `spacing`.")
        if reason != SWAPPED:
            self.close()
            self.begin()
            return reason, []
        self.sent = False
        occupied = self.array.read()[2]
        first, other, last = (bool(there) for there in self.left)
        return reason, [first, bool(occupied[self.beside]), other, last]

    # -- kernels -------------------------------------------------------------------------------------------------------

    @kernel
    def start(self):
        """Initialise the nodes, their zones and both stations."""
        self.nodes.init()
        for zone in self.zones:
            zone.init()
        self.first.herald.arm()
        self.second.herald.arm()
        self.clear()
        self.nodes.image()

    @kernel
    def clear(self):
        """Push out whatever stands in the middle node's zone, after an image: in F = 2."""
        self.zones[1].hiding.off()
        delay(1 * us)
        self.nodes.nodes[1].imaging.cool()
        self.nodes.nodes[1].imaging.push_out()
        self.zones[1].hiding.on()
        delay(1 * us)
        self.nodes.there[1] = False
        self.nodes.there[2] = False

    @kernel
    def close(self):
        """Leave every node dark, shutters closed, sites shown; works after an exception, too."""
        self.core.reset()
        for zone in self.zones:
            zone.off()
            zone.hiding.off()
        self.nodes.close()

    @kernel
    def take(self, setting: TInt32, move_mu: TInt64) -> TInt32:
        """Take one swap; return why it ended."""
        self.core.break_realtime()
        start_mu = self.core.get_rtio_counter_mu()
        reason = FAILED
        try:
            reason = self.try_swap(setting, move_mu)
        except RTIOUnderflow:
            reason = FAILED
        except RTIOOverflow:
            reason = FAILED
        self.t_lab_mu = self.core.get_rtio_counter_mu() - start_mu
        return reason

    @kernel
    def try_swap(self, setting: TInt32, move_mu: TInt64) -> TInt32:
        """Load, herald, store, herald, measure."""
        if not self.herald_first():
            return NO_ATOM
        start_mu = self.store()
        t_herald_mu = self.herald_second(start_mu, move_mu)
        if t_herald_mu < 0:
            return GIVEN_UP
        self.t_stored_mu = t_herald_mu - start_mu
        self.measure(setting, t_herald_mu + self.measure_mu)
        self.image()
        return SWAPPED

    @kernel
    def herald_first(self) -> TBool:
        """Attempt until the first link heralds, all four atoms seen shortly before; False where loading fails."""
        self.attempts[0] = 0
        blocks = LOOK_BLOCKS
        pattern = 0
        while pattern == 0:
            if blocks >= LOOK_BLOCKS:
                if self.attempts[0] > 0:
                    self.nodes.image()
                if not self.nodes.load():
                    return False
                self.nodes.cool()
                blocks = 0
            else:
                self.nodes.recool()
            pattern = self.first.herald.attempts(self.first.block)
            self.attempts[0] += self.first.herald.n_attempts
            blocks += 1
        self.first.note(pattern)
        return True

    @kernel
    def store(self) -> TInt64:
        """Take both halves of the first pair to the clock states; return when they are there."""
        t_mu = self.first.herald.t_herald_mu + self.feed_mu
        for k in range(2):
            at_mu(t_mu)
            self.zones[k].storage.store()
        return now_mu()

    @kernel
    def refocus(self, start_mu: TInt64, k: TInt32):
        """Play pulse k of the train of both stored halves; the cursor is then where its gap ends, half a gap later."""
        for i in range(2):
            self.zones[i].storage.pulses(start_mu, self.spacing_mu, k, k + 1)

    @kernel
    def herald_second(self, start_mu: TInt64, move_mu: TInt64) -> TInt64:
        """Refocus the stored pair, and let the second link attempt in every other gap; return when it heralded, or -1.
        """
        half_mu = self.spacing_mu >> 1
        pattern = 0
        self.attempts[1] = 0
        for k in range(self.n_rounds):
            self.refocus(start_mu, 2 * k)
            gap_mu = start_mu + self.spacing_mu * int64(2 * k) + half_mu
            at_mu(gap_mu + self.margin_mu)
            if k == 0:
                self.array.trigger(move_mu)
            else:
                self.together.begin()
                self.together.branch()
                self.nodes.nodes[1].imaging.recool()
                self.together.branch()
                self.nodes.nodes[3].imaging.recool()
                self.together.end()
            self.refocus(start_mu, 2 * k + 1)
            if k > 0:
                until_mu = gap_mu + 2 * self.spacing_mu - self.margin_mu
                at_mu(gap_mu + self.spacing_mu + SETTLE_MU)
                pattern = self.attempt_until(until_mu)
                if pattern > 0:
                    self.second.note(pattern)
                    self.pulses = 2 * k + 2
                    return self.second.herald.t_herald_mu
        return int64(-1)

    @kernel
    def attempt_until(self, until_mu: TInt64) -> TInt32:
        """Let the second link attempt until a herald or this time; return the pattern, or 0."""
        self.second.herald.start(MOST_ATTEMPTS)
        pattern = self.second.herald.poll(until_mu)
        self.attempts[1] += self.second.herald.n_attempts
        if pattern == RUNNING:
            pattern = self.second.herald.stop()
            self.attempts[1] += self.second.herald.n_attempts
        return pattern

    @kernel
    def measure(self, setting: TInt32, t_mu: TInt64):
        """Couple and turn the middle's atoms, and turn the ends' to the axes of a setting."""
        first, last = self.nodes.nodes[0].qubit, self.nodes.nodes[3].qubit
        middle, beside = self.nodes.nodes[1].qubit, self.nodes.nodes[2].qubit
        # What turned the stored atom before it was stored is taken off the other end of its pair.
        stood_mu = self.zones[1].storage.since_mu - self.first.t_reference_mu[1]
        turned_pow = middle.turned_pow(stood_mu) + self.first_turn_pow + self.first.sign_pow
        at_mu(t_mu)
        self.zones[0].storage.recall()
        reference_mu = self.first.t_reference_mu[0] + self.zones[0].storage.stored_mu
        first.set_phase(reference_mu, self.pow_first[setting] - turned_pow)
        first.rotate_mu(self.mu_first[setting])
        end_mu = now_mu()
        at_mu(t_mu)
        last.set_phase(self.second.t_reference_mu[1], self.pow_last[setting] + self.second.sign_pow)
        last.rotate_mu(self.mu_last[setting])
        end_mu = max(end_mu, now_mu())
        at_mu(t_mu)
        middle.map_to_f2()
        delay_mu(SWITCH_MU)
        self.zones[1].hiding.off()
        self.zones[1].rydberg.cz()
        self.zones[1].hiding.on()
        at_mu(t_mu + self.mapped_mu)
        middle.map_to_f2()
        beside.set_phase(self.second.t_reference_mu[0], self.beside_pow)
        beside.rotate_mu(self.half_mu)
        self.zones[1].storage.quarter_turn(self.middle_pow + self.zones[1].storage.frozen_pow())
        at_mu(max(end_mu, now_mu()))

    @kernel
    def image(self):
        """Push out what is in F = 2 and see who is left, at the ports and beside them; then empty the middle's zone."""
        self.nodes.map_to_f2()
        self.zones[1].hiding.off()
        delay(1 * us)
        self.nodes.push_out()
        self.nodes.image()
        self.array.picture()
        self.core.wait_until_mu(now_mu())
        self.core.break_realtime()
        for k in range(3):
            self.left[k] = self.nodes.there[min(k, 1) + k]
        self.clear()
