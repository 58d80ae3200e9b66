"""Where the lab time of a link run goes: predicted from what the lab believes, beside the run's own counters.

Per herald, with p the believed herald probability, q = (1 - p)^B that a block of B attempts is in vain:
    loading     tries x (loading, field decay, image). The read-out empties both traps with (1 + E)/4 and one with
                (1 - E)/2, E the setting's correlator; until both are full it takes 1/l tries for one, 2/l - 1/(1 - (1 -
                l)^2) for two, l the believed share of tries that load. Atoms lost otherwise are left out
    recooling   q/(1 - q) times
    attempts    1/p cycles of pumping, photon, gate and the news' way back; the driver's gaps are left out. Two rounds:
                the time between them once more, of barrett_kok where the first round shows exactly one click
    the rest    cooling, wait, map, push-out, image. Measured it holds slack, looks at the atoms, RPCs and shutters, too
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis import heralding
from analysis.budget import Budget, Part
from analysis.estimates import Estimate
from analysis.link import LinkResult, patterns_of, settings_of
from analysis.load import Run
from atomlink.at_port import belief

_DURATIONS = ("t_image_s", "t_recooling_s", "t_pushout_s", "t_pump_s", "t_cooling_s", "t_loading_s", "t_coil_s",
              "t_mw_pi_s", "t_aom_s", "p_loading")  # fmt: skip


def time_budget(run: Run, result: LinkResult, found: Budget) -> tuple[Part, ...]:
    """Return seconds per part, the last line the total; a part whose beliefs are not in the file has no prediction."""
    data, t = run.datasets, _believed(run)
    shots = len(data["shots.pattern"])
    parts = [
        Part("loading", _loading(run, found, t), _counter(data, "link.t_loading_s")),
        Part("recooling", _times(shots, _recoolings(run, found), t.get("t_recooling_s")),
             _recooled(data, t.get("t_recooling_s")), "measured: how often it was, each as long as believed"),
        Part("attempts", _attempts(run, result, found, t), _counter(data, "link.t_attempting_s")),
    ]  # fmt: skip
    lab = _counter(data, "link.t_lab_s")
    known = [part.measured.value for part in parts if part.measured]
    rest = None if lab is None or len(known) < len(parts) else _seconds(lab.value - sum(known))
    parts.append(Part("read-out and the rest", _times(shots, 1.0, _shot(run, t)), rest))
    predicted = [part.predicted for part in parts if part.predicted is not None]
    return (*parts, Part("lab time", sum(predicted) if len(predicted) == len(parts) else None, lab))


def _believed(run: Run) -> dict[str, float]:
    """Return the durations of the slower node (both wait for it), and the smaller share of tries that load."""
    out = {}
    for name in _DURATIONS:
        values = [run.belief(belief(node, name)) for node in run.nodes]
        if None not in values:
            out[name] = (min if name == "p_loading" else max)(float(value) for value in values)
    photon = [run.belief(run.link.of_channel(end, "t_photon_s")) for end in range(2)]
    gate = run.belief("link.t_gate_s", run.link.of_station("t_gate_s"))
    if None not in (*photon, gate) and "t_pump_s" in out:
        there_s = max(float(value) for value in photon)
        back_s = max(0.0, there_s - out.get("t_aom_s", there_s))  # an old file does not say
        out["t_cycle_s"] = out["t_pump_s"] + there_s + float(gate) + back_s
    return out


def _loading(run: Run, found: Budget, t: dict[str, float]) -> float | None:
    names = ("t_loading_s", "t_coil_s", "t_image_s", "p_loading")
    read = found.fidelity[-1].predicted
    if any(name not in t for name in names) or not t["p_loading"] > 0 or read is None:
        return None
    data, l = run.datasets, t["p_loading"]  # noqa: E741 - as in the docstring
    one, both = 1 / l, 2 / l - 1 / (1 - (1 - l) ** 2)
    correlator = _ideal(run) * (4 * read - 1) / 3
    tries = np.where(data["shots.pushout"] == 1, (1 - correlator) / 2 * one + (1 + correlator) / 4 * both, 0.0)
    return float(tries.sum() + both) * sum(t[name] for name in names[:3])


def _ideal(run: Run) -> Any:
    """Return the ideal correlator of each shot's setting and Bell state."""
    data = run.datasets
    fed = run.text("link.feed_forward") == "kernel"
    patterns = patterns_of(run)
    psi_minus = np.array([not fed and patterns.get(int(p), ("", +1))[1] < 0 for p in data["shots.pattern"]], dtype=int)
    table = np.array([[setting.ideal(sign) for sign in (+1, -1)] for setting in settings_of(run)])
    return table[np.asarray(data["shots.setting"], dtype=int), psi_minus]


def _recoolings(run: Run, found: Budget) -> float | None:
    block, p = run.belief(run.link.of_station("n_recooling")), found.probability.predicted
    if block is None or not p:
        return None
    vain = math.exp(float(block) * math.log1p(-p))
    return vain / (1 - vain)


def _attempts(run: Run, result: LinkResult, found: Budget, t: dict[str, float]) -> float | None:
    p, heralds = found.probability.predicted, heralding.of_run(run)
    if not p or heralds is None or "t_cycle_s" not in t:
        return None
    again = heralds.first_round if run.scheme == "barrett_kok" else 1.0
    return result.heralds / p * (t["t_cycle_s"] + again * float(run.datasets.get("link.t_rounds_s", 0.0)))


def _shot(run: Run, t: dict[str, float]) -> float | None:
    names = ("t_cooling_s", "t_mw_pi_s", "t_pushout_s", "t_image_s")
    if any(name not in t for name in names):
        return None
    return sum(t[name] for name in names) + float(run.datasets.get("link.wait_s", 0.0))


def _times(shots: int, count: float | None, each_s: float | None) -> float | None:
    return None if count is None or each_s is None else shots * count * each_s


def _recooled(data: Mapping[str, Any], each_s: float | None) -> Estimate | None:
    count = data.get("link.recoolings")
    return None if count is None or each_s is None else _seconds(float(np.asarray(count)) * each_s)


def _counter(data: Mapping[str, Any], name: str) -> Estimate | None:
    value = data.get(name)
    return None if value is None else _seconds(float(np.asarray(value)))


def _seconds(value: float) -> Estimate:
    return Estimate(value, 0.0, 0, "the run's counters", "s")
