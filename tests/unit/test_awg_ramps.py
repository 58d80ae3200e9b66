"""Tone ramps of a plan: continuous, in band, in order, and never louder than allowed."""

from dataclasses import replace

import numpy as np
import pytest

from atomlink.errors import DeviceError, UsageError
from drivers.rtio.awg_ramps import Axis, Segment, Timing, Tones, duration_s, frequency_hz, ramps
from drivers.rtio.rearrangement import Plan, Target, plan

ROWS = Axis(85e6, 0.5e6, 70e6, 115e6, 0.02)
COLUMNS = Axis(115e6, -0.5e6, 70e6, 115e6, 0.02)
TIMING = Timing(5e-6, 0.55, 100e-6, 50e-6)


def a_plan() -> tuple[np.ndarray, Plan]:
    occupied = np.random.default_rng(4).random((20, 20)) < 0.6
    return occupied, plan(occupied, Target.centred((20, 20), 12, 12))


def sites_of(axis: Axis, tones: Tones) -> list[int]:
    return np.rint((tones.stop_hz - axis.site_0_hz) / axis.site_hz).astype(int).tolist()


def test_segments_put_every_atom_where_the_plan_wants_it() -> None:
    """Decode the frequencies at the end of each travel back into sites."""
    occupied, moves = a_plan()
    segments = ramps(moves, ROWS, COLUMNS, TIMING)
    assert len(segments) == 3 * len(moves)
    for up, travel, _ in zip(segments[::3], segments[1::3], segments[2::3], strict=True):
        for one, other in ((up, False), (travel, True)):
            for row in sites_of(ROWS, one.rows):
                for column in sites_of(COLUMNS, one.columns):
                    occupied[row, column] = other
    assert occupied[4:16, 4:16].all()


def test_tones_are_continuous_within_a_move_and_silent_between_moves() -> None:
    segments = ramps(a_plan()[1], ROWS, COLUMNS, TIMING)

    def check(up: Segment, travel: Segment, down: Segment) -> None:
        for axis in ("rows", "columns"):
            one, two, three = (getattr(segment, axis) for segment in (up, travel, down))
            assert np.array_equal(one.stop_hz, two.start_hz) and np.array_equal(two.stop_hz, three.start_hz)
            assert np.array_equal(one.stop_amplitude, two.start_amplitude)
            assert np.array_equal(two.stop_amplitude, three.start_amplitude)
            assert not one.start_amplitude.any() and not three.stop_amplitude.any()

    for k in range(0, len(segments), 3):
        check(*segments[k:k + 3])


def test_tones_never_cross_and_travel_no_faster_than_allowed() -> None:
    segments = ramps(a_plan()[1], ROWS, COLUMNS, TIMING)
    s = np.linspace(0, 1, 101)
    for segment in segments[1::3]:
        for axis, tones in ((ROWS, segment.rows), (COLUMNS, segment.columns)):
            f = np.array([frequency_hz(tones, x) for x in s]) / abs(axis.site_hz)
            gaps = np.diff(f, axis=1) * np.sign(axis.site_hz)
            assert gaps.size == 0 or gaps.min() > 1 - 1e-9
            speed = np.abs(np.diff(f, axis=0)).max() * TIMING.site_m / (segment.duration_s / 100)
            assert speed <= TIMING.max_speed_m_s * (1 + 1e-9)


def test_duration_is_that_of_travels_and_ramps() -> None:
    moves = a_plan()[1]
    expected = sum(max(1.5 * n * 5e-6 / 0.55, 100e-6) + 100e-6 for n in moves.longest_sites())
    assert duration_s(ramps(moves, ROWS, COLUMNS, TIMING)) == pytest.approx(expected)


def test_too_many_tones_for_the_amplitude_limit_are_refused() -> None:
    with pytest.raises(DeviceError, match=r"tones of amplitude 0.2 make .* at most 1"):
        ramps(a_plan()[1], replace(ROWS, tone_amplitude=0.2), COLUMNS, TIMING)


def test_a_tone_outside_the_band_is_refused() -> None:
    with pytest.raises(DeviceError, match="the axis deflects 70 to 90 MHz"):
        ramps(a_plan()[1], replace(ROWS, highest_hz=90e6), COLUMNS, TIMING)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="tone <= limit"):
        Axis(85e6, 0.5e6, 70e6, 115e6, 0.5, 0.4)
    with pytest.raises(UsageError, match="lowest_hz < highest_hz"):
        Axis(85e6, 0.5e6, 115e6, 70e6, 0.1)
    with pytest.raises(UsageError, match="Timing.ramp_s is 0.0"):
        Timing(5e-6, 0.55, 100e-6, 0.0)
