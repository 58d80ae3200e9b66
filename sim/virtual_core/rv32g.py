"""RV32G, the processor of Kasli: registers and arguments.  Source: RISC-V psABI, ilp32d."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .cpu import Cpu, double, signed
from .memory import CALLED, NOW, Memory
from .unwind import DwarfUnwinder

_FPU_ON = 0x6000  # mstatus.FS
_NOW_LOW = 8  # bytes from the cursor's high word to its low one


class Rv32g(Cpu):
    """Integer registers x0 … x31; f0 … f31 are 32 and up in what unwinds."""

    name = "rv32g"
    RETURN = (CALLED >> 12 << 12 | 5 << 7 | 0x37, CALLED % 4096 << 7 | 5 << 15 | 0x2023, 0x00008067)  # lui, sw x0, ret
    SP, RA, FIRST = 2, 1, 10
    CALLEE_SAVED = (8, 9, *range(18, 28))

    def _make(self) -> tuple[Any, Sequence[int], int]:
        unicorn = self._unicorn
        const = unicorn.riscv_const
        uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        uc.reg_write(const.UC_RISCV_REG_MSTATUS, uc.reg_read(const.UC_RISCV_REG_MSTATUS) | _FPU_ON)
        self._f = const.UC_RISCV_REG_F0
        return uc, range(const.UC_RISCV_REG_X0, const.UC_RISCV_REG_X0 + 32), const.UC_RISCV_REG_PC

    def jump_instruction(self, distance: int) -> int:
        """Return `j`."""
        d = distance
        return (d >> 20 & 1) << 31 | (d >> 1 & 0x3FF) << 21 | (d >> 11 & 1) << 20 | (d >> 12 & 0xFF) << 12 | 0x6F

    def unwinder(self, frames: tuple[int, int]) -> DwarfUnwinder:
        """Return what unwinds by `.eh_frame`."""
        return DwarfUnwinder(self.memory, frames[0])

    def restore(self, register: int, value: int) -> None:
        """Set a register by its DWARF number: x 0 … 31, f 32 … 63."""
        self._uc.reg_write(self._registers[register] if register < 32 else self._f + register - 32, value)

    @property
    def now(self) -> int:
        """The timeline cursor, which kernels keep in memory."""
        memory: Memory = self.memory
        return memory.signed(NOW) << 32 | memory.word(NOW + _NOW_LOW)

    @now.setter
    def now(self, t_mu: int) -> None:
        self.memory.put_word(NOW, t_mu >> 32)
        self.memory.put_word(NOW + _NOW_LOW, t_mu)

    def arguments(self, signature: str) -> list[Any]:
        """Return the arguments by letters. A string comes as its address; none of the system calls needs the stack."""
        found: list[Any] = []
        integer, floating = self.FIRST, 10
        for letter in signature:
            if letter == "f":
                found.append(double(self._uc.reg_read(self._f + floating)))
                floating += 1
            elif letter == "I":
                found.append(signed(self.get(integer + 1)) << 32 | self.get(integer))
                integer += 2
            else:
                value = self.get(integer)
                found.append(self.memory.text(value) if letter == "s" else self._small(letter, value))
                integer += 1
        return found

    def _argument_registers(self) -> list[int]:
        return [self.get(self.FIRST + i) for i in range(8)]

    def _put_float(self, bits: int) -> None:
        self._uc.reg_write(self._f + 10, bits)
