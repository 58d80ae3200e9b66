"""Unwind the stack of a kernel for ARM.  Source: Arm, Exception Handling ABI (EHABI32), sections 5, 6, 10.3."""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .memory import GuestFault, Memory
from .unwind import landing

FLOATS = 256  # DWARF number of d0
_SP, _LR, _PC = 13, 14, 15
_CANNOT_UNWIND = 1


@dataclass(frozen=True)
class EhabiFrame:
    """A function: where it starts, the instructions that undo its frame, its table of exceptions (0: none)."""

    start: int
    instructions: bytes
    exceptions: int


class EhabiUnwinder:
    """Frames of one library; `table` and `size` are those of its `.ARM.exidx`, 0 where it has none."""

    def __init__(self, memory: Memory, table: int, size: int) -> None:
        self._memory = memory
        self._entries = [table + i for i in range(0, size, 8)]
        self._starts = [_relative(memory, entry) for entry in self._entries]
        self._known: dict[int, EhabiFrame | None] = {}

    def frame(self, pc: int) -> EhabiFrame | None:
        """Return the frame of the call that returns to `pc`, None outside of the kernel."""
        if pc not in self._known:
            self._known[pc] = self._find(pc - 1)
        return self._known[pc]

    def _find(self, pc: int) -> EhabiFrame | None:
        i = bisect_right(self._starts, pc) - 1
        if i < 0 or self._memory.word(self._entries[i] + 4) == _CANNOT_UNWIND:
            return None
        start, at = self._starts[i], self._entries[i] + 4
        first = self._memory.word(at)
        if first & 0x80000000:  # the instructions are in the table
            return EhabiFrame(start, _bytes(first, 3), 0)
        at = _relative(self._memory, at)
        first = self._memory.word(at)
        if not first & 0x80000000:  # a personality of the library's own, then instructions, then its table
            at += 4
            first = self._memory.word(at)
            more, short = first >> 24, 3
        else:
            more, short = (0, 3) if first >> 24 & 15 == 0 else (first >> 16 & 0xFF, 2)
        words = [self._memory.word(at + 4 * i) for i in range(1, more + 1)]
        instructions = _bytes(first, short) + b"".join(_bytes(word, 4) for word in words)
        return EhabiFrame(start, instructions, at + 4 * (more + 1))

    def landing(self, frame: EhabiFrame, pc: int, exception: int) -> int:
        """Return where a frame goes on with an exception that comes from a call returning to `pc`; 0: it does not."""
        # Entries for types are relative to themselves, as the linker's option --target2=rel has it.
        return landing(self._memory, frame.start, frame.exceptions, pc, exception, relative_types=True)

    def leave(self, frame: EhabiFrame, registers: dict[int, int], current: Callable[[int], int]) -> int:
        """Go from a frame to its caller; return the address to which it returns."""
        sp = registers[_SP]
        codes = iter(frame.instructions)
        popped_pc = False
        for code in codes:
            if code == 0xB0:
                break
            if code < 0x80:
                step = ((code & 0x3F) << 2) + 4
                sp += step if code < 0x40 else -step
            elif code >> 4 == 9:
                register = code & 15
                sp = registers.get(register, current(register))
            elif code == 0xB2:
                sp += 0x204 + (_unsigned(codes) << 2)
            else:
                for register, size in _popped(code, codes):
                    if register >= 0:
                        registers[register] = self._memory.word(sp) if size == 4 else self._memory.long(sp)
                        popped_pc |= register == _PC
                    sp += size
        registers[_SP] = sp
        if popped_pc:
            return registers.pop(_PC)
        return registers.get(_LR, current(_LR))


def _popped(code: int, codes: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Return the registers that an instruction pops, in order, with their sizes in bytes; -1: space without one."""
    if code >> 4 == 8:
        mask = (code & 15) << 8 | next(codes)
        if mask == 0 or mask >> (_SP - 4) & 1:
            raise GuestFault("a frame of the kernel cannot be unwound, or pops the stack pointer itself")
        yield from ((4 + i, 4) for i in range(12) if mask >> i & 1)
    elif code >> 4 == 0xA:
        yield from ((i, 4) for i in range(4, 5 + (code & 7)))
        if code & 8:
            yield _LR, 4
    elif code == 0xB1:
        mask = next(codes)
        yield from ((i, 4) for i in range(4) if mask >> i & 1)
    elif code in (0xB3, 0xC8, 0xC9):
        span = next(codes)
        first = (span >> 4) + (16 if code == 0xC8 else 0)
        yield from ((FLOATS + i, 8) for i in range(first, first + (span & 15) + 1))
        if code == 0xB3:
            yield -1, 4
    elif code >> 3 in (0x17, 0x1A):  # d8 … d[8 + n]; the former with a word of padding
        yield from ((FLOATS + i, 8) for i in range(8, 9 + (code & 7)))
        if code >> 3 == 0x17:
            yield -1, 4
    else:
        raise GuestFault(f"the kernel's frame table has instruction {code:#x}, which is not known here")


def _relative(memory: Memory, at: int) -> int:
    """Return the address in the lower 31 bits at one, which count from there."""
    offset = memory.word(at) & 0x7FFFFFFF
    return (at + (offset - (1 << 31) if offset & 0x40000000 else offset)) & 0xFFFFFFFF


def _bytes(word: int, n: int) -> bytes:
    """Return the lowest bytes of a word, the most significant first."""
    return struct.pack(">I", word)[4 - n :]


def _unsigned(codes: Iterator[int]) -> int:
    value = shift = 0
    for byte in codes:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value
