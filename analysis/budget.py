"""Where the time and where the fidelity of a link run go: what the lab believes beside what the run measured.

Time: lab time is loading + recooling + attempts + read-out + the rest (slack, RPCs, cooling). Believed times come from
the durations `param.*` and from the attempts that the believed herald probability asks for; measured ones from the
run's own counters.

Fidelity: four steps from 1 to what the pair is worth, each what is lost when one more imperfection is let in,
    overlap          (1 + V)/2, V the two-photon visibility
    accidentals      dark counts at the believed rate; closed form of `sim.physics.heralding`
    decoherence      from the photons to the analysis pulse: the coherence shrinks by prod exp(-(t/T2*)^2 - t/T2)
    read-out         atoms that are lost whatever their state: the retentions that the run's calibration shots gave
Every part is first order: two imperfections at once are counted in the order of the list.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from analysis.estimates import Estimate
from analysis.link import NEEDED, LinkResult
from analysis.load import Run
from sim.physics.heralding import TwoPhoton, two_photon_polarisation

NODES = ("alice", "bob")
# Beliefs that only the budget needs; a link experiment files them with its results.
BELIEFS = (
    *(f"param.link.efficiency_{node}" for node in NODES),
    *(f"param.{node}.{name}" for node in NODES for name in ("t2_star_s", "t2_s")),
)
_TIMES = ("t_image_s", "t_recooling_s", "t_pushout_s", "t_pump_s")


@dataclass(frozen=True)
class Part:
    """One line of a budget: what the beliefs predict and what the run measured; None where unknown."""

    name: str
    predicted: float | None
    measured: Estimate | None


@dataclass(frozen=True)
class Budget:
    """`time`: seconds per part, the last line the total. `fidelity`: what each step leaves, from 1 down; `probability`
    of a herald per attempt.
    """

    probability: Part
    time: tuple[Part, ...]
    fidelity: tuple[Part, ...]


def budget(run: Run, result: LinkResult) -> Budget | None:
    """Return the budget of a run; None where the file lacks the beliefs it rests on."""
    believed = _Beliefs.of(run)
    if believed is None:
        return None
    predicted = two_photon_polarisation(believed.link)
    probability = Part("herald probability", predicted.probability, result.probability)
    return Budget(probability, _time(run, result, believed, predicted.probability), _fidelity(run, result, believed))


@dataclass(frozen=True)
class _Beliefs:
    link: TwoPhoton
    durations_s: dict[str, float]  # of the slower node: both wait for it
    coherence: dict[str, tuple[float, float]]  # node: T2*, T2

    @classmethod
    def of(cls, run: Run) -> _Beliefs | None:
        names = [*BELIEFS, *(f"param.{node}.{name}" for node in NODES for name in _TIMES)]
        found = {name: run.belief(name) for name in names}
        dark = run.belief("link.dark_rate_belief_hz", "param.link.dark_rate_hz")
        gate = run.belief("link.t_gate_s", "param.link.t_gate_s")
        visibility = run.belief("link.visibility_belief", "param.link.visibility")
        photon = [run.belief(f"param.link.t_photon_{node}_s") for node in NODES]
        if any(value is None for value in (*found.values(), *photon, dark, gate, visibility)):
            return None
        durations = {name: max(float(found[f"param.{node}.{name}"]) for node in NODES) for name in _TIMES}
        durations["t_cycle_s"] = durations["t_pump_s"] + max(float(value) for value in photon) + float(gate)
        eta = [float(found[f"param.link.efficiency_{node}"]) for node in NODES]
        link = TwoPhoton(eta[0], eta[1], -math.expm1(-float(np.mean(dark)) * float(gate)), float(visibility))
        times = {node: (float(found[f"param.{node}.t2_star_s"]), float(found[f"param.{node}.t2_s"])) for node in NODES}
        return cls(link, durations, times)


def _time(run: Run, result: LinkResult, believed: _Beliefs, probability: float) -> tuple[Part, ...]:
    data, t, shots = run.datasets, believed.durations_s, len(run.datasets[NEEDED[0]])
    attempts = result.heralds / probability if probability > 0 else math.inf
    block = float(run.belief("param.link.n_recooling") or math.inf)
    loading, recoolings = data.get("link.t_loading_s"), data.get("link.recoolings")
    readout_s = shots * (t["t_image_s"] + t["t_pushout_s"])
    attempting = None if result.rate_attempting is None else _seconds(float(data["link.t_attempting_s"]))
    parts = [
        Part("loading and looking", None, _times(loading, 1.0)),
        Part("recooling", attempts / block * t["t_recooling_s"], _times(recoolings, t["t_recooling_s"])),
        Part("attempts", attempts * t["t_cycle_s"], attempting),
        Part("read-out", readout_s, _seconds(readout_s)),
    ]
    if result.rate_lab is None:
        return tuple(parts)
    total = float(data["link.t_lab_s"])
    known = sum(part.measured.value for part in parts if part.measured)
    rest = Part("the rest: slack, RPCs, cooling, shutters", None, _seconds(total - known))
    return (*parts, rest, Part("lab time", None, _seconds(total)))


def _fidelity(run: Run, result: LinkResult, believed: _Beliefs) -> tuple[Part, ...]:
    link = believed.link
    overlap = 0.5 * (1 + link.visibility)
    accidental = two_photon_polarisation(link).fidelity
    kept = _coherence(run, believed)
    stored = None
    if kept is not None:
        # Only the coherent half of the true pairs shrinks; what is accidental has none to lose.
        true = two_photon_polarisation(link)
        stored = true.fidelity - true.parts["true"] / true.probability * link.visibility * (1 - kept) / 2
    raw, corrected = result.total.raw, result.total.corrected
    read = None if stored is None or result.retention is None else _raw(stored, result.retention.values)
    return (
        Part("ideal", 1.0, None),
        Part("overlap of the photons", overlap, None),
        Part("accidental heralds", accidental, None),
        Part("decoherence until the analysis", stored, corrected.fidelity if corrected else None),
        Part("read-out, uncorrected", read, raw.fidelity),
    )


def _coherence(run: Run, believed: _Beliefs) -> float | None:
    """Return by how much the coherence shrinks between the photons and the analysis pulse."""
    wait_s = run.datasets.get("link.wait_s")
    if wait_s is None:
        return None
    clicks, heralds = run.datasets["shots.t_click_mu"], run.datasets["shots.t_herald_mu"]
    seen = (clicks > 0).all(axis=1)
    since_s = 1e-9 * float(np.mean(heralds[seen] - clicks[seen].mean(axis=1))) if seen.any() else 0.0
    t = float(wait_s) + since_s
    return math.exp(-sum((t / t2_star) ** 2 + t / t2 for t2_star, t2 in believed.coherence.values()))


def _raw(fidelity: float, retention: np.ndarray) -> float:
    """Return the fidelity that is seen when bright atoms of the two nodes are kept with probabilities R.

    <(2a - 1)(2b - 1)> with a, b thinned: each correlator E of unpolarised atoms becomes R_A R_B (E + 1) - R_A - R_B + 1
    = R_A R_B E + (1 - R_A)(1 - R_B), and <XX> + <YY> - <ZZ> = 4 F - 1 for Psi+.
    """
    product, lost = float(np.prod(retention)), float(np.prod(1 - retention))
    return (1 + product * (4 * fidelity - 1) + lost) / 4


def _seconds(value: float) -> Estimate:
    return Estimate(value, 0.0, 0, "the run's counters", "s")


def _times(count: object, each_s: float) -> Estimate | None:
    return None if count is None else _seconds(float(np.asarray(count)) * each_s)
