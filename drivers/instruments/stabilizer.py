"""QUARTIQ Stabilizer with the `dual-iir` application: the servo of a cavity lock.

The wire is MQTT 5 (`aiomqtt`) with Miniconf on top, see `miniconf.py`. `<prefix>/telemetry` has the voltages every
`telemetry_period` seconds. The prefix is `dt/sinara/dual-iir/<mac>`. Source: QUARTIQ's stabilizer (dual-iir, telemetry)
and idsp 0.21 (the filters).

    relock:  clamp the output to one voltage --[ next one ]-- until light comes through --[ widen the clamp ]-- locked
"""

from __future__ import annotations

import json
import math
import time
from typing import Any, NamedTuple

from atomlink.errors import DeviceError
from drivers.limits import Limits

from .instrument import Instrument
from .miniconf import MqttTransport, Publication
from .replies import LinkLostError, NoReplyError, parsed_json

RUN, HOLD, EXTERNAL = "Run", "Hold", "External"
GAINS = (1, 2, 5, 10)
RANGE_V = 10.0
PERIOD = Limits(0.1, 60.0, "s")  # of telemetry
_CONVERTER_V, _COLD_C, _HOT_C = 10.25, -55.0, 150.0  # what telemetry can say at all


class Telemetry(NamedTuple):
    """Voltages at inputs and outputs of both channels, digital inputs, CPU temperature, and when they came."""

    adc_v: tuple[float, float]
    dac_v: tuple[float, float]
    digital_inputs: tuple[bool, bool]
    cpu_temp_c: float
    monotonic_s: float
    utc_s: float


