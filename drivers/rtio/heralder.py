"""Heralding: repeat attempts until the detectors show an accepted pattern. One interface, two backends.

    setup(timing, patterns)     host: what an attempt is, and which patterns herald
    arm()                       kernel: write it to the hardware
    attempts(n) -> pattern      kernel: at most n attempts; 0 if none heralded. Then read
    t_herald_mu, clicks_mu, n_attempts, t_attempting_mu
    count_others(n)             kernel: at most n attempts that look for the patterns that no pair makes, to count them
    edge_mu()                   kernel: when alice's excitation was switched on in the attempt that heralded

Pattern: bit k is detector k of c_h, c_v, d_h, d_v. Exactly the pattern counts: a third click vetoes.
    Psi+  H and V at one output       0b0011, 0b1100
    Psi-  H and V at different ones   0b1001, 0b0110
"""

from typing import Any

from artiq.language.core import at_mu, delay, delay_mu, kernel, now_mu, parallel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TInt32, TInt64
from artiq.language.units import us
from numpy import int32, int64

from atomlink.errors import TimingError, UsageError
from drivers import parameters
from drivers.rtio.entangler import COARSE_MU, GATE0, MAX_CYCLE_MU, TIMEOUT
from drivers.rtio.photon_port import AttemptTiming, PhotonPort

DETECTORS = ("snspd_c_h", "snspd_c_v", "snspd_d_h", "snspd_d_v")
PSI_PLUS = (0b0011, 0b1100)
PSI_MINUS = (0b1001, 0b0110)
SAME_POLARISATION = (0b0101, 0b1010)  # c and d, H & H or V & V: where two-photon interference shows
SINGLES = (0b0001, 0b0010, 0b0100, 0b1000)
BACKENDS = ("entangler", "software")
MAX_PATTERNS = 4  # registers of the gateware
OUTPUT_DELAY_MU = 40  # from the gateware's cycle start to an output programmed to 0 (gateware simulation)
LATEST_MU = 16  # the cycle register reaches so far beyond the gates: two clocks until the reference is seen


class _Heralder(HasEnvironment):
    """The result record that both backends fill."""

    BACKEND = ""  # which of BACKENDS it is

    def build(self, port: PhotonPort) -> None:
        self.port = port
        self.core = self.get_device("core")
        self.patterns = [0] * MAX_PATTERNS
        self.t_herald_mu = int64(0)  # end of the cycle or of the gates that heralded
        self.clicks_mu = [int64(-1)] * len(DETECTORS)  # first click of each detector in the gate, -1 where none
        self.n_attempts: Any = 0  # attempts of the last call, the heralding one included
        self.t_attempting_mu = int64(0)  # time in attempts since `setup`, all calls together
        self.pattern_counts = [0] * 16  # attempts by pattern since `setup`, written back when a kernel ends

    def setup(self, timing: AttemptTiming, patterns: tuple[int, ...]) -> None:
        """Choose the attempt and the patterns that herald (at most four); `arm` makes it so."""
        if not 1 <= len(patterns) <= MAX_PATTERNS or not all(1 <= p <= 15 for p in patterns):
            raise UsageError(f"Patterns {patterns} must be one to {MAX_PATTERNS} integers between 1 and 15.")
        self.timing = timing
        self.t_attempting_mu = int64(0)
        self.pattern_counts = [0] * 16
        self.patterns = list(patterns) + [0] * (MAX_PATTERNS - len(patterns))
        self.port.use(timing)

    def totals(self) -> dict[str, Any]:
        """Return run-level datasets that only this backend knows."""
        return {}


