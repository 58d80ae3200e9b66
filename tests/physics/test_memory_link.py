"""Memory-assisted links: the closed form against a simulation slot by slot, and against the direct link."""

import math

import numpy as np
import pytest

from atomlink.errors import ScenarioError
from sim.physics.memory_link import MemoryLink, best_cutoff, crossing, direct_per_slot, forecast, loaded_per_slot

TAU = 200e-6


def played(link, slots, rng):
    """Play slots one after another; return (heralds, true ones) with each read-out drawn click by click."""
    waiting, age, heralds, true = False, 0, 0, 0
    for _ in range(slots):
        a, b = rng.random(2) < link.loaded
        if waiting:
            age += 1
            if a:  # the arm that waits has no say
                good, any_ = readout(link, age, rng)
                heralds, true, waiting = heralds + any_, true + good, False
            elif age == link.cutoff:
                waiting = False
        elif a and b:
            good, any_ = readout(link, 0, rng)
            heralds, true = heralds + any_, true + good
        elif (a or b) and link.cutoff:
            waiting, age = True, 0
    return heralds, true


def readout(link, age, rng):
    """Read both memories; a window holds the photon, noise, or nothing (exclusive at these small numbers)."""
    survival = math.exp(-((age * link.slot_s / link.coherence_s) ** 2))
    signal = rng.random(2) < np.array([link.readout * survival, link.readout])
    noise = rng.poisson(link.noise, 2)
    bell = rng.random() < link.bell
    # Weighed by the number of clicks: what the closed form adds up.
    total = int(np.prod(signal + noise)) if bell else 0
    return (int(signal.all()) if bell else 0), total


@pytest.mark.parametrize(("p", "cutoff", "slot"), [
    (0.02, 0, 0.01), (0.02, 20, 0.01), (0.02, 100, 0.01), (0.1, 30, 0.03), (0.3, 5, 0.1),
])  # fmt: skip
def test_rate_and_fidelity_are_those_of_slots_played_one_by_one(p, cutoff, slot):
    """Within 3 sigma at five settings, of Poisson counts."""
    link = MemoryLink(p, cutoff, slot * TAU, TAU, 0.8, 0.02, 0.5, 1.0)
    slots = 150_000
    heralds, true = played(link, slots, np.random.default_rng([7, cutoff]))
    expected = forecast(link)
    mean = expected.heralds_per_slot * slots
    assert abs(heralds - mean) < 3 * math.sqrt(mean)
    share = (expected.fidelity - 0.25) / 0.75
    assert abs(true / heralds - share) < 3 * math.sqrt(share * (1 - share) / heralds) + 1e-9


@pytest.mark.parametrize(("cutoff", "rate", "survival"), [
    (0, 4.0e-4, 1.0), (20, 8.13e-3, 0.988), (100, 1.274e-2, 0.851), (1000, 1.338e-2, 0.761),
])  # fmt: skip
def test_table_of_the_design(cutoff, rate, survival):
    found = forecast(MemoryLink(0.02, cutoff, 0.01 * TAU, TAU))
    assert found.loaded_per_slot == pytest.approx(rate, rel=1e-3)
    assert found.survival == pytest.approx(survival, abs=1.5e-3)


def test_limits_of_no_cutoff_and_of_no_memory():
    assert loaded_per_slot(0.02, 0) == pytest.approx(0.02**2)
    assert loaded_per_slot(0.02, 10**6) == pytest.approx(0.02 * 1.98 / 2.96)
    assert loaded_per_slot(1.0, 3) == 1.0


@pytest.mark.parametrize(("ratio", "gain"), [(1000, 450), (200, 207)])
def test_gain_at_the_best_cutoff(ratio, gain):
    cutoff, found = best_cutoff(1e-3, TAU / ratio, TAU, 5 * ratio)
    assert found == pytest.approx(gain, abs=2)
    assert 0.6 < cutoff / ratio < 1.45


@pytest.mark.parametrize(("flag", "eta"), [(1.0, 0.8), (0.3, 0.7), (0.05, 0.5)])
def test_memories_win_below_the_crossing_and_lose_above_it(flag, eta):
    at = crossing(flag, eta)
    assert 0 < at < 1
    for direct, wins in ((0.8 * at, True), (min(1.0, 1.25 * at), False)):
        link = MemoryLink(flag * direct, 10**5, 1e-15, TAU, eta, 0.0, 0.5)
        assert (forecast(link).heralds_per_slot > direct_per_slot(direct, 0.5)) == wins


def test_impossible_links_are_refused():
    with pytest.raises(ScenarioError, match=r"MemoryLink\.loaded is 0, but must be a number in \(0, 1\]"):
        MemoryLink(0, 5, 1e-6, TAU)
    with pytest.raises(ScenarioError, match=r"MemoryLink\.cutoff is -1, but must be"):
        MemoryLink(0.1, -1, 1e-6, TAU)
