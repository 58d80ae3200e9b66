"""Heralding by the gateware of a station: at the full rate, for up to four detectors and four patterns."""

from typing import Any

from artiq.language.core import at_mu, delay_mu, kernel, now_mu
from artiq.language.types import TInt32, TInt64
from numpy import int32, int64

from atomlink.errors import TimingError, UsageError
from atomlink.link_name import of_station
from atomlink.topology import StationSpec
from drivers import parameters
from drivers.rtio.attempt import Attempt, AttemptTiming
from drivers.rtio.entangler import COARSE_MU, GATE0, MAX_CYCLE_MU, OVERHEAD_CLOCKS, TIMEOUT
from drivers.rtio.herald import MAX_PATTERNS, RUNNING, Heralder

MAX_DETECTORS = 4
OUTPUT_DELAY_MU = 40  # from the gateware's cycle start to an output programmed to 0 (gateware simulation)
LATEST_MU = 16  # the cycle register reaches so far beyond the gates: two clocks until the reference is seen


def register_mu(gate_stop_mu: int, back_mu: int) -> int:
    """Return what the cycle register must hold: to the gates' end, and until the nodes can know what they showed.

    The register's clocks are fewer than the cycle's: the next one begins so much later.
    """
    least = gate_stop_mu + max(LATEST_MU, back_mu - OVERHEAD_CLOCKS * COARSE_MU)
    return COARSE_MU * -(-least // COARSE_MU)


class EntanglerHeralder(Heralder):
    """Herald in gateware: it repeats the attempt at the full rate and stops at the first pattern that matches.

    Cabling: output 0 pumps both ends, 1 excites the first and is the reference of the gates, 2 excites the second.
    """

    BACKEND = "entangler"

    kernel_invariants = {"core", "light", "entangler", "n", "slack_mu"}

    def build(self, attempt: Attempt, station: StationSpec) -> None:
        super().build(attempt, station)
        if self.n > MAX_DETECTORS:
            raise UsageError(
                f"Station {station.name} has {self.n} detectors, but its gateware sees {MAX_DETECTORS}: use "
                "backend=software, or leave detectors out."
            )
        self.entangler = self.get_device(str(station.heralder))
        self.start_mu = int64(0)
        others = self.same_polarisation if station.scheme == "polarisation" else ()
        self.others = [*others, 0, 0, 0, 0][:MAX_PATTERNS]
        self.heralding_attempts = int64(0)  # since `setup`
        self.other_attempts = int64(0)  # those that looked for the patterns of one polarisation
        self.pump_stop = 0
        self.excite_start, self.excite_stop = [0, 0], [0, 0]  # by end
        self.gate_start = self.gate_stop = self.length = 0

    def prepare(self) -> None:
        """Read the slack that reading a register needs."""
        self.slack_mu = parameters.duration_mu(self, of_station(self.station.name, "t_register_slack_s"))

    def setup(self, timing: AttemptTiming, patterns: tuple[int, ...]) -> None:
        """Choose the attempt and the patterns that herald; TimingError for a cycle longer than the register holds."""
        super().setup(timing, patterns)
        self.heralding_attempts = int64(0)
        self.other_attempts = int64(0)
        length = register_mu(timing.gate_stop_mu, timing.back_mu)
        if length > MAX_CYCLE_MU:
            raise TimingError(
                f"Attempt takes {length} mu, {timing.back_mu} of it for the news' way back to the nodes, but the "
                f"entangler's register holds {MAX_CYCLE_MU}: herald with backend=software, or shorten pumping, gate or "
                "delay."
            )
        self.length = length
        self.pump_stop = timing.pump_stop_mu
        self.excite_start, self.excite_stop = list(timing.excite_mu), list(timing.excite_stop_mu)
        self.gate_start = timing.gate_start_mu - timing.excite_mu[0]
        self.gate_stop = timing.gate_stop_mu - timing.excite_mu[0]

    def totals(self) -> dict[str, Any]:
        """Return how often each pattern came, and in how many attempts it was looked for."""
        looked = [0] * self.n_patterns
        for patterns, attempts in ((self.patterns, self.heralding_attempts), (self.others, self.other_attempts)):
            for pattern in patterns:
                looked[pattern] += int(attempts) if pattern else 0
        counts = {"link.pattern_counts": [int(n) for n in self.pattern_counts]}
        return {**counts, "link.pattern_attempts": looked}

    @kernel
    def arm(self):
        """Write timing and patterns to the registers and let the gateware drive its outputs."""
        self.entangler.init()
        self.entangler.set_timing_mu(0, 0, self.pump_stop)
        for i in range(2):
            self.entangler.set_timing_mu(1 + i, self.excite_start[i], self.excite_stop[i])
        for i in range(self.n):
            self.entangler.set_timing_mu(GATE0 + i, self.gate_start, self.gate_stop)
        self.entangler.set_cycle_length_mu(self.length)
        self.entangler.set_heralds(self.patterns)
        self.entangler.set_config(True)
        delay_mu(self.slack_mu)

    @kernel
    def attempts(self, n: TInt32) -> TInt32:
        """Attempt at most `n` times; return the heralding pattern, or 0."""
        self.start(n)
        end_mu, reason = self.entangler.wait_mu()
        return self.ended(end_mu, reason)

    @kernel
    def start(self, n: TInt32):
        """Begin at most `n` attempts, and go on."""
        # The run goes on to the end of the cycle in which its time is up: half a cycle less than n is n.
        self.start_mu = now_mu()
        self.entangler.start_mu(self.entangler.cycle_mu * n - self.entangler.cycle_mu // 2)

    @kernel
    def poll(self, until_mu: TInt64) -> TInt32:
        """Return the heralding pattern, 0 where the attempts are over, RUNNING where they go on after `until_mu`."""
        end_mu, reason = self.entangler.poll_mu(until_mu)
        if end_mu < 0:
            self.n_attempts = 0
            return RUNNING
        return self.ended(end_mu, reason)

    @kernel
    def stop(self) -> TInt32:
        """Let the attempt under way be the last; return the heralding pattern, or 0."""
        self.catch_up()
        end_mu, reason = self.entangler.stop_mu()
        return self.ended(end_mu, reason)

    @kernel
    def ended(self, end_mu: TInt64, reason: TInt32) -> TInt32:
        """Note what a run gave; return the heralding pattern, or 0."""
        self.t_herald_mu = end_mu
        # Reading the gateware's count would cost time between herald and pulse, and it rolls over.
        self.n_attempts = int32(self.entangler.cycles_in(end_mu - self.start_mu + self.entangler.cycle_mu // 2))
        pattern = 0
        if reason != TIMEOUT:
            for i in range(4):
                if (reason >> i) & 1 == 1:
                    pattern = self.patterns[i]
            for i in range(self.n):
                if (pattern >> i) & 1 == 1:
                    self.catch_up()
                    self.clicks_mu[i] = self.entangler.get_click_mu(end_mu, i)
                else:
                    self.clicks_mu[i] = int64(-1)
        if pattern != 0:
            self.pattern_counts[pattern] += 1
        self.heralding_attempts += int64(self.n_attempts)
        self.t_attempting_mu += self.entangler.cycle_mu * self.n_attempts
        self.catch_up()
        return pattern

    @kernel
    def count_others(self, n: TInt32) -> TInt32:
        """Look for the patterns of one polarisation in at most `n` attempts, up to the first; return how many.

        The gateware has four patterns, all taken by heralds: for so long these are exchanged. Nothing, where the
        station's detectors have no such pattern.
        """
        tried = int32(0)
        if self.others[0] != 0:
            self.entangler.set_heralds(self.others)
            delay_mu(self.slack_mu)
            start_mu = now_mu()
            half_mu = self.entangler.cycle_mu // 2
            end_mu, reason = self.entangler.run_mu(self.entangler.cycle_mu * n - half_mu)
            tried = int32(self.entangler.cycles_in(end_mu - start_mu + half_mu))
            if reason != TIMEOUT:
                for i in range(4):
                    if (reason >> i) & 1 == 1:
                        self.pattern_counts[self.others[i]] += 1
            self.other_attempts += int64(tried)
            self.catch_up()
            self.entangler.set_heralds(self.patterns)
            delay_mu(self.slack_mu)
        return tried

    @kernel
    def edge_mu(self) -> TInt64:
        """Return when the first end's excitation was switched on in the last attempt."""
        return self.t_herald_mu - self.entangler.cycle_mu + OUTPUT_DELAY_MU + self.light.excite_mu[0]

    @kernel
    def catch_up(self):
        """Put the cursor ahead of the counter: reading a register uses up all slack."""
        at_mu(self.core.get_rtio_counter_mu() + self.slack_mu)
