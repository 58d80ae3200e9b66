"""The kernels that walk the rows of a distributed program: what `experiments.sequences.program` lays out.

    gap of a cycle      pulse __[ recall, Raman, store ]_[ show, CZ, hide ]__ pulse __[ push out, local image ]__ pulse
    with a pair to come pulse ______________________________________________ pulse __[ recool ]_ pulse _( attempts )_
    at any time                          |--[ AWG carries an atom between home, port and the site beside it ]--|

Stored atoms of all nodes are refocused together, by two pulses a cycle; half a turn about z is left, which the head
takes off. What an atom is in the kernel's head: a frame, X and Z that it has more than the program wants; a phase of
its axes; from when they count; since when it is stored. A frame turns later pulses around, and the bit that is read: no
pulse is ever spent on a correction.
"""

from artiq.coredevice.exceptions import RTIOOverflow, RTIOUnderflow
from artiq.language.core import at_mu, delay, delay_mu, kernel, now_mu
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TInt32, TInt64
from artiq.language.units import ms, us
from numpy import int32

from atomlink.circuits.cycles import Do
from drivers.rtio.herald import RUNNING

DONE, GIVEN_UP, FAILED = range(3)  # why the kernel came back
INIT, TURN, ROTATE, CZ, FRAME, HERALD, MOVE, MEASURE, PULSE = (int(each) for each in list(Do)[1:])
LEAD_MU = 60_000  # acts begin so long before the atoms are refocused
SWITCH_MU = 200  # the hiding light goes off before a gate, and on behind it
GAP_MU = 2_000  # between two acts
SETTLE_MU = 20_000  # from a refocusing pulse to what follows it
MARGIN_MU = 100_000  # from the last poll to the pulse that ends a gap
STORE_MU = 30_000  # from a herald to the storing pulses
QUARTER_POW, HALF_POW = 0x4000, 0x8000


