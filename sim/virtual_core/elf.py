"""Load a kernel library: an ELF shared object for RV32G or Cortex-A9, as ARTIQ's compiler links it.

Every offset in the file is checked before it is used: what is corrupt is refused in one line, and nothing runs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from atomlink.errors import DeviceError

from .memory import END, GUARD, PAYLOAD, Memory

_SHARED_OBJECT, _ARM, _RISCV = 3, 40, 243
_FLOAT_ABI = {0: "rv32ima (soft float)", 2: "single float", 4: "rv32g"}
_LOAD, _DYNAMIC, _EH_FRAME, _EXIDX = 1, 2, 0x6474E550, 0x70000001  # program headers
_HASH, _STRTAB, _SYMTAB, _RELA, _RELASZ, _STRSZ = 4, 5, 6, 7, 8, 10
_REL, _RELSZ, _PLTRELSZ, _JMPREL = 17, 18, 2, 23
# Relocations: those that depend on where the library is, those that name a symbol.
_RELATIVE = {"rv32g": (3,), "cortexa9": (23,)}
_OF_SYMBOL = {"rv32g": (1, 5), "cortexa9": (2, 21, 22)}
_NEEDED = ("__modinit__", "__bss_start", "_end", "_sstack_guard")
_ABS = 0xFFF1


class LoadError(DeviceError):
    """A library that the core device cannot load."""


@dataclass(frozen=True)
class Library:
    """A loaded library: absolute addresses of what it defines; address and size of its table of frames, 0 for none."""

    symbols: dict[str, int]
    frames: tuple[int, int]


def load(data: bytes, memory: Memory, resolve: Callable[[str], int | None]) -> Library:
    """Put a library into memory at PAYLOAD. `resolve` gives the address of a name that it imports, None for unknown."""
    try:
        return _load(data, memory, resolve)
    except (struct.error, IndexError, UnicodeDecodeError, OverflowError):
        raise LoadError("the kernel library is corrupt: it points beyond its own end; compile it again") from None


def _load(data: bytes, memory: Memory, resolve: Callable[[str], int | None]) -> Library:
    name = processor(data)
    dynamic, frames = None, (0, 0)
    for kind, offset, address, _, filesz, memsz in _program_headers(data):
        if kind == _LOAD:
            if offset + filesz > len(data) or filesz > memsz or PAYLOAD + address + memsz > END:
                raise LoadError(
                    f"the kernel library is corrupt: a segment of {memsz} bytes at {address:#x} does not fit"
                )
            memory.write(PAYLOAD + address, data[offset : offset + filesz])
        elif kind == _DYNAMIC:
            dynamic = address
        elif memsz and kind == {"rv32g": _EH_FRAME, "cortexa9": _EXIDX}[name]:
            frames = PAYLOAD + address, memsz
    if dynamic is None:
        raise LoadError("the kernel library is corrupt: it has no dynamic section")
    image = _Image(memory, dict(_entries(memory, dynamic)), name)
    for name in _NEEDED:
        if name not in image.defined:
            raise LoadError(f"the kernel library is corrupt: it does not define `{name}`")
    image.relocate(resolve)
    start, end = image.defined["__bss_start"], image.defined["_end"]
    guard = image.defined["_sstack_guard"]
    if not PAYLOAD <= start <= end <= guard <= END - 2 * GUARD or guard % GUARD:
        raise LoadError("the kernel library is corrupt: what it clears, or the end of its stack, is out of place")
    memory.write(start, bytes(end - start))
    return Library(image.defined, frames)


def processor(data: bytes) -> str:
    """Return the processor that a library is for, as ARTIQ names it; LoadError where it is none of those known here."""
    try:
        return _processor(data)
    except struct.error:
        raise LoadError("the kernel library is corrupt: it ends within its header; compile it again") from None


def _processor(data: bytes) -> str:
    if data[:7] != b"\x7fELF\x01\x01\x01":
        raise LoadError("the kernel library is no 32-bit little-endian ELF file; compile it again")
    kind, machine = struct.unpack_from("<HH", data, 16)
    if kind != _SHARED_OBJECT:
        raise LoadError(f"the kernel library is an ELF file of type {kind}, must be a shared object (3)")
    (flags,) = struct.unpack_from("<I", data, 36)
    if machine == _RISCV and flags & 6 == 4:
        return "rv32g"
    if machine == _ARM and flags & 0x400:
        return "cortexa9"
    given = {_RISCV: _FLOAT_ABI.get(flags & 6, f"float ABI {flags}"), _ARM: "ARM without hardware floats"}
    raise LoadError(f"the kernel library is for {given.get(machine, f'machine {machine}')}, must be for cortexa9 or "
                    "rv32g: correct `target` in the arguments of `core` in device_db.py")  # fmt: skip


def _program_headers(data: bytes) -> Iterator[tuple[int, int, int, int, int, int]]:
    (offset,) = struct.unpack_from("<I", data, 28)
    size, number = struct.unpack_from("<HH", data, 42)
    if size != 32:
        raise LoadError(f"the kernel library is corrupt: its program headers have {size} bytes, must have 32")
    for i in range(number):
        yield struct.unpack_from("<6I", data, offset + 32 * i)


def _entries(memory: Memory, dynamic: int) -> Iterator[tuple[int, int]]:
    for address in range(PAYLOAD + dynamic, PAYLOAD + dynamic + 8 * 64, 8):
        tag, value = memory.slice(address)
        if tag == 0:
            return
        yield tag, value
    raise LoadError("the kernel library is corrupt: its dynamic section has no end")


class _Image:
    """The dynamic part of a library in memory."""

    def __init__(self, memory: Memory, entries: dict[int, int], processor: str) -> None:
        self._memory, self._entries, self._processor = memory, entries, processor
        if not {_HASH, _STRTAB, _SYMTAB, _STRSZ} <= entries.keys():
            raise LoadError("the kernel library is corrupt: its dynamic section lacks symbols")
        self._strings = memory.read(PAYLOAD + entries[_STRTAB], entries[_STRSZ])
        n_symbols = memory.word(PAYLOAD + entries[_HASH] + 4)
        if 16 * n_symbols > END - PAYLOAD:
            raise LoadError(f"the kernel library is corrupt: it has {n_symbols} symbols")
        self._symbols = [self._symbol(i) for i in range(n_symbols)]
        self.defined = {name: value for name, value in self._symbols if name and value is not None}

    def _symbol(self, i: int) -> tuple[str, int | None]:
        """Return name and address of a symbol; None for one that is not defined here or not global."""
        raw = self._memory.read(PAYLOAD + self._entries[_SYMTAB] + 16 * i, 16)
        name, value, _, info, _, section = struct.unpack("<IIIBBH", raw)
        end = self._strings.find(b"\0", name)
        if end < 0:
            raise LoadError("the kernel library is corrupt: the name of a symbol has no end")
        text = self._strings[name:end].decode()
        if section == 0 or info >> 4 == 0:
            return text, None
        return text, value if section == _ABS else PAYLOAD + value

    def relocate(self, resolve: Callable[[str], int | None]) -> None:
        """Write the addresses that depend on where the library is, and those of what it imports."""
        explicit = self._processor == "rv32g"  # otherwise the addend is where the address goes
        for table, size in ((_RELA, _RELASZ) if explicit else (_REL, _RELSZ), (_JMPREL, _PLTRELSZ)):
            start, length = PAYLOAD + self._entries.get(table, 0), self._entries.get(size, 0)
            raw = self._memory.read(start, length - length % (12 if explicit else 8))
            for offset, info, *addend in struct.iter_unpack("<IIi" if explicit else "<II", raw):
                there = addend[0] if explicit else self._memory.word(PAYLOAD + offset)
                self._relocate_one(offset, info, there, resolve)

    def _relocate_one(self, offset: int, info: int, addend: int, resolve: Callable[[str], int | None]) -> None:
        kind = info & 0xFF
        if kind == 0:
            return
        if kind in _RELATIVE[self._processor]:
            value = PAYLOAD + addend
        elif kind in _OF_SYMBOL[self._processor]:
            value = self._address_of(info >> 8, resolve)
        else:
            raise LoadError(f"the kernel library has a relocation of type {kind}, which the virtual core does not know")
        self._memory.put_word(PAYLOAD + offset, value)

    def _address_of(self, symbol: int, resolve: Callable[[str], int | None]) -> int:
        name, value = self._symbols[symbol]
        found = resolve(name) if value is None else value
        if found is None:
            raise LoadError(f"symbol lookup error: {name}")  # the firmware's words
        return found
