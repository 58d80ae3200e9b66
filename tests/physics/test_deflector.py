"""Tones of a crossed deflector: where they point, how deep they hold, and what they meet; exact."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics.deflector import Deflector, merging, offset_energy_k, swept

AOD = Deflector(75e6, 0.5e6, 80e6, -0.25e6, 0.01, 2e-3, 0.003)


def test_tones_point_where_frequency_and_step_say() -> None:
    assert AOD.rows(np.array([75e6, 76.25e6])).tolist() == [0.0, 2.5]
    assert AOD.columns(np.array([80e6, 79e6])).tolist() == [0.0, 4.0]


def test_a_spot_is_as_deep_as_the_product_of_both_powers() -> None:
    """Power is amplitude squared: half of one amplitude is a quarter of the depth."""
    depth = AOD.depth_k(np.array([0.01, 0.005]), np.array([0.01]))
    assert depth.tolist() == pytest.approx([2e-3, 0.5e-3])


def test_an_atom_beside_a_sudden_spot_has_the_potential_energy_of_a_gaussian() -> None:
    x, depth, waist = 0.1e-6, 1e-3, 1e-6
    assert float(offset_energy_k(x, depth, waist)) == pytest.approx(depth * 2 * (x / waist) ** 2, rel=0.02)
    assert float(offset_energy_k(10 * waist, depth, waist)) == pytest.approx(depth)


@pytest.mark.parametrize(("start", "stop", "bad"), [
    ([1, 2, 5], [1, 3, 4], [False, False, False]),
    ([1, 2, 5], [3, 2, 5], [True, True, False]),
    ([5, 1, 2], [5, 3, 2.5], [False, True, True]),
    ([1, 2, 5], [1, 4.9, 5], [False, True, True]),
    ([1, 1.1, 5], [1, 3, 5], [True, True, False]),
    ([1, 2, 3], [3, 2, 1], [True, True, True]),
    ([4.0], [9.0], [False]),
])  # fmt: skip
def test_tones_merge_where_they_cross_or_come_close(start: list[float], stop: list[float], bad: list[bool]) -> None:
    assert merging(np.array(start, dtype=float), np.array(stop, dtype=float), 0.2).tolist() == bad


def brute_force(standing: np.ndarray, start: np.ndarray, stop: np.ndarray, reach: float) -> set[tuple[int, int]]:
    """Return the sites within reach of a way, ends left out, looked at in very small steps."""
    hit = set()
    for a, b in zip(start, stop, strict=True):
        ends = {tuple(np.rint(a).astype(int)), tuple(np.rint(b).astype(int))}
        for s in np.linspace(0, 1, 500):
            place = a + s * (b - a)
            site = tuple(np.rint(place).astype(int))
            inside = all(0 <= k < n for k, n in zip(site, standing.shape, strict=True))
            if inside and site not in ends and standing[site] and math.dist(place, site) < 0.9 * reach:
                hit.add(site)
    return hit


def test_ways_meet_the_standing_atoms_that_brute_force_finds() -> None:
    """20 random sets of ways, along axes and across; sites at the very edge of the reach are left open."""
    rng = np.random.default_rng(3)
    for k in range(20):
        standing = rng.random((12, 12)) < 0.3
        start = rng.integers(0, 12, (3, 2)).astype(float)
        stop = rng.integers(0, 12, (3, 2)).astype(float)
        if k % 2:
            stop[:, k // 2 % 2] = start[:, k // 2 % 2]
        _, sites = swept(standing, start, stop, 0.2)
        found = set(map(tuple, sites.tolist()))
        assert brute_force(standing, start, stop, 0.2) <= found <= brute_force(standing, start, stop, 0.25)


def test_a_free_line_meets_nothing_and_costs_nothing() -> None:
    standing = np.zeros((5, 5), dtype=bool)
    standing[2, 4] = standing[3, 2] = True
    spots, sites = swept(standing, np.array([[2.0, 0.0]]), np.array([[2.0, 3.0]]), 0.2)
    assert not spots.any() and len(sites) == 0
    spots, sites = swept(standing, np.array([[0.0, 2.0]]), np.array([[4.0, 2.0]]), 0.2)
    assert spots.tolist() == [True] and sites.tolist() == [[3, 2]]


@pytest.mark.parametrize("change", [{"row_site_hz": 0.0}, {"tone_amplitude": 0.0}, {"handover_loss": 1.5},
                                    {"spot_depth_k": -1.0}])  # fmt: skip
def test_a_deflector_that_cannot_be_is_refused(change: dict[str, float]) -> None:
    values = {name: getattr(AOD, name) for name in AOD.__dataclass_fields__} | change
    with pytest.raises(ScenarioError, match=next(iter(change))):
        Deflector(**values)
