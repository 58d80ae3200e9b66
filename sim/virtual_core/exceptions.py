"""Exceptions of the core device: those in flight, raising, catching, and what the host is told in the end.

Up to ten are in flight, in slots of memory that kernels read; the one raised last is on top. Source: ARTIQ 8 firmware.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .cpu import Cpu, Unwinder
from .memory import EXCEPTIONS, PAYLOAD, Memory

NAMES = ("RuntimeError", "RTIOUnderflow", "RTIOOverflow", "RTIODestinationUnreachable", "DMAError", "I2CError",
         "CacheError", "SPIError", "ZeroDivisionError", "IndexError", "UnwrapNoneError", "SubkernelError")  # fmt: skip
IDS = {name: i for i, name in enumerate(NAMES)}
HOST_STRING = 0xFFFFFFFF  # as a length: the pointer is the key of a string that the host keeps
_SIZE = 64
_MOST = 10
_MOST_FRAMES = 128

Text = str | int  # a string, or the host's key of one


class Uncaught(Exception):  # noqa: N818 - it carries the kernel's own
    """No frame of the kernel catches what is in flight; `report` is what the host gets."""

    def __init__(self, report: bytes) -> None:
        super().__init__("uncaught exception in a kernel")
        self.report = report

    @property
    def text(self) -> str:
        """Names and messages of what was in flight, as far as the firmware has them: what its log says."""
        report = self.report
        (n,), at, said = struct.unpack_from("<I", report), 4, []
        for _ in range(n):
            (identity,) = struct.unpack_from("<I", report, at)
            message, at = _text_at(report, at + 4)
            _, at = _text_at(report, at + 24)  # after the parameters, the file
            _, at = _text_at(report, at + 8)  # after line and column, the function
            said.append(f"{NAMES[identity] if identity < len(NAMES) else f'exception {identity}'}({message})")
        return ", ".join(said)


@dataclass
class _InFlight:
    slot: int
    stack_pointer: int = 0
    backtrace_before: int = 0
    backtrace_after: int = 0


class Exceptions:
    """The exceptions in flight of one kernel."""

    def __init__(self, cpu: Cpu, unwinder: Unwinder) -> None:
        self._cpu, self._memory, self._unwinder = cpu, cpu.memory, unwinder
        self._stack: list[_InFlight] = []
        self._backtrace: list[tuple[int, int]] = []

    def raise_at(self, address: int) -> None:
        """Raise the exception at an address: a new one, or again one that is in flight."""
        again = next((each for each in self._stack if each.slot == address), None)
        if again is not None:
            self._stack.remove(again)
            self._stack.append(again)
        else:
            self._push(self._memory.read(address, _SIZE))
        self._unwind()

    def raise_new(self, identity: int, message: Text, params: Sequence[int] = (0, 0, 0), file: Text = "virtual core",
                  line: int = 0, column: int = 0, function: Text = "(firmware)") -> None:  # fmt: skip
        """Raise an exception in the system call that runs."""
        record = struct.pack("<I", identity) + self._text(file) + struct.pack("<II", line & 0xFFFFFFFF,
                             column & 0xFFFFFFFF) + self._text(function) + self._text(message)  # fmt: skip
        self._push(record.ljust(40, b"\0") + struct.pack("<3q", *params))
        self._unwind()

    def resume(self) -> None:
        """Go on unwinding, after a clean-up."""
        self._unwind()

    def end_catch(self) -> None:
        """Forget the exception that was caught, and those that were in flight when it escaped from their handlers."""
        if not self._stack:
            return
        caught = self._stack.pop()
        while self._stack and self._stack[-1].stack_pointer < caught.stack_pointer:
            self._stack.pop()
        del self._backtrace[self._stack[-1].backtrace_after if self._stack else 0 :]

    def abort(self, message: str) -> Uncaught:
        """Return the end of a kernel for which there is no exception of its own; nothing in it can catch that."""
        self._stack.clear()
        self._push(struct.pack("<I", 0) + self._text("virtual core") + bytes(8) + self._text("(firmware)")
                   + self._text(message) + bytes(24))  # fmt: skip
        return Uncaught(self._report())

    def _text(self, text: Text) -> bytes:
        if isinstance(text, int):
            return struct.pack("<II", text & 0xFFFFFFFF, HOST_STRING)
        raw = text.encode()
        address = self._memory.allocate(len(raw))
        self._memory.write(address, raw)
        return struct.pack("<II", address, len(raw))

    def _push(self, record: bytes) -> None:
        slots = {each.slot for each in self._stack}
        free = (EXCEPTIONS + i * _SIZE for i in range(_MOST))
        slot = next((address for address in free if address not in slots), None)
        if slot is None:
            raise self.abort("too many nested exceptions")
        self._memory.write(slot, record)
        self._stack.append(_InFlight(slot, backtrace_before=len(self._backtrace)))

    def _unwind(self) -> None:
        """Go to the frame that handles what is on top, or end the kernel."""
        if not self._stack:
            raise self.abort("an exception was raised again, and none is in flight")
        top = self._stack[-1]
        identity = self._memory.word(top.slot)
        cpu, stack_pointer = self._cpu, self._cpu.SP
        pc, registers = cpu.get(cpu.RA), {stack_pointer: cpu.get(stack_pointer)}
        while (frame := self._unwinder.frame(pc)) is not None:
            if len(self._backtrace) < _MOST_FRAMES:
                self._backtrace.append((pc - PAYLOAD, registers[stack_pointer]))
                top.stack_pointer, top.backtrace_after = registers[stack_pointer], len(self._backtrace)
            landing = self._unwinder.landing(frame, pc, identity)
            if landing:
                self._land(landing, top.slot, registers)
                return
            pc = self._unwinder.leave(frame, registers, cpu.get)
        raise Uncaught(self._report())

    def _land(self, landing: int, slot: int, registers: dict[int, int]) -> None:
        cpu = self._cpu
        for register, value in registers.items():
            cpu.restore(register, value)
        cpu.put(cpu.FIRST, slot)
        cpu.put(cpu.FIRST + 1, slot)
        cpu.jump(landing)

    def _report(self) -> bytes:
        """Return the message to the host about all that is in flight, without the byte of asynchronous errors."""
        memory = self._memory
        out = bytearray(struct.pack("<I", len(self._stack)))
        for each in self._stack:
            out += memory.read(each.slot, 4) + _string(memory, each.slot + 28) + memory.read(each.slot + 40, 24)
            out += _string(memory, each.slot + 4) + memory.read(each.slot + 12, 8) + _string(memory, each.slot + 20)
        for each in self._stack:
            out += struct.pack("<III", each.stack_pointer, each.backtrace_before, each.backtrace_after)
        out += struct.pack("<I", len(self._backtrace))
        for address, stack_pointer in self._backtrace:
            out += struct.pack("<II", address, stack_pointer)
        return bytes(out)


def _string(memory: Memory, address: int) -> bytes:
    pointer, length = memory.slice(address)
    if length == HOST_STRING:
        return struct.pack("<II", HOST_STRING, pointer)
    return struct.pack("<I", length) + memory.read(pointer, length)


def _text_at(report: bytes, at: int) -> tuple[str, int]:
    """Return a string of a report, empty where the host keeps it, and where it ends."""
    (length,) = struct.unpack_from("<I", report, at)
    if length == HOST_STRING:
        return "", at + 8
    return report[at + 4 : at + 4 + length].decode(errors="replace"), at + 4 + length
