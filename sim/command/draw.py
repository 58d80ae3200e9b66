"""`atomlink draw`: the network of a lab; what its links should give by what it believes, and what they last gave."""

import os
from collections.abc import Sequence
from pathlib import Path

from analysis import measured_links, network
from analysis.load import Run
from atomlink.errors import UsageError
from atomlink.files import replacing
from atomlink.topology import Topology
from drivers import labs
from sim.command.examine import load_device_db
from sim.command.lab import Lab
from sim.command.params import beliefs, believing, split_off
from sim.target import resolved

FORMATS = (".png", ".svg", ".pdf")


def draw(lab: Lab, out: Path, words: Sequence[str], kept_lab: str) -> list[str]:
    """Write the drawing and return the lines to print; `words`: --scenario or --lab, as for `atomlink params`."""
    if out.suffix not in FORMATS:
        raise UsageError(f"figure `{out}` must end with one of {', '.join(FORMATS)}")
    given = split_off(words, kept_lab)[1]
    topology = Topology.from_device_db(load_device_db(lab, given).get_device_db())
    found = network.forecasts(topology, beliefs(lab, words, kept_lab))
    with replacing(out) as temporary:
        network.figure(topology, found).savefig(temporary, format=out.suffix[1:], dpi=160)
    names = [row.link.name for row in found]
    this = believing(lab, {**os.environ, **resolved(os.environ, given)})
    files = lab.results.glob("????-??-??/*/*.h5")
    measured = measured_links.newest(files, names, lambda run: lab_of(run, lab) == this)
    said = measured_links.table(measured, names, network.LONGEST_NAME)
    return [*network.table(found), *said, f"drawn in {os.path.relpath(out)}"]


def lab_of(run: Run, lab: Lab) -> labs.LabName:
    """Return the lab in which a run was made."""
    if run.datasets.get("run.target") == "hardware":
        return labs.HARDWARE
    return labs.of_scenario(str(run.datasets.get("run.scenario", "")), lab.root)
