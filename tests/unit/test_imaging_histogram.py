"""Shots of a histogram beyond what the kernel keeps at a time."""

from types import SimpleNamespace

from experiments.atoms.imaging_histogram import MAX_SHOTS, ImagingHistogram


def test_more_shots_than_the_kernel_keeps_are_taken_in_parts_and_all_filed() -> None:
    taken: list[int] = []
    lab = SimpleNamespace(scan=SimpleNamespace(shots=2 * MAX_SHOTS + 500), take=taken.append,
                          nodes=SimpleNamespace(names=("n1", "n2")),
                          first=[*range(MAX_SHOTS)] * 2, second=[*range(MAX_SHOTS)] * 2)  # fmt: skip
    row = ImagingHistogram.measure(lab, None)
    assert taken == [MAX_SHOTS, MAX_SHOTS, 500]
    counts = [*range(MAX_SHOTS), *range(MAX_SHOTS), *range(500)]
    assert row == {"first": [counts, counts], "second": [counts, counts]}
