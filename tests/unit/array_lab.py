"""A lab with tweezer arrays, its ports reached directly: load, picture, and play segments at alice's array."""

from __future__ import annotations

from typing import Any

import numpy as np
from signal_lab import LATENCY_MU, SignalLab, lab

from drivers.rtio.awg_ramps import Axis, Segment, Timing, Tones, duration_s, ramps
from drivers.rtio.rearrangement import Plan
from sim.world.atoms.array import Tweezers
from sim.world.atoms.labels import ABSENT, F2
from sim.world.network.node import Node

AXIS = Axis(75.25e6, 0.5e6, 75e6, 125e6, 0.009)
TIMING = Timing(5e-6, 0.55, 100e-6, 100e-6)


class ArrayLab:
    """Alice's array, in the scenario `array` or another that has one."""

    def __init__(self, seed: int = 1, scenario: str = "array") -> None:
        self.room: SignalLab = lab(scenario, seed)
        self.world = self.room.world
        self.node: Node = self.room.nodes[0]
        assert self.node.tweezers is not None
        self.array: Tweezers = self.node.tweezers
        for name in ("awg_trigger", "camera_trigger", "hiding"):
            self.room.sinks["alice", name] = self.world.output(f"alice_{name}", "level")

    def load(self) -> None:
        """Load every site of alice's array, and cool."""
        self.room.pulse("alice", ("mot_coil", "cooling", "repump"), 60_000_000)
        self.room.pulse("alice", ("cooling", "repump"), 2_000_000)

    def picture(self) -> Any:
        """Take one frame, light and exposure together; return the counts."""
        start = self.room.t
        self.room.pulse("alice", ("cooling", "repump"), 20_000_000, start)
        self.room.pulse("alice", "camera_trigger", 1000, start + LATENCY_MU)
        self.room.play(start + 30_000_000)
        return self.array.frames[start + LATENCY_MU]

    def only(self, *sites: tuple[int, int]) -> None:
        """Leave atoms on these sites alone."""
        register, keep = self.node.register, [self.array.site(*site) for site in sites]
        register.handles = {site: handle for site, handle in register.handles.items() if site == self.node.site in keep}
        port = self.node.label
        register.label[:] = ABSENT
        register.label[keep] = F2
        if self.node.site in keep:
            self.node.label = port
        register.temperature_k[:], register.death_mu[:] = 20e-6, np.inf
        register.note_deaths()

    def trigger(self, length_mu: int) -> None:
        """Give the AWG a rising edge, and wait."""
        self.room.pulse("alice", "awg_trigger", 1000, self.room.t)
        self.room.play(self.room.t + length_mu)

    def play(self, segments: list[Segment]) -> None:
        """Queue one block and play it."""
        self.array.queue(segments)
        self.trigger(round(duration_s(segments) * 1e9) + 2000)

    def carry(self, start: tuple[int, int], stop: tuple[int, int]) -> None:
        """Carry one atom along its column, then along its row."""
        legs = [(0, start[1], start[0], stop[0]), (1, stop[0], start[1], stop[1])]
        axis, line, begin, end = np.array([leg for leg in legs if leg[2] != leg[3]], dtype=np.int64).T
        self.play(ramps(Plan(axis, line, np.arange(len(axis) + 1), begin, end), AXIS, AXIS, TIMING))


def tones(start: list[float], stop: list[float] | None = None, rise: tuple[float, float] = (1.0, 1.0)) -> Tones:
    """Return tones at these sites, not rounded, in the world's own frequencies; amplitudes in units of AXIS's."""
    first = np.array(start)
    last = first if stop is None else np.array(stop)
    n = np.ones(len(first))
    return Tones(first, last, 0.009 * rise[0] * n, 0.009 * rise[1] * n)


def segment(room: ArrayLab, rows: Tones, columns: Tones, duration: float = 200e-6) -> Segment:
    """Return a segment whose tones are given in sites, as the world's own deflector sees them."""
    truth = room.array.truth.deflector
    return Segment(
        duration,
        rows._replace(start_hz=truth.row_site_0_hz + truth.row_site_hz * rows.start_hz,
                      stop_hz=truth.row_site_0_hz + truth.row_site_hz * rows.stop_hz),
        columns._replace(start_hz=truth.column_site_0_hz + truth.column_site_hz * columns.start_hz,
                         stop_hz=truth.column_site_0_hz + truth.column_site_hz * columns.stop_hz),
    )  # fmt: skip


def up_travel_down(room: ArrayLab, rows: tuple[list[float], list[float]], columns: tuple[list[float], list[float]],
                   strength: float = 1.0) -> list[Segment]:  # fmt: skip
    """Return a pick-up, a way and a drop of the spots rows x columns, tones given in sites."""
    return [
        segment(room, tones(rows[0], None, (0, strength)), tones(columns[0], None, (0, strength))),
        segment(room, tones(*rows, (strength, strength)), tones(*columns, (strength, strength))),
        segment(room, tones(rows[1], None, (strength, 0)), tones(columns[1], None, (strength, 0))),
    ]
