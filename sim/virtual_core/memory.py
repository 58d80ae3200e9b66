"""The memory of the emulated core device: one block of RAM that Python and the processor share.

Layout: trampolines of the system calls and their return, the timeline cursor, slots of exceptions, room for what the
firmware hands to kernels, then the kernel's library and, from the top down, its stack. The two ends are ARTIQ's
(firmware, ksupport).
"""

from __future__ import annotations

import mmap
import struct

from atomlink.errors import DeviceError

BASE = 0x45000000
TRAMPOLINES = BASE
RETURN = BASE + 0x8000  # of the system calls
SENTINEL = BASE + 0xF000  # where the kernel's entry returns to
NOW = BASE + 0x10000  # high word; the low one follows at the distance that the target has
CALLED = NOW + 0x10  # 1 from a system call to its return; not on a page of instructions
EXCEPTIONS = BASE + 0x11000
ARENA = BASE + 0x20000
PAYLOAD = 0x45060000
END = 0x50000000
STACK_TOP = END - 16
GUARD = 0x1000  # bytes between library and stack that nobody may touch

_WORD, _INT, _LONG, _DOUBLE = (struct.Struct(code) for code in ("<I", "<i", "<q", "<d"))


class GuestFault(DeviceError):  # noqa: N818 - a processor's fault
    """The kernel did what the core device would not survive: a wild pointer, a stack overflow, a malformed request."""


class Memory:
    """RAM from BASE to END. Addresses are the processor's; one outside of it is a GuestFault."""

    def __init__(self) -> None:
        self.buffer = mmap.mmap(-1, END - BASE)
        self._arena = ARENA

    @property
    def kept(self) -> int:
        """Bytes that were allocated."""
        return self._arena - ARENA

    def close(self) -> None:
        """Give the memory back."""
        self.buffer.close()

    def read(self, address: int, size: int) -> bytes:
        """Return `size` bytes."""
        start = self._offset(address, size)
        return self.buffer[start : start + size]

    def write(self, address: int, data: bytes) -> None:
        """Store bytes."""
        start = self._offset(address, len(data))
        self.buffer[start : start + len(data)] = data

    def word(self, address: int) -> int:
        """Return an unsigned 32-bit word."""
        return int(_WORD.unpack_from(self.buffer, self._offset(address, 4))[0])

    def signed(self, address: int) -> int:
        """Return a signed 32-bit word."""
        return int(_INT.unpack_from(self.buffer, self._offset(address, 4))[0])

    def long(self, address: int) -> int:
        """Return a signed 64-bit integer."""
        return int(_LONG.unpack_from(self.buffer, self._offset(address, 8))[0])

    def double(self, address: int) -> float:
        """Return a float."""
        return float(_DOUBLE.unpack_from(self.buffer, self._offset(address, 8))[0])

    def put_word(self, address: int, value: int) -> None:
        """Store a 32-bit word, signed or not."""
        _WORD.pack_into(self.buffer, self._offset(address, 4), value & 0xFFFFFFFF)

    def slice(self, address: int) -> tuple[int, int]:
        """Return pointer and length of the pair at an address: a string, a list."""
        return self.word(address), self.word(address + 4)

    def bytes_at(self, address: int) -> bytes:
        """Return the bytes of the string, whose pointer and length are at an address."""
        return self.read(*self.slice(address))

    def text(self, address: int) -> str:
        """Return the string whose pointer and length are at an address."""
        return self.decoded(*self.slice(address))

    def decoded(self, pointer: int, length: int) -> str:
        """Return a string."""
        try:
            return self.read(pointer, length).decode()
        except UnicodeDecodeError:
            raise GuestFault(f"the kernel's string at {pointer:#x} is not UTF-8") from None

    def integers(self, address: int) -> list[int]:
        """Return the list of 32-bit integers whose pointer and length are at an address."""
        pointer, length = self.slice(address)
        return list(struct.unpack(f"<{length}i", self.read(pointer, 4 * length)))

    def allocate(self, size: int) -> int:
        """Return the address of room in the firmware's part, for as long as the kernel lasts."""
        address = self._arena
        self._arena += (size + 15) & ~15
        if self._arena > PAYLOAD:
            raise GuestFault(f"the virtual core has no room left for {size} bytes that a kernel asked it to keep")
        return address

    def _offset(self, address: int, size: int) -> int:
        if not (address >= BASE and size >= 0 and address + size <= END):
            raise GuestFault(f"the kernel pointed at {size} bytes at {address:#010x}, which is no memory of the core")
        return address - BASE
