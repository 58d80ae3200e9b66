"""The heralding gateware: registers in, cycles out to the world, time stamps and counters back.

In clocks of 8 ns from a cycle's start: 3 clocks of overhead, then a counter m from 0 to m_end; so a cycle takes
m_end + 4. An output rises one clock after m = its start register and falls after m = its stop register (or with the
cycle). A gate opens `start` mu and closes `stop` mu after the reference pulse, both included; only its first edge
counts. Source: the public entangler-core gateware. Registers: 0 configuration, 1 run, 2 m_end, 3 heralds, 8-11
outputs, 12-15 gates; 0x20 status, 0x21 cycles, 0x22 time remaining, 0x23 triggers, 0x28-0x2b time stamps of the
inputs, 0x2c of the reference. Events between two cycles take effect between them; one within a cycle acts before it.
"""

from __future__ import annotations

from typing import Any, Protocol

from atomlink.errors import DeviceError
from atomlink.signals import Cycle, CycleResult, Window
from sim.gateware.peripheral import Peripheral
from sim.gateware.row import Row
from sim.gateware.ttl import TtlInOut

CONFIG, RUN, CYCLE, HERALDS, TIMING = 0x00, 0x01, 0x02, 0x03, 0x08
STATUS, NCYCLES, REMAINING, NTRIGGERS, TIMESTAMP = 0x20, 0x21, 0x22, 0x23, 0x28
ENABLE, MASTER, STANDALONE = 1, 2, 4
TIMED_OUT = 0x3FFF
CLOCK_MU = 8
COUNTER_START_CLOCKS, OVERHEAD_CLOCKS = 3, 4
N = 4  # outputs, inputs, patterns
BITS_14, BITS_10 = 0x3FFF, 0x3FF


class EntanglerPort(Protocol):
    """What the world offers: repeat a cycle until a herald or the end."""

    def run(self, t_start_mu: int, t_end_mu: int, cycle: Cycle) -> CycleResult:
        """Repeat `cycle` from `t_start_mu`; stop after the cycle that shows a pattern, or at `t_end_mu`."""

    def run_beside(self, spans: Any) -> list[CycleResult]:
        """Do so with several ports, spans (port, t_start_mu, t_end_mu, cycle); all stop at the first herald of any."""


