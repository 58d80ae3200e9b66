"""An external-cavity diode laser: the light that excites one node's atom.

Power follows the diode current above threshold. The frequency is that of the external cavity's mode nearest to the
grating's centre: the piezo moves grating and cavity together, the current only the cavity, so either tunes without a
mode hop within about half a mode spacing of the difference, and hops beyond. Free running it drifts slowly; locked, the
servo holds it on the reference, which is where the scenario has it. So at the nominal set points, locked, the element
changes nothing.

Sources: L. Ricci et al., Opt. Commun. 117, 541 (1995), for the laser and its tuning; numbers are the design's, of the
size that data sheets of 780 nm lasers of this kind give: threshold 35 mA, 0.9 W/A, 0.25 GHz/V, mode spacing 3 GHz.
"""

from __future__ import annotations

import math

from sim.physics.drift import Walk, advance_to
from sim.world.elements.element import Element, Lab

NOMINAL_MA, NOMINAL_V = 95.0, 70.0
THRESHOLD_MA, SLOPE_W_PER_MA = 35.0, 0.9e-3
HIGHEST_MA, HIGHEST_V = 150.0, 140.0
GRATING_HZ_PER_V, CAVITY_HZ_PER_V = 0.30e9, 0.25e9
CAVITY_HZ_PER_MA = -50e6
MODE_SPACING_HZ = 3e9
# A mode keeps lasing until its neighbour is better by this part of the spacing (gain competition).
HYSTERESIS = 0.1
LOCK_RANGE_HZ = 2e9  # what the servo's output can pull
RELOCK_S = 1.0  # a search over the lock range
DRIFT = Walk(3e6)  # Hz per sqrt(s): some 200 MHz in an hour, without lock
DRIFT_STEP_S = 1.0
# Rb-87 D2, centre of gravity (D. A. Steck, Rubidium 87 D Line Data).
LINE_HZ = 384.2304844685e12


