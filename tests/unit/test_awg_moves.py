"""Blocks that the AWG's driver writes to the cards carry atoms as the same segments do when the world has them bare."""

from __future__ import annotations

import numpy as np
from array_lab import AXIS, TIMING, ArrayLab

from drivers.rtio.awg_ramps import Segment, duration_s, ramps
from drivers.rtio.rearrangement import Target, plan, split
from sim.instruments.in_process import connect


class Lab:
    """What `core` is to an instrument: lab time is the test's."""

    def sync(self) -> None:
        pass


TARGET = Target(13, 3, 6, 6)


def moves(room: ArrayLab) -> list[Segment]:
    return ramps(split(plan(room.array.occupied, TARGET), 20), AXIS, AXIS, TIMING)


def loaded() -> ArrayLab:
    room = ArrayLab(5)
    room.load()
    room.only(*[(row, column) for row, column in np.argwhere(room.array.occupied).tolist() if 0 < column < 12])
    return room


def test_blocks_written_through_the_driver_move_the_same_atoms_to_the_same_places() -> None:
    bare, driven = loaded(), loaded()
    assert (bare.array.occupied == driven.array.occupied).all()
    segments = moves(bare)
    blocks = [segments[k : k + 12] for k in range(0, len(segments), 12)]
    lab = Lab()
    awg = connect(lab, driven.world, "alice_awg", "spectrum_awg", "/dev/spcm0,/dev/spcm1").open()
    awg.arm()  # type: ignore[attr-defined]
    for block in blocks:
        bare.play(block)
        awg.write_segments(block)  # type: ignore[attr-defined]
        assert driven.array.queued == 1
        driven.trigger(round(duration_s(block) * 1e9) + 2000)
        assert driven.array.queued == awg.waiting() == 0  # type: ignore[attr-defined]
    assert driven.array.missed_triggers == bare.array.missed_triggers == 0
    # Frequencies differ by what the card rounds, so the same random numbers decide the same losses.
    assert (bare.array.occupied == driven.array.occupied).all()
    target = driven.array.occupied[TARGET.row : TARGET.row + 6, TARGET.column : TARGET.column + 6]
    assert target.mean() > 0.9  # of 36 sites; two hand-overs lose 0.6 %