class Entangler(Peripheral):
    """The peripheral; `running` between the run command and its answer. `all_of_them`: every one of the lab. Those that
    run at one time are played together: stations that share a node must not get ahead of one another.
    """

    def __init__(self, port: EntanglerPort, key: str, reference_output: int, all_of_them: list[Entangler]) -> None:
        super().__init__()
        self._all = all_of_them
        all_of_them.append(self)
        self._port = port
        self._key = key
        self._reference = reference_output
        self._config = 0
        self._m_end = 0
        self._heralds = 0
        self._timing = [(0, 0)] * (2 * N)
        self._cycle: Cycle | None = None  # made anew after a change of a register
        self._next_mu = self._deadline_mu = 0
        self._cycles = self._triggers = 0
        self._success = False
        self._timestamps = [0] * N

    @property
    def due_mu(self) -> int | None:
        """Return the latest time at which a run answers."""
        return self._last_mu() if self.running else None

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Write a register, or answer a read."""
        self.poll(t_mu)
        if address == RUN:
            self._start(t_mu, data & 0xFFFFFFFF)
        elif address & 0x20:
            self.fifo.append((t_mu, self._read(t_mu, address) & BITS_14))
        else:
            self._set(address, data & 0xFFFFFFFF)

    def poll(self, t_mu: int) -> None:
        """Play the whole cycles that have ended by `t_mu`."""
        if not self.running:
            return
        if self._cycling() and any(other.running and other._cycling() for other in self._all if other is not self):
            self._poll_together(t_mu, None)
            return
        last_mu = self._last_mu()
        period_mu = self._period_mu()
        if self._cycling():
            cycles = (min(t_mu, last_mu) - self._next_mu) // period_mu
            if cycles > 0 and self._play(self._next_mu + cycles * period_mu):
                return
        else:
            self._next_mu = min(t_mu, last_mu)  # no partner triggers: only time passes
        if self._next_mu >= last_mu:
            self._finish(TIMED_OUT)

    def reach(self, t_mu: int) -> int:
        """Play up to the answer of this one, or to `t_mu` where none comes before; return the time reached."""
        if self.running and self._cycling():
            self._poll_together(t_mu, self)
        return min(t_mu, self._next_mu) if not self.running else t_mu

    def _poll_together(self, t_mu: int, awaited: Entangler | None) -> None:
        """Bring all that run up to `t_mu`, or until `awaited` has heralded: then the others have come as far as it."""
        left = [one for one in self._all if one.running and one._cycling()]
        while spans := [(one, one._whole_cycles_mu(t_mu)) for one in left if one._whole_cycles_mu(t_mu) > one._next_mu]:
            if len(spans) == 1:
                spans[0][0]._play(spans[0][1])
            else:
                found = self._port.run_beside([(one._port, one._next_mu, end_mu, one._present_cycle())
                                               for one, end_mu in spans])  # fmt: skip
                for (one, _), result in zip(spans, found, strict=True):
                    one._take(result)
            left = [one for one in left if one.running]
            if awaited is not None and not awaited.running:
                return
        for one in left:
            if one._next_mu >= one._last_mu():
                one._finish(TIMED_OUT)

    def _whole_cycles_mu(self, t_mu: int) -> int:
        """Return the end of the last whole cycle by `t_mu`."""
        period_mu = self._period_mu()
        return self._next_mu + max(0, (min(t_mu, self._last_mu()) - self._next_mu) // period_mu) * period_mu

    # -- registers ---------------------------------------------------------------------------------------------------

    def _set(self, address: int, data: int) -> None:
        self._cycle = None
        if address == CONFIG:
            self._config = data
        elif address == CYCLE:
            self._m_end = data & BITS_10
        elif address == HERALDS:
            self._heralds = data
        elif TIMING <= address < TIMING + 2 * N:
            self._timing[address - TIMING] = (data & BITS_14, data >> 16 & BITS_14)
        else:
            raise DeviceError(
                f"entangler `{self._key}`: register {address:#x} does not exist; see drivers.rtio.entangler"
            )

    def _read(self, t_mu: int, address: int) -> int:
        if address == STATUS:
            return int(self.running) | self._success << 1 | (t_mu >= self._deadline_mu) << 2
        if address == NCYCLES:
            return self._cycles
        if address == REMAINING:
            return max(0, self._deadline_mu - t_mu) // CLOCK_MU
        if address == NTRIGGERS:
            return self._triggers
        if TIMESTAMP <= address < TIMESTAMP + N:
            return self._timestamps[address - TIMESTAMP]
        if address == TIMESTAMP + N:
            return CLOCK_MU * (self._timing[self._reference][0] + 1)
        raise DeviceError(f"entangler `{self._key}`: register {address:#x} does not exist; see drivers.rtio.entangler")

    # -- the cycle ---------------------------------------------------------------------------------------------------

    def _period_mu(self) -> int:
        return CLOCK_MU * (self._m_end + OVERHEAD_CLOCKS)

    def _cycling(self) -> bool:
        """Return whether cycles begin: a master without partner; others wait for one that is not there."""
        return self._config & (MASTER | STANDALONE) == MASTER | STANDALONE

    def _output(self, i: int) -> Window | None:
        start, stop = self._timing[i]
        if not self._config & ENABLE or start > self._m_end:
            return None
        if stop <= start or stop > self._m_end:
            stop = self._m_end
        shift = COUNTER_START_CLOCKS + 1
        return CLOCK_MU * (start + shift), CLOCK_MU * (stop + shift)

    def _gate(self, i: int, reference: Window | None) -> Window | None:
        """Return the gate as (t0, t1) with t0 < t <= t1."""
        start, stop = self._timing[N + i]
        if reference is None or stop < start:
            return None
        counter_end = CLOCK_MU * (COUNTER_START_CLOCKS + self._m_end + 1) - 1
        window = reference[0] + start - 1, min(reference[0] + stop, counter_end)
        return window if window[0] < window[1] else None

    def _patterns(self) -> tuple[int, ...]:
        return tuple(self._heralds >> 4 * i & 0xF for i in range(N) if self._heralds >> 16 + i & 1)

    def _make_cycle(self) -> Cycle:
        outputs = tuple(self._output(i) for i in range(N))
        gates = tuple(self._gate(i, outputs[self._reference]) for i in range(N))
        return Cycle(self._period_mu(), outputs, gates, self._patterns())

    # -- a run -------------------------------------------------------------------------------------------------------

    def _start(self, t_mu: int, clocks: int) -> None:
        """Begin; during a run only the time that is left is set anew, and the cycle under way goes on."""
        start_mu = t_mu & ~(CLOCK_MU - 1)
        if not self.running:
            self._next_mu = start_mu
        self._deadline_mu = start_mu + CLOCK_MU * clocks
        self._cycles = self._triggers = 0
        self._success = False
        self.running = True

    def _last_mu(self) -> int:
        """Return when a run without herald ends: with the cycle in which the time runs out."""
        if not self._cycling():
            return max(self._deadline_mu, self._next_mu)
        cycles = -((self._next_mu - self._deadline_mu) // self._period_mu())
        return self._next_mu + max(0, cycles) * self._period_mu()

    def _play(self, t_end_mu: int) -> bool:
        """Let the world repeat the cycle to `t_end_mu`; return whether a herald ended the run."""
        return self._take(self._port.run(self._next_mu, t_end_mu, self._present_cycle()))

    def _present_cycle(self) -> Cycle:
        if self._cycle is None:
            self._cycle = self._make_cycle()
        return self._cycle

    def _take(self, result: CycleResult) -> bool:
        """Note what cycles gave; return whether a herald ended the run."""
        self._next_mu = result.t_end_mu
        self._cycles += result.cycles
        self._triggers += result.triggers
        if not result.pattern:
            return False
        counter_start_mu = result.t_end_mu - self._period_mu() + CLOCK_MU * COUNTER_START_CLOCKS
        for i, t_mu in enumerate(result.timestamps_mu):
            if t_mu >= 0:
                self._timestamps[i] = t_mu - counter_start_mu
        self._success = True
        enabled = [self._heralds >> 16 + i & 1 and self._heralds >> 4 * i & 0xF == result.pattern for i in range(N)]
        self._finish(sum(bool(match) << i for i, match in enumerate(enabled)))
        return True

    def _finish(self, reason: int) -> None:
        self.running = False
        self.fifo.append((self._next_mu, reason))


def _entangler(row: Row) -> Entangler:
    inputs = row.get("inputs", "a list of the keys of one to four TTLInOut rows")
    if not isinstance(inputs, list | tuple) or not 1 <= len(inputs) <= N:
        raise row.refusal("inputs", "a list of the keys of one to four TTLInOut rows", inputs)
    for key in inputs:
        row.named("inputs", key, TtlInOut)
    port = row.world.output(row.key, "entangler")
    entangler = Entangler(port, row.key, row.integer("reference_output", 0, N - 1, 1), row.lab.heralders)
    row.claim(entangler)
    return entangler


SERVES = {"drivers.rtio.entangler.Entangler": _entangler}
