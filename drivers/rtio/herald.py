"""Heralding at one station: repeat attempts until its detectors show an accepted pattern. One interface, two backends.

    setup(timing, patterns)     host: what an attempt is, and which patterns herald
    arm()                       kernel: write it to the hardware
    attempts(n) -> pattern      kernel: at most n attempts; 0 if none heralded. Then read
    t_herald_mu, clicks_mu, n_attempts, t_attempting_mu
    start(n)                    kernel: the same, but go on; then again and again
    poll(until_mu) -> pattern   kernel: RUNNING if neither herald nor end has come by until_mu, else as `attempts`
    stop() -> pattern           kernel: make an end now
    count_others(n)             kernel: at most n attempts that look for the patterns that no pair makes, to count them
    catch_up()                  kernel: put the cursor ahead of the counter, where `start` or an attempt may begin
    edge_mu()                   kernel: when the first end's excitation was switched on in the attempt that heralded

Pattern: bit k is detector k of the station; where the timing has two rounds, bit 2 k its first, 2 k + 1 its second.
Exactly the pattern counts: a further click vetoes. What a pattern tells is `atomlink.heralds`.
"""

from typing import Any

from artiq.language.core import kernel
from artiq.language.environment import HasEnvironment
from artiq.language.types import TInt32, TInt64
from numpy import int64

from atomlink import heralds
from atomlink.errors import UsageError
from atomlink.topology import StationSpec
from drivers.rtio.attempt import Attempt, AttemptTiming

MAX_PATTERNS = 4  # registers of the gateware
RUNNING = -1  # what `poll` returns where the attempts go on


class Heralder(HasEnvironment):
    """The result record that both backends fill, and what the station's detectors can show."""

    BACKEND = ""  # its name

    def build(self, attempt: Attempt, station: StationSpec) -> None:
        self.light = attempt
        self.core = self.get_device("core")
        self.station = station
        self.n = len(station.detectors)
        self.rounds = heralds.rounds(station.scheme)
        self.n_patterns = 1 << self.n * self.rounds
        self.singles = heralds.singles(station.roles)
        self.same_polarisation = heralds.same_polarisation(station.roles)
        self.psi_plus, self.psi_minus = (heralds.patterns(station.scheme, station.roles, sign) for sign in (+1, -1))
        self.patterns = [0] * MAX_PATTERNS
        self.t_herald_mu = int64(0)  # end of the cycle or of the gates that heralded
        self.clicks_mu = [int64(-1)] * (self.n * self.rounds)  # first click of each bit's gate, -1 where none
        self.back_mu = int64(0)  # after t_herald_mu, until both nodes can know
        self.n_attempts: Any = 0  # attempts of the last call, the heralding one included
        self.t_attempting_mu = int64(0)  # time in attempts since `setup`, all calls together
        self.pattern_counts = [0] * self.n_patterns  # attempts by pattern since `setup`, known when a kernel ends

    def setup(self, timing: AttemptTiming, patterns: tuple[int, ...]) -> None:
        """Choose the attempt and the patterns that herald (at most four); `arm` makes it so."""
        if not 1 <= len(patterns) <= MAX_PATTERNS or not all(1 <= p < self.n_patterns for p in patterns):
            raise UsageError(
                f"Patterns {patterns} must be one to {MAX_PATTERNS} integers between 1 and {self.n_patterns - 1}: "
                f"{self.station.name} has {self.n} detectors."
            )
        self.timing = timing
        self.t_attempting_mu = int64(0)
        self.pattern_counts = [0] * self.n_patterns
        self.patterns = list(patterns) + [0] * (MAX_PATTERNS - len(patterns))
        self.light.use(timing)

    def mask(self, polarisation: str) -> int:
        """Return the bits of the detectors of one polarisation."""
        roles = [heralds.Role.of(role).polarisation for role in self.station.roles]
        return sum(1 << k for k, role in enumerate(roles) if role == polarisation)

    def click_masks(self) -> tuple[int, int]:
        """Return the bits of the first and of the second click that make a pair: H and V, or early and late, or one."""
        bits = range(self.n * self.rounds)
        if self.rounds == 2:
            return sum(1 << k for k in bits if k % 2 == 0), sum(1 << k for k in bits if k % 2 == 1)
        if self.station.scheme == "one_photon":
            return (1 << self.n) - 1, (1 << self.n) - 1
        return self.mask("h"), self.mask("v")

    @kernel
    def click_mu(self, detectors: TInt32, pattern: TInt32) -> TInt64:
        """Return the click of the last detector of a mask that the pattern shows; of the mask's first where none."""
        t_mu = int64(-1)
        for k in range(self.n * self.rounds):
            if (detectors >> k) & 1 == 1 and (t_mu < 0 or (pattern >> k) & 1 == 1):
                t_mu = self.clicks_mu[k]
        return t_mu

    def totals(self) -> dict[str, Any]:
        """Return run-level datasets that only this backend knows."""
        return {}
