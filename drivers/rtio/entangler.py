"""The heralding gateware: repeat a cycle of four outputs and four gates until the detectors show a herald pattern.

    cycle        |·· 24 ns ··|‾‾ output 0 ‾‾|····|‾ output 1 = reference ‾|·············|
    gate k, relative to the reference's edge        ····|‾‾‾ gate k ‾‾‾|
    length       (register + 4) clocks of 8 ns: `cycle_mu`

Registers (source: the public entangler-core gateware): 0 configuration, 1 run, 2 cycle length, 3 heralds, 8-11
outputs, 12-15 gates; reading by a write to 0x20 status, 0x21 cycles, 0x22 time remaining, 0x23 triggers, 0x28-0x2b
clicks, 0x2c reference. Outputs are on the 8 ns grid, gates have 1 ns; start and stop are stored plus one. The
outputs are local to the FPGA: satellites cannot have them. What a register cannot hold is refused before anything is
written.
"""

# ARTIQ's annotations are calls, TList(TInt32), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from typing import Any

from artiq.coredevice.rtio import rtio_input_data, rtio_input_timestamped_data, rtio_output
from artiq.language.core import delay_mu, kernel, now_mu
from artiq.language.types import TBool, TFloat, TInt32, TInt64, TList, TNone, TTuple
from numpy import int32, int64

from atomlink.errors import DeviceError, TimingError

# First argument of `set_timing_mu`: outputs 0 to 3, and the gates of inputs 0 to 3.
GATE0 = 4
# `reason` of a run that ended without a herald.
TIMEOUT = 0x3FFF
# Status bits.
STATUS_READY, STATUS_SUCCESS, STATUS_TIMEOUT = 1, 2, 4
REFERENCE = 4  # argument of `get_timestamp_mu`

ADDR_CONFIG, ADDR_RUN, ADDR_CYCLE, ADDR_HERALDS, ADDR_TIMING = 0x00, 0x01, 0x02, 0x03, 0x08
ADDR_STATUS, ADDR_NCYCLES, ADDR_REMAINING, ADDR_NTRIGGERS, ADDR_TIMESTAMP = 0x20, 0x21, 0x22, 0x23, 0x28
CONFIG_ENABLE, CONFIG_MASTER, CONFIG_STANDALONE = 1, 2, 4

COARSE_MU = 8
OVERHEAD_CLOCKS = 4  # a cycle takes its register plus these (gateware simulation)
COUNTER_START_MU = 24  # click time stamps count from this point of the cycle
MAX_CYCLE_MU = 1023 * COARSE_MU  # 10 bits
MAX_TIMING = 0x3FFF  # 14 bits
MAX_RUN_CLOCKS = 0x7FFFFFFF
# Register words of what never happens: an output that starts after every cycle, a gate that ends before it begins.
OUTPUT_OFF = (MAX_TIMING << 16) | MAX_TIMING
GATE_CLOSED = 0x2000


