"""The lock of a node's cavity: a Pound-Drever-Hall error signal, a servo, and the piezo it drives.

The cavity by itself drifts against the light (thermally, slowly). A servo that runs and has caught it keeps its
detuning where the set point wants it; what remains of fast noise is the scenario's (its drift of the port's detuning,
if it has one). Held, the cavity drifts from where it was. Beyond 3 kappa the error signal no longer pulls it back: the
integrator then runs to the end of its range, and the lock has to be brought near resonance by hand and run again. So
running and locked, with set point 0, the element changes nothing.

Source for the signal and the capture range: `sim.physics.pdh`. The drift, the piezo and the volts are the design's.
"""

from __future__ import annotations

import math

from sim.physics import pdh
from sim.physics.drift import Drift, advance_to, start
from sim.world.elements.element import Element, Lab

RUN, HOLD, EXTERNAL = "Run", "Hold", "External"
LIGHT = pdh.Modulation(20e-6, 2e-6, 2 * math.pi * 40e6)
V_PER_W = 5e4  # photodiode and demodulator
TRANSMITTED_V = 2.0  # of the photodiode behind the cavity, on resonance
NOISE_V = 2e-3
KAPPA_PER_V = 2.0  # the piezo at the servo's output
DRIFT_KAPPA, DRIFT_S = 3.0, 120.0  # rms and correlation time of the free cavity
DRIFT_STEP_S = 0.1
TOUCH_S = 0.5  # how often a free cavity makes the truth anew
RANGE_V = 10.0


