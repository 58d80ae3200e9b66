"""The rates of all links of a star: the fibre switch leads to each in turn, and each gives what its own fibre lets."""

from pathlib import Path

from lab_runs import atomlink
from other_labs import write

from analysis.counted_links import links_of
from analysis.experiments import link_rates as twin
from analysis.load import load

SCENARIO = 'description = "bob\'s fibre is bad"\nextends = "star4"\n[node.bob.fibre]\ninsertion = 0.15  # a third\n'


def test_every_link_herald_as_its_own_fibres_let_it(tmp_path: Path) -> None:
    """Seed 2, 4 sigma: links of alice as believed, those of bob, whose fibre transmits a third, a third of it."""
    write(tmp_path, "star4")
    (tmp_path / "bad_bob.toml").write_text(SCENARIO)
    atomlink(tmp_path, "run", "link_rates", "shots=150", "repeats=1", "--scenario", "bad_bob.toml", "--seed", "2")
    (file,) = tmp_path.glob("results/*/*/*-LinkRates.h5")
    run = load(file)
    found, believed = twin.analyse(run).estimates, run.datasets["scan.forecast"]
    for name, expected in zip(links_of(run), believed, strict=True):
        measured = found[f"{name}.probability"]
        share = 1 / 3 if "bob" in name else 1.0
        assert measured.n >= 10 and abs(measured.sigmas_from(share * float(expected))) < 4, (name, measured)
        assert ("bob" not in name) or measured.sigmas_from(float(expected)) < -4
    atomlink(tmp_path, "report", str(file))
    assert "bob-dora@hub.rate" in file.with_suffix(".html").read_text()
