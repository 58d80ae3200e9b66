"""TTL channels: output levels, gated inputs with time stamps, level samples, clock generators.

Registers: 0 level, 1 output enable, 2 edge sensitivity (bit 0 rising, bit 1 falling), 3 sample and set the
sensitivity. Probes: 0 level at the pad, 1 output enable. Overrides: 0 they hold, 1 level, 2 output enable; while they
hold, writes are kept for afterwards. Source: ARTIQ 8, gateware TTL PHY.
"""

from __future__ import annotations

from collections.abc import Callable

from atomlink.errors import DeviceError
from sim.gateware.peripheral import ClicksPort, LevelPort, Peripheral
from sim.gateware.row import Row

FALLING = 2
HOLD, LEVEL, OUTPUT_ENABLE = 0, 1, 2  # overrides
# An unbounded wait at an open gate looks for edges this far at a time.
SLICE_MU = 1_000_000


class Ttl(Peripheral):
    """A TTL output: its level goes to the world and to whoever else is wired to it (IO_UPDATE, LDAC …)."""

    def __init__(self, port: LevelPort) -> None:
        super().__init__()
        self.level = 0  # as written
        # A spare channel leads nowhere, and need not be told every level.
        self._wires: list[Callable[[int, int], None]] = [] if getattr(port, "spare", False) else [port]
        self._told = self._wires  # by writes: nobody while an override holds
        self._overrides = [0, 0]

    @property
    def pad(self) -> int:
        """The level that the channel drives."""
        return self._overrides[LEVEL] if self._overrides[HOLD] else self.level

    def wire(self, listener: Callable[[int, int], None]) -> None:
        """Call `listener(t_mu, level)` at every change of level."""
        self._wires.append(listener)

    def probe(self, number: int) -> int:
        """Return the level, as the monitor sees it."""
        return self.pad if number == 0 else 0

    def injected(self, number: int) -> int:
        """Return an override."""
        return self._overrides[number] if number < len(self._overrides) else 0

    def inject(self, t_mu: int, number: int, value: int) -> None:
        """Set an override."""
        if number >= len(self._overrides):
            return
        before = self.pad
        self._overrides[number] = value & 1
        self._told = [] if self._overrides[HOLD] else self._wires
        if self.pad != before:
            for listener in self._wires:
                listener(t_mu, self.pad)

    def power_up(self, t_mu: int) -> None:
        """Let go of overrides and go low."""
        self.write(t_mu, 0, 0)
        for number in range(len(self._overrides)):
            self.inject(t_mu, number, 0)

    def writer(self, address: int) -> Callable[[int, int, int], None]:
        """Return what takes the writes of one register: nobody listens to a spare channel."""
        return self.write if self._wires else self._keep

    def _keep(self, t_mu: int, address: int, data: int) -> None:
        self.level = data & 1

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Set the level; only a change is passed on."""
        level = data & 1
        if level != self.level:
            self.level = level
            for listener in self._told:
                listener(t_mu, level)


class TtlInOut(Ttl):
    """A bidirectional TTL: an input until told otherwise."""

    may_run = False
    # A plain attribute, kept up to date, because the bus reads it before every event beside an open gate: the end of
    # the next slice to look at.
    due_mu: int | None = None

    def __init__(self, row: Row) -> None:
        super().__init__(self._pad)
        self._row = row
        self._output_enable = False
        self._driven = 0
        self._overrides = [0, 0, 0]
        self._level_port: LevelPort | None = None
        self._clicks: ClicksPort | None = None
        self._sensitivity = 0
        self._seen_mu = 0

    def writer(self, address: int) -> Callable[[int, int, int], None]:
        """Return what takes the writes of one register: gates are opened and shut often."""
        return self._set_sensitivity if address == 2 else self.write

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Write a register."""
        if address == 2:
            self._set_sensitivity(t_mu, address, data)
        elif address == 0:
            super().write(t_mu, address, data)
        elif address == 1:
            self._enable_output(t_mu, bool(data & 1))
        elif address == 3:
            # A click is shorter than a sample's chance to see it: an input reads low.
            self._set_sensitivity(t_mu, address, data)
            self.fifo.append((t_mu, self.probe(0)))
        else:
            raise DeviceError(f"TTL `{self._row.key}`: register {address} does not exist; it must be 0 to 3")

    def poll(self, t_mu: int) -> None:
        """Take the clicks up to `t_mu` that fall into an open gate."""
        if not self._sensitivity or t_mu <= self._seen_mu:
            return
        clicks = (self._clicks or self._input())(self._seen_mu, t_mu)
        self._seen_mu = t_mu
        self.due_mu = t_mu + SLICE_MU
        if not clicks:
            return
        if self._sensitivity & FALLING:
            raise DeviceError(
                f"TTL `{self._row.key}`: a gate on falling edges met a click, and the twin knows clicks by their rising"
                " edges only; gate on rising edges"
            )
        self.fifo.extend([(t, 1) for t in clicks])

    def _set_sensitivity(self, t_mu: int, address: int, data: int) -> None:
        # A gate sees the edges later than its opening.
        if t_mu > self._seen_mu:
            if self._sensitivity:
                self.poll(t_mu)
            self._seen_mu = t_mu
        self._sensitivity = edges = data & 3
        self.due_mu = t_mu + SLICE_MU if edges else None

    def gate(self, address: int, edges: int, last: int) -> Callable[[int, int], bool] | None:
        """Return the short cut for a gate on rising edges (see `Peripheral.gate`)."""
        if address != 2 or edges & 3 == 0 or edges & FALLING or last & 3:
            return None
        clicks_between = self._input()

        def open_and_shut(t0_mu: int, t1_mu: int) -> bool:
            clicks = clicks_between(t0_mu, t1_mu)
            self._seen_mu = t1_mu
            if not clicks:
                return True
            self._sensitivity, self.due_mu = edges & 3, t1_mu + SLICE_MU
            self.fifo.extend([(t, 1) for t in clicks])
            return False

        return open_and_shut

    def _input(self) -> ClicksPort:
        if self._clicks is None:
            self._clicks = self._row.world.clicks(self._row.key)
        return self._clicks

    @property
    def _drives(self) -> bool:
        return bool(self._overrides[OUTPUT_ENABLE]) if self._overrides[HOLD] else self._output_enable

    def probe(self, number: int) -> int:
        """Return the level at the pad, or whether the channel drives it. An input's click is shorter than a look."""
        if number == 0:
            return self.pad if self._drives else 0
        return int(self._drives) if number == 1 else 0

    def inject(self, t_mu: int, number: int, value: int) -> None:
        """Set an override."""
        super().inject(t_mu, number, value)
        self._drive(t_mu)

    def power_up(self, t_mu: int) -> None:
        """Let go of overrides and be an input, its gate shut."""
        super().power_up(t_mu)
        self._enable_output(t_mu, False)
        self._set_sensitivity(t_mu, 2, 0)

    def _enable_output(self, t_mu: int, enable: bool) -> None:
        self._output_enable = enable
        self._drive(t_mu)

    def _pad(self, t_mu: int, level: int) -> None:
        self._drive(t_mu)

    def _drive(self, t_mu: int) -> None:
        """Tell the world the level that the channel drives, where it does; an input drives nothing, which is low."""
        drives = self._drives
        if drives and self._level_port is None:
            self._level_port = self._row.world.output(self._row.key, "level")
        level = self.pad if drives else 0
        if level != self._driven and self._level_port is not None:
            self._driven = level
            self._level_port(t_mu, level)


class ClockGenerator(Peripheral):
    """A clock generator: keeps its frequency word. The world has no clock input, so nothing is driven."""

    def __init__(self) -> None:
        super().__init__()
        self.frequency_word = 0

    def write(self, t_mu: int, address: int, data: int) -> None:
        """Set the frequency word."""
        self.frequency_word = data & 0xFFFFFFFF


def _ttl_out(row: Row) -> Ttl:
    ttl = Ttl(row.world.output(row.key, "level"))
    row.claim(ttl)
    return ttl


def _ttl_in_out(row: Row) -> TtlInOut:
    ttl = TtlInOut(row)
    row.claim(ttl)
    return ttl


def _clock_generator(row: Row) -> ClockGenerator:
    clock = ClockGenerator()
    row.claim(clock)
    return clock


SERVES = {
    "artiq.coredevice.ttl.TTLOut": _ttl_out,
    "artiq.coredevice.ttl.TTLInOut": _ttl_in_out,
    "artiq.coredevice.ttl.TTLClockGen": _clock_generator,
}
