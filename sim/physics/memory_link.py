"""Two nodes that meet through memories: each arm stores a photon whose arrival is heralded, then both are read out.

A memory does not announce that it holds a photon, and without announcement nothing is gained: both have to be there in
one attempt. So storage is heralded (by a local pair whose other photon met the travelling one, or by a photon reflected
from an atom in a cavity), and one who was lucky waits for the other, for at most m slots, then starts anew. With p the
chance that an arm loads in a slot and knows it, A = 1 - (1 - p)^m:
    pairs per slot = [p^2 + 2 p (1 - p) A]/[1 + 2 (1 - p) A],
times eta_r^2 (read-out) and B (Bell measurement). The spin wave dephases while it waits, w_k = e^(-(k T/tau)^2) after k
slots: fewer photons come back, and noise photons weigh more.

Sources: O. A. Collins, S. D. Jenkins, A. Kuzmich, T. A. B. Kennedy, PRL 98, 060502 (2007), for memories that wait;
N. Sangouard, C. Simon, H. de Riedmatten, N. Gisin, RMP 83, 33 (2011), for heralded storage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.physics.validate import require

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MemoryLink:
    """Describe a link of two equal arms.

    loaded: probability that an arm loads in a slot and heralds it. cutoff: slots that a photon waits at most. slot_s:
    length of a slot, the herald's way back included. readout: eta_r of a fresh photon. noise: noise photons per
    read-out. bell: success of the Bell measurement. fidelity: of a pair of two fresh photons without noise.
    """

    loaded: float
    cutoff: int
    slot_s: float
    coherence_s: float
    readout: float = 1.0
    noise: float = 0.0
    bell: float = 0.5
    fidelity: float = 1.0

    def __post_init__(self) -> None:
        require(self, "loaded", 0, 1, above=True)
        require(self, "cutoff", 0)
        require(self, "slot_s", 0, above=True)
        require(self, "coherence_s", 0, above=True)
        for name in ("readout", "bell", "fidelity"):
            require(self, name, 0, 1)
        require(self, "noise", 0, 1)


class Forecast(NamedTuple):
    """Pairs loaded per slot, the mean of w over them, heralds per slot and second, and the heralded fidelity."""

    loaded_per_slot: float
    survival: float
    heralds_per_slot: float
    heralds_hz: float
    fidelity: float


def loaded_per_slot(p: float, cutoff: int) -> float:
    """Return how many pairs are loaded per slot; p^2 without memory (cutoff 0), p (2 - p)/(3 - 2 p) without end."""
    within = _within(p, cutoff)
    return (p * p + 2 * p * (1 - p) * within) / (1 + 2 * (1 - p) * within)


def forecast(link: MemoryLink) -> Forecast:
    """Return rate and fidelity of a link, the wait of the first photon weighed slot by slot."""
    p, m = link.loaded, int(link.cutoff)
    rate = loaded_per_slot(p, m)
    waits = np.arange(1, m + 1)
    # Chances per cycle: both at once, or the second k slots after the first.
    chances = np.concatenate(([p * p], 2 * p * (1 - p) * p * (1 - p) ** (waits - 1)))
    survival = np.concatenate(([1.0], np.exp(-((waits * link.slot_s / link.coherence_s) ** 2))))
    weights = chances / chances.sum()
    first, second = link.readout * survival + link.noise, link.readout + link.noise
    heralded = float(weights @ first) * second
    true = float(weights @ survival) * link.readout**2
    fidelity = (true * link.fidelity + (heralded - true) / 4) / heralded if heralded > 0 else math.nan
    per_slot = rate * heralded * link.bell
    return Forecast(rate, float(weights @ survival), per_slot, per_slot / link.slot_s, fidelity)


def direct_per_slot(p: float, bell: float) -> float:
    """Return the heralds per slot of the link without memories; p without the flag's loss."""
    return p * p * bell


def crossing(flag: float, readout: float) -> float:
    """Return the transmission of an arm below which memories that keep for ever win over the direct link, per slot.

    An arm loads with p = flag p_direct: p (2 - p)/(3 - 2 p) readout^2 = p_direct^2.
    """
    gain = flag * readout**2
    # 2 flag x^2 - (3 + gain flag) x + 2 gain = 0 for x = p_direct.
    half, square = (3 + gain * flag) / 2, 2 * flag
    inside = half**2 - square * 2 * gain
    return min(1.0, (half - math.sqrt(inside)) / square)


def best_cutoff(p: float, slot_s: float, coherence_s: float, most: int) -> tuple[int, float]:
    """Return the cutoff with the most pairs per slot, each weighed by w, and how many times p^2 that is."""
    waits = np.arange(1, most + 1)
    arrived = np.cumsum(p * (1 - p) ** (waits - 1) * np.exp(-((waits * slot_s / coherence_s) ** 2)))
    within = 1 - (1 - p) ** waits
    rate = (p * p + 2 * p * (1 - p) * arrived) / (1 + 2 * (1 - p) * within)
    k = int(np.argmax(rate))
    return int(waits[k]), float(rate[k]) / p**2


def _within(p: float, cutoff: int) -> float:
    return -math.expm1(cutoff * math.log1p(-p)) if p < 1 else float(cutoff > 0)
