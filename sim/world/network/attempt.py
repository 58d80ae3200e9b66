"""The heralded attempt: pump, excite, look for clicks in the gates; one by one, or jumping to the next that could
herald.

Between two events that matter an attempt only moves atoms between a few labels (absent, F = 1, F = 2, ready). A
*candidate* is an attempt in which photons and dark clicks together are as many as the smallest herald pattern asks for;
attempts that are no candidates are skipped with one draw (`FirstPassage`), candidates are played out click by click.
Nothing is approximated: `attempts` plays every single one, and a test holds the two against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.physics.interference import (
    Bools,
    Complexes,
    Floats,
    Ints,
    Midpoint,
    Photons,
    detach,
    draw_photons,
    reference_s,
    states,
)
from sim.world.atoms.labels import CHAIN, F1
from sim.world.network.detection import Detection
from sim.world.network.first_passage import FirstPassage
from sim.world.network.node_cycle import NodeCycle

# Photons at the detectors in a candidate: none, the first's, the second's, both of different polarisation, of the same.
_NONE, _FIRST, _SECOND, _DIFFERENT, _SAME = range(5)
_CHUNK = 1 << 15
_DARKS = 12  # more dark clicks in one attempt than this are not distinguished


@dataclass(frozen=True)
class Gates:
    """Gate windows of the inputs in seconds from the cycle's start (a closed gate is (0, 0)), dark rates, what heralds,
    and which inputs have detectors of which polarisation.
    """

    windows_s: tuple[tuple[float, float], ...]
    dark_rates_hz: tuple[float, ...]
    patterns: tuple[int, ...]
    h_inputs: int = 0b0101
    v_inputs: int = 0b1010

    def darks(self) -> Floats:
        """Return the mean number of dark clicks (n,) in each gate."""
        return np.array(
            [rate * (stop - start) for (start, stop), rate in zip(self.windows_s, self.dark_rates_hz, strict=True)]
        )

    def darks_needed(self) -> tuple[int, ...]:
        """Return, for each combination of photons (`_NONE` and on), the smallest number of dark clicks that can make a
        herald of it.
        """
        fewest = min((pattern.bit_count() for pattern in self.patterns), default=5)
        both = all(pattern & self.h_inputs and pattern & self.v_inputs for pattern in self.patterns)
        # A pair of equal polarisation cannot make a pattern that wants H and V.
        return fewest, fewest - 1, fewest - 1, fewest - 2, max(fewest - 2, 1 if both else 0)


class Attempts(NamedTuple):
    """n attempts: `ends` (n, 2) labels, `first_s` (n, detectors) first click in each gate or inf, `pattern` (n,),
    `source` (n, 2) of the photon that reached the detectors (0: none), `rows` (r,) the attempts that `photons` belong
    to.
    """

    ends: Ints
    first_s: Floats
    pattern: Ints
    source: Ints
    rows: Ints
    photons: Photons

    @property
    def seen(self) -> Bools:
        """Whether each node's photon reached the detectors, (n, 2)."""
        return self.source > 0


class Candidates(NamedTuple):
    """n candidates: `cycle` (n,) how many cycles up to and including it (>= NEVER: none so far), the rest as in
    `Attempts`, and the atoms' state (n, 4), filled where `heralded`, at the mean emission time `reference_s` (n,) (as
    it reaches the detectors); `qubits` (n, 2) which of them are in it.
    """

    cycle: Ints
    ends: Ints
    first_s: Floats
    pattern: Ints
    heralded: Bools
    states: Complexes
    reference_s: Floats
    qubits: Bools


