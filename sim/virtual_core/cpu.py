"""The emulated processor, by Unicorn: an optional dependency under GPLv2 that is imported here alone.

A system call is a call of an address among the trampolines; a hook on that range carries it out in Python before the
jump that stands there, to the common return. Another thread may stop the emulation at that jump, before the hook or
after it: the word at CALLED says which. The hook sets it, the return clears it. `rv32g` and `cortexa9` say what
registers and arguments are.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol

from atomlink.errors import UsageError

from .memory import BASE, CALLED, END, RETURN, STACK_TOP, TRAMPOLINES, GuestFault, Memory

_FLAG = CALLED - BASE


class Stopped(Exception):  # noqa: N818 - no error: somebody wanted it
    """The kernel was stopped from outside: its client hung up, or the server ends."""


class Unwinder(Protocol):
    """What knows the stack frames of a library. Registers have the numbers of `Cpu.restore`."""

    def frame(self, pc: int) -> Any:
        """Return the frame of the call that returns to `pc`, None outside of the kernel."""

    def landing(self, frame: Any, pc: int, exception: int) -> int:
        """Return where a frame goes on with an exception that comes from a call returning to `pc`; 0: it does not."""

    def leave(self, frame: Any, registers: dict[int, int], current: Callable[[int], int]) -> int:
        """Go from a frame to its caller; return the address to which it returns."""


def require_unicorn() -> Any:
    """Return the module of the emulator; UsageError says how to get it."""
    try:
        import unicorn
        import unicorn.arm_const
        import unicorn.riscv_const
    except ImportError:
        raise UsageError("the virtual core needs the CPU emulator Unicorn (GPLv2), which is not installed: "
                         "pip install 'atomlink[virtual-core]'") from None  # fmt: skip
    return unicorn


class Cpu:
    """One processor with its memory. `calls` are what the trampolines do, in order."""

    name: ClassVar[str]
    RETURN: ClassVar[tuple[int, ...]]  # instructions that clear CALLED, by any word but 1, and return
    SP: ClassVar[int]
    RA: ClassVar[int]
    FIRST: ClassVar[int]  # register of the first argument, and of the result
    CALLEE_SAVED: ClassVar[tuple[int, ...]]

    def __init__(self, memory: Memory) -> None:
        self._unicorn = require_unicorn()
        self.memory = memory
        self.calls: Sequence[Callable[[], None]] = ()
        self.n_calls = 0  # system calls so far
        self._stopped = self._attention = False
        self.give_way: Callable[[], None] = lambda: None
        self._uc, self._registers, self._pc = self._make()
        self._keep = (ctypes.c_char * 1).from_buffer(memory.buffer)

    def _make(self) -> tuple[Any, Sequence[int], int]:
        """Return an emulator with its floating point on, the emulator's names of integer registers, and of the PC."""
        raise NotImplementedError

    def jump_instruction(self, distance: int) -> int:
        """Return the instruction that jumps by a number of bytes."""
        raise NotImplementedError

    def unwinder(self, frames: tuple[int, int]) -> Unwinder:
        """Return what unwinds the stack, by address and size of a library's table of frames."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the memory, which can be given back then."""
        self._uc = None
        del self._keep

    # Running

    def install(self, calls: Sequence[Callable[[], None]]) -> None:
        """Make trampolines of these calls; their addresses are `trampoline(i)`."""
        self.calls = calls
        for i in range(len(calls)):
            self.memory.put_word(trampoline(i), self.jump_instruction(RETURN - trampoline(i)))
        for i, instruction in enumerate(self.RETURN):
            self.memory.put_word(RETURN + 4 * i, instruction)
        self._uc.hook_add(self._unicorn.UC_HOOK_CODE, self._hook, None, TRAMPOLINES, trampoline(len(calls)) - 1)

    def _hook(self, _uc: Any, address: int, _size: int, _data: Any) -> None:
        if self._attention:
            self._attend()
        self.n_calls += 1
        self.memory.buffer[_FLAG] = 1
        self.calls[(address - TRAMPOLINES) >> 2]()

    def map(self, hole: int, size: int) -> None:
        """Give the kernel its memory, but for a hole below its stack, where it faults. Both are multiples of a page."""
        at = ctypes.addressof(self._keep)
        for start, end in ((BASE, hole), (hole + size, END)):
            self._uc.mem_map_ptr(start, end - start, self._unicorn.UC_PROT_ALL, at + start - BASE)

    def call(self, address: int, until: int) -> None:
        """Call a function without arguments, and return when it does."""
        self.put(self.SP, STACK_TOP)
        self.put(self.RA, until)
        while True:
            try:
                self._uc.emu_start(address, until)
            except self._unicorn.UcError as error:
                where = f"at {self._uc.reg_read(self._pc):#010x}, stack pointer {self.get(self.SP):#010x}"
                raise GuestFault(f"the kernel crashed {where}: {error}") from None
            if self._attention:
                self._attend()
            address = int(self._uc.reg_read(self._pc))
            if address == until:
                return
            if TRAMPOLINES <= address < trampoline(len(self.calls)) and self.memory.buffer[_FLAG] == 1:
                address = RETURN

    def _attend(self) -> None:
        """Do what another thread asked for: end, or give way."""
        if self._stopped:
            raise Stopped
        self._attention = False
        self.give_way()
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """End the kernel, from another thread; it cannot go on after that."""
        self._stopped = True
        self.pause()

    def pause(self) -> None:
        """Let the kernel call `give_way` soon, from another thread."""
        self._attention = True
        uc = self._uc  # it may be closed meanwhile
        if uc is not None:
            uc.emu_stop()

    # Registers

    def get(self, number: int) -> int:
        """Return an integer register, unsigned."""
        return int(self._uc.reg_read(self._registers[number]))

    def put(self, number: int, value: int) -> None:
        """Set an integer register."""
        self._uc.reg_write(self._registers[number], value & 0xFFFFFFFF)

    def jump(self, address: int) -> None:
        """Go on at an address, when the system call that runs is over."""
        self.memory.buffer[_FLAG] = 0
        self._uc.reg_write(self._pc, address)

    def restore(self, register: int, value: int) -> None:
        """Set a register by the number that the unwinder gives it."""
        raise NotImplementedError

    @property
    def now(self) -> int:
        """The timeline cursor."""
        raise NotImplementedError

    @now.setter
    def now(self, t_mu: int) -> None:
        raise NotImplementedError

    # Arguments of system calls

    def arguments(self, signature: str) -> list[Any]:
        """Return the arguments of the call that runs, by letters: i int, u pointer, I 64 bits, f float, b bool,
        s string, l list of integers.
        """
        raise NotImplementedError

    def variadic(self) -> Callable[[str], Any]:
        """Return the function that gives the next of the arguments after the first, by its letter."""
        registers, stack, next_one = self._argument_registers(), self.get(self.SP), 1

        def take(letter: str) -> Any:
            nonlocal next_one
            if letter in "If":
                next_one += next_one & 1  # 64 bits begin at an even register
            words = []
            for _ in range(2 if letter in "If" else 1):
                beyond = next_one - len(registers)
                words.append(registers[next_one] if beyond < 0 else self.memory.word(stack + 4 * beyond))
                next_one += 1
            if letter == "f":
                return double(words[1] << 32 | words[0])
            return signed(words[1]) << 32 | words[0] if letter == "I" else words[0]

        return take

    def _argument_registers(self) -> list[int]:
        raise NotImplementedError

    def result(self, letter: str, value: Any) -> None:
        """Return a value from the call that runs: i or b 32 bits, I 64 bits, f a float, D one in integer registers;
        an empty letter: nothing.
        """
        if letter == "f":
            self._put_float(struct.unpack("<Q", struct.pack("<d", value))[0])
        elif letter in ("I", "D"):
            bits = value if letter == "I" else struct.unpack("<Q", struct.pack("<d", value))[0]
            self.put(self.FIRST, bits)
            self.put(self.FIRST + 1, bits >> 32)
        elif letter:
            self.put(self.FIRST, int(value))

    def _put_float(self, bits: int) -> None:
        raise NotImplementedError

    def _small(self, letter: str, value: int) -> Any:
        """Return an argument of 32 bits or fewer."""
        if letter == "i":
            return signed(value)
        if letter == "b":
            return bool(value & 0xFF)
        return self.memory.integers(value) if letter == "l" else value


def trampoline(i: int) -> int:
    """Return the address of a system call by its number."""
    return TRAMPOLINES + 4 * i


def signed(word: int) -> int:
    """Return a 32-bit word as a signed number."""
    return word - (1 << 32) if word & 0x80000000 else word


def double(bits: int) -> float:
    """Return 64 bits as a float."""
    return float(struct.unpack("<d", struct.pack("<Q", bits & 0xFFFFFFFFFFFFFFFF))[0])