class Driver(Instrument):
    """One channel of a Stabilizer as a servo: input 0 the error signal, input 1 the light behind the cavity."""

    KIND = "QUARTIQ Stabilizer, dual-iir"
    IDENTITY = r"^dual-iir [0-9a-f-]+ (Run|Hold|External)$"

    def __init__(self, name: str, transport: Any, channel: int = 0) -> None:
        super().__init__(name, transport)
        if channel not in (0, 1):
            raise DeviceError(f"{name} channel is {channel!r} but must be 0 or 1: nothing was sent.")
        self._ch = f"/ch/{channel}"
        self._pid = f"{self._ch}/biquad/0/repr/Pid"
        self.output_limits = Limits(-RANGE_V, RANGE_V, "V")
        self.gain_limits = Limits(-1e6, 1e6, "V/V (I: 1/s)")

    @classmethod
    def connect(cls, device: str, library: str = "") -> MqttTransport:
        """Return the transport to HOST[:PORT]/dt/sinara/dual-iir/MAC, not yet open; there is no choice of library."""
        return MqttTransport(device, cls.TIMEOUT_S)

    # -- servo ---------------------------------------------------------------------------------------------------------

    def mode(self) -> str:
        """Return "Run", "Hold" or "External" (run while the digital input is high)."""
        found = self._fetch(f"{self._ch}/run")
        if found not in (RUN, HOLD, EXTERNAL):
            raise self._misread(str(found), f"none of {RUN}, {HOLD}, {EXTERNAL}")
        return str(found)

    def run(self) -> None:
        """Let the servo act."""
        self._set_mode(RUN)

    def hold(self) -> None:
        """Keep the output where it is."""
        self._set_mode(HOLD)

    def external(self) -> None:
        """Leave running and holding to the digital input."""
        self._set_mode(EXTERNAL)

    def set_pid(self, proportional: float, integral_per_s: float, setpoint_v: float = 0.0, lowest_v: float = -RANGE_V,
                highest_v: float = RANGE_V) -> None:  # fmt: skip
        """Make the filter a PI servo: gains in V/V and 1/s, set point at the input and output range in V.

        The servo is held meanwhile. A negative gain is negative feedback for a plant whose slope is positive.
        """
        gain, volt = self.gain_limits.check, self.output_limits.check
        settings = (
            ("order", "I", ""),
            ("gain/p", gain(f"{self.name} proportional gain", proportional), "V/V"),
            ("gain/i", gain(f"{self.name} integral gain", integral_per_s), "1/s"),
            ("setpoint", volt(f"{self.name} set point", setpoint_v), "V"),
            ("min", volt(f"{self.name} lowest output", lowest_v), "V"),
            ("max", volt(f"{self.name} highest output", highest_v), "V"),
        )
        self._require_rising(lowest_v, highest_v)
        before = self.mode()
        self._put(f"{self._ch}/run", HOLD)
        if self._fetch(f"{self._ch}/biquad/0/typ") != "Pid":
            self._put(f"{self._ch}/biquad/0/typ", "Pid")
        for leaf, value, unit in settings:
            self._put_checked(f"{self._pid}/{leaf}", value, unit)
        self._put_checked(f"{self._ch}/run", before)

    def set_biquad(self, numerator: tuple[float, float, float], denominator: tuple[float, float, float],
                   lowest_v: float = -RANGE_V, highest_v: float = RANGE_V) -> None:  # fmt: skip
        """Make the filter (b0 + b1/z + b2/z^2)/(a0 + a1/z + a2/z^2) in V/V per sample of 1.28 us, output range in V."""
        rows = [[self.gain_limits.check(f"{self.name} coefficient", value) for value in row]
                for row in (numerator, denominator)]  # fmt: skip
        if [len(row) for row in rows] != [3, 3] or rows[1][0] == 0:
            raise DeviceError(f"{self.name} biquad is {rows} but must be 3 and 3 numbers, a0 not 0: nothing was sent.")
        lowest = self.output_limits.check(f"{self.name} lowest output", lowest_v)
        highest = self.output_limits.check(f"{self.name} highest output", highest_v)
        self._require_rising(lowest, highest)
        before = self.mode()
        self._put(f"{self._ch}/run", HOLD)
        self._put(f"{self._ch}/biquad/0/typ", "Ba")
        for leaf, value in (("ba", rows), ("min", lowest), ("max", highest)):
            self._put_checked(f"{self._ch}/biquad/0/repr/Ba/{leaf}", value)
        self._put_checked(f"{self._ch}/run", before)

    def offset_v(self) -> float:
        """Return the voltage that is added to the servo's output."""
        return self._fetched_number(f"{self._ch}/source/offset", self.output_limits)

    def set_offset_v(self, value: float) -> float:
        """Add a voltage to the servo's output; return what reads back."""
        path = f"{self._ch}/source/offset"
        found = self._set("output offset", value, self.output_limits, lambda volts: self._put(path, volts),
                          self.offset_v, 1e-5)  # fmt: skip
        self._put("/trigger", True)  # the source takes its settings at a trigger
        return found

    def set_input_gain(self, gain: int) -> None:
        """Set the gain of the analogue front end: 1, 2, 5 or 10."""
        if gain not in GAINS:
            raise DeviceError(f"{self.name} input gain is {gain!r} but must be one of {GAINS}: nothing was sent.")
        self._put_checked(f"{self._ch}/gain", f"G{gain}")

    # -- read-out ------------------------------------------------------------------------------------------------------

    def telemetry(self, max_age_s: float | None = None) -> Telemetry:
        """Return the last telemetry; where there is none, or it is older than max_age_s, wait for the next."""
        last = self.transport.latest("/telemetry")
        if last is None or (max_age_s is not None and time.monotonic() - last.monotonic_s > max_age_s):
            last = self.transport.fresh("/telemetry", self.telemetry_period_s() + self.TIMEOUT_S)
        return self._measured(last)

    def telemetry_period_s(self) -> float:
        """Return how often telemetry is published, s."""
        return self._fetched_number("/telemetry_period", PERIOD)

    def set_telemetry_period_s(self, value: float) -> float:
        """Set how often telemetry is published, 0.1 to 60 s; return what reads back. It counts from the next one on."""
        path = "/telemetry_period"
        return self._set("telemetry period", value, PERIOD, lambda period: self._put(path, period),
                         self.telemetry_period_s, 1e-5)  # fmt: skip

    def error_v(self, max_age_s: float = 0.0) -> float:
        """Return the error signal in V, measured at most max_age_s ago."""
        return self.telemetry(max_age_s).adc_v[0]

    def transmission_v(self, max_age_s: float = 0.0) -> float:
        """Return the signal of the light behind the cavity in V, measured at most max_age_s ago."""
        return self.telemetry(max_age_s).adc_v[1]

    def relock(self, threshold_v: float, step_v: float = 0.5, period_s: float = 0.2) -> bool:
        """Sweep the output until the light behind the cavity exceeds threshold_v, and lock there; say whether it held.

        The filter must be a PI servo (`set_pid`). Output range and telemetry period are as before afterwards; a servo
        that found nothing is held.
        """
        Limits(1e-3, RANGE_V, "V").check(f"{self.name} step", step_v)
        Limits(1e-3, RANGE_V, "V").check(f"{self.name} threshold", threshold_v)
        lowest, highest = (self._fetched_number(f"{self._pid}/{end}", self.output_limits) for end in ("min", "max"))
        before_s = self.telemetry_period_s()
        self.set_telemetry_period_s(period_s)
        try:
            self._put(f"{self._pid}/min", lowest)
            self._put(f"{self._pid}/max", lowest)
            self._put_checked(f"{self._ch}/run", RUN)
            for k in range(math.floor((highest - lowest) / step_v) + 1):
                self._clamp(lowest + k * step_v)
                if self.transmission_v() > threshold_v:
                    break
        finally:
            self._put_checked(f"{self._pid}/min", lowest, "V")
            self._put_checked(f"{self._pid}/max", highest, "V")
            self.set_telemetry_period_s(before_s)
        found = self.transmission_v() > threshold_v
        if not found:
            self.hold()
        return found

    # -- protocol ------------------------------------------------------------------------------------------------------

    def _clamp(self, volts: float) -> None:
        """Hold the output at one voltage; rising, so that the range never inverts."""
        self._put(f"{self._pid}/max", volts)
        self._put(f"{self._pid}/min", volts)

    def _set_mode(self, mode: str) -> None:
        self._put_checked(f"{self._ch}/run", mode)

    def _read_identity(self) -> str:
        """Return application, MAC and mode; with another application there is neither this prefix nor this leaf."""
        application, mac = self.transport.prefix.split("/")[-2:]
        return f"{application} {mac} {self._parsed(self.transport.request(f'{self._ch}/run'))}"

    def _read_error(self) -> tuple[int, str]:
        return 0, ""  # each request is answered: there is no queue

    def _fetch(self, path: str) -> Any:
        return self._parsed(self._retried(lambda: str(self.transport.request(path))))

    def _fetched_number(self, path: str, limits: Limits) -> float:
        return self._json_number(self._fetch(path), path, limits)

    def _put(self, path: str, value: Any) -> None:
        """Set a leaf once: after a broken link nobody knows whether it took effect."""
        self._ready()
        try:
            self.transport.request(path, json.dumps(value, separators=(",", ":")))
        except (LinkLostError, NoReplyError) as error:
            self._stale = True
            raise self._unknown_fate(f"{path}={value}", error) from error

    def _put_checked(self, path: str, value: Any, unit: str = "") -> None:
        """Set a leaf, read it back and log it; the instrument's numbers are single precision."""
        self._put(path, value)
        found = self._fetch(path)
        self._log(path, unit, _plain(value), _plain(value), _plain(found))
        if not _same(found, value):
            raise DeviceError(f"{self.name} {path} was set to {value} but reads back {found}: look at the instrument.")

    def _measured(self, last: Publication) -> Telemetry:
        try:
            table = parsed_json(last.payload)
            (a, b), (c, d) = ([_finite(value, -_CONVERTER_V, _CONVERTER_V) for value in table[key]]
                              for key in ("adcs", "dacs"))  # fmt: skip
            first, second = map(_flag, table["digital_inputs"])
            temperature = _finite(table["cpu_temp"], _COLD_C, _HOT_C)
        except (ValueError, TypeError, KeyError) as error:
            text = last.payload[:60]
            raise DeviceError(f"{self.name} published {text!r}, which is no telemetry ({error}).") from None
        return Telemetry((a, b), (c, d), (first, second), temperature, last.monotonic_s, last.utc_s)

    def _require_rising(self, lowest_v: float, highest_v: float) -> None:
        if not lowest_v < highest_v:
            raise DeviceError(
                f"{self.name} output range is {lowest_v:g} to {highest_v:g} V but must rise: nothing was sent."
            )


def _finite(value: Any, lowest: float, highest: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise ValueError(f"{str(value)[:40]} is no number from {lowest:g} to {highest:g}")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{str(value)[:40]} is neither true nor false")
    return value


def _plain(value: Any) -> float | str:
    return value if isinstance(value, float) else str(value)


def _same(found: Any, value: Any) -> bool:
    if isinstance(value, list):
        return isinstance(found, list) and len(found) == len(value) and all(map(_same, found, value))
    if isinstance(value, float) and isinstance(found, int | float) and not isinstance(found, bool):
        return abs(found) < 1e300 and math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-9)
    return type(found) is type(value) and bool(found == value)