class SoftwareHeralder(_Heralder):
    """Herald in the kernel: each attempt pulse by pulse, four gates, time stamps read back."""

    BACKEND = "software"

    kernel_invariants = {"core", "port", "c_h", "c_v", "d_h", "d_v", "slack_mu"}

    def build(self, port: PhotonPort) -> None:
        super().build(port)
        self.c_h, self.c_v, self.d_h, self.d_v = (self.get_device(name) for name in DETECTORS)
        self.gate_start_mu = int64(0)
        self.gate_mu = int64(0)

    def prepare(self) -> None:
        """Read the slack that the kernel needs between two attempts."""
        self.slack_mu = parameters.duration_mu(self, "param.link.t_software_slack_s")

    def setup(self, timing: AttemptTiming, patterns: tuple[int, ...]) -> None:
        """Choose the attempt and the patterns that herald."""
        super().setup(timing, patterns)
        self.gate_start_mu = int64(timing.gate_start_mu)
        self.gate_mu = int64(timing.gate_stop_mu - timing.gate_start_mu)

    def totals(self) -> dict[str, Any]:
        """Return how many attempts gave each pattern, those that did not herald included."""
        return {"link.pattern_counts": [int(n) for n in self.pattern_counts]}

    @kernel
    def arm(self):
        """Make the detectors inputs."""
        self.c_h.input()
        self.c_v.input()
        self.d_h.input()
        self.d_v.input()
        delay(1 * us)

    @kernel
    def attempts(self, n: TInt32) -> TInt32:
        """Attempt at most `n` times; return the heralding pattern, or 0."""
        pattern = 0
        tried = 0
        t_start_mu = now_mu()
        while tried < n and pattern == 0:
            t_end_mu = self.attempt()
            pattern = self.read_pattern(t_end_mu)
            self.pattern_counts[pattern] += 1
            tried += 1
            self.t_herald_mu = t_end_mu
            if not self.is_herald(pattern):
                pattern = 0
                # Reading has used up the slack: begin the next attempt so far ahead that all its events are in time.
                at_mu(self.core.get_rtio_counter_mu() + self.slack_mu)
        self.n_attempts = tried
        self.t_attempting_mu += now_mu() - t_start_mu
        return pattern

    @kernel
    def count_others(self, n: TInt32) -> TInt32:
        """Do nothing, return 0: here every attempt counts every pattern."""
        return 0

    @kernel
    def attempt(self) -> TInt64:
        """Play one attempt from the cursor on; return the end of its gates."""
        t_start_mu = now_mu()
        self.port.fire()
        at_mu(t_start_mu + self.gate_start_mu)
        with parallel:
            self.c_h.gate_rising_mu(self.gate_mu)
            self.c_v.gate_rising_mu(self.gate_mu)
            self.d_h.gate_rising_mu(self.gate_mu)
            self.d_v.gate_rising_mu(self.gate_mu)
        return now_mu()

    @kernel
    def read_pattern(self, t_end_mu: TInt64) -> TInt32:
        """Return the pattern of a gate that ends at `t_end_mu` and keep the first click of each detector."""
        self.clicks_mu[0] = self.c_h.timestamp_mu(t_end_mu)
        self.clicks_mu[1] = self.c_v.timestamp_mu(t_end_mu)
        self.clicks_mu[2] = self.d_h.timestamp_mu(t_end_mu)
        self.clicks_mu[3] = self.d_v.timestamp_mu(t_end_mu)
        pattern = 0
        if self.clicks_mu[0] >= 0:
            self.c_h.count(t_end_mu)  # later clicks of this gate must not be taken for those of the next
            pattern += 1
        if self.clicks_mu[1] >= 0:
            self.c_v.count(t_end_mu)
            pattern += 2
        if self.clicks_mu[2] >= 0:
            self.d_h.count(t_end_mu)
            pattern += 4
        if self.clicks_mu[3] >= 0:
            self.d_v.count(t_end_mu)
            pattern += 8
        return pattern

    @kernel
    def edge_mu(self) -> TInt64:
        """Return when alice's excitation was switched on in the last attempt."""
        return self.t_herald_mu - self.gate_mu - self.gate_start_mu + self.port.excite_alice_mu

    @kernel
    def is_herald(self, pattern: TInt32) -> TBool:
        """Say whether a pattern is one of those that herald."""
        found = False
        for accepted in self.patterns:
            if pattern == accepted and pattern != 0:
                found = True
        return found


