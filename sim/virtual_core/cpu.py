"""The emulated processor: RV32G by Unicorn, an optional dependency under GPLv2 that is imported here alone.

A system call is a call of an address among the trampolines; a hook on that range carries it out in Python before the
`ret` that stands there. Source of the binary interface: RISC-V psABI, ilp32d.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any

from atomlink.errors import UsageError

from .memory import BASE, END, NOW, STACK_TOP, TRAMPOLINES, GuestFault, Memory

_RET = 0x00008067
_FPU_ON = 0x6000  # mstatus.FS
_NOW_LOW = 8  # bytes from the cursor's high word to its low one
CALLEE_SAVED = (8, 9, *range(18, 28))  # s0 … s11, in x and, as DWARF register + 32, in f


class Stopped(Exception):  # noqa: N818 - no error: somebody wanted it
    """The kernel was stopped from outside: its client hung up, or the server ends."""


def require_unicorn() -> Any:
    """Return the module of the emulator; UsageError says how to get it."""
    try:
        import unicorn
        import unicorn.riscv_const
    except ImportError:
        raise UsageError("the virtual core needs the CPU emulator Unicorn (GPLv2), which is not installed: "
                         "pip install 'atomlink[virtual-core]'") from None  # fmt: skip
    return unicorn


class Cpu:
    """One processor with its memory. `calls` are what the trampolines do, in order."""

    def __init__(self, memory: Memory) -> None:
        self._unicorn = unicorn = require_unicorn()
        const = unicorn.riscv_const
        self.memory = memory
        self.calls: Sequence[Callable[[], None]] = ()
        self.n_calls = 0  # system calls so far
        self._stopped = False
        self._uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        self._keep = (ctypes.c_char * 1).from_buffer(memory.buffer)
        self._uc.mem_map_ptr(BASE, END - BASE, unicorn.UC_PROT_ALL, ctypes.addressof(self._keep))
        self._x, self._f, self._pc = const.UC_RISCV_REG_X0, const.UC_RISCV_REG_F0, const.UC_RISCV_REG_PC
        status = self._uc.reg_read(const.UC_RISCV_REG_MSTATUS)
        self._uc.reg_write(const.UC_RISCV_REG_MSTATUS, status | _FPU_ON)

    def close(self) -> None:
        """Let go of the memory, which can be given back then."""
        self._uc = None
        del self._keep

    # Running

    def install(self, calls: Sequence[Callable[[], None]]) -> None:
        """Make trampolines of these calls; their addresses are `trampoline(i)`."""
        self.calls = calls
        for i in range(len(calls)):
            self.memory.put_word(trampoline(i), _RET)
        self._uc.hook_add(self._unicorn.UC_HOOK_CODE, self._hook, None, TRAMPOLINES, trampoline(len(calls)) - 1)

    def _hook(self, _uc: Any, address: int, _size: int, _data: Any) -> None:
        if self._stopped:
            raise Stopped
        self.n_calls += 1
        self.calls[(address - TRAMPOLINES) >> 2]()

    def protect(self, address: int, size: int) -> None:
        """Let the kernel fault that touches a page: below its stack."""
        self._uc.mem_protect(address, size, self._unicorn.UC_PROT_NONE)

    def call(self, address: int, until: int) -> None:
        """Call a function without arguments, and return when it does."""
        self.put(2, STACK_TOP)
        self.put(1, until)
        try:
            self._uc.emu_start(address, until)
        except self._unicorn.UcError as error:
            where = f"at {self._uc.reg_read(self._pc):#010x}, stack pointer {self.get(2):#010x}"
            raise GuestFault(f"the kernel crashed {where}: {error}") from None
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """End the kernel, from another thread; it cannot go on after that."""
        self._stopped = True
        if self._uc is not None:
            self._uc.emu_stop()

    # Registers

    def get(self, number: int) -> int:
        """Return an integer register, unsigned."""
        return int(self._uc.reg_read(self._x + number))

    def put(self, number: int, value: int) -> None:
        """Set an integer register."""
        self._uc.reg_write(self._x + number, value & 0xFFFFFFFF)

    def jump(self, address: int) -> None:
        """Go on at an address, when the system call that runs is over."""
        self._uc.reg_write(self._pc, address)

    def put_dwarf(self, register: int, value: int) -> None:
        """Set a register by its DWARF number: x 0 … 31, f 32 … 63."""
        self._uc.reg_write(self._x + register if register < 32 else self._f + register - 32, value)

    @property
    def now(self) -> int:
        """The timeline cursor, which kernels keep in memory."""
        memory = self.memory
        return memory.signed(NOW) << 32 | memory.word(NOW + _NOW_LOW)

    @now.setter
    def now(self, t_mu: int) -> None:
        self.memory.put_word(NOW, t_mu >> 32)
        self.memory.put_word(NOW + _NOW_LOW, t_mu)

    # Arguments of system calls

    def arguments(self, signature: str) -> list[Any]:
        """Return the arguments of the call that runs, by letters: i int, u pointer, I 64 bits, f float, b bool,
        s string, l list of integers. None of the system calls has so many that some are on the stack.
        """
        found: list[Any] = []
        integer, floating = 10, 10  # a0, fa0
        for letter in signature:
            if letter == "f":
                found.append(_double(self._uc.reg_read(self._f + floating)))
                floating += 1
            elif letter == "I":
                found.append(_signed(self.get(integer + 1)) << 32 | self.get(integer))
                integer += 2
            else:
                found.append(self._small(letter, self.get(integer)))
                integer += 1
        return found

    def _small(self, letter: str, value: int) -> Any:
        if letter == "i":
            return _signed(value)
        if letter == "b":
            return bool(value & 0xFF)
        if letter == "s":
            return self.memory.text(value)
        if letter == "l":
            return self.memory.integers(value)
        return value

    def variadic(self) -> Callable[[str], Any]:
        """Return the function that gives the next of the arguments after the first, by its letter."""
        registers, stack, next_one = [self.get(10 + i) for i in range(8)], self.get(2), 1

        def take(letter: str) -> Any:
            nonlocal next_one
            if letter in "If":
                next_one += next_one & 1  # 64 bits begin at an even register
            words = []
            for _ in range(2 if letter in "If" else 1):
                at_stack = stack + 4 * (next_one - 8)
                words.append(registers[next_one] if next_one < 8 else self.memory.word(at_stack))
                next_one += 1
            if letter == "f":
                return _double(words[1] << 32 | words[0])
            return _signed(words[1]) << 32 | words[0] if letter == "I" else words[0]

        return take

    def result(self, letter: str, value: Any) -> None:
        """Return a value from the call that runs: i or b 32 bits, I 64 bits, f a float; an empty letter: nothing."""
        if letter == "f":
            self._uc.reg_write(self._f + 10, struct.unpack("<Q", struct.pack("<d", value))[0])
        elif letter == "I":
            self.put(10, value)
            self.put(11, value >> 32)
        elif letter:
            self.put(10, int(value))


def trampoline(i: int) -> int:
    """Return the address of a system call by its number."""
    return TRAMPOLINES + 4 * i


def _signed(word: int) -> int:
    return word - (1 << 32) if word & 0x80000000 else word


def _double(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits & 0xFFFFFFFFFFFFFFFF))[0])
