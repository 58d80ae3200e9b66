"""`atomlink draw`: the network of a lab, and what each of its links should give by what the lab believes."""

import os
from collections.abc import Sequence
from pathlib import Path

from analysis import network
from atomlink.errors import UsageError
from atomlink.files import replacing
from atomlink.topology import Topology
from sim.command.examine import load_device_db
from sim.command.lab import Lab
from sim.command.params import beliefs, split_off

FORMATS = (".png", ".svg", ".pdf")


def draw(lab: Lab, out: Path, words: Sequence[str], kept_lab: str) -> list[str]:
    """Write the drawing and return the lines to print; `words`: --scenario or --lab, as for `atomlink params`."""
    if out.suffix not in FORMATS:
        raise UsageError(f"figure `{out}` must end with one of {', '.join(FORMATS)}")
    topology = Topology.from_device_db(load_device_db(lab, split_off(words, kept_lab)[1]).get_device_db())
    found = network.forecasts(topology, beliefs(lab, words, kept_lab))
    with replacing(out) as temporary:
        network.figure(topology, found).savefig(temporary, format=out.suffix[1:], dpi=160)
    return [*network.table(found), f"drawn in {os.path.relpath(out)}"]
