"""The estimators that `make sweep` judges: which experiment, how small, and what is true."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from artiq.language.scan import RangeScan

from analysis.load import Run
from drivers import parameters
from sim.physics import imaging, loading
from sim.world.optimum import best_parameters
from sim.world.world import World

Truth = float | Callable[[World, Run, str], float]  # of a name; `*` in a name stands for either node
BELIEVED = {name: row.default for name, row in parameters.TABLE.items()}


@dataclass(frozen=True)
class Row:
    """One experiment at a small size; `truths` by the name of the estimate.

    `most` seeds at most, where one takes long. `draw` makes the twin's input of a seed where the experiment is too slow
    for hundreds. `version`: to be raised where the lab changed, so that old data no longer count.
    """

    name: str
    experiment: str
    arguments: Mapping[str, Any]
    truths: Mapping[str, Truth]
    source: str = ""  # of the truth
    scenario: str = "default"
    believed: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    fresh: bool = False
    most: int = 10**6
    draw: Callable[[int], Run] | None = None
    analyse: Callable[[Run], Mapping[str, Any]] | None = None
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    version: int = 1


def best(name: str) -> Callable[[World, Run, str], float]:
    """Return what the lab ought to believe; `*` in the name becomes the node of the estimate."""

    def truth(world: World, _run: Run, estimate: str) -> float:
        key = id(world)
        if key not in _best:
            _best[key] = best_parameters(world, BELIEVED)
        return _best[key][name.replace("*", node_of(estimate))]

    return truth


_best: dict[int, dict[str, float]] = {}


def of_node(function: Callable[[Any, Run], float]) -> Callable[[World, Run, str], float]:
    """Return a truth from a node of the world, and from what the run believed."""
    return lambda world, run, estimate: function(world.nodes[node_of(estimate)], run)


def node_of(estimate: str) -> str:
    """Return the node in an estimate's name."""
    return estimate.partition(".")[0]


def exposure_s(node: Any, run: Run) -> float:
    """Return the length of an image."""
    return float(run.belief(f"param.{node.name}.t_image_s"))


ROWS = (
    Row(
        "imaging_histogram", "atoms.imaging_histogram:ImagingHistogram", {"shots": 100, "repeats": 2},
        {
            "*.dark": of_node(lambda node, run: node.truth.imaging.background_hz * exposure_s(node, run)),
            "*.bright": of_node(lambda node, run: (node.truth.imaging.background_hz + node.truth.imaging.atom_hz)
                                * exposure_s(node, run)),
        },
        "imaging rates x exposure",
    ),
    Row(
        "microwave_rabi", "atoms.microwave_rabi:MicrowaveRabi", {"shots": 16, "t_mw": RangeScan(0.0, 30e-6, 13)},
        {"*.t_mw_pi_s": best("param.*.t_mw_pi_s")}, "optimum",
    ),
    Row(
        "raman_rabi", "atoms.raman_rabi:RamanRabi", {"shots": 25, "t_raman": RangeScan(0.0, 6e-6, 13)},
        {"*.t_raman_pi_s": best("param.*.t_raman_pi_s")}, "optimum",
    ),
    Row(
        "ramsey", "atoms.ramsey:Ramsey", {"shots": 20, "t_wait": RangeScan(5e-6, 125e-6, 25)},
        {"*.f_larmor_hz": best("param.*.f_larmor_hz")}, "optimum",
    ),
    Row(
        "spin_echo", "atoms.spin_echo:SpinEcho", {"shots": 40},
        {"*.t2_s": of_node(lambda node, _run: node.truth.memory.t2_s)}, "scenario",
    ),
    Row(
        "trap_lifetime", "atoms.trap_lifetime:TrapLifetime", {"shots": 30},
        {"*.t_lifetime_s": of_node(lambda node, _run: node.truth.atom.vacuum_lifetime_s)}, "scenario",
    ),
    Row(
        "tweezer_loading", "atoms.tweezer_loading:TweezerLoading", {"shots": 40},
        {"*.t_load_s": of_node(lambda node, _run: 1 / loading.relaxation_hz(node.truth.loading)),
         "*.filling": of_node(lambda node, _run: loading.stationary_filling(node.truth.loading))}, "scenario",
    ),
    Row(
        "pushout_fidelity", "atoms.pushout_fidelity:PushoutFidelity", {"shots": 30},
        {"*.tau_s": of_node(lambda node, _run: 1 / node.truth.pushout.loss_hz)}, "scenario",
    ),
    Row(
        "fibre_delay", "setup.fibre_delay:FibreDelay", {"shots": 4000},
        {"*.t_photon_s": best("param.link.t_photon_*_s")}, "optimum",
    ),
)  # fmt: skip


def row_named(name: str) -> Row:
    """Return a row; KeyError names what there is."""
    known = {row.name: row for row in ROWS}
    if name not in known:
        raise KeyError(f"row {name!r} is none of {', '.join(known)}")
    return known[name]


__all__ = ["ROWS", "Row", "imaging", "math", "row_named"]