class Entangler:
    """Drive the heralding gateware.

    Arguments of its device_db row:
    `channel`: its RTIO channel, on the master, where the detectors are.
    `inputs`: the keys of the TTLInOut rows, at most four, whose clicks it sees, in the order of a pattern's bits.
    `reference_output` (1): which output, 0 to 3, is cabled to the reference input; gates count from its rising edge.
    `is_master`, `standalone` (True): as in the gateware; the defaults are one station without a partner.
    """

    kernel_invariants = {"core", "channel", "target", "reference_output", "is_master", "standalone"}

    def __init__(self, dmgr, channel, inputs, reference_output=1, is_master=True, standalone=True, core_device="core"):
        if not 1 <= len(inputs) <= 4:
            raise DeviceError(
                f"Entangler on channel {channel}: `inputs` must name one to four TTLInOut rows, but names {len(inputs)}"
            )
        if reference_output not in (0, 1, 2, 3):
            raise DeviceError(
                f"Entangler on channel {channel}: `reference_output` must be 0 to 3, but is {reference_output!r}"
            )
        self.core = dmgr.get(core_device)
        self.channel = channel
        self.inputs = tuple(inputs)
        self.target = channel << 8
        self.reference_output = reference_output
        self.is_master = is_master
        self.standalone = standalone
        self.cycle_mu = int64(0)  # the real period, once the length is set
        self.starts_mu: list[Any] = [int32(0)] * 8
        self.stops_mu: list[Any] = [int32(0)] * 8  # 0: unused

    @staticmethod
    def get_rtio_channels(channel, **kwargs):
        """List the RTIO channels that a device_db row of this class takes."""
        return [(channel, None)]

    @kernel
    def init(self):
        """Disable the outputs, program all timings to never, and no heralds. Advances the cursor by 10 clocks."""
        self.set_config(False)
        for i in range(4):
            self.set_off(i)
            self.set_off(GATE0 + i)
        self._write(ADDR_HERALDS, 0)

    @kernel
    def _write(self, address: TInt32, data: TInt32) -> TNone:
        rtio_output(self.target | address, data)
        delay_mu(int64(COARSE_MU))

    @kernel
    def _read(self, address: TInt32) -> TInt32:
        rtio_output(self.target | address, 0)
        return rtio_input_data(self.channel)

    @kernel
    def set_config(self, enable: TBool = False) -> TNone:
        """Let the gateware drive its outputs (or give them back to their TTLs).

        Enabling checks that the gates end within the cycle.
        """
        if enable:
            self._check_gates()
        data = 0
        if enable:
            data |= CONFIG_ENABLE
        if self.is_master:
            data |= CONFIG_MASTER
        if self.standalone:
            data |= CONFIG_STANDALONE
        self._write(ADDR_CONFIG, data)

    @kernel
    def _check_gates(self) -> TNone:
        """Raise TimingError for a gate that the cycle's end cuts, or that has no reference pulse."""
        for i in range(4):
            if self.stops_mu[GATE0 + i] > 0:
                if self.stops_mu[self.reference_output] == 0:
                    raise TimingError(
                        "Entangler: gate {0} needs the reference pulse, but output {1} is off",
                        int64(i),
                        int64(self.reference_output),
                    )
                # The counter stops one clock before the outputs' next edge could be seen.
                end_mu = self.starts_mu[self.reference_output] + 2 * COARSE_MU + self.stops_mu[GATE0 + i] + 1
                last_mu = int32(self.cycle_mu) - OVERHEAD_CLOCKS * COARSE_MU + COARSE_MU - 1
                if end_mu > last_mu:
                    raise TimingError(
                        "Entangler: gate {0} would end {1} mu after the counter's end; make the cycle longer",
                        int64(i),
                        int64(end_mu - last_mu),
                    )

    @kernel
    def set_timing_mu(self, output: TInt32, start_mu: TInt32, stop_mu: TInt32) -> TNone:
        """Set when an output (0 to 3) is on, from the cycle's start, or a gate (4 to 7) open, from the reference.

        Raises TimingError for an output off the 8 mu grid, times beyond 14 bits, a stop that is not after its start.
        """
        if output < 0 or output > 7:
            raise TimingError(
                "Entangler: output {0} must be 0 to 3, or 4 to 7 for the gates of inputs 0 to 3", int64(output)
            )
        if start_mu < 0 or stop_mu <= start_mu:
            raise TimingError(
                "Entangler: output or gate {0} is {1} ... {2} mu; it must start at 0 or later and stop after its start",
                int64(output),
                int64(start_mu),
                int64(stop_mu),
            )
        start, stop = start_mu, stop_mu
        if output < GATE0:
            if start_mu & (COARSE_MU - 1) != 0 or stop_mu & (COARSE_MU - 1) != 0:
                raise TimingError(
                    "Entangler: output {0} is {1} ... {2} mu; both must be multiples of 8",
                    int64(output),
                    int64(start_mu),
                    int64(stop_mu),
                )
            start, stop = start_mu >> 3, stop_mu >> 3
        if stop + 1 > MAX_TIMING:
            raise TimingError(
                "Entangler: output or gate {0} stops at {1} mu, beyond the register's {2}",
                int64(output),
                int64(stop_mu),
                int64(MAX_TIMING - 1),
            )
        self.starts_mu[output] = start_mu
        self.stops_mu[output] = stop_mu
        self._write(ADDR_TIMING + output, ((stop + 1) << 16) | (start + 1))

    @kernel
    def set_timing(self, output: TInt32, start: TFloat, stop: TFloat) -> TNone:
        """Set an output or a gate in seconds; see `set_timing_mu`."""
        self.set_timing_mu(
            output, int32(round(start / self.core.ref_period)), int32(round(stop / self.core.ref_period))
        )

    @kernel
    def set_off(self, output: TInt32) -> TNone:
        """Keep an output (0 to 3) off or a gate (4 to 7) closed."""
        if output < 0 or output > 7:
            raise TimingError(
                "Entangler: output {0} must be 0 to 3, or 4 to 7 for the gates of inputs 0 to 3", int64(output)
            )
        self.stops_mu[output] = 0
        self._write(ADDR_TIMING + output, OUTPUT_OFF if output < GATE0 else GATE_CLOSED)

    @kernel
    def set_cycle_length_mu(self, length_mu: TInt32) -> TNone:
        """Set the cycle register, a multiple of 8 mu up to 8184; a cycle then takes `cycle_mu`, four clocks more.

        A link whose signals take longer than that to go round cannot run on this gateware: herald in software.
        """
        if length_mu < COARSE_MU or length_mu > MAX_CYCLE_MU:
            raise TimingError(
                "Entangler: the cycle is {0} mu; its register holds 8 to {1}; herald longer cycles in software",
                int64(length_mu),
                int64(MAX_CYCLE_MU),
            )
        if length_mu & (COARSE_MU - 1) != 0:
            raise TimingError("Entangler: the cycle is {0} mu; it must be a multiple of 8", int64(length_mu))
        self.cycle_mu = int64(length_mu + OVERHEAD_CLOCKS * COARSE_MU)
        self._write(ADDR_CYCLE, length_mu >> 3)

    @kernel
    def set_cycle_length(self, length: TFloat) -> TNone:
        """Set the cycle register in seconds; see `set_cycle_length_mu`."""
        self.set_cycle_length_mu(int32(round(length / self.core.ref_period)))

    @kernel
    def set_heralds(self, patterns: TList(TInt32)) -> TNone:
        """Set the patterns that end a run, at most four of 1 to 15.

        Bit k is input k, and all four inputs must match. 0 is a free place.
        """
        if len(patterns) > 4:
            raise TimingError("Entangler: {0} herald patterns; the register holds 4", int64(len(patterns)))
        data = 0
        for i in range(len(patterns)):
            if patterns[i] < 0 or patterns[i] > 15:
                raise TimingError(
                    "Entangler: herald pattern {0} is {1}; it must be 1 to 15, or 0 for none",
                    int64(i),
                    int64(patterns[i]),
                )
            if patterns[i] != 0:
                data |= (patterns[i] << (4 * i)) | (1 << (16 + i))
        self._write(ADDR_HERALDS, data)

    @kernel
    def run_mu(self, duration_mu: TInt64) -> TTuple([TInt64, TInt32]):
        """Repeat the cycle until a herald or the first cycle's end after `duration_mu`; wait for it.

        Returns (end of the last cycle, reason): reason has bit i for herald pattern i, or is TIMEOUT. Consumes all
        slack.
        """
        self.start_mu(duration_mu)
        return self.wait_mu()

    @kernel
    def start_mu(self, duration_mu: TInt64) -> TNone:
        """Begin to repeat the cycle, and go on; `wait_mu`, `poll_mu` or `stop_mu` takes the answer, once."""
        clocks = duration_mu >> 3
        if clocks < 1 or clocks > MAX_RUN_CLOCKS:
            raise TimingError(
                "Entangler: the run is {0} mu; it must be 8 to {1}", duration_mu, int64(MAX_RUN_CLOCKS) << 3
            )
        self._write(ADDR_RUN, int32(clocks))

    @kernel
    def wait_mu(self) -> TTuple([TInt64, TInt32]):
        """Wait for the answer of a run that was started, as `run_mu` returns it."""
        return rtio_input_timestamped_data(int64(-1), self.channel)

    @kernel
    def poll_mu(self, until_mu: TInt64) -> TTuple([TInt64, TInt32]):
        """Return the answer if it comes by `until_mu`, else (-1, 0): the run goes on. Consumes the slack up to then."""
        return rtio_input_timestamped_data(until_mu, self.channel)

    @kernel
    def stop_mu(self) -> TTuple([TInt64, TInt32]):
        """End a run that was started with the cycle under way, at the cursor; return its answer.

        The cursor must be ahead of the counter. A run command during a run only sets the time that is left.
        """
        stop_mu = now_mu()
        end_mu, reason = self.poll_mu(int64(0))
        if end_mu < 0:
            self._write(ADDR_RUN, 1)
            end_mu, reason = self.wait_mu()
            if end_mu <= stop_mu:  # it had ended before the command came, which began another one of one cycle
                self.wait_mu()
        return end_mu, reason

    @kernel
    def run(self, duration: TFloat) -> TTuple([TInt64, TInt32]):
        """Run for at most `duration` seconds; see `run_mu`."""
        return self.run_mu(self.core.seconds_to_mu(duration))

    @kernel
    def cycles_in(self, duration_mu: TInt64) -> TInt64:
        """Return how many whole cycles fit into `duration_mu`; the gateware's own counter rolls over at 16384."""
        return duration_mu // self.cycle_mu

    @kernel
    def get_status(self) -> TInt32:
        """Read the STATUS_* bits. Like all reads it consumes all slack."""
        return self._read(ADDR_STATUS)

    @kernel
    def get_ncycles(self) -> TInt32:
        """Read the number of cycles of the last run, modulo 16384."""
        return self._read(ADDR_NCYCLES)

    @kernel
    def get_ntriggers(self) -> TInt32:
        """Read the number of reference pulses of the last run, modulo 16384."""
        return self._read(ADDR_NTRIGGERS)

    @kernel
    def get_time_remaining(self) -> TInt32:
        """Read the remaining clocks of the run, modulo 16384."""
        return self._read(ADDR_REMAINING)

    @kernel
    def get_timestamp_mu(self, input: TInt32) -> TInt32:
        """Read when input 0 to 3 (or REFERENCE) last clicked in its gate, in mu of the cycle's counter.

        An input that is not in the pattern keeps its time stamp of an earlier cycle.
        """
        if input < 0 or input > REFERENCE:
            raise TimingError("Entangler: input {0} must be 0 to 3, or 4 for the reference", int64(input))
        return self._read(ADDR_TIMESTAMP + input)

    @kernel
    def get_click_mu(self, end_mu: TInt64, input: TInt32) -> TInt64:
        """Return the absolute time of an input's click, given the end of the last cycle, which `run_mu` returned."""
        return end_mu - self.cycle_mu + COUNTER_START_MU + int64(self.get_timestamp_mu(input))