class CavityLock(Element):
    """One lock. Set points by assignment through `set_…`; readings at lab time reached."""

    def __init__(self, world: Lab, name: str, node: str) -> None:
        super().__init__(world, name, node)
        self.mode, self.input_high = RUN, False
        self.lowest_v, self.highest_v = -RANGE_V, RANGE_V
        self.setpoint_v, self.integral_per_s, self.offset_v = 0.0, -1000.0, 0.0
        self.caught = True
        self.port = world.scenario.port(node).port.resonator
        self._drift = Drift(DRIFT_KAPPA * self._kappa, DRIFT_S)
        self._drift_rng = world.rng(f"{name} drift")  # not the read-out noise's: the path is the same whoever reads
        self._path, self._knot = start(self._drift_rng, self._drift), 0
        self._kick = 0.0
        self._output_v = 0.0
        self._next_touch_s = -math.inf
        if self.port is not None:
            self.attach(f"{node}.port.detuning_rad_s", lambda value, t: value + self._detuning_at(t))

    # -- readings ------------------------------------------------------------------------------------------------------

    @property
    def detuning_rad_s(self) -> float:
        """Cavity minus light, without the scenario's own fast noise, rad/s."""
        return self._detuning_at(self.now_s)

    @property
    def is_locked(self) -> bool:
        """Whether the servo runs and has caught the cavity."""
        self._settle(self.now_s)
        return self.caught and self.running

    @property
    def running(self) -> bool:
        """Whether the servo acts; `External` leaves it to the digital input."""
        return self.mode == RUN or (self.mode == EXTERNAL and self.input_high)

    @property
    def output_v(self) -> float:
        """Voltage at the servo's output (the piezo)."""
        self._settle(self.now_s)
        return max(-RANGE_V, min(RANGE_V, self._output_v + self.offset_v))

    def error_v(self) -> float:
        """Measure the error signal in V."""
        return self._error_at(self._present_rad_s()) + NOISE_V * self.rng.standard_normal()

    def transmission_v(self) -> float:
        """Measure the light behind the cavity in V."""
        bright = TRANSMITTED_V / (1 + (self._present_rad_s() / self._kappa) ** 2) if self.port is not None else 0.0
        return bright + NOISE_V * self.rng.standard_normal()

    def _present_rad_s(self) -> float:
        """Draw the detuning of this moment: the lock's residual noise is faster than two readings follow each other."""
        rms = self.value(f"{self.node}.port.lock_rms_rad_s") if self.port is not None else 0.0
        noise = rms * float(self.rng.standard_normal()) if rms else 0.0
        return self.detuning_rad_s + noise

    # -- set points and events -----------------------------------------------------------------------------------------

    def set_mode(self, mode: str) -> None:
        """Run, hold, or leave it to the digital input."""
        self._settle(self.now_s)
        self.mode = mode
        if not self.running:
            self.caught = False  # to be caught again when it runs
        self._changed()

    def set_servo(self, integral_per_s: float, setpoint_v: float, lowest_v: float, highest_v: float) -> None:
        """Set the integral gain (1/s; negative is negative feedback), the set point and the output's range in V."""
        self._settle(self.now_s)
        self.integral_per_s, self.setpoint_v = integral_per_s, setpoint_v
        self.lowest_v, self.highest_v = lowest_v, highest_v
        self._changed()

    def set_offset(self, volts: float) -> None:
        """Add a voltage to the servo's output."""
        self._settle(self.now_s)
        self.offset_v = volts
        self._changed()

    def disturb(self, detuning_rad_s: float) -> None:
        """Shake the cavity by so much at once; more than the capture range breaks the lock."""
        self._settle(self.now_s)
        self._kick += detuning_rad_s
        if self.running and abs(detuning_rad_s) > pdh.CAPTURE_KAPPA * self._kappa:
            self.caught = False
        self._changed()

    # -- model ---------------------------------------------------------------------------------------------------------

    @property
    def _kappa(self) -> float:
        return self.port.kappa_rad_s if self.port is not None else 1.0

    def _error_at(self, detuning_rad_s: float) -> float:
        """Return the error signal in V; its sign rises with the cavity's detuning."""
        if self.port is None:
            return 0.0
        return -V_PER_W * float(pdh.error_signal_w(-detuning_rad_s, self.port, LIGHT))

    def _wanted_rad_s(self) -> float:
        """Return the detuning at which the error signal is the set point (linear: set points are small)."""
        return self.setpoint_v / (V_PER_W * pdh.slope_w_s(self.port, LIGHT)) if self.port is not None else 0.0

    def _changed(self) -> None:
        self._settle(self.now_s)
        self.touch()

    def _free_rad_s(self, t_s: float) -> float:
        """Return the detuning of the cavity at 0 V."""
        until = max(self._knot * DRIFT_STEP_S, t_s)
        self._path, self._knot = advance_to(
            self._drift_rng, self._path, self._knot, until, DRIFT_STEP_S, self._drift
        )
        return self._path + self._kick

    def _settle(self, t_s: float) -> None:
        """Let the servo find its output: it holds, catches, or runs to the end of its range."""
        if not self.running:
            return
        free, volt = self._free_rad_s(t_s), KAPPA_PER_V * self._kappa
        if self.integral_per_s >= 0:
            # No feedback, or positive: nothing is held, and an integrator runs away.
            self.caught = False
            self._output_v = self.highest_v if self.integral_per_s > 0 else self._limited(self._output_v)
            return
        if not self.caught and abs(free + volt * (self._limited(self._output_v) + self.offset_v)) <= self._capture:
            self.caught = self.lowest_v < self.highest_v
            self._output_v = self._limited(self._output_v)
        if self.caught:
            self._output_v = self._limited((self._wanted_rad_s() - free) / volt - self.offset_v)
            self.caught = abs(free + volt * (self._output_v + self.offset_v)) <= self._capture
        if not self.caught:
            self._output_v = self.highest_v

    @property
    def _capture(self) -> float:
        return pdh.CAPTURE_KAPPA * self._kappa

    def _limited(self, volts: float) -> float:
        return max(self.lowest_v, min(self.highest_v, volts))

    def _detuning_at(self, t_s: float) -> float:
        self._settle(t_s)
        if self.running and self.caught and self.lowest_v < self._output_v < self.highest_v:
            return self._wanted_rad_s()
        if t_s >= self._next_touch_s:
            # A free cavity drifts: the truth is to be built anew now and then, while it does.
            self._next_touch_s = (math.floor(t_s / TOUCH_S) + 1) * TOUCH_S
            self.world.quantities.touch_at(self._next_touch_s)
        output = max(-RANGE_V, min(RANGE_V, self._output_v + self.offset_v))
        return self._free_rad_s(t_s) + KAPPA_PER_V * self._kappa * output