class AttemptModel:
    """The statistics of one kind of cycle; build once per hash of signal edges and drift state."""

    def __init__(self, nodes: tuple[NodeCycle, NodeCycle], midpoint: Midpoint, gates: Gates,
                 detection: Detection | None = None) -> None:  # fmt: skip
        self.nodes, self.midpoint, self.gates, self._detection = nodes, midpoint, gates, detection or Detection()
        self.arms = (nodes[0].arm, nodes[1].arm)
        self._local = [node.transitions() for node in nodes]
        self._photons, self._combination = _combinations(*(local.shape[1] - 1 for local in self._local))
        self._faultless = len(self._combination) == 5
        self._darks = gates.darks()
        self._dark_pmf = _poisson(float(self._darks.sum()))
        self._passages: dict[int, FirstPassage] = {}
        self._windows = np.array(gates.windows_s)
        self._heralds = np.zeros(1 << len(gates.windows_s), dtype=bool)
        self._heralds[list(gates.patterns)] = True
        self._needed = np.maximum(gates.darks_needed(), 0)[self._combination]
        self._stay, self._event = self._chain()
        self._limits: dict[bytes, Floats] = {}

    def attempts(self, rng: np.random.Generator, labels: Ints) -> Attempts:
        """Play one attempt for each row of `labels` (n, 2)."""
        ends, source = np.empty_like(labels), np.empty_like(labels)
        for k, local in enumerate(self._local):
            edges = np.cumsum(local.reshape(CHAIN, -1), axis=1)
            edges[:, -1] = 1.0
            choice = np.sum(rng.random(len(labels))[:, None] >= edges[labels[:, k]], axis=1)
            source[:, k], ends[:, k] = choice // CHAIN, choice % CHAIN
        n_dark = (
            rng.poisson(self._darks.sum(), len(labels)) if self._darks.sum() else np.zeros(len(labels), dtype=np.int64)
        )
        rows = np.flatnonzero(source.any(axis=1) | (n_dark > 0))
        first = np.full((len(labels), len(self._windows)), np.inf)
        photons, first[rows] = self._clicks(rng, source[rows], n_dark[rows])
        return Attempts(ends, first, _patterns(first), source, rows, photons)

    def candidates(self, rng: np.random.Generator, labels: Ints) -> Candidates:
        """Draw the next candidate for each row of `labels` (n, 2), the labels it starts from."""
        start = labels[:, 0] * CHAIN + labels[:, 1]
        cycle, category = np.empty(len(start), dtype=np.int64), np.empty(len(start), dtype=np.int64)
        for index in _distinct(start, CHAIN * CHAIN):
            rows = np.flatnonzero(start == index)
            cycle[rows], category[rows] = self._next(rng, index, len(rows))
        kind, ends = category // 16, np.stack((category // CHAIN % CHAIN, category % CHAIN), axis=1)
        source = self._photons[kind]
        seen = source > 0
        n_dark = self._enough_darks(rng, self._needed[kind])
        photons, first = self._clicks(rng, source, n_dark, self._combination[kind] == _SAME)
        pattern = _patterns(first)
        heralded = self._heralds[pattern]
        psi = np.zeros((len(start), 4), dtype=complex)
        rows = np.flatnonzero(heralded)
        psi[rows] = states(rng, self.arms, self.midpoint, photons.modes, seen, rows)
        qubits = (ends == F1) & (source < 2)
        if not self._faultless:
            psi[rows] = detach(rng, psi[rows], source[rows] > 1)
        return Candidates(cycle, ends, first, pattern, heralded, psi, reference_s(photons.modes, seen), qubits)

    def heralds(self, rng: np.random.Generator, labels: Ints) -> tuple[Ints, Candidates]:
        """Draw the number of cycles up to a herald, and the herald, for each row of `labels` (n, 2)."""
        if len(labels) > _CHUNK:  # working sets that fit the cache are twice as fast
            parts = [self.heralds(rng, labels[k : k + _CHUNK]) for k in range(0, len(labels), _CHUNK)]
            return np.concatenate([part[0] for part in parts]), Candidates(
                *(np.concatenate(field) for field in zip(*(part[1] for part in parts), strict=True))
            )
        block = self.candidates(rng, labels)
        cycles = block.cycle.copy()
        missing = np.flatnonzero(~block.heralded)
        while len(missing):
            more = self.candidates(rng, block.ends[missing])
            cycles[missing] += more.cycle
            for field, new in zip(block, more, strict=True):
                field[missing] = new
            missing = missing[~more.heralded]
        return cycles, block

    def _next(self, rng: np.random.Generator, start: int, n: int) -> tuple[Ints, Ints]:
        """Draw cycle number (n,) and category (n,) of the next candidate from one start state."""
        passage = self.passage(start)
        cycle = passage.draw(rng, n)
        category = self._category(rng, passage.states[-1], n)
        early = np.flatnonzero(cycle <= passage.table_end)
        for k in np.unique(cycle[early]):
            rows = early[cycle[early] == k]
            category[rows] = self._category(rng, passage.state_before(int(k)), len(rows))
        return cycle, category

    def passage(self, index: int) -> FirstPassage:
        """Return the waiting time to the next candidate from the labels (first, second) with index 4 first + second."""
        if index not in self._passages:
            self._passages[index] = FirstPassage(self._stay, index)
        return self._passages[index]

    def _chain(self) -> tuple[Floats, Floats]:
        """Return P[s, s'] without a candidate (16, 16), and P[s, category] with one (16, 80 and more); category = 16
        photons + ends.
        """
        size = CHAIN * CHAIN
        stay, event = np.zeros((size, size)), np.zeros((size, len(self._photons), size))
        for kind, (a, b) in enumerate(self._photons):
            chance = 0.5 if a and b else 1.0
            joint = chance * np.kron(self._local[0][:, a, :], self._local[1][:, b, :])
            enough = self._dark_pmf[self._needed[kind] :].sum()
            event[:, kind, :] = joint * enough
            stay += joint * (1.0 - enough)
        return stay, event.reshape(size, -1)

    def _category(self, rng: np.random.Generator, weights: Floats, n: int) -> Ints:
        key = weights.tobytes()
        if key not in self._limits:
            edges = np.cumsum(weights @ self._event)
            self._limits[key] = edges / edges[-1] if edges[-1] > 0 else edges
        found = np.searchsorted(self._limits[key], rng.random(n), side="right").astype(np.int64)
        return np.minimum(found, len(self._limits[key]) - 1)  # where none can come

    def _enough_darks(self, rng: np.random.Generator, at_least: Ints) -> Ints:
        """Draw Poisson numbers of dark clicks, given that there are at least so many."""
        out = np.zeros(len(at_least), dtype=np.int64)
        for least in _distinct(at_least, 8):
            rows = np.flatnonzero(at_least == least)
            weights = self._dark_pmf.copy()
            weights[:least] = 0
            edges = np.cumsum(weights)
            if edges[-1] > 0:  # else no candidate can come: its cycle is NEVER
                out[rows] = np.searchsorted(edges / edges[-1], rng.random(len(rows)), side="right")
        return out

    def _clicks(
        self, rng: np.random.Generator, source: Ints, n_dark: Ints, same_polarisation: Bools | None = None
    ) -> tuple[Photons, Floats]:
        """Play out the clicks of n attempts; return the photons and the first click in each gate, (n, detectors)."""
        n, others = len(source), None if self._faultless else source
        photons = draw_photons(rng, self.arms, self.midpoint, source > 0, same_polarisation, others)
        photons = photons._replace(detector=self._detection.assigned(rng, photons.detector))
        first = np.full((n, len(self._windows)), np.inf)
        for k in (0, 1):
            _record(first, self._windows, np.arange(n), photons.detector[:, k], photons.time_s[:, k])
        for order in range(int(n_dark.max(initial=0))):
            rows = np.flatnonzero(n_dark > order)
            detector = rng.choice(len(self._darks), len(rows), p=self._darks / self._darks.sum())
            start, stop = self._windows[detector, 0], self._windows[detector, 1]
            _record(first, self._windows, rows, detector, start + rng.random(len(rows)) * (stop - start))
        return photons, first