class Laser(Element):
    """One laser. Set points by `set_…`, events by `unlock`, readings by properties; all at lab time reached."""

    def __init__(self, world: Lab, name: str, node: str) -> None:
        super().__init__(world, name, node)
        self.current_ma, self.piezo_v, self.enabled = NOMINAL_MA, NOMINAL_V, True
        self.lock_enabled, self.relock_enabled, self.locked = True, False, True
        self._mode = 0
        self._drift_rng = world.rng(f"{name} drift")
        self._walk, self._knot = 0.0, 0
        self._held_hz = 0.0  # what is left of the servo's output after the lock was lost
        self._search_end_s: float | None = None
        self._next_touch_s = -math.inf
        self._line_hz = LINE_HZ + world.quantities.base(f"{node}.excitation.detuning_rad_s") / (2 * math.pi)
        for port in world.scenario.topology.node(node).ports:  # its light is split among the ports
            path = f"{port.atom}.excitation"
            self.attach(f"{path}.rabi_rad_s", lambda value, _t: value * math.sqrt(self.relative_power))
            self.attach(f"{path}.detuning_rad_s", lambda value, t: value + 2 * math.pi * self._offset_at(t))

    # -- readings ------------------------------------------------------------------------------------------------------

    @property
    def power_w(self) -> float:
        """Power of the laser in W."""
        return SLOPE_W_PER_MA * max(0.0, self.current_ma - THRESHOLD_MA) if self.enabled else 0.0

    @property
    def relative_power(self) -> float:
        """Power over the power at the nominal current, which the scenario's Rabi frequency is for."""
        return self.power_w / (SLOPE_W_PER_MA * (NOMINAL_MA - THRESHOLD_MA))

    @property
    def offset_hz(self) -> float:
        """Frequency minus that of the lock's reference."""
        return self._offset_at(self.now_s)

    @property
    def frequency_hz(self) -> float:
        """Optical frequency in Hz."""
        return self._line_hz + self.offset_hz

    @property
    def searching(self) -> bool:
        """Whether the lock looks for its reference."""
        self._settle(self.now_s)
        return self._search_end_s is not None

    @property
    def is_locked(self) -> bool:
        """Whether the lock holds."""
        self._settle(self.now_s)
        return self.locked

    @property
    def mode(self) -> int:
        """Number of the external cavity's mode that lases; 0 is the one the lock is for."""
        return self._mode

    # -- set points and events -----------------------------------------------------------------------------------------

    def set_current(self, milliampere: float) -> None:
        """Set the diode current."""
        self.current_ma = milliampere
        self._changed()

    def set_piezo(self, volts: float) -> None:
        """Set the grating piezo."""
        self.piezo_v = volts
        self._changed()

    def set_enabled(self, on: bool) -> None:
        """Switch the diode on or off."""
        self.enabled = on
        self._changed()

    def set_lock(self, enabled: bool) -> None:
        """Switch the frequency lock on or off; on, it catches what lies in its range, else it searches."""
        if enabled == self.lock_enabled:
            return
        self.lock_enabled = enabled
        self.locked, self._held_hz = False, 0.0
        self._search_end_s = self.now_s if enabled else None
        self._changed()

    def unlock(self, kick_hz: float = 0.0) -> None:
        """The lock is lost (a slammed door), and the frequency jumps by kick_hz."""
        if self.locked:
            self._held_hz = -self._free_hz(self.now_s)
        self.locked = False
        self._held_hz += kick_hz
        if self.lock_enabled and self.relock_enabled:
            self._search_end_s = self.now_s + RELOCK_S
            self.world.quantities.touch_at(self._search_end_s)
        self._changed()

    # -- model ---------------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._settle(self.now_s)
        self.touch()

    def _settle(self, t_s: float) -> None:
        """Hop to another mode, lose the lock, or catch it again, as the set points have it."""
        hopped = self._choose_mode()
        free_hz = self._free_hz(t_s)
        in_range = self.power_w > 0 and abs(free_hz) <= LOCK_RANGE_HZ
        if self.locked and (hopped or not in_range):
            self.locked, self._held_hz = False, 0.0
            self._search_end_s = t_s + RELOCK_S if self.relock_enabled else None
        elif not self.locked and self._search_end_s is not None and t_s >= self._search_end_s and in_range:
            self.locked, self._search_end_s, self._held_hz = True, None, 0.0

    def _choose_mode(self) -> bool:
        """Let the mode nearest to the grating's centre lase; return whether that is another one than before."""
        grating = GRATING_HZ_PER_V * (self.piezo_v - NOMINAL_V)
        distance = (grating - self._comb_hz()) / MODE_SPACING_HZ
        if abs(distance - self._mode) <= 0.5 + HYSTERESIS:
            return False
        self._mode = round(distance)
        return True

    def _comb_hz(self) -> float:
        return CAVITY_HZ_PER_V * (self.piezo_v - NOMINAL_V) + CAVITY_HZ_PER_MA * (self.current_ma - NOMINAL_MA)

    def _free_hz(self, t_s: float) -> float:
        """Return the frequency minus the reference's without the servo."""
        knot = max(self._knot * DRIFT_STEP_S, t_s)
        self._walk, self._knot = advance_to(
            self._drift_rng, self._walk, self._knot, knot, DRIFT_STEP_S, DRIFT
        )
        return self._comb_hz() + self._mode * MODE_SPACING_HZ + self._walk

    def _offset_at(self, t_s: float) -> float:
        self._settle(t_s)
        if self.locked:
            return 0.0
        if t_s >= self._next_touch_s:
            # A free laser drifts: the truth is to be built anew at the next knot, once.
            self._next_touch_s = (math.floor(t_s / DRIFT_STEP_S) + 1) * DRIFT_STEP_S
            self.world.quantities.touch_at(self._next_touch_s)
        return self._free_hz(t_s) + self._held_hz