class EntanglerHeralder(_Heralder):
    """Herald in gateware: it repeats the attempt at the full rate and stops at the first pattern that matches.

    Cabling: output 0 pumps both nodes, 1 excites alice and is the reference of the gates, 2 excites bob.
    """

    BACKEND = "entangler"

    kernel_invariants = {"core", "port", "entangler", "slack_mu"}

    def build(self, port: PhotonPort) -> None:
        super().build(port)
        self.entangler = self.get_device("entangler")
        self.others = [*SAME_POLARISATION, 0, 0]
        self.heralding_attempts = int64(0)  # since `setup`
        self.other_attempts = int64(0)  # those that looked for the patterns of one polarisation
        self.pump_stop = self.alice_start = self.alice_stop = self.bob_start = self.bob_stop = 0
        self.gate_start = self.gate_stop = self.length = 0

    def prepare(self) -> None:
        """Read the slack that reading a register needs."""
        self.slack_mu = parameters.duration_mu(self, "param.link.t_register_slack_s")

    def setup(self, timing: AttemptTiming, patterns: tuple[int, ...]) -> None:
        """Choose the attempt and the patterns that herald; TimingError for a cycle longer than the register holds."""
        super().setup(timing, patterns)
        self.heralding_attempts = int64(0)
        self.other_attempts = int64(0)
        length = COARSE_MU * -(-(timing.gate_stop_mu + LATEST_MU) // COARSE_MU)
        if length > MAX_CYCLE_MU:
            raise TimingError(
                f"Attempt takes {length} mu, but the entangler's register holds {MAX_CYCLE_MU}: shorten pumping, gate "
                "or delay, or herald in software."
            )
        self.length = length
        self.pump_stop = timing.pump_stop_mu
        self.alice_start, self.alice_stop = timing.excite_alice_mu, timing.excite_alice_stop_mu
        self.bob_start, self.bob_stop = timing.excite_bob_mu, timing.excite_bob_stop_mu
        self.gate_start = timing.gate_start_mu - timing.excite_alice_mu
        self.gate_stop = timing.gate_stop_mu - timing.excite_alice_mu

    def totals(self) -> dict[str, Any]:
        """Return how often each pattern came, and in how many attempts it was looked for."""
        looked = [0] * 16
        for patterns, attempts in ((self.patterns, self.heralding_attempts), (SAME_POLARISATION, self.other_attempts)):
            for pattern in patterns:
                looked[pattern] += int(attempts) if pattern else 0
        counts = {"link.pattern_counts": [int(n) for n in self.pattern_counts]}
        return {**counts, "link.pattern_attempts": looked}

    @kernel
    def arm(self):
        """Write timing and patterns to the registers and let the gateware drive its outputs."""
        self.entangler.init()
        self.entangler.set_timing_mu(0, 0, self.pump_stop)
        self.entangler.set_timing_mu(1, self.alice_start, self.alice_stop)
        self.entangler.set_timing_mu(2, self.bob_start, self.bob_stop)
        for i in range(4):
            self.entangler.set_timing_mu(GATE0 + i, self.gate_start, self.gate_stop)
        self.entangler.set_cycle_length_mu(self.length)
        self.entangler.set_heralds(self.patterns)
        self.entangler.set_config(True)
        delay_mu(self.slack_mu)

    @kernel
    def attempts(self, n: TInt32) -> TInt32:
        """Attempt at most `n` times; return the heralding pattern, or 0."""
        # The run goes on to the end of the cycle in which its time is up: half a cycle less than n is n.
        start_mu = now_mu()
        half_mu = self.entangler.cycle_mu // 2
        end_mu, reason = self.entangler.run_mu(self.entangler.cycle_mu * n - half_mu)
        self.t_herald_mu = end_mu
        # Reading the gateware's count would cost time between herald and pulse, and it rolls over.
        self.n_attempts = int32(self.entangler.cycles_in(end_mu - start_mu + half_mu))
        pattern = 0
        if reason != TIMEOUT:
            for i in range(4):
                if (reason >> i) & 1 == 1:
                    pattern = self.patterns[i]
            for i in range(4):
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

        The gateware has four patterns, all taken by heralds: for so long these are exchanged.
        """
        self.entangler.set_heralds(self.others)
        delay_mu(self.slack_mu)
        start_mu = now_mu()
        half_mu = self.entangler.cycle_mu // 2
        end_mu, reason = self.entangler.run_mu(self.entangler.cycle_mu * n - half_mu)
        tried = int32(self.entangler.cycles_in(end_mu - start_mu + half_mu))
        if reason != TIMEOUT:
            for i in range(2):
                if (reason >> i) & 1 == 1:
                    self.pattern_counts[self.others[i]] += 1
        self.other_attempts += int64(tried)
        self.catch_up()
        self.entangler.set_heralds(self.patterns)
        delay_mu(self.slack_mu)
        return tried

    @kernel
    def edge_mu(self) -> TInt64:
        """Return when alice's excitation was switched on in the last attempt."""
        return self.t_herald_mu - self.entangler.cycle_mu + OUTPUT_DELAY_MU + self.port.excite_alice_mu

    @kernel
    def catch_up(self):
        """Put the cursor ahead of the counter: reading a register uses up all slack."""
        at_mu(self.core.get_rtio_counter_mu() + self.slack_mu)


def make_heralder(experiment: Any, port: PhotonPort, backend: str) -> Any:
    """Return the heralder of one of BACKENDS; while arguments are examined (backend None) the software one."""
    if backend == "entangler":
        return EntanglerHeralder(experiment, port)
    if backend in ("software", None):
        return SoftwareHeralder(experiment, port)
    raise UsageError(f"Heralding backend {backend!r} must be one of {', '.join(BACKENDS)}.")
