"""Emissions that a kernel spelled out pulse by pulse, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim.physics.interference import Midpoint, Photons, detach, reference_s, states
from sim.world.network.attempt import AttemptModel

BLOCK = 256  # outcomes drawn at a time; they are independent: what is not used is thrown away when statistics change


@dataclass
class Pulse:
    """Excitation light on the atom at one input of a station, from start to stop, in mu."""

    input: int
    start_mu: int
    stop_mu: int


class Flight(NamedTuple):
    """What became of the emissions of one attempt, by input; arrays have one row."""

    ends: tuple[int, int]
    clicks: tuple[tuple[int, float], ...]  # (detector, seconds)
    psi: np.ndarray
    reference_s: float
    wrong: tuple[bool, bool] = (False, False)  # the photon left its atom outside the qubit


def flights(model: AttemptModel, labels: list[int], midpoint: Midpoint, rng: np.random.Generator) -> Iterator[Flight]:
    while True:
        block = model.attempts(rng, np.tile(labels, (BLOCK, 1)))
        photons, source = block.photons, block.source[block.rows]
        seen, wrong = source > 0, block.source > 1
        psi = np.eye(4, dtype=complex)[rng.integers(0, 4, BLOCK)]
        psi[block.rows] = states(rng, model.arms, midpoint, photons.modes, seen, np.arange(len(seen)))
        if wrong.any():
            psi = detach(rng, psi, wrong)
        when = np.zeros(BLOCK)
        when[block.rows] = reference_s(photons.modes, seen)
        clicks = dict(zip(block.rows.tolist(), _click_lists(photons), strict=True))
        for k in range(BLOCK):
            ends = block.ends[k]
            found = (int(ends[0]), int(ends[1])), clicks.get(k, ()), psi[k], float(when[k])
            yield Flight(*found, (bool(wrong[k, 0]), bool(wrong[k, 1])))


def _click_lists(photons: Photons) -> Iterator[tuple[tuple[int, float], ...]]:
    for detectors, times in zip(photons.detector.tolist(), photons.time_s.tolist(), strict=True):
        yield tuple((d, t) for d, t in zip(detectors, times, strict=True) if d >= 0)
