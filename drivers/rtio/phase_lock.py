"""The optical phase between the two ways of a one-photon station: measured by its detectors, held by a modulator.

    probe light      |‾‾‾‾‾‾‾‾‾‾‾‾‾|        |‾‾‾‾‾‾‾‾‾‾‾‾‾|
    second end's DDS   turns                   turns + 1/4             turns - gain x phase
    counters c, d      |‾‾‾‾‾‾‾‾‾‾|            |‾‾‾‾‾‾‾‾‾‾|

The calibration light comes by both ways, so that c and d show 1 +- V cos(phase); a quarter turn more gives the sine.
The correction goes to the phase of the second end's excitation light, which the photons take over. After it the phase
walks on: with D rad^2/s, period T and gain g its variance is D T/(g (2 - g)) before each correction.
"""

# ARTIQ's annotations are calls, TList(TFloat), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

import math
from typing import Any

from artiq.coredevice.core import Core
from artiq.language.core import at_mu, delay, kernel, now_mu
from artiq.language.environment import HasEnvironment
from artiq.language.types import TBool, TFloat, TInt32, TInt64, TList
from artiq.language.units import us
from numpy import int64

from atomlink.errors import DeviceError
from atomlink.heralds import Role
from atomlink.link_name import of_station
from atomlink.topology import StationSpec
from drivers import parameters
from drivers.rtio.beam import Beam

FARTHEST_RAD2 = 0.7  # between two readings; beyond, some went round by more than half a turn
FEWEST = 20  # clicks of one reading; with fewer there is no phase to speak of