def _combinations(first: int, second: int) -> tuple[Ints, Ints]:
    """Return the photons of a candidate (k, 2), the source of each node's (0: none), and the combination (k,) that they
    are, for so many sources of each.
    """
    a, b = range(1, first + 1), range(1, second + 1)
    found = [(0, 0, _NONE), *((k, 0, _FIRST) for k in a), *((0, k, _SECOND) for k in b),
             *((i, j, both) for i in a for j in b for both in (_DIFFERENT, _SAME))]  # fmt: skip
    table = np.array(found, dtype=np.int64)
    return table[:, :2], table[:, 2]


def _record(first: Floats, windows: Floats, rows: Ints, detector: Ints, time_s: Floats) -> None:
    """Keep the clicks that fall into their detector's gate, the first of each."""
    inside = (detector >= 0) & (time_s >= windows[detector, 0]) & (time_s < windows[detector, 1])
    rows, detector = rows[inside], detector[inside]
    first[rows, detector] = np.minimum(first[rows, detector], time_s[inside])


def _patterns(first: Floats) -> Ints:
    return np.asarray(np.isfinite(first) @ (1 << np.arange(first.shape[1])))


def _distinct(values: Ints, limit: int) -> Ints:
    """Return the distinct small numbers in `values`, all in 0..limit-1; much faster than sorting."""
    return np.flatnonzero(np.bincount(values, minlength=limit))


def _poisson(mean: float) -> Floats:
    """Return P(0), …, P(_DARKS); the last takes what is left."""
    pmf = np.empty(_DARKS + 1)
    pmf[0] = np.exp(-mean)
    for k in range(1, _DARKS + 1):
        pmf[k] = pmf[k - 1] * mean / k
    pmf[-1] += max(0.0, 1.0 - pmf.sum())
    return pmf
