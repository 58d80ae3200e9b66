"""Heralding by the kernel: it plays each attempt and reads every detector. Slow, and for any number of detectors."""

from typing import Any

from artiq.language.core import at_mu, delay, kernel, now_mu
from artiq.language.types import TBool, TInt32, TInt64
from artiq.language.units import us
from numpy import int64

from atomlink.link_name import of_station
from atomlink.topology import StationSpec
from drivers import parameters
from drivers.rtio.attempt import Attempt, AttemptTiming
from drivers.rtio.herald import RUNNING, Heralder


class SoftwareHeralder(Heralder):
    """Herald in the kernel: each attempt pulse by pulse, a gate per detector, time stamps read back."""

    BACKEND = "software"

    kernel_invariants = {"core", "light", "detectors", "n", "gives_up"}

    def build(self, attempt: Attempt, station: StationSpec) -> None:
        super().build(attempt, station)
        self.detectors = [self.get_device(detector.row) for detector in station.detectors]
        self.gate_start_mu = int64(0)
        self.gate_mu = int64(0)
        self.slack_mu = self.lead_mu = int64(0)
        self.t_end_mu = int64(0)  # of the second round's gates
        self.left = 0  # attempts of those begun
        self.gives_up = station.scheme == "barrett_kok"  # on a first round without exactly one click

    def prepare(self) -> None:
        """Read the slack that the kernel needs between two attempts."""
        self.slack_mu = parameters.duration_mu(self, of_station(self.station.name, "t_software_slack_s"))

    def setup(self, timing: AttemptTiming, patterns: tuple[int, ...]) -> None:
        """Choose the attempt and the patterns that herald."""
        super().setup(timing, patterns)
        self.gate_start_mu = int64(timing.gate_start_mu)
        self.gate_mu = int64(timing.gate_stop_mu - timing.gate_start_mu)
        self.back_mu = int64(timing.back_mu)
        self.lead_mu = max(self.slack_mu, self.back_mu)

    def totals(self) -> dict[str, Any]:
        """Return how many attempts gave each pattern, those that did not herald included."""
        return {"link.pattern_counts": [int(n) for n in self.pattern_counts]}

    @kernel
    def arm(self):
        """Make the detectors inputs."""
        for detector in self.detectors:
            detector.input()
        delay(1 * us)

    @kernel
    def attempts(self, n: TInt32) -> TInt32:
        """Attempt at most `n` times; return the heralding pattern, or 0."""
        self.start(n)
        return self.go_on(int64(1) << 62)

    @kernel
    def start(self, n: TInt32):
        """Begin at most `n` attempts; they are played while somebody asks for them."""
        self.left = n

    @kernel
    def poll(self, until_mu: TInt64) -> TInt32:
        """Attempt until a herald or `until_mu`; return the pattern, 0 where all is done, RUNNING where more are left.

        At least one attempt. The cursor must be ahead of the counter.
        """
        pattern = self.go_on(until_mu)
        if pattern == 0 and self.left > 0:
            pattern = RUNNING
        return pattern

    @kernel
    def stop(self) -> TInt32:
        """Make an end; the last attempt was over already."""
        self.left = 0
        self.n_attempts = 0
        return 0

    @kernel
    def go_on(self, until_mu: TInt64) -> TInt32:
        """Attempt until a herald, `until_mu`, or none is left; return the heralding pattern, or 0."""
        pattern = 0
        tried = 0
        t_start_mu = now_mu()
        while tried < self.left and pattern == 0 and (tried == 0 or now_mu() < until_mu):
            self.ready()
            t_end_mu = self.attempt()
            if self.light.two_rounds:
                pattern = self.second_round(t_end_mu)
                t_end_mu = self.t_end_mu
            else:
                pattern = self.read_pattern(t_end_mu)
            self.pattern_counts[pattern] += 1
            tried += 1
            self.t_herald_mu = t_end_mu
            if not self.is_herald(pattern):
                pattern = 0
                self.catch_up()  # reading has used up the slack
        self.n_attempts = tried
        self.left -= tried
        if pattern != 0:
            self.left = 0
        self.t_attempting_mu += now_mu() - t_start_mu
        return pattern

    @kernel
    def count_others(self, n: TInt32) -> TInt32:
        """Do nothing, return 0: here every attempt counts every pattern."""
        return 0

    @kernel
    def catch_up(self):
        """Put the cursor so far ahead of the counter that all events of an attempt are in time, and that the nodes can
        know what the attempt before has shown.
        """
        at_mu(self.core.get_rtio_counter_mu() + self.lead_mu)

    @kernel
    def ready(self):
        """Do what must be done before an attempt: here nothing."""

    @kernel
    def attempt(self) -> TInt64:
        """Play one attempt from the cursor on; return the end of its gates."""
        t_start_mu = now_mu()
        self.light.fire()
        for detector in self.detectors:
            at_mu(t_start_mu + self.gate_start_mu)
            detector.gate_rising_mu(self.gate_mu)
        return now_mu()

    @kernel
    def read_pattern(self, t_end_mu: TInt64) -> TInt32:
        """Return the pattern of a gate that ends at `t_end_mu` and keep the first click of each detector."""
        for k in range(self.n):
            self.clicks_mu[k] = self.detectors[k].timestamp_mu(t_end_mu)
        pattern = 0
        for k in range(self.n):
            if self.clicks_mu[k] >= 0:
                self.detectors[k].count(t_end_mu)  # later clicks of this gate must not be taken for those of the next
                pattern += 1 << k
        return pattern

    @kernel
    def second_round(self, t_end_mu: TInt64) -> TInt32:
        """Play the round that follows the gates that end at `t_end_mu`; return the pattern of both.

        A scheme that gives up reads the first gates before, and stops where they do not show exactly one click.
        """
        t_start_mu = t_end_mu - self.gate_mu - self.gate_start_mu
        for k in range(self.n * 2):
            self.clicks_mu[k] = int64(-1)
        self.t_end_mu = t_end_mu
        if self.gives_up:
            pattern = self.read_rounds(t_end_mu, t_end_mu)
            clicked = 0
            for k in range(self.n):
                clicked += (pattern >> (2 * k)) & 1
            if clicked != 1:
                return pattern
        self.light.fire_again(t_start_mu)
        for detector in self.detectors:
            at_mu(t_start_mu + self.light.second_mu + self.gate_start_mu)
            detector.gate_rising_mu(self.gate_mu)
        self.t_end_mu = now_mu()
        return self.read_rounds(t_end_mu, self.t_end_mu)

    @kernel
    def read_rounds(self, t_first_mu: TInt64, t_end_mu: TInt64) -> TInt32:
        """Read all clicks up to `t_end_mu` and keep the first of each gate; those up to `t_first_mu` are early."""
        pattern = 0
        for k in range(self.n):
            t_mu = self.detectors[k].timestamp_mu(t_end_mu)
            while t_mu >= 0:
                bit = 2 * k
                if t_mu > t_first_mu:
                    bit += 1
                if self.clicks_mu[bit] < 0:
                    self.clicks_mu[bit] = t_mu
                t_mu = self.detectors[k].timestamp_mu(t_end_mu)
        for bit in range(self.n * 2):
            if self.clicks_mu[bit] >= 0:
                pattern += 1 << bit
        return pattern

    @kernel
    def edge_mu(self) -> TInt64:
        """Return when the first end's excitation was switched on in the last attempt."""
        start_mu = self.t_herald_mu - self.gate_mu - self.gate_start_mu - self.light.second_mu
        return start_mu + self.light.excite_mu[0]

    @kernel
    def is_herald(self, pattern: TInt32) -> TBool:
        """Say whether a pattern is one of those that herald."""
        found = False
        for accepted in self.patterns:
            if pattern == accepted and pattern != 0:
                found = True
        return found
