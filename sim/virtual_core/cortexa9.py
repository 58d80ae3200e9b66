"""Cortex-A9, the processor of Kasli-SoC: registers and arguments.

Sources: Arm, Procedure Call Standard (AAPCS32, VFP variant); Run-time ABI (`__aeabi_*`, whose floats are in integer
registers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .cpu import Cpu, double, signed
from .ehabi import FLOATS, EhabiUnwinder
from .memory import CALLED

_COPROCESSORS_ON, _FPU_ON = 0xF << 20, 1 << 30


class CortexA9(Cpu):
    """Integer registers r0 … r14; d0 … d31 are FLOATS and up in what unwinds."""

    name = "cortexa9"
    RETURN = (0xE3A0C400 | CALLED >> 24, 0xE38CC800 | CALLED >> 16 & 0xFF, 0xE58CC000 | CALLED & 0xFFF,
              0xE12FFF1E)  # mov ip, orr ip, str ip, bx lr  # fmt: skip
    SP, RA, FIRST = 13, 14, 0
    CALLEE_SAVED = tuple(range(4, 12))

    def _make(self) -> tuple[Any, Sequence[int], int]:
        unicorn = self._unicorn
        const = unicorn.arm_const
        uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
        uc.ctl_set_cpu_model(const.UC_CPU_ARM_CORTEX_A9)
        uc.reg_write(const.UC_ARM_REG_C1_C0_2, uc.reg_read(const.UC_ARM_REG_C1_C0_2) | _COPROCESSORS_ON)
        uc.reg_write(const.UC_ARM_REG_FPEXC, _FPU_ON)
        self._d = const.UC_ARM_REG_D0
        self._now = 0
        names = [getattr(const, f"UC_ARM_REG_R{i}") for i in range(13)] + [const.UC_ARM_REG_SP, const.UC_ARM_REG_LR]
        return uc, names, const.UC_ARM_REG_PC

    def jump_instruction(self, distance: int) -> int:
        """Return `b`."""
        return 0xEA000000 | distance - 8 >> 2 & 0xFFFFFF

    def unwinder(self, frames: tuple[int, int]) -> EhabiUnwinder:
        """Return what unwinds by `.ARM.exidx`."""
        return EhabiUnwinder(self.memory, *frames)

    def restore(self, register: int, value: int) -> None:
        """Set a register by its DWARF number: r 0 … 14, d FLOATS and up."""
        self._uc.reg_write(self._registers[register] if register < FLOATS else self._d + register - FLOATS, value)

    @property
    def now(self) -> int:
        """The timeline cursor, which kernels ask for."""
        return self._now

    @now.setter
    def now(self, t_mu: int) -> None:
        self._now = t_mu

    def arguments(self, signature: str) -> list[Any]:
        """Return the arguments by letters, and D a float in integer registers. A string comes as pointer and length."""
        word, floating = self._words(), 0
        found: list[Any] = []
        for letter in signature:
            if letter == "f":
                found.append(double(self._uc.reg_read(self._d + floating)))
                floating += 1
            elif letter in "ID":
                low, high = word(True), word(False)
                found.append(signed(high) << 32 | low if letter == "I" else double(high << 32 | low))
            elif letter == "s":
                pointer, length = word(False), word(False)
                found.append(self.memory.decoded(pointer, length))
            else:
                found.append(self._small(letter, word(False)))
        return found

    def _words(self) -> Callable[[bool], int]:
        """Return the function that gives the next word of the arguments, at an even place if that is wanted."""
        place, stack = 0, self.get(self.SP)

        def word(even: bool) -> int:
            nonlocal place
            place += place & 1 if even else 0
            place += 1
            return self.get(place - 1) if place <= 4 else self.memory.word(stack + 4 * (place - 5))

        return word

    def _argument_registers(self) -> list[int]:
        return [self.get(i) for i in range(4)]

    def _put_float(self, bits: int) -> None:
        self._uc.reg_write(self._d, bits)

    def put_pairs(self, first: int, second: int) -> None:
        """Return two 64-bit numbers, as the division with remainder does."""
        for i, value in enumerate((first, first >> 32, second, second >> 32)):
            self.put(i, value)
