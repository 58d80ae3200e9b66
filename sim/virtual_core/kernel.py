"""One kernel on the virtual core: load its library, run it, and give its host what it asks for and what it changed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Protocol

from sim.rtio.engine import Engine

from . import elf, rpc
from .analyzer import Analyzer
from .cortexa9 import CortexA9
from .cpu import Cpu, trampoline
from .exceptions import Exceptions
from .memory import GUARD, NOW, PAYLOAD, SENTINEL, GuestFault, Memory
from .rv32g import Rv32g
from .services import Services

_MOST_TYPES = 1 << 16
PROCESSORS: dict[str, type[Cpu]] = {each.name: each for each in (Rv32g, CortexA9)}


class Host(Protocol):
    """The kernel's host, as the kernel sees it."""

    def call(self, message: bytes, asynchronous: bool) -> None:
        """Send the request for a remote procedure call."""

    def answer(self) -> tuple[str, None] | tuple[None, tuple[Any, ...]]:
        """Wait for the answer: the tag of a value, which `read` then gives; or None and what `raise_new` takes."""

    def read(self, size: int) -> bytes:
        """Return the next bytes of an answer."""


class Kernel:
    """A kernel library in a processor of its own, the one that it is for. LoadError says what is wrong with it.

    Close it when it has run. `pace` is called after every system call on the bus.
    """

    def __init__(self, engine: Engine, host: Host, library: bytes, analyzer: Analyzer,
                 pace: Callable[[], None] | None = None) -> None:  # fmt: skip
        self._engine, self._bus, self._host = engine, engine.bus, host
        make = PROCESSORS[elf.processor(library)]
        self._memory = Memory()
        self.cpu = make(self._memory)
        self._services = Services(self.cpu, engine, analyzer, pace)
        self._answer: rpc.Allocation | None = None
        try:
            self._load(library)
        except BaseException:
            self.close()
            raise

    def _load(self, library: bytes) -> None:
        calls = self._services.calls() | self._own_calls()
        addresses = {name: trampoline(i) for i, name in enumerate(calls)}
        addresses["now"] = NOW
        self.cpu.install(list(calls.values()))
        self._library = elf.load(library, self._memory, addresses.get)
        try:
            unwinder = self.cpu.unwinder(self._library.frames)
        except (GuestFault, struct.error):
            raise elf.LoadError("the kernel library is corrupt: its table of frames points nowhere") from None
        self._exceptions = self._services.exceptions = Exceptions(self.cpu, unwinder)
        self.cpu.map(self._library.symbols["_sstack_guard"], GUARD)

    def run(self) -> None:
        """Run it. Raises Uncaught with what the host gets, Stopped, GuestFault where the device would not survive."""
        bus = self._bus
        bus.spend(bus.costs.kernel_start_mu)
        self.cpu.now = bus.now
        try:
            self.cpu.call(self._library.symbols["__modinit__"], SENTINEL)
            self._write_back()
        finally:
            bus.now = self.cpu.now
            self._services.end()

    def failure(self, message: str) -> bytes:
        """Return what the host gets where the kernel ends for a reason that is not its own."""
        return self._services.aborted(message).report

    @property
    def memory_in_use(self) -> int:
        """Bytes that the library and what the firmware keeps for it take."""
        return self._library.symbols["_sstack_guard"] - PAYLOAD + self._memory.kept

    def close(self) -> None:
        """Give processor and memory back."""
        self.cpu.close()
        self._memory.close()

    def _own_calls(self) -> dict[str, Callable[[], None]]:
        return {
            "rpc_send": lambda: self._rpc_send(False),
            "rpc_send_async": lambda: self._rpc_send(True),
            "rpc_recv": self._rpc_receive,
            "__artiq_raise": lambda: self._exceptions.raise_at(self.cpu.get(self.cpu.FIRST)),
            "__artiq_resume": lambda: self._exceptions.resume(),
            "_Unwind_Resume": lambda: self._exceptions.resume(),
            "__artiq_end_catch": lambda: self._exceptions.end_catch(),
        }

    # Remote procedure calls

    def _rpc_send(self, asynchronous: bool) -> None:
        bus, costs = self._bus, self._bus.costs
        self._services.settle()
        bus.now = self.cpu.now
        service, tag, pointers = self.cpu.arguments("uuu")
        message = rpc.arguments(self._memory, service, self._memory.bytes_at(tag), pointers)
        bus.spend(costs.async_rpc_mu if asynchronous else costs.rpc_mu)
        bus.catch_up()  # the host may look at the lab
        self._host.call(message, asynchronous)

    def _rpc_receive(self) -> None:
        """Take the answer; the kernel calls again with each piece of memory that it was asked for, until that is 0."""
        slot = self.cpu.get(self.cpu.FIRST)
        if self._answer is None:
            tags, error = self._host.answer()
            if error is not None:
                self._exceptions.raise_new(*error)
                return
            assert tags is not None
            self._answer = rpc.receive(self._memory, tags, 0, slot, self._host.read)
            wanted = self._next(None)
        else:
            wanted = self._next(slot)
        self.cpu.result("i", wanted)

    def _next(self, address: int | None) -> int:
        assert self._answer is not None
        try:
            return next(self._answer) if address is None else self._answer.send(address)
        except StopIteration:
            self._answer = None
            return 0

    # Attributes

    def _write_back(self) -> None:
        """Send the attributes of the host's objects as the kernel left them; free, as the host engine has it."""
        memory = self._memory
        for kind in self._pointers(self._library.symbols.get("typeinfo", 0)):
            attributes, objects = memory.slice(kind)
            for instance in self._pointers(objects):
                for attribute in self._pointers(attributes):
                    self._send_attribute(instance, attribute)

    def _send_attribute(self, instance: int, attribute: int) -> None:
        memory = self._memory
        tags = memory.bytes_at(attribute + 4)
        if not tags:
            return
        room = memory.allocate(0)  # reused for every attribute
        for i, word in enumerate((room + 12, attribute + 12, instance + memory.word(attribute), instance)):
            memory.put_word(room + 4 * i, word)
        self._host.call(rpc.arguments(memory, 0, tags, room), True)

    def _pointers(self, table: int) -> list[int]:
        """Return the pointers of a table up to the null that ends it."""
        found: list[int] = []
        while table and len(found) < _MOST_TYPES and (pointer := self._memory.word(table + 4 * len(found))):
            found.append(pointer)
        return found
