"""The delay of each node's photons. Twin of experiments/setup/fibre_delay.py.

delay = mean arrival - t_wavepacket, the believed mean time of a photon after its first light. A belief that is off
shifts both delays alike where the nodes are alike, which moves the gate and not the overlap.
"""

from __future__ import annotations

from matplotlib.figure import Figure

from analysis import photon_shape
from analysis.arrivals import NODES, arrivals
from analysis.estimates import Estimate
from analysis.load import Run
from analysis.result import Result
from atomlink.errors import DataError


def analyse(run: Run) -> Result:
    """Return both delays and their difference."""
    delays = {node: _delay(run, node) for node in NODES}
    difference = delays["alice"] - delays["bob"]
    return Result(
        "Fibre delay matching",
        estimates={f"{node}.t_photon_s": delay for node, delay in delays.items()}
        | {"difference_s": Estimate(difference.value, difference.error, difference.n, "alice - bob", "s")},
        updates={f"param.link.t_photon_{node}_s": delay for node, delay in delays.items()},
    )


def figure(run: Run, result: Result) -> Figure:
    """Draw clicks against time for both nodes."""
    return photon_shape.figure(run, result)


def _delay(run: Run, node: str) -> Estimate:
    believed = run.belief(f"param.{node}.t_wavepacket_s")
    if believed is None:
        raise DataError(f"The file has no `param.{node}.t_wavepacket_s`: the delay of {node} needs it.")
    mean = arrivals(run, node).mean()
    return Estimate(mean.value - float(believed), mean.error, mean.n, mean.source, "s")
