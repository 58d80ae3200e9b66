"""Moving tweezers: what a crossed AOD does with the atoms of an array while the AWG plays its blocks.

Blocks are played segment by segment, each taking effect at its end: spots that have grown deeper than the fixed
tweezers take their atoms over, travel, and leave them where they have become weaker again. An atom on its way sees no
light. Losses and heating follow `sim.physics.deflector` and `sim.physics.aod`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from atomlink.errors import DeviceError
from sim.physics.aod import p_lost_displaced, phonons
from sim.physics.constants import BOLTZMANN_J_K, HBAR_J_S
from sim.physics.deflector import Deflector, merging, offset_energy_k, swept
from sim.physics.species import Species
from sim.physics.trap import Trap, frequencies_hz
from sim.world.atoms.labels import ABSENT
from sim.world.atoms.register import Atoms, Register
from sim.world.atoms.states import Handle, let_go
from sim.world.scenario.array_truth import ArrayTruth

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Schedule = Callable[[int, Callable[[int], None]], None]

_SAME_HZ = 1e3  # tones that go on at another frequency than they ended at have jumped


class Tones(NamedTuple):
    """All tones of one axis in one segment, float, shape (tones,) each."""

    start_hz: Floats
    stop_hz: Floats
    start_amplitude: Floats
    stop_amplitude: Floats


class Segment(NamedTuple):
    """One piece of waveform for both axes; frequencies travel by the cubic profile, amplitudes linearly."""

    duration_s: float
    rows: Tones
    columns: Tones


class Spots:
    """The moving tweezers at the end of a segment, in order of row tone, then column tone, and what they hold."""

    def __init__(self, rows_hz: Floats, columns_hz: Floats) -> None:
        n = len(rows_hz) * len(columns_hz)
        self.rows_hz, self.columns_hz, self.depth_k = rows_hz, columns_hz, np.zeros(n)
        self.held = np.zeros(n, dtype=bool)
        self.temperature_k, self.label = np.zeros(n), np.full(n, ABSENT, dtype=np.int8)
        self.death_mu = np.full(n, np.inf)
        self.handles: dict[int, Handle] = {}


class Carrier:
    """The AOD of one array, and the AWG's queue of blocks."""

    def __init__(self, register: Register, species: Species, rng: np.random.Generator, schedule: Schedule) -> None:
        self.register, self.species, self.rng = register, species, rng
        self.missed_triggers = 0
        self._schedule = schedule
        self._blocks: deque[list[Segment]] = deque()
        self._spots: Spots | None = None
        self._busy_until_mu = 0

    @property
    def queued(self) -> int:
        """Return how many blocks wait for a trigger."""
        return len(self._blocks)

    def queue(self, segments: Sequence[Any]) -> None:
        """Append a block of segments, to be played at one trigger; they have the fields of `Segment`."""
        self._blocks.append([_checked(k, segment) for k, segment in enumerate(segments)])

    def clear(self) -> None:
        """Forget the blocks that have not been played."""
        self._blocks.clear()

    def trigger(self, t_mu: int) -> None:
        """Take a rising edge at the AWG: play the next block, unless one is playing or none is there."""
        if t_mu < self._busy_until_mu or not self._blocks:
            self.missed_triggers += 1
            return
        end_s = 0.0
        for segment in self._blocks.popleft():
            end_s += segment.duration_s
            self._schedule(t_mu + round(end_s * 1e9), partial(self._play, segment=segment))
        self._busy_until_mu = t_mu + round(end_s * 1e9)

    @property
    def _truth(self) -> ArrayTruth:
        assert self.register.truth.array is not None
        return self.register.truth.array

    @property
    def _deflector(self) -> Deflector:
        return self._truth.deflector

    def _play(self, t_mu: int, segment: Segment) -> None:
        """Let one segment take effect, at its end."""
        rows, columns = segment.rows, segment.columns
        first = self._deflector.depth_k(rows.start_amplitude, columns.start_amplitude)
        last = self._deflector.depth_k(rows.stop_amplitude, columns.stop_amplitude)
        start = stop = self._places(rows.start_hz, columns.start_hz)
        still = np.array_equal(rows.start_hz, rows.stop_hz) and np.array_equal(columns.start_hz, columns.stop_hz)
        if not still:
            stop = self._places(rows.stop_hz, columns.stop_hz)
        spots = self._continued(rows.start_hz, columns.start_hz)
        self._drop(spots, spots.held & (first <= 0))  # switched off at once, on the way
        depth = np.maximum(first, last)
        strong = depth > self.register.trap_k
        grown = np.flatnonzero(strong & (spots.depth_k <= self.register.trap_k))
        self._pick_up(spots, start, grown, depth, np.where(first > self.register.trap_k, 0.0, segment.duration_s))
        if not still:
            self._travel(spots, segment, start, stop, 0.5 * (first + last))
        weak = np.flatnonzero(spots.held & (last <= self.register.trap_k))
        self._put_down(spots, stop, weak, depth, segment.duration_s)
        spots.rows_hz, spots.columns_hz, spots.depth_k = rows.stop_hz, columns.stop_hz, last
        self._spots = self.register.carried = spots if last.max(initial=0.0) > 0 else None

    def _places(self, rows_hz: Floats, columns_hz: Floats) -> Floats:
        """Return where spots are, (row, column) in sites, not rounded; shape (n, 2)."""
        row, column = self._deflector.rows(rows_hz), self._deflector.columns(columns_hz)
        places = np.empty((len(row), len(column), 2))
        places[..., 0], places[..., 1] = row[:, None], column
        return places.reshape(-1, 2)

    def _continued(self, rows_hz: Floats, columns_hz: Floats) -> Spots:
        """Return the spots that a segment begins with; those whose tones jump lose what they hold."""
        spots = self._spots
        if spots is not None:
            same = all(len(now) == len(was) and np.all(np.abs(now - was) < _SAME_HZ)
                       for now, was in ((rows_hz, spots.rows_hz), (columns_hz, spots.columns_hz)))  # fmt: skip
            if same:
                return spots
            self._drop(spots, spots.held)
        return Spots(rows_hz, columns_hz)

    def _at_sites(self, places: Floats) -> tuple[Ints, Floats, Bools]:
        """Return the nearest site (n, 2) of each place, the distance in m, and whether it is within a waist."""
        site = np.rint(places).astype(np.int64)
        away = self._truth.site_m * np.hypot(*(places - site).T)
        inside = ((site >= 0) & (site < self.register.shape)).all(axis=1)
        return site, away, inside & (away < self.register.truth.trap.waist_m)

    def _pick_up(self, spots: Spots, places: Floats, which: Ints, depth_k: Floats, ramp_s: Floats) -> None:
        """Let spots that have grown deeper than the fixed tweezers, in ramp_s, take over the atoms where they are."""
        if not len(which):
            return
        site, away, near = self._at_sites(places[which])
        near &= ~spots.held[which]
        which, site, away = which[near], site[near], away[near]
        flat = self._flat(site)
        single = np.unique(flat, return_index=True)[1]  # the first of two takes it
        which, away = which[single], away[single]
        here, atoms = self.register.lift(flat[single])
        which, away = which[here], away[here]
        spots.held[which] = True
        spots.temperature_k[which], spots.label[which], spots.death_mu[which] = atoms[:3]
        spots.handles |= {int(which[k]): handle for k, handle in atoms.handles.items()}
        self._hand_over(spots, which, away, depth_k[which], ramp_s[which])

    def _put_down(self, spots: Spots, places: Floats, which: Ints, depth_k: Floats, ramp_s: float) -> None:
        """Let spots that have grown too weak leave their atoms in the fixed tweezers; two in one are both lost."""
        if not len(which):
            return
        site, away, near = self._at_sites(places[which])
        self._hand_over(spots, which, np.where(near, away, 0.0), depth_k[which], np.full(len(which), ramp_s))
        self._lose(spots, which[~near])
        still = spots.held[which]
        which, flat = which[still], self._flat(site[still])
        met = self.register.occupied[flat] | (np.bincount(flat, minlength=1)[flat] > 1)
        self._lose_standing(flat[met])
        self._lose(spots, which[met])
        which, flat = which[~met], flat[~met]
        handles = {k: spots.handles.pop(spot) for k, spot in enumerate(which.tolist()) if spot in spots.handles}
        self.register.put(flat, Atoms(spots.temperature_k[which], spots.label[which], spots.death_mu[which], handles))
        spots.held[which] = False

    def _lose(self, spots: Spots, which: Ints) -> None:
        lost = np.zeros_like(spots.held)
        lost[which] = True
        self._drop(spots, lost)

    def _drop(self, spots: Spots, lost: Bools) -> None:
        """Lose the atoms of some spots."""
        spots.held &= ~lost
        for k in [k for k in spots.handles if lost[k]]:
            let_go(spots.handles.pop(k), self.register.rng)

    def _lose_standing(self, flat: Ints) -> None:
        """Lose the atoms of some sites (n,) of the fixed tweezers."""
        if len(flat):
            self.register.before_touch()
            self.register.lose_all(flat)

    def _flat(self, site: Ints) -> Ints:
        """Return the register's index of each (row, column), shape (n, 2)."""
        return np.asarray(site @ (self.register.shape[1], 1))

    def _hand_over(self, spots: Spots, which: Ints, away_m: Floats, depth_k: Floats, ramp_s: Floats) -> None:
        """Let atoms change tweezers within ramp_s (0: at once): what it costs in energy, and in atoms."""
        if not len(which):
            return
        trap, omega = self.register.truth.trap, self._omega(depth_k)
        quanta = phonons(away_m, np.where(ramp_s > 0, ramp_s, 1.0), omega, self.species.mass_kg, "cubic")
        at_once = offset_energy_k(away_m, depth_k, trap.waist_m)
        gained = np.where(ramp_s > 0, HBAR_J_S * omega * quanta / BOLTZMANN_J_K, at_once)
        self._heat(spots, which, gained, depth_k, 1 - self._deflector.handover_loss)

    def _omega(self, depth_k: Floats) -> Floats:
        """Return the radial frequencies of spots in rad/s."""
        trap, unit = self.register.truth.trap, self._deflector.spot_depth_k
        hz = frequencies_hz(Trap(unit, trap.waist_m, trap.wavelength_m), self.species.mass_kg)[0]
        return np.asarray(2 * math.pi * hz * np.sqrt(depth_k / unit))

    def _heat(self, spots: Spots, which: Ints, energy_k: Floats, depth_k: Floats, kept: float) -> None:
        """Give atoms a coherent energy; the hottest leave, and a fraction 1 - kept in any case."""
        warm = np.maximum(spots.temperature_k[which], 1e-9)
        chance = np.full(len(which), kept)
        # Colder atoms, moved more gently, leave in fewer than 1e-14 of the cases.
        hot = warm + energy_k > depth_k / 40
        if hot.any():
            omega = self._omega(depth_k[hot])
            quanta = BOLTZMANN_J_K * energy_k[hot] / (HBAR_J_S * omega)
            before, after = (1 - p_lost_displaced(n, omega, warm[hot], depth_k[hot]) for n in (0 * quanta, quanta))
            chance[hot] *= after / before
        spots.temperature_k[which] = warm + energy_k / 3
        self._lose(spots, which[self.rng.random(len(which)) >= chance])

    def _travel(self, spots: Spots, segment: Segment, start: Floats, stop: Floats, depth_k: Floats) -> None:
        """Carry the atoms; spots that merge lose theirs, and so does one that passes over a standing atom, with it."""
        reach, truth = self.register.truth.trap.waist_m / self._truth.site_m, self._deflector
        rows, columns = ((merging(of(tones.start_hz), of(tones.stop_hz), reach)) for of, tones in
                         ((truth.rows, segment.rows), (truth.columns, segment.columns)))  # fmt: skip
        lost = np.logical_or.outer(rows, columns).ravel()
        strong = depth_k > self.register.trap_k
        standing = self.register.occupied.reshape(self.register.shape)
        hit, sites = swept(standing, start[strong], stop[strong], reach)
        lost[np.flatnonzero(strong)[hit]] = True
        self._lose_standing(self._flat(sites))
        self._drop(spots, lost)
        which = np.flatnonzero(spots.held)
        depth, omega = depth_k[which], self._omega(depth_k[which])
        way = self._truth.site_m * np.hypot(*(stop[which] - start[which]).T)
        quanta = phonons(way, segment.duration_s, omega, self.species.mass_kg, "cubic")
        self._heat(spots, which, HBAR_J_S * omega * quanta / BOLTZMANN_J_K, depth, 1.0)


def _checked(k: int, segment: Any) -> Segment:
    """Return a segment as the world keeps it; raise DeviceError where a card could not play it."""
    axes = []
    for name in ("rows", "columns"):
        tones = [np.array(values, dtype=float) for values in getattr(segment, name)]
        if any(values.shape != tones[0].shape or values.ndim != 1 for values in tones) or not len(tones[0]):
            raise DeviceError(f"Segment {k}, {name}: the lists of start and stop must be of one length, at least 1.")
        if not all(np.isfinite(values).all() for values in tones):
            raise DeviceError(f"Segment {k}, {name}: a frequency or amplitude is not finite.")
        axes.append(Tones(*tones))
    if not segment.duration_s > 0:
        raise DeviceError(f"Segment {k} lasts {segment.duration_s!r} s, but must last longer than 0.")
    return Segment(float(segment.duration_s), axes[0], axes[1])
