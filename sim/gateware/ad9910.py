"""AD9910: registers written over SPI, taken over at IO_UPDATE, and the single tone that they make.

Not modelled: the digital ramp (its registers are stored) and RAM playback (a RAM profile gives its start word).
Source: AD9910 data sheet (Analog Devices): register map, serial port, phase accumulator; profile registers
0x0e-0x15, RAM 0x16.
"""

from __future__ import annotations

from sim.gateware.dds import Dds, TonePort
from sim.gateware.row import Row
from sim.gateware.urukul import place

CFR1, CFR2, CFR3, AUX_DAC, FTW, POW, ASF, PROFILE0, RAM = 0x00, 0x01, 0x02, 0x03, 0x07, 0x08, 0x09, 0x0E, 0x16
READ = 0x80
RAM_WORDS = 1024
# Widths in bits; a gap in the map ends the serial stream.
WIDTHS = {
    CFR1: 32,
    CFR2: 32,
    CFR3: 32,
    AUX_DAC: 32,
    0x04: 32,
    FTW: 32,
    POW: 16,
    ASF: 32,
    0x0A: 32,
    0x0B: 64,
    0x0C: 64,
    0x0D: 32,
}
WIDTHS |= {PROFILE0 + profile: 64 for profile in range(8)} | {RAM: 32}
DEFAULTS = {CFR2: 0x00400820, CFR3: 0x1F3F4000, AUX_DAC: 0x0000007F, 0x04: 0xFFFFFFFF}

CFR1_RAM_ENABLE, CFR1_PHASE_AUTOCLEAR, CFR1_PHASE_CLEAR, CFR1_OSK_ENABLE = 1 << 31, 1 << 13, 1 << 11, 1 << 9
CFR1_POWER_DOWN = 0b1100 << 4  # digital core, DAC
CFR2_PROFILE_AMPLITUDE, CFR2_EFFECTIVE_FTW = 1 << 24, 1 << 16
CFR3_PLL_ENABLE, CFR3_PFD_RESET = 1 << 8, 1 << 10
FULL_SCALE = 0x3FFF
# Meaning of the CPLD's clock divider field on the AD9910 build.
DIVIDERS = (4, 1, 2, 4)