class PhaseLock(HasEnvironment):
    """Measure and correct the phase now and then; `phase_rad` is what was seen last, before it was corrected."""

    kernel_invariants = {"core", "beam", "probe", "counters", "outputs", "n", "probe_mu", "period_mu"}

    def build(self, station: StationSpec, beam: Beam) -> None:
        self.station, self.beam = station, beam
        self.core: Core = self.get_device("core")
        self.probe = self.get_device(f"{station.name}_probe")
        self.counters = [self.get_device(f"{detector.row}_counter") for detector in station.detectors]
        self.outputs = [int(Role.of(role).output == "d") for role in station.roles]
        self.n = len(self.counters)
        self.clicks = [0, 0, 0, 0]  # c, d; a quarter of a turn later c, d
        self.turns = 0.0
        self.phase_rad = 0.0
        self.last_mu = int64(-1)
        self.probed_mu = int64(0)  # middle of the last reading
        self.before_mu = int64(0)  # of the one before
        self.clear()
        self.heralds = 0
        self.herald_age_mu = int64(0)  # of the last reading when each of these came, summed: milliseconds each

    def prepare(self) -> None:
        """Read the beliefs."""
        name = self.station.name
        self.gain = parameters.get(self, of_station(name, "phase_gain"))
        self.probe_mu = parameters.duration_mu(self, of_station(name, "t_phase_probe_s"))
        self.period_mu = parameters.duration_mu(self, of_station(name, "t_phase_period_s"))

    def clear(self) -> None:
        """Count readings anew; first ones, after `forget`, do not count."""
        self.readings, self.ages_mu = 0, 0  # how many, and time since the correction before, summed
        self.squares, self.fourths = 0.0, 0.0  # of the phase, the readings' noise taken off: phase^2, and its square

    @kernel
    def forget(self):
        """Have the phase measured before the next attempt: the nodes have been initialised."""
        self.last_mu = int64(-1)

    @kernel
    def hold(self):
        """Measure the phase and correct it, if that is due."""
        t_mu = self.core.get_rtio_counter_mu()
        if self.last_mu < 0 or t_mu - self.last_mu > self.period_mu:
            self.correct()

    @kernel
    def correct(self):
        """Measure the phase and correct it."""
        self.measure()
        # A kernel does not see what its RPCs write: the turns go there and back.
        age_mu = self.probed_mu - self.before_mu
        self.turns = self.corrected(self.turns, self.clicks, age_mu, self.last_mu < 0)
        self.core.break_realtime()
        self.turn(self.turns)
        self.last_mu = now_mu()

    @kernel
    def note(self, t_herald_mu: TInt64):
        """Add up how old the last reading was at a herald."""
        self.herald_age_mu += t_herald_mu - self.probed_mu
        self.heralds += 1

    @kernel
    def measure(self):
        """Count the calibration light at both outputs, at the present phase and a quarter of a turn later."""
        self.core.break_realtime()
        self.before_mu = self.probed_mu
        start_mu = now_mu()
        for quarter in range(2):
            self.turn(self.turns + 0.25 * quarter)
            t_mu = now_mu()
            for counter in self.counters:
                at_mu(t_mu)
                counter.gate_rising_mu(self.probe_mu)
            at_mu(t_mu)
            self.probe.pulse_mu(self.probe_mu)
            self.probed_mu = (start_mu + now_mu()) >> 1
            delay(20 * us)
            self.clicks[2 * quarter] = 0
            self.clicks[2 * quarter + 1] = 0
            for k in range(self.n):
                self.clicks[2 * quarter + self.outputs[k]] += self.counters[k].fetch_count()
            self.core.break_realtime()

    @kernel
    def turn(self, turns: TFloat):
        """Give the second end's light this phase."""
        self.beam.dds.set(self.beam.frequency, turns, self.beam.amplitude)
        delay(20 * us)

    def corrected(self, turns: TFloat, clicks: TList(TInt32), age_mu: TInt64, first: TBool) -> TFloat:
        """Return the turns to set from now on; the first time all of the phase is taken out, then `gain` of it."""
        c, d, c_later, d_later = (int(n) for n in clicks)
        if min(c + d, c_later + d_later) < FEWEST:
            raise DeviceError(
                f"{self.station.name}_probe gave {c + d} and {c_later + d_later} clicks, must give {FEWEST} to show "
                f"the phase: look at the calibration light, or raise param.{self.station.name}.t_phase_probe_s."
            )
        self.phase_rad = math.atan2(-(c_later - d_later) / (c_later + d_later), (c - d) / (c + d))
        if not first:
            # The reading's own noise is in it, and that of the one before, which the correction put there.
            noise = math.sin(self.phase_rad) ** 4 / (c + d) + math.cos(self.phase_rad) ** 4 / (c_later + d_later)
            square = self.phase_rad**2 - noise - 1 / (c_later + d_later)
            self.readings += 1
            self.squares += square
            self.fourths += square**2
            self.ages_mu += int(age_mu)
        return (turns - (1.0 if first else self.gain) * self.phase_rad / (2 * math.pi)) % 1.0

    def walked(self) -> dict[str, Any]:
        """Return what the readings since `clear` found: number `n`, mean square `variance` in rad^2, its `spread` from
        one to the next, and the mean time since the correction, `age_s`.
        """
        n = max(self.readings, 1)
        variance = self.squares / n
        return {"n": self.readings, "age_s": self.ages_mu * self.core.ref_period / n, "variance": variance,
                "spread": math.sqrt(max(self.fourths / n - variance**2, 0.0))}  # fmt: skip

    def totals(self) -> dict[str, Any]:
        """Return how old a reading was at a herald, on average, and how fast the phase was seen to walk.

        The walk only where every correction took the phase out, and it went not far.
        """
        found: dict[str, Any] = {}
        if self.heralds:
            found["link.t_phase_s"] = int(self.herald_age_mu) * self.core.ref_period / self.heralds
        if self.readings >= 2 and self.gain == 1.0 and self.squares / self.readings <= FARTHEST_RAD2:
            found["link.phase_readings"] = self.readings
            found["link.phase_walk_rad2_s"] = self.squares / (self.ages_mu * self.core.ref_period)
        return found


class NoPhaseLock(HasEnvironment):
    """What a scheme has that does not know the phase."""

    def totals(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    @kernel
    def forget(self):
        """Do nothing."""

    @kernel
    def hold(self):
        """Do nothing."""

    @kernel
    def note(self, t_herald_mu: TInt64):
        """Do nothing."""


def phase_lock(owner: Any, station: StationSpec | None, beam: Beam) -> Any:
    """Return the lock that a station's scheme needs."""
    if station is not None and station.scheme == "one_photon":
        return PhaseLock(owner, station, beam)
    return NoPhaseLock(owner)
