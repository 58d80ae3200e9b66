"""Swapping at the middle of `repeater`: the ends' pair is what the two links, storage, gate and read-out make of it."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from lab_runs import atomlink, command
from other_labs import write

from analysis import link
from analysis.estimates import Estimate
from analysis.experiments import entanglement_swapping as twin
from analysis.load import Run, load
from analysis.swap import gate_fidelity
from atomlink.errors import UsageError
from atomlink.topology import Topology
from drivers import parameters
from experiments.sequences.chain import chain_of
from sim.world import load_scenario

LEFT, RIGHT = "alice-charlie.west@left", "charlie.east-bob@right"
SCENARIO = load_scenario("repeater")
REPEATER, CHAIN, STAR, PAIR = (load_scenario(name).topology for name in ("repeater", "chain3", "star4", "default"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repeater")
    write(folder, "repeater")
    return folder


@pytest.fixture(scope="module")
def swapped(lab: Path) -> Run:
    atomlink(lab, "run", "entanglement_swapping", "shots=45", "repeats=5", "--seed", "3")
    (file,) = lab.glob("results/*/*/*-EntanglementSwapping.h5")
    return load(file)


def test_the_ends_that_never_met_are_entangled_as_the_beliefs_say(swapped: Run) -> None:
    """Seed 3, 225 swaps: 4 sigma from the prediction, 4 sigma from 1/4 for each outcome of the middle."""
    found = twin.analyse(swapped).estimates
    raw: Estimate = found["fidelity_raw"]
    assert raw.n == 225 and raw.sigmas_from(0.5) > 6
    assert abs(raw.sigmas_from(found["fidelity_predicted"].value)) < 4, found
    for said in twin.MIDDLE:
        assert abs(found[f"middle ({said})"].sigmas_from(0.25)) < 4, found


def test_without_what_the_middle_showed_nothing_is_left(swapped: Run) -> None:
    """The same shots by the ends alone: each correlator 0 within 4 sigma, F = 1/4."""
    ends = [(-1.0) ** bin(outcome & 0b1001).count("1") for outcome in range(16)]
    for row in twin.counts(swapped):
        assert abs(row @ np.array(ends)) < 4 * math.sqrt(row.sum())


class Link(NamedTuple):
    """A link as the ordinary experiment measured it: raw sizes of correlators, of the first two at the clicks,
    and what is left of a correlator by reading each end.
    """

    xx: Estimate
    yy: Estimate
    zz: Estimate
    read: tuple[float, float]


def zeeman(node: str, t_s: float) -> float:
    """Return what the truth leaves of one atom's coherence in the Zeeman pair after t."""
    memory = SCENARIO.node(node).memory
    return math.exp(-((t_s / memory.t2_star_s) ** 2) - t_s / memory.t2_s)


def measured(lab: Path, name: str, nodes: tuple[str, str], seed: int) -> Link:
    """Take 3,000 pairs of a link."""
    atomlink(lab, "run", "remote_entanglement", f"link={name}", "n_pairs=3000", 'settings="bell (XX YY ZZ)"',
             "--scenario", "repeater", "--seed", str(seed), "--results", f"link{seed}")  # fmt: skip
    run = load(next((lab / f"link{seed}").rglob("*.h5")))
    found = link.analyse(run)
    clicks, heralds = run.datasets["shots.t_click_mu"], run.datasets["shots.t_herald_mu"]
    after_s = float(run.datasets["link.t_analysis_s"]) + 1e-9 * float(np.mean(heralds - clicks.mean(axis=1)))
    kept = math.prod(zeeman(node, after_s) for node in nodes)
    c = found.total.raw.correlators
    assert found.retention is not None
    first, second = (float(r) * (1 - 0.002 - 0.0005) for r in found.retention.values)  # F = 1 lost, |1> not mapped
    return Link(c["XX"] * (1 / kept), c["YY"] * (1 / kept), -c["ZZ"], (first, second))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_2100_swaps_have_the_fidelity_of_the_closed_form_of_measured_links_storage_and_gate(lab: Path) -> None:
    """Seeds 11, 12, 13: F within 3 sigma, each correlator within 3.5; both links measured in the same lab."""
    one, two = measured(lab, LEFT, ("alice", "charlie"), 11), measured(lab, RIGHT, ("charlie", "bob"), 12)
    atomlink(lab, "run", "entanglement_swapping", "shots=105", "repeats=20", "--seed", "13", "--results", "swaps")
    run = load(next((lab / "swaps").rglob("*.h5")))
    found = twin.analyse(run).estimates
    t_s, stored_s = run.datasets["scan.t_zeeman_s"], found["t_stored_s"].value
    storage = SCENARIO.node("charlie").storage
    assert storage is not None
    # Clicks fall evenly into the gap whose middle is an echo: two atoms with a Gaussian detuning of sqrt(2)/T2*.
    spread = 2 / storage.memory.t2_star_s**2 * float(run.datasets["scan.spacing_s"]) ** 2 / 12
    s = math.exp(-2 * stored_s / storage.memory.t2_s - spread)
    k1 = s * zeeman("alice", t_s[0]) * zeeman("charlie", t_s[0])
    k2 = zeeman("bob", t_s[1]) * zeeman("charlie", t_s[2])
    g = (4 * gate_fidelity({row.name: row.default for row in parameters.table(REPEATER).values()}, "charlie") - 1) / 3
    moved = 1 - 2 * 0.003  # the stored atom changes tweezers twice
    expected = {"XZ": one.xx * two.zz * (k1 * g * moved / two.read[0]),
                "ZX": one.zz * two.xx * (k2 * g / one.read[1]),
                "YY": one.yy * two.yy * (k1 * k2 * g * moved)}  # fmt: skip
    for name, value in expected.items():
        off = found[name] - value
        assert abs(off.sigmas_from(0)) < 3.5, (name, found[name], value)
    total = (1.0 + expected["XZ"] + expected["ZX"] + expected["YY"]) * 0.25
    off = found["fidelity_raw"] - total
    assert found["fidelity_raw"].n == 2100
    assert abs(off.sigmas_from(0)) < 3, (found["fidelity_raw"], total)


@pytest.mark.parametrize(("network", "text", "says"), [
    (REPEATER, f"{RIGHT},{LEFT}", "the first ends at the first port of a node"),
    (REPEATER, LEFT, "must name two links"),
    (STAR, "", "this lab has alice-charlie@hub, .*: take one that has a chain, such as the scenario repeater"),
    (PAIR, "", "this lab has alice-bob@midpoint: take one"),
    (CHAIN, "alice-bob@left,charlie.east-bob@right", "Link 'alice-bob@left' is not in this lab"),
])  # fmt: skip
def test_links_that_make_no_chain_are_refused_in_one_line(network: Topology, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        chain_of(text, network)


@pytest.mark.parametrize(("arguments", "says"), [
    (("spacing=0.6ms",), "spacing is 0.0006 s, but recooling between two pulses takes 0.0007 s: wait longer"),
    (("port_column=5",), "port_column is 5, but must be 2 to 3"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_moves(lab: Path, arguments: tuple[str, ...], says: str) -> None:
    code, said = command(lab, "run", "entanglement_swapping", *arguments, "--results", "refused")
    assert code == 2 and says in said and not list((lab / "refused").rglob("*.h5")), said
