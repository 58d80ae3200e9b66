"""Unwind the stack of a kernel: which frame called, and where it lands an exception.

Sources: DWARF 4, section 6.4 (call frame information); LSB 5.0, 10.6 (`.eh_frame`); Itanium C++ ABI, exception tables.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from .memory import GuestFault, Memory

_OMIT, _PC_RELATIVE, _DATA_RELATIVE, _INDIRECT = 0xFF, 0x10, 0x30, 0x80
_FORMATS = {0x00: "<I", 0x02: "<H", 0x03: "<I", 0x0A: "<h", 0x0B: "<i"}  # DW_EH_PE_*, those of 32 bits or fewer
_SP, _RA = 2, 1


@dataclass
class Frame:
    """What a function has done to the stack by some address. Its caller's stack pointer is register `base` + `offset`.

    `saved`: where registers are, counted from there, by DWARF number. `exceptions`: its table, 0 for none.
    """

    start: int
    exceptions: int
    base: int = _SP
    offset: int = 0
    saved: dict[int, int] = field(default_factory=dict)


class Reader:
    """Read a table in memory from an address on."""

    def __init__(self, memory: Memory, address: int) -> None:
        self.memory, self.address = memory, address

    def take(self, code: str) -> int:
        """Return the next number, by its struct code."""
        size = struct.calcsize(code)
        (value,) = struct.unpack(code, self.memory.read(self.address, size))
        self.address += size
        return int(value)

    def byte(self) -> int:
        """Return the next byte."""
        return self.take("<B")

    def unsigned(self) -> int:
        """Return the next ULEB128."""
        value, _ = self._leb()
        return value

    def signed(self) -> int:
        """Return the next SLEB128."""
        value, bits = self._leb()
        return value - (1 << bits) if value >> (bits - 1) & 1 else value

    def _leb(self) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value, shift

    def pointer(self, encoding: int, data: int = 0) -> int:
        """Return the next pointer of an encoding DW_EH_PE_*; 0 stays 0. `data`: what data-relative ones count from."""
        at = self.address
        if encoding & 0x0F == 0x01:
            value = self.unsigned()
        elif encoding & 0x0F in _FORMATS:
            value = self.take(_FORMATS[encoding & 0x0F])
        else:
            raise GuestFault(f"the kernel's frame tables use pointer encoding {encoding:#x}, which is not known here")
        if value == 0:
            return 0
        relative = encoding & 0x70
        value = (value + (at if relative == _PC_RELATIVE else data if relative == _DATA_RELATIVE else 0)) & 0xFFFFFFFF
        return self.memory.word(value) if encoding & _INDIRECT else value


class DwarfUnwinder:
    """Frames of one library; `table` is the address of its `.eh_frame_hdr`, 0 where it has none."""

    def __init__(self, memory: Memory, table: int) -> None:
        self._memory = memory
        self._starts: list[int] = []
        self._entries: list[int] = []
        self._known: dict[int, Frame | None] = {}
        if table:
            reader = Reader(memory, table)
            _, of_frames, of_count, of_table = (reader.byte() for _ in range(4))
            reader.pointer(of_frames)
            for _ in range(reader.pointer(of_count)):
                self._starts.append(reader.pointer(of_table, table))
                self._entries.append(reader.pointer(of_table, table))

    def frame(self, pc: int) -> Frame | None:
        """Return the frame of the call that returns to `pc`, None outside of the kernel."""
        if pc not in self._known:
            self._known[pc] = self._find(pc - 1)
        return self._known[pc]

    def _find(self, pc: int) -> Frame | None:
        i = bisect_right(self._starts, pc) - 1
        if i < 0:
            return None
        entry = Reader(self._memory, self._entries[i])
        end = entry.take("<I") + entry.address
        common = entry.address
        common -= entry.take("<I")
        rules = _Common(self._memory, common)
        start = entry.pointer(rules.of_code)
        length = entry.pointer(rules.of_code & 0x0F)
        if not start <= pc < start + length:
            return None
        augmentation_end = entry.unsigned() + entry.address
        exceptions = entry.pointer(rules.of_exceptions) if rules.of_exceptions != _OMIT else 0
        frame = Frame(start, exceptions)
        rules.execute(Reader(self._memory, rules.program), rules.end, frame, None)
        entry.address = augmentation_end
        rules.execute(entry, end, frame, pc)
        return frame

    def landing(self, frame: Frame, pc: int, exception: int) -> int:
        """Return where a frame goes on with an exception that comes from a call returning to `pc`; 0: it does not."""
        return landing(self._memory, frame.start, frame.exceptions, pc, exception)

    def leave(self, frame: Frame, registers: dict[int, int], current: Callable[[int], int]) -> int:
        """Go from a frame to its caller; return the address to which it returns."""
        base = registers.get(frame.base)
        caller = (current(frame.base) if base is None else base) + frame.offset
        pc = 0
        for register, offset in frame.saved.items():
            at = caller + offset
            if register == _RA:
                pc = self._memory.word(at)
            else:
                registers[register] = self._memory.word(at) if register < 32 else self._memory.long(at)
        registers[_SP] = caller
        return pc


def landing(memory: Memory, start: int, table: int, pc: int, exception: int, relative_types: bool = False) -> int:
    """Return where a function goes on with an exception from a call returning to `pc`; 0: it does not.

    `start`: of the function; `table`: its table of exceptions, 0 for none; `relative_types`: what names a type counts
    from itself, whatever the table says.
    """
    if not table:
        return 0
    reader, pc = Reader(memory, table), pc - 1
    of_landing = reader.byte()
    base = start if of_landing == _OMIT else reader.pointer(of_landing)
    of_types = reader.byte()
    types = 0
    if of_types != _OMIT:
        types = reader.unsigned()
        types += reader.address
    of_site = reader.byte()
    actions = reader.unsigned()
    actions += reader.address
    while reader.address < actions:
        site, length, pad = (reader.pointer(of_site) for _ in range(3))
        action = reader.unsigned()
        if start + site <= pc < start + site + length:
            encoding = of_types | _PC_RELATIVE if relative_types else of_types
            if pad and (action == 0 or _handles(memory, actions + action - 1, types, encoding, exception)):
                return base + pad
            return 0
    return 0


def _handles(memory: Memory, record: int, types: int, of_types: int, exception: int) -> bool:
    """Say whether a chain of actions has one for an exception, or a clean-up."""
    size = struct.calcsize(_FORMATS.get(of_types & 0x0F, "<I"))
    while True:
        reader = Reader(memory, record)
        kind = reader.signed()
        record = reader.address
        following = reader.signed()
        if kind == 0:
            return True
        if kind > 0:
            wanted = Reader(memory, types - kind * size).pointer(of_types)
            if wanted == 0 or memory.word(wanted) == exception:
                return True
        if following == 0:
            return False
        record += following


class _Common:
    """What the frames of a compilation unit share (CIE)."""

    def __init__(self, memory: Memory, address: int) -> None:
        reader = Reader(memory, address)
        self.end = reader.take("<I") + reader.address
        reader.take("<I")
        reader.byte()
        letters = ""
        while (code := reader.byte()) != 0:
            letters += chr(code)
        self._code_step = reader.unsigned()
        self._data_step = reader.signed()
        reader.unsigned()  # the column of the return address
        self.of_code, self.of_exceptions = 0, _OMIT
        if letters.startswith("z"):
            self.program = reader.unsigned() + reader.address
        for letter in letters[1:]:
            if letter == "R":
                self.of_code = reader.byte()
            elif letter == "L":
                self.of_exceptions = reader.byte()
            elif letter == "P":
                reader.pointer(reader.byte() & ~_INDIRECT)
        if not letters.startswith("z"):
            self.program = reader.address

    def execute(self, reader: Reader, end: int, frame: Frame, pc: int | None) -> None:
        """Carry out call frame instructions up to `pc` (None: all)."""
        at, kept = frame.start, []
        while reader.address < end:
            instruction = reader.byte()
            kind, low = instruction >> 6, instruction & 0x3F
            if kind == 1 or instruction in (2, 3, 4):
                at += self._code_step * (low if kind == 1 else reader.take({2: "<B", 3: "<H", 4: "<I"}[instruction]))
                if pc is not None and at > pc:
                    return
            elif kind == 2:
                frame.saved[low] = reader.unsigned() * self._data_step
            elif kind == 3:
                frame.saved.pop(low, None)
            elif instruction == 0x05:
                register = reader.unsigned()
                frame.saved[register] = reader.unsigned() * self._data_step
            elif instruction == 0x0A:
                kept.append((frame.base, frame.offset, dict(frame.saved)))
            elif instruction == 0x0B:
                frame.base, frame.offset, frame.saved = kept.pop()
            elif instruction == 0x0C:
                frame.base, frame.offset = reader.unsigned(), reader.unsigned()
            elif instruction == 0x0D:
                frame.base = reader.unsigned()
            elif instruction == 0x0E:
                frame.offset = reader.unsigned()
            elif instruction != 0:
                raise GuestFault(f"the kernel's frame table has instruction {instruction:#x}, which is not known here")
