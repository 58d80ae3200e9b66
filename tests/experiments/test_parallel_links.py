"""Heralding on two links of chain3 at once: neither disturbs the other, and what cannot go side by side is refused."""

from pathlib import Path

import pytest
from lab_runs import atomlink, command
from other_labs import write

from analysis.estimates import Estimate
from analysis.experiments import parallel_links as twin
from analysis.load import load
from atomlink.errors import UsageError
from experiments.sequences.side_by_side import chosen_links
from sim.world import load_scenario

CHAIN, STAR, PAIR = (load_scenario(name).topology for name in ("chain3", "star4", "default"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chain3")
    write(folder, "chain3")
    return folder


def test_two_links_herald_side_by_side_as_often_as_alone(lab: Path) -> None:
    """Seed 4, 4 sigma, about 90 heralds of each kind; twice the rate of taking turns."""
    said = atomlink(lab, "run", "parallel_links", "shots=80", "repeats=3", "--seed", "4")
    (file,) = lab.glob("results/*/*/*-ParallelLinks.h5")
    run = load(file)
    found = twin.analyse(run).estimates
    for name in ("alice-charlie.west@left", "charlie.east-bob@right"):
        ratio = found[f"{name}.probability_ratio"]
        assert ratio.n > 60 and abs(ratio.sigmas_from(1.0)) < 4, (ratio, said)
    gain: Estimate = found["gain"]
    assert abs(gain.sigmas_from(2.0)) < 4 and gain.value > 1.4, (gain, said)
    atomlink(lab, "report", str(file))
    assert "charlie.east-bob@right.rate_together" in file.with_suffix(".html").read_text()


def test_the_kernel_keeps_links_going_in_software_too(lab: Path) -> None:
    code, said = command(lab, "run", "parallel_links", "shots=4", "repeats=1", "backend=software", "--seed", "1",
                         "--results", "software")  # fmt: skip
    assert code == 0, said
    run = load(next(lab.glob("software/*/*/*-ParallelLinks.h5")))
    block = int(run.datasets["scan.block"])
    assert run.datasets["scan.attempts"].ravel().tolist() == [4 * block] * 4


@pytest.mark.parametrize(("network", "text", "says"), [
    (CHAIN, "alice-charlie.west@left,alice-charlie@left", "both need station left: leave one out"),
    (STAR, "", "this lab has alice-charlie@hub, .*: add a station, or take a lab that has two"),
    (PAIR, "", "this lab has alice-bob@midpoint"),
    (CHAIN, "alice-charlie.west@left", "names one link, must name two or more"),
    (CHAIN, "alice-charlie.west@left,", "must name a link before and after each comma"),
    (CHAIN, "alice-bob@left,charlie.east-bob@right", "Link 'alice-bob@left' is not in this lab"),
])  # fmt: skip
def test_links_that_cannot_go_side_by_side_are_refused_in_one_line(network: object, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        chosen_links(text, network)  # type: ignore[arg-type]