class ProgramKernels(HasEnvironment):
    """Walk `n_rows` rows on `registers`, with pairs of `halves`; `take` does all of it."""

    # -- kernels -------------------------------------------------------------------------------------------------------

    @kernel
    def start(self):
        """Initialise nodes, registers and stations."""
        self.nodes.init()
        for register in self.registers:
            register.init()
        for half in self.halves:
            half.herald.arm()
        delay(1 * ms)
        self.core.wait_until_mu(now_mu())

    @kernel
    def close(self):
        """Leave every node dark, shutters closed, sites shown; works after an exception, too."""
        self.core.reset()
        for register in self.registers:
            register.close()
        self.core.wait_until_mu(now_mu())

    @kernel
    def load(self):
        """Load all sites of all nodes once."""
        self.core.break_realtime()
        self.together.begin()
        for register in self.registers:
            self.together.branch()
            register.show()
            register.tweezer.imaging.load()
        self.together.end()
        self.core.wait_until_mu(now_mu())

    @kernel
    def picture(self):
        """Take one frame of all sites of each node."""
        self.core.break_realtime()
        self.together.begin()
        for register in self.registers:
            self.together.branch()
            register.show()
            register.array.expose(register.local_mu)
            delay_mu(register.array.readout_mu)
        self.together.end()
        self.core.wait_until_mu(now_mu())

    @kernel
    def take(self) -> TInt32:
        """Walk all rows once; return why it ended. Then `bits`, `waited`, `t_lab_mu`, and `walked`: the rows done."""
        self.core.break_realtime()
        begin_mu = self.core.get_rtio_counter_mu()
        reason = FAILED
        try:
            self.begin()
            reason = self.walk()
            self.core.wait_until_mu(now_mu())
        except RTIOUnderflow:
            reason = FAILED
        except RTIOOverflow:
            reason = FAILED
        self.t_lab_mu = self.core.get_rtio_counter_mu() - begin_mu
        return reason

    @kernel
    def begin(self):
        """Cool all atoms, empty the gate zones, hide the rest, and let the train of pulses begin."""
        self.together.begin()
        for register in self.registers:
            self.together.branch()
            register.show()
            register.tweezer.imaging.cool()
            register.tweezer.imaging.push_out()
            register.hide()
        self.together.end()
        self.walked = 0
        self.off_mu2 = 0.0
        self.attempts = 0
        self.reading = 0
        self.pulses = 0
        self.start_mu = now_mu() + LEAD_MU + SETTLE_MU
        self.t_mu = self.start_mu
        for k in range(self.n_registers):
            self.free_mu[k] = self.t_mu

    @kernel
    def walk(self) -> TInt32:
        """Do row after row."""
        for i in range(self.n_rows):
            self.walked = i
            do = self.do[i]
            node = self.at[i]
            if self.reading > 0 and do != MEASURE:
                self.read()
            if self.bit[i] < 0 or self.bits[self.bit[i]] == self.value[i]:
                if do == TURN:
                    self.turn(self.a[i], self.b[i])
                elif do == FRAME:
                    self.frame(self.a[i], self.bits[self.b[i]], self.c[i])
                elif do == ROTATE:
                    self.begin_act(node)
                    self.rotate(node, self.a[i], self.b[i], self.length_mu[i])
                    self.free_mu[node] = now_mu() + GAP_MU
                elif do == CZ:
                    self.begin_act(node)
                    self.cz(node, self.a[i], self.b[i])
                    self.free_mu[node] = now_mu() + GAP_MU
                elif do == INIT:
                    self.begin_act(node)
                    self.registers[node].ready(self.pump_mu[node])
                    self.forget(self.a[i], 1)
                    self.free_mu[node] = now_mu() + GAP_MU
                elif do == MEASURE:
                    self.expose(node, self.a[i], self.b[i])
                elif do == MOVE:
                    at_mu(self.free_mu[node])
                    self.registers[node].array.trigger(self.move_mu[self.a[i]])
                    self.free_mu[node] = now_mu()
                elif do == PULSE:
                    self.pulse()
                elif do == HERALD and not self.herald(node, self.b[i], self.value[i], self.c[i]):
                    return GIVEN_UP
        self.walked = self.n_rows
        return DONE

    @kernel
    def discard(self):
        """Have the AWGs play what a shot that was given up has left on their cards."""
        self.core.break_realtime()
        for i in range(self.walked, self.n_rows):
            if self.do[i] == MOVE:
                self.registers[self.at[i]].array.trigger(self.move_mu[self.a[i]])
        self.core.wait_until_mu(now_mu())

    # -- kernels: what a row does --------------------------------------------------------------------------------------

    @kernel
    def begin_act(self, node: TInt32):
        """Go to where the node's next act begins."""
        at_mu(max(self.free_mu[node], self.t_mu - LEAD_MU))

    @kernel
    def forget(self, atom: TInt32, x: TInt32):
        """Take an atom as new: no phase, and X in its frame or not."""
        self.x[atom] = x
        self.z[atom] = 0
        self.phase_pow[atom] = int32(0)
        self.fresh[atom] = 1

    @kernel
    def turn(self, atom: TInt32, pow_: TInt32):
        """Turn about z by taking it off the later axes."""
        if self.x[atom] == 1:
            self.phase_pow[atom] = (self.phase_pow[atom] + pow_) & 0xffff
        else:
            self.phase_pow[atom] = (self.phase_pow[atom] - pow_) & 0xffff

    @kernel
    def frame(self, atom: TInt32, bit: TInt32, axis: TInt32):
        """Let an atom have X (axis 0) or Z more than the program wants, if a bit says so."""
        if axis == 0:
            self.x[atom] = self.x[atom] ^ bit
        else:
            self.z[atom] = self.z[atom] ^ bit

    @kernel
    def rotate(self, node: TInt32, atom: TInt32, axis_pow: TInt32, length_mu: TInt64):
        """Turn the atom at the port about an axis, in its Zeeman pair, and store it again."""
        storage = self.registers[node].storage
        storage.since_mu = self.since_mu[atom]
        storage.recall()
        if self.fresh[atom] == 1:
            self.reference_mu[atom] = now_mu()  # at a pole no phase counts
            self.fresh[atom] = 0
        else:
            self.reference_mu[atom] += storage.stored_mu
        pow_ = axis_pow + self.phase_pow[atom]
        if self.x[atom] != self.z[atom]:
            pow_ += HALF_POW
        begun_mu = now_mu()
        self.registers[node].rotate(self.reference_mu[atom], pow_ & 0xffff, length_mu)
        self.turn_mu = now_mu() - begun_mu
        storage.store()
        self.since_mu[atom] = storage.since_mu

    @kernel
    def cz(self, node: TInt32, a: TInt32, b: TInt32):
        """Couple the atoms at port and beside it."""
        delay_mu(SWITCH_MU)
        self.registers[node].show()
        delay_mu(SWITCH_MU)
        self.registers[node].cz()
        self.registers[node].hide()
        delay_mu(SWITCH_MU)
        self.phase_pow[a] = (self.phase_pow[a] + self.gate_pow[node]) & 0xffff
        self.phase_pow[b] = (self.phase_pow[b] + self.gate_pow[node]) & 0xffff
        self.z[a] = self.z[a] ^ self.x[b]
        self.z[b] = self.z[b] ^ self.x[a]

    @kernel
    def pulse(self):
        """Refocus all stored atoms at the end of the present gap; the second pulse of a cycle leaves a turn by pi."""
        for register in self.registers:
            register.storage.pulses(self.start_mu, self.spacing_mu, self.pulses, self.pulses + 1)
        self.pulses += 1
        if self.pulses & 1 == 0:
            self.t_mu += 2 * self.spacing_mu
            for atom in range(self.n_atoms):
                self.phase_pow[atom] = (self.phase_pow[atom] + HALF_POW) & 0xffff
            for k in range(self.n_registers):
                self.free_mu[k] = max(self.free_mu[k], self.t_mu - LEAD_MU)

    @kernel
    def expose(self, node: TInt32, atom: TInt32, bit: TInt32):
        """Push the port's atom out if it is in F = 2, and take the local image; `read` has the answer."""
        at_mu(max(self.free_mu[node], self.t_mu + (self.spacing_mu >> 1) + SETTLE_MU))
        self.registers[node].tweezer.imaging.push_out()
        self.registers[node].expose()
        self.read_node[self.reading] = node
        self.read_atom[self.reading] = atom
        self.read_bit[self.reading] = bit
        self.reading += 1

    @kernel
    def read(self):
        """Wait for the local images, keep the bits, and push out whoever is left: an image leaves F = 2."""
        for k in range(self.reading):
            left = 0
            if self.registers[self.read_node[k]].seen():
                left = 1
            # One refocusing pulse more than in the middle of a cycle: |0> has been pushed out.
            self.bits[self.read_bit[k]] = left ^ self.x[self.read_atom[k]]
        self.core.break_realtime()
        t_mu = now_mu()
        for k in range(self.reading):
            at_mu(t_mu)
            self.registers[self.read_node[k]].grabber.gate_roi(0)
            delay(1 * us)
            self.registers[self.read_node[k]].tweezer.imaging.push_out()
            self.free_mu[self.read_node[k]] = now_mu()
        self.reading = 0

    @kernel
    def herald(self, link: TInt32, near: TInt32, far: TInt32, pair: TInt32) -> TBool:
        """Let a link attempt in the first gap of cycle after cycle, and store the pair; False if none comes."""
        half = self.halves[link]
        for k in range(self.n_cycles):
            self.pulse()
            at_mu(self.t_mu + (self.spacing_mu >> 1) + SETTLE_MU)
            self.together.begin()
            for end in range(2):
                self.together.branch()
                self.registers[self.end_register[link][end]].tweezer.imaging.recool()
            self.together.end()
            self.pulse()
            at_mu(self.t_mu - (self.spacing_mu >> 1) + SETTLE_MU)
            pattern = self.attempt_until(link, self.t_mu + (self.spacing_mu >> 1) - MARGIN_MU - self.feed_mu[link])
            if pattern > 0:
                half.note(pattern)
                self.attempts += half.herald.n_attempts
                self.waited[pair] = k + 1
                self.store(link, near, far)
                return True
        return False

    @kernel
    def attempt_until(self, link: TInt32, until_mu: TInt64) -> TInt32:
        """Attempt until a herald or this time; return the pattern, or 0."""
        herald = self.halves[link].herald
        herald.start(self.halves[link].block)
        pattern = herald.poll(until_mu)
        if pattern == RUNNING:
            pattern = herald.stop()
        return pattern

    @kernel
    def store(self, link: TInt32, near: TInt32, far: TInt32):
        """Store both ends of a pair: Phi+ but for X of the far one's frame, and for its phase."""
        half = self.halves[link]
        t_mu = half.herald.t_herald_mu + self.feed_mu[link]
        off_mu = float(t_mu - self.t_mu)
        self.off_mu2 += off_mu * off_mu
        for k in range(2):
            atom = near
            if k == 1:
                atom = far
            register = self.registers[self.end_register[link][k]]
            at_mu(t_mu)
            if self.beside_port[link][k] == 1:  # nobody else is in the zone now
                register.show()
                delay_mu(SWITCH_MU)
                register.store()
                register.hide()
            else:
                register.store()
            self.forget(atom, k)
            self.fresh[atom] = 0
            self.since_mu[atom] = register.storage.since_mu
            self.reference_mu[atom] = half.t_reference_mu[k]
            for i in range(self.n_registers):
                self.free_mu[i] = max(self.free_mu[i], now_mu() + GAP_MU)
        self.phase_pow[far] = (half.sign_pow + self.pair_pow[link]) & 0xffff
