"""Kernel libraries for tests of the virtual core, assembled here: RV32 instructions, and the ELF file around them.

One segment holds header, code, data, addresses of imports, symbols, relocations and the dynamic section.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

A0, A1, A2, A3, T0, T1, T2, SP, RA = 10, 11, 12, 13, 5, 6, 7, 2, 1
_CODE = 52 + 2 * 32
_PAGE = 0x1000


@dataclass
class Assembler:
    """Collect instructions; `call(NAME)` calls an import, `address(rd, label)` gives where data is."""

    words: list[int] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    _fixes: list[tuple[int, str, int]] = field(default_factory=list)  # (word, kind, which): to be filled in

    def addi(self, rd: int, rs: int, value: int) -> None:
        self.words.append((value & 0xFFF) << 20 | rs << 15 | rd << 7 | 0x13)

    def add(self, rd: int, one: int, other: int) -> None:
        self.words.append(other << 20 | one << 15 | rd << 7 | 0x33)

    def li(self, rd: int, value: int) -> None:
        """Load a 32-bit constant."""
        self.words.append((value + 0x800 & 0xFFFFF000) | rd << 7 | 0x37)
        self.addi(rd, rd, value & 0xFFF)

    def store(self, rs: int, base: int, offset: int) -> None:
        self.words.append((offset >> 5 & 0x7F) << 25 | rs << 20 | base << 15 | 2 << 12 | (offset & 31) << 7 | 0x23)

    def load(self, rd: int, base: int, offset: int) -> None:
        self.words.append((offset & 0xFFF) << 20 | base << 15 | 2 << 12 | rd << 7 | 0x03)

    def loop(self) -> None:
        """Go round and round here, for ever."""
        self.words.append(0x0000006F)

    def branch_if_not_zero(self, rs: int, back: int) -> None:
        """Go back by a number of instructions where a register is not 0."""
        offset = -4 * back
        self.words.append((offset >> 12 & 1) << 31 | (offset >> 5 & 0x3F) << 25 | rs << 15 | 1 << 12
                          | (offset >> 1 & 15) << 8 | (offset >> 11 & 1) << 7 | 0x63)  # fmt: skip

    def enter(self) -> None:
        """Keep the return address on the stack, 64 bytes of which are the function's."""
        self.addi(SP, SP, -64)
        self.store(RA, SP, 60)

    def leave(self) -> None:
        self.load(RA, SP, 60)
        self.addi(SP, SP, 64)
        self.words.append(0x00008067)

    def _pc_relative(self, rd: int, kind: str, which: int) -> None:
        self._fixes.append((len(self.words), kind, which))
        self.words += [rd << 7 | 0x17, rd << 15 | rd << 7 | 0x13]  # auipc, addi

    def imported(self, rd: int, name: str) -> None:
        """Load the address of an import."""
        if name not in self.imports:
            self.imports.append(name)
        self._pc_relative(rd, "import", self.imports.index(name))
        self.load(rd, rd, 0)

    def call(self, name: str) -> None:
        self.imported(T1, name)
        self.words.append(T1 << 15 | RA << 7 | 0x67)

    def address(self, rd: int, offset: int) -> None:
        """Load the address of what is at an offset of the data."""
        self._pc_relative(rd, "data", offset)

    def keep(self, data: bytes) -> int:
        """Put bytes among the data; return their offset, a multiple of 8."""
        self.data += bytes(-len(self.data) % 8)
        offset = len(self.data)
        self.data += data
        return offset

    def library(self, machine: int = 243, flags: int = 4, defined: bool = True) -> bytes:
        """Return the ELF file. `defined`: it has the entry that the core device looks for."""
        data_at = (_CODE + 4 * len(self.words) + 7) & ~7
        imports_at = (data_at + len(self.data) + 7) & ~7
        for at, kind, which in self._fixes:
            target = data_at + which if kind == "data" else imports_at + 4 * which
            offset = target - (_CODE + 4 * at)
            self.words[at] |= offset + 0x800 & 0xFFFFF000
            self.words[at + 1] |= (offset & 0xFFF) << 20
        end = imports_at + 4 * len(self.imports)
        names = [("__modinit__", _CODE)] if defined else []
        names += [("__bss_start", _PAGE), ("_end", _PAGE), ("_sstack_guard", 2 * _PAGE)]
        strings, symbols = b"\0", bytes(16)
        for name, value, section in [*((n, 0, 0) for n in self.imports), *((n, v, 1) for n, v in names)]:
            symbols += struct.pack("<IIIBBH", len(strings), value, 0, 0x10, 0, section)
            strings += name.encode() + b"\0"
        n_symbols = len(symbols) // 16
        hashes = struct.pack("<II", 1, n_symbols) + bytes(4 * (1 + n_symbols))
        jumps = b"".join(struct.pack("<IIi", imports_at + 4 * i, (i + 1) << 8 | (1 if name == "now" else 5), 0)
                         for i, name in enumerate(self.imports))  # fmt: skip
        tables, entries = b"", b""
        for tag, table in ((6, symbols), (5, strings), (4, hashes), (23, jumps)):
            tables += bytes(-len(tables) % 8)
            entries += struct.pack("<II", tag, end + len(tables))
            tables += table
        entries += struct.pack("<IIIIII", 10, len(strings), 2, len(jumps), 0, 0)
        tables += bytes(-len(tables) % 8)
        dynamic_at = end + len(tables)
        size = dynamic_at + len(entries)
        head = b"\x7fELF\x01\x01\x01" + bytes(9) + struct.pack("<HHIIIIIHHHHHH", 3, machine, 1, 0, 52, 0, flags, 52, 32,
                                                               2, 40, 0, 0)  # fmt: skip
        head += struct.pack("<8I", 1, 0, 0, 0, size, size, 7, _PAGE)
        head += struct.pack("<8I", 2, dynamic_at, dynamic_at, 0, len(entries), len(entries), 6, 4)
        body = head + struct.pack(f"<{len(self.words)}I", *self.words)
        body = body.ljust(data_at, b"\0") + self.data
        assert size <= _PAGE, "more than a page: the symbols say where it ends"
        return body.ljust(imports_at, b"\0") + bytes(4 * len(self.imports)) + tables + entries