class Ad9910(Dds):
    """One AD9910."""

    def __init__(self, port: TonePort) -> None:
        super().__init__(port)
        self.registers = {address: DEFAULTS.get(address, 0) for address in WIDTHS}
        self.active = dict(self.registers)
        self.ram = [0] * RAM_WORDS
        self._reference_hz = 0.0
        self._begin()

    @property
    def locked(self) -> bool:
        """Return whether the PLL is on and its phase detector free."""
        return bool(self.active[CFR3] & CFR3_PLL_ENABLE) and not self.active[CFR3] & CFR3_PFD_RESET

    # -- serial port -------------------------------------------------------------------------------------------------

    def transfer(self, bits: int, length: int) -> int:
        """Shift bits in; registers complete as their last bit arrives, and the next eight bits are an instruction."""
        answer = 0
        while length:
            taken = min(length, self._missing)
            length -= taken
            answer = answer << taken | self._step(bits >> length & ((1 << taken) - 1), taken)
        return answer

    def release(self, t_mu: int) -> None:
        """End the transaction; an incomplete register is lost."""
        self._begin()

    def _begin(self) -> None:
        self._instruction: int | None = None
        self._shift = 0
        self._ram_index = 0
        self._expect(8)

    def _step(self, bits: int, count: int) -> int:
        """Take up to the missing bits of an instruction or register; return the bits read meanwhile."""
        self._shift = bits if not self._taken else self._shift << count | bits
        self._taken += count
        self._missing -= count
        answer = 0
        if self._instruction is not None and self._instruction & READ:
            content = self._content(self._instruction & 0x1F)
            answer = content >> self._missing & ((1 << count) - 1)
        if not self._missing:
            self._complete()
        return answer

    def _complete(self) -> None:
        instruction, word = self._instruction, self._shift
        if instruction is None:
            self._instruction = word
            self._expect(WIDTHS.get(word & 0x1F, 1 << 30))
        elif instruction & 0x1F == RAM:
            self._ram_word(instruction, word)
        else:
            if not instruction & READ:
                self.registers[instruction & 0x1F] = word
            self._begin_next()

    def _begin_next(self) -> None:
        self._instruction = None
        self._expect(8)

    def _expect(self, width: int) -> None:
        self._taken, self._missing = 0, width

    def _ram_range(self) -> tuple[int, int]:
        """Return the start and end address of the RAM profile that the pins select."""
        profile = self.active[PROFILE0 + self.profile]
        return profile >> 14 & 0x3FF, profile >> 30 & 0x3FF

    def _ram_word(self, instruction: int, word: int) -> None:
        start, end = self._ram_range()
        address = start + self._ram_index
        if not instruction & READ and address < RAM_WORDS:
            self.ram[address] = word
        self._ram_index += 1
        self._expect(32)
        if address >= end:
            self._ram_index = 0
            self._begin_next()

    def _content(self, address: int) -> int:
        if address == RAM:
            return self.ram[min(self._ram_range()[0] + self._ram_index, RAM_WORDS - 1)]
        if address == FTW and self.active[CFR2] & CFR2_EFFECTIVE_FTW and self.active[CFR1] & CFR1_RAM_ENABLE:
            return self._tone_words()[0]
        return self.registers.get(address, 0)

    # -- tone --------------------------------------------------------------------------------------------------------

    def update(self, t_mu: int) -> None:
        """Take the registers over and make the tone of the selected profile."""
        self.active.update(self.registers)
        cfr1 = self.active[CFR1]
        word, phase, amplitude = self._tone_words()
        if cfr1 & CFR1_POWER_DOWN:
            amplitude = 0
        clear = bool(cfr1 & (CFR1_PHASE_AUTOCLEAR | CFR1_PHASE_CLEAR))
        self._retune(t_mu, self._system_clock_hz(), word, phase / 0x10000, amplitude / FULL_SCALE, clear)

    def reset(self, t_mu: int) -> None:
        """Return to the state after power-up."""
        self.registers = {address: DEFAULTS.get(address, 0) for address in WIDTHS}
        self._begin()
        self.update(t_mu)

    def set_reference(self, t_mu: int, reference_hz: float) -> None:
        """Take the reference clock."""
        self._reference_hz = reference_hz
        self._retune(t_mu, self._system_clock_hz(), self._word, self._offset_turns, self._amplitude, False)

    def _system_clock_hz(self) -> int:
        cfr3 = self.active[CFR3]
        multiplier = cfr3 >> 1 & 0x7F if cfr3 & CFR3_PLL_ENABLE else 1
        return round(self._reference_hz * multiplier)

    def _tone_words(self) -> tuple[int, int, int]:
        """Return the (frequency, phase, amplitude) words in effect."""
        cfr1, active = self.active[CFR1], self.active
        amplitude = active[ASF] >> 2 & FULL_SCALE if cfr1 & CFR1_OSK_ENABLE else FULL_SCALE
        if cfr1 & CFR1_RAM_ENABLE:
            return self._ram_words(cfr1 >> 29 & 3, amplitude)
        profile = active[PROFILE0 + self.profile]
        if not cfr1 & CFR1_OSK_ENABLE and active[CFR2] & CFR2_PROFILE_AMPLITUDE:
            amplitude = profile >> 48 & FULL_SCALE
        return profile & 0xFFFFFFFF, profile >> 32 & 0xFFFF, amplitude

    def _ram_words(self, destination: int, amplitude: int) -> tuple[int, int, int]:
        """Return the tone words with those of the RAM's start word in their place."""
        word = self.ram[self._ram_range()[0]]
        frequency, phase = self.active[FTW], self.active[POW]
        if destination == 0:
            frequency = word
        if destination in (1, 3):
            phase = word >> 16
        if destination == 2:
            amplitude = word >> 18
        if destination == 3:
            amplitude = word >> 2 & FULL_SCALE
        return frequency, phase, amplitude


def _ad9910(row: Row) -> Dds:
    return place(row, Ad9910(row.world.output(row.key, "tone")), DIVIDERS)


SERVES = {"artiq.coredevice.ad9910.AD9910": _ad9910}
