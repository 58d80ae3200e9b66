"""A trap that is switched off releases its atom, and catches it or not when it returns. 4 sigma."""

import math

import numpy as np
import pytest
from array_lab import ArrayLab
from signal_lab import SignalLab, lab, put_atom

from sim.physics.recapture import recapture_probability
from sim.world.atoms.labels import ABSENT, F2

TRAP_V = 5.0
OFF_S = 24e-6


def switch(room: SignalLab, volts: float) -> None:
    """Set the depth of alice's trap now."""
    room.world.output("alice_zotino/3", "voltage")(room.t, volts)
    room.play(room.t + 1)


def released(room: SignalLab, off_mu: int) -> None:
    """Switch the trap off for a while."""
    switch(room, 0.0)
    room.play(room.t + off_mu - 1)
    switch(room, TRAP_V)


def test_share_recaptured_is_that_of_the_temperature_and_the_trap() -> None:
    room, shots, caught = lab(seed=3), 250, 0
    node = room.nodes[0]
    room.load()
    room.cool()
    for _ in range(shots):
        put_atom(node)
        released(room, round(OFF_S * 1e9))
        caught += node.label == F2
    (share,) = recapture_probability(np.random.default_rng(2), node.truth.trap, node.species.mass_kg, 20e-6, OFF_S)
    assert 0.3 < share < 0.8
    assert abs(caught / shots - share) < 4 * math.sqrt(share * (1 - share) / shots)


def test_an_atom_in_flight_is_seen_by_nobody_and_light_loses_it() -> None:
    room = lab(seed=3)
    room.load()
    node = room.nodes[0]
    switch(room, 0.0)
    assert node.label == ABSENT
    switch(room, TRAP_V)
    assert node.label == F2  # 1 ns is too short to leave
    switch(room, 0.0)
    room.pulse("alice", ("pumping", "repump"), 100)
    switch(room, TRAP_V)
    assert node.label == ABSENT


def test_no_atom_is_loaded_without_a_trap() -> None:
    room = lab(seed=3)
    switch(room, 0.0)
    for _ in range(8):
        room.pulse("alice", ("mot_coil", "cooling", "repump"), 50_000_000)
    assert room.nodes[0].label == ABSENT


def test_an_atom_that_was_caught_late_is_hotter() -> None:
    room = lab(seed=5)
    room.load()
    node = room.nodes[0]
    heat = []
    for _ in range(60):
        put_atom(node)
        released(room, 20_000)
        if node.label == F2:
            heat.append(node.temperature_k)
    assert np.mean(heat) > 60e-6 and max(heat) < node.trap_k / 3


def test_every_atom_of_an_array_is_released_and_the_hot_ones_are_caught_less() -> None:
    room = ArrayLab(4)
    room.load()
    before = room.array.occupied
    hot = np.zeros_like(before)
    hot[:, 16:] = True
    room.node.register.temperature_k[:] = np.where(hot, 60e-6, 15e-6).ravel()
    released(room.room, round(OFF_S * 1e9))
    after = room.array.occupied
    trap, mass = room.node.truth.trap, room.node.species.mass_kg
    for where, temperature in ((hot, 60e-6), (~hot, 15e-6)):
        n, kept = int((before & where).sum()), int((after & where).sum())
        (share,) = recapture_probability(np.random.default_rng(2), trap, mass, temperature, OFF_S)
        assert n > 200 and abs(kept / n - share) < 4 * math.sqrt(share * (1 - share) / n)
    assert not (after & ~before).any()


@pytest.mark.parametrize("light", [("cooling", "repump"), ("mot_coil", "cooling", "repump")])
def test_light_clears_an_array_in_flight(light: tuple[str, ...]) -> None:
    room = ArrayLab(4)
    room.load()
    assert room.array.occupied.sum() > 300
    switch(room.room, 0.0)
    room.room.pulse("alice", light, 1_000_000)
    switch(room.room, TRAP_V)
    assert not room.array.occupied.any()
