"""What passes between gateware and world: the signals of sim/gateware/README.md."""

from __future__ import annotations

from typing import NamedTuple

Window = tuple[int, int]  # (start_mu, stop_mu)


class Tone(NamedTuple):
    """The output of one DDS channel from now on.

    `amplitude` is the fraction of the DDS full scale, `attenuation_db` the step attenuator behind it, `phase_turns` the
    phase at the moment of the change, `switch` the RF-switch bit of the CPLD.
    """

    frequency_hz: float
    amplitude: float
    phase_turns: float
    attenuation_db: float
    switch: bool


class Cycle(NamedTuple):
    """One cycle of the heralding gateware; all times relative to its start, in machine units."""

    length_mu: int
    outputs: tuple[Window | None, ...]
    gates: tuple[Window | None, ...]
    patterns: tuple[int, ...]


class CycleResult(NamedTuple):
    """What a stretch of repeated cycles ended with; `pattern` is 0 when no herald came before `t_end_mu`."""

    cycles: int
    pattern: int
    timestamps_mu: tuple[int, ...]  # by input of the gateware
    t_end_mu: int
    triggers: int
