"""What the names that a kernel imports do: RTIO, DMA, cache and I2C on the engine that the host's kernels use.

The bus is the same object, so timing, lanes, underflow and input are the same code. What is not modelled has its name
here and ends the kernel that calls it, saying so.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

from artiq.coredevice.exceptions import (
    CacheError,
    DMAError,
    I2CError,
    RTIODestinationUnreachable,
    RTIOOverflow,
    RTIOUnderflow,
    SPIError,
)

from atomlink.errors import LabError
from sim.rtio.engine import Engine

from .analyzer import EXCEPTION, INPUT, OUTPUT, OVERFLOW, UNDERFLOW, Analyzer
from .cortexa9 import CortexA9
from .cpu import Cpu
from .exceptions import IDS, NAMES, Exceptions, Uncaught
from .memory import PAYLOAD, STACK_TOP
from .numeric import functions, run_time

_log = logging.getLogger("core_log")
_RAISED = (CacheError, DMAError, I2CError, RTIODestinationUnreachable, RTIOOverflow, RTIOUnderflow, SPIError)
_NOT_MODELLED = ("subkernel_load_run", "subkernel_send_message", "subkernel_await_message", "subkernel_await_finish")
_POLLS = 2  # readings of the counter from one place, with nothing between, after which it is a loop that waits
_FRAME = 256  # bytes of its stack in which such a loop may keep what it waits for
_LONGEST_MU = 1 << 43  # it waits less than two hours
_SLICE_MU = 20_000_000  # of its wait, where it takes real time

Call = Callable[[], None]


class Services:
    """System calls of one kernel, which run on `cpu`, act on `engine`, and are seen by `analyzer`. `pace` comes after
    each of them that acts on the bus.
    """

    def __init__(self, cpu: Cpu, engine: Engine, analyzer: Analyzer, pace: Call | None = None) -> None:
        self._cpu, self._memory, self._engine, self._bus = cpu, cpu.memory, engine, engine.bus
        self._analyzer, self._pace = analyzer, pace
        self.exceptions: Exceptions | None = None  # there are none before the library is loaded
        self._polled = (0, 0, 0)  # how the counter was read last: return address, stack pointer, number of the call
        self._polls = 0
        self._waited = False  # in a loop that polls the counter; the lab has yet to reach it
        self._rows: dict[str, tuple[int, list[int]]] = {}  # what kernels got of the cache: address, row
        self._rtio_log = ""

    def calls(self) -> dict[str, Call]:
        """Return every call by the name that kernels import."""
        bus, engine = self._bus, self._engine
        on_bus: dict[str, tuple[str, Callable[..., Any]]] = {
            "rtio_init": (":", bus.reset),
            "rtio_get_destination_status": ("b:i", engine.destination_is_up),
            "rtio_output": (":ii", self._seen(bus.output)),
            "rtio_output_wide": (":il", self._seen(bus.output_wide)),
            "rtio_input_timestamp": ("I:Ii", lambda timeout_mu, channel: self._input(timeout_mu, channel)[0]),
            "rtio_input_data": ("i:i", lambda channel: self._input(-1, channel)[1]),
            "rtio_input_timestamped_data": (":uIi", self._timestamped_data),
            "dma_record_start": (":s", engine.dma.record_start),
            "dma_record_stop": (":Ib", engine.dma.record_stop),
            "dma_erase": (":s", engine.dma.erase),
            "dma_retrieve": (":us", self._dma_retrieve),
            "dma_playback": (":Iib", self._dma_playback),
            "cache_get": ("u:s", self._cache_get),
            "cache_put": (":sl", engine.cache.put),
            "i2c_start": (":i", engine.i2c.start),
            "i2c_restart": (":i", engine.i2c.restart),
            "i2c_stop": (":i", engine.i2c.stop),
            "i2c_write": ("b:ii", engine.i2c.write),
            "i2c_read": ("i:ib", engine.i2c.read),
            "i2c_switch_select": (":iii", engine.i2c.switch_select),
            "spi_set_config": (":iiiii", _no_spi),
            "spi_write": (":ii", _no_spi),
            "spi_read": ("i:i", _no_spi),
        }
        made = {name: self._on_bus(*described) for name, described in on_bus.items()}
        made |= {name: self._computed(*described) for name, described in functions().items()}
        made |= {name: self._refused(name) for name in _NOT_MODELLED}
        if isinstance(self._cpu, CortexA9):
            made |= self._of_cortexa9(self._cpu)
        return made | {
            "rtio_get_counter": self._get_counter,
            "rtio_log": self._log_to_rtio,
            "core_log": lambda: _log.info("%s", self._formatted().rstrip("\n")),
            "memcpy": self._move, "memmove": self._move, "memset": self._fill, "memcmp": self._compare,
            "test_exception_id_sync": self._raise_by_number,
            "__artiq_personality": self._refused("__artiq_personality"),
        }  # fmt: skip

    def _of_cortexa9(self, cpu: CortexA9) -> dict[str, Call]:
        """Return the calls that only this processor has: the cursor, kept in memory on others, and Arm's run time."""

        def at_mu() -> None:
            (cpu.now,) = cpu.arguments("I")

        def delay_mu() -> None:
            cpu.now += cpu.arguments("I")[0]

        def divided(name: str, letters: str) -> Call:
            divide, rest = (functions()[f"__{kind}di3"][1] for kind in (f"{name}div", f"{name}mod"))
            return lambda: cpu.put_pairs(*(f(*cpu.arguments(letters)) for f in (divide, rest)))

        made: dict[str, Call] = {"now_mu": lambda: cpu.result("I", cpu.now), "at_mu": at_mu, "delay_mu": delay_mu}
        made |= {name: self._computed(*described) for name, described in run_time().items()}
        made |= {f"__aeabi_{sign}ldivmod": divided(sign, "II") for sign in ("", "u")}
        for suffix in ("", "4", "8"):
            made |= {f"__aeabi_{name}{suffix}": self._move for name in ("memcpy", "memmove")}
            made[f"__aeabi_memset{suffix}"] = lambda: self._set(*cpu.arguments("uuu"))
            made[f"__aeabi_memclr{suffix}"] = lambda: self._set(*[*cpu.arguments("uu"), 0])
        return made

    def end(self) -> None:
        """Let the lab reach the counter, and take back what the kernel has changed of the cache's rows."""
        self.settle()
        for address, row in self._rows.values():
            row[:] = self._memory.integers(address)

    # How a call is made

    def _on_bus(self, signature: str, function: Callable[..., Any]) -> Call:
        result, _, given = signature.partition(":")
        cpu, bus, pace = self._cpu, self._bus, self._pace

        def call() -> None:
            self.settle()
            bus.now = cpu.now
            args = cpu.arguments(given)
            try:
                value = function(*args)
            except _RAISED as error:
                self._raise(error, args)
            except LabError as error:
                raise self.aborted(f"{type(error).__name__}: {error}") from None
            else:
                if result:
                    cpu.result(result, value)
            if pace is not None:
                pace()

        return call

    def _computed(self, signature: str, function: Callable[..., Any]) -> Call:
        result, _, given = signature.partition(":")
        cpu = self._cpu
        return lambda: cpu.result(result, function(*cpu.arguments(given)))

    def _refused(self, name: str) -> Call:
        def call() -> None:
            raise self.aborted(f"`{name}` is not modelled by the virtual core; leave it out, or run on the hardware")

        return call

    def aborted(self, message: str) -> Uncaught:
        """Return the end of the kernel, which it cannot catch."""
        assert self.exceptions is not None
        return self.exceptions.abort(message.replace("{", "{{").replace("}", "}}"))

    def _raise(self, error: Exception, args: list[Any]) -> None:
        """Raise an error of the bus in the kernel, with the parameters that the firmware gives."""
        assert self.exceptions is not None
        params, bus = [0, 0, 0], self._bus
        if isinstance(error, RTIOUnderflow | RTIODestinationUnreachable | RTIOOverflow):
            channel = re.search(r"channel 0x([0-9a-f]+)", str(error))
            params[0] = int(channel[1], 16) if channel else 0
            if not isinstance(error, RTIOOverflow):
                params[1] = bus.now
            if isinstance(error, RTIOUnderflow):
                params[2] = bus.now - bus.counter
            if not isinstance(error, RTIODestinationUnreachable):
                which = UNDERFLOW if isinstance(error, RTIOUnderflow) else OVERFLOW
                self._analyzer.note(EXCEPTION, params[0] << 8, 0, bus.counter, which)
        message = str(error).replace("{", "{{").replace("}", "}}")  # the host formats it
        self.exceptions.raise_new(IDS[type(error).__name__], message, params)

    def _raise_by_number(self) -> None:
        """Raise the exception with a number, so that host and device can be held against each other."""
        assert self.exceptions is not None
        (identity,) = self._cpu.arguments("i")
        known = 0 <= identity < len(NAMES)
        self.exceptions.raise_new(identity, NAMES[identity] if known else "unallocated internal exception id",
                                  function="test_exception_id_sync")  # fmt: skip

    # RTIO, as the analyzer sees it

    def _seen(self, submit: Callable[[int, Any], None]) -> Callable[[int, Any], None]:
        bus, dma, note = self._bus, self._engine.dma, self._analyzer.note

        def output(target: int, data: Any) -> None:
            if not dma.recording:
                note(OUTPUT, target, bus.now, bus.counter, data)
            submit(target, data)

        return output

    def _input(self, timeout_mu: int, channel: int) -> tuple[int, int]:
        t_mu, data = self._bus.input_timestamped_data(timeout_mu, channel)
        if t_mu >= 0:
            self._analyzer.note(INPUT, channel << 8, t_mu, self._bus.counter, data)
        return t_mu, data

    def _dma_playback(self, timestamp_mu: int, pointer: int, uses_ddma: bool) -> None:
        bus, note, before = self._bus, self._analyzer.note, self._bus.on_event

        def see(t_mu: int, target: int, data: Any) -> None:
            note(OUTPUT, target, t_mu, bus.counter, data)
            if before is not None:
                before(t_mu, target, data)

        bus.on_event = see
        try:
            self._engine.dma.playback(timestamp_mu, pointer, uses_ddma)
        finally:
            bus.on_event = before

    # Time

    def _get_counter(self) -> None:
        """Read the counter. A loop that does nothing else waits for it, so time passes for its readings.

        Where a reading costs nothing, it would wait for ever; then, and to save readings, the counter goes on to the
        next value that the loop may be waiting for: one that it keeps in registers or on the stack. Never beyond it.
        """
        bus, cpu = self._bus, self._cpu
        place = (cpu.get(cpu.RA), cpu.get(cpu.SP), cpu.n_calls)
        again = self._polled == (*place[:2], place[2] - 1)
        self._polled, self._polls = place, self._polls + 1 if again else 1
        if self._polls > _POLLS:
            self._wait()
            if self._pace is not None:
                self._pace()
        cpu.result("I", bus.counter)

    def settle(self) -> None:
        """Let the lab reach the counter where a loop has waited for it: once, at its end, or what is random in the lab
        would depend on the values at which the loop looked.
        """
        if self._waited:
            self._waited = False
            self._bus.catch_up()

    def _wait(self) -> None:
        bus = self._bus
        step = bus.costs.poll_mu
        self._waited = True
        wanted = min((t for t in self._awaited() if t > bus.counter), default=None)
        if wanted is not None and self._pace is not None:
            wanted = min(wanted, bus.counter + _SLICE_MU)
        if wanted is None:
            bus.advance(bus.counter + (step or bus.ref_multiplier))
        elif step:
            bus.advance(bus.counter + -(-(wanted - bus.counter) // step) * step)
        else:
            bus.advance(wanted)

    def _awaited(self) -> Iterator[int]:
        """Return 64-bit numbers that may be times soon to come, among what a function keeps over a call."""
        cpu, counter = self._cpu, self._bus.counter
        stack_pointer = cpu.get(cpu.SP)
        words = {cpu.get(i) for i in cpu.CALLEE_SAVED}
        size = min(_FRAME, STACK_TOP - stack_pointer)
        if stack_pointer >= PAYLOAD and size > 0:
            words |= {self._memory.word(stack_pointer + i) for i in range(0, size - 3, 4)}
        for high in range(counter >> 32, (counter + _LONGEST_MU >> 32) + 1):
            if high & 0xFFFFFFFF in words:
                yield from (high << 32 | low for low in words)

    # Those that return more than a register

    def _timestamped_data(self, result: int, timeout_mu: int, channel: int) -> None:
        t_mu, data = self._input(timeout_mu, channel)
        self._put_long(result, t_mu)
        self._memory.put_word(result + 8, data)

    def _dma_retrieve(self, result: int, name: str) -> None:
        duration, pointer, uses_ddma = self._engine.dma.retrieve(name)
        self._put_long(result, duration)
        self._memory.put_word(result + 8, pointer)
        self._memory.write(result + 12, bytes([uses_ddma]))

    def _put_long(self, address: int, value: int) -> None:
        self._memory.put_word(address, value)
        self._memory.put_word(address + 4, value >> 32)

    def _cache_get(self, key: str) -> int:
        row = self._engine.cache.get(key)
        known = self._rows.get(key)
        if known is not None and known[1] is row:
            return known[0]
        memory = self._memory
        address = memory.allocate(8 + 4 * len(row))
        for i, value in enumerate([address + 8, len(row), *row]):
            memory.put_word(address + 4 * i, value)
        self._rows[key] = address, row
        return address

    # Memory

    def _move(self) -> None:
        to, source, size = self._cpu.arguments("uuu")
        self._memory.write(to, self._memory.read(source, size))

    def _fill(self) -> None:
        to, value, size = self._cpu.arguments("uuu")
        self._set(to, size, value)

    def _set(self, to: int, size: int, value: int) -> None:
        self._memory.read(to, size)  # a size that is no size is refused before so much is made
        self._memory.write(to, bytes([value & 0xFF]) * size)

    def _compare(self) -> None:
        one, other, size = self._cpu.arguments("uuu")
        a, b = self._memory.read(one, size), self._memory.read(other, size)
        self._cpu.result("i", (a > b) - (a < b))

    # Logs

    def _log_to_rtio(self) -> None:
        """Gather a message for the RTIO log channel: its name, a separator, the text, an end."""
        self._rtio_log += self._formatted()
        *whole, self._rtio_log = self._rtio_log.split("\x1d")
        for message in whole:
            channel, _, text = message.partition("\x1e")
            self._engine.rtio_log(channel, text)
            self._analyzer.log(self._cpu.now, self._bus.counter, f"{message}\x1d".encode())

    def _formatted(self) -> str:
        """Return a text as printf does, from what ARTIQ's compiler asks of it."""
        take = self._cpu.variadic()
        text = self._c_string(self._cpu.get(self._cpu.FIRST))
        return re.sub(r"%(\.\*s|d|lld|ld|g|p|s|%)", lambda found: self._one(found[1], take), text)

    def _one(self, kind: str, take: Callable[[str], Any]) -> str:
        if kind == ".*s":
            length = take("i")
            return self._memory.read(take("i"), length).decode(errors="replace")
        if kind == "lld":
            return str(take("I"))
        if kind in ("d", "ld"):
            value = take("i")
            return str(value - (1 << 32) if value & 0x80000000 else value)
        if kind == "g":
            return f"{take('f'):g}"
        if kind == "p":
            return f"{take('i'):#x}"
        return self._c_string(take("i")) if kind == "s" else "%"

    def _c_string(self, address: int) -> str:
        end = address
        while self._memory.read(end, 1) != b"\0":
            end += 1
        return self._memory.read(address, end - address).decode(errors="replace")


def _no_spi(*_arguments: int) -> int:
    """Refuse the CPU's own SPI as the firmware of Kasli and Kasli-SoC does, which have none."""
    raise SPIError("SPI bus could not be accessed")