def pulse(channel: int, t_mu: int, value: int = 1) -> Assembler:
    """Return a kernel that sets the cursor and submits one output event."""
    asm = Assembler()
    asm.enter()
    asm.imported(T0, "now")
    asm.li(T2, t_mu >> 32)
    asm.store(T2, T0, 0)
    asm.li(T2, t_mu & 0xFFFFFFFF)
    asm.store(T2, T0, 8)
    asm.li(A0, channel << 8)
    asm.li(A1, value)
    asm.call("rtio_output")
    asm.leave()
    return asm


def asking(service: int) -> Assembler:
    """Return a kernel that asks the host for an integer and submits it to channel 1 at 1000 mu."""
    asm = Assembler()
    tag = asm.keep(b"i:i")
    argument = asm.keep(struct.pack("<i", -5))
    asm.enter()
    asm.address(T0, tag)
    asm.store(T0, SP, 0)
    asm.li(T0, 3)
    asm.store(T0, SP, 4)
    asm.address(T0, argument)
    asm.store(T0, SP, 8)
    asm.li(A0, service)
    asm.addi(A1, SP, 0)
    asm.addi(A2, SP, 8)
    asm.call("rpc_send")
    asm.addi(A0, SP, 16)
    asm.call("rpc_recv")
    asm.imported(T0, "now")
    asm.store(0, T0, 0)
    asm.li(T2, 1000)
    asm.store(T2, T0, 8)
    asm.li(A0, 1 << 8)
    asm.load(A1, SP, 16)
    asm.call("rtio_output")
    asm.leave()
    return asm


def endless() -> Assembler:
    """Return a kernel that never ends and calls nothing."""
    asm = Assembler()
    asm.loop()
    return asm


def saying(text: bytes) -> Assembler:
    """Return a kernel that writes a text into the core device's log."""
    asm = Assembler()
    at = asm.keep(text + b"\0")
    asm.enter()
    asm.address(A0, at)
    asm.call("core_log")
    asm.leave()
    return asm


def blinking(channel: int, input_channel: int, period_mu: int) -> Assembler:
    """Return a kernel that submits an event now and then, for ever; in between it waits for an input that never comes.
    """
    asm = Assembler()
    asm.enter()
    start = len(asm.words)
    asm.call("rtio_get_counter")
    asm.li(T0, period_mu)
    asm.add(A0, A0, T0)
    asm.li(A2, input_channel)
    asm.call("rtio_input_timestamp")
    asm.call("rtio_get_counter")
    asm.addi(A0, A0, 1000)
    asm.imported(T0, "now")
    asm.store(A1, T0, 0)
    asm.store(A0, T0, 8)
    asm.li(A0, channel << 8)
    asm.li(A1, 1)
    asm.call("rtio_output")
    asm.branch_if_not_zero(SP, len(asm.words) - start)
    return asm
