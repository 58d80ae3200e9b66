"""Shots of a histogram beyond what the kernel keeps at a time."""

from types import SimpleNamespace

from experiments.atoms.imaging_histogram import MAX_SHOTS, NAMES, ImagingHistogram


def test_more_shots_than_the_kernel_keeps_are_taken_in_parts_and_all_filed() -> None:
    taken: list[int] = []
    lab = SimpleNamespace(scan=SimpleNamespace(shots=2 * MAX_SHOTS + 500), take=taken.append,
                          **{name: list(range(MAX_SHOTS)) for name in NAMES})  # fmt: skip
    row = ImagingHistogram.measure(lab, None)
    assert taken == [MAX_SHOTS, MAX_SHOTS, 500]
    assert all(row[name] == [*range(MAX_SHOTS), *range(MAX_SHOTS), *range(500)] for name in NAMES)
