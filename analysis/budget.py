"""Where the fidelity of a link run goes: what the lab believes beside what the run measured. Time: `budget_time`.

Steps from 1 to what is read, each what is left when one more imperfection is let in. E_c stands for <XX> and <YY>, E_z
for <ZZ>; F = (1 + 2 E_c - E_z)/4, as for Psi+.
    motion, returns, and what badly pumped atoms send: `analysis.budget_atoms`, where the lab has beliefs of it
    overlap       E_c = V, F = (1 + V)/2: whatever makes photons differ (modes, frequency, a second excitation) is in
                  the two-photon visibility V, which HomInterference measures, accidentals subtracted
    optical phase of schemes that know it: exp(-sigma^2/2) of E_c, sigma^2 the believed walk times the time it had; what
                  the run's own readings say of the walk stands beside it
    both bright   one photon: the full closed form, not its first order in the bright fraction
    dark counts   closed form of the scheme (`analysis.heralding`) with the believed rate, were every atom pumped
    pumping       an atom that was not pumped sends no photon: fewer true heralds beside as many dark ones, eta instead
                  of eta/p. It costs rate (p of both nodes), hardly fidelity
    decoherence   until the analysis pulse's light: E_c shrinks by exp(-(t/T2*)^2 - t/T2) of both atoms
    rotations     during a quarter turn of length t the atom dephases as in (2/pi) t of free precession, to first order;
                  a spread r of the pulse's area takes (pi r/2)^2/2 of E_c per atom
    push-out      an atom in F = 1 is lost with a believed probability; one in |1> is not mapped, and stays, with (pi
                  r/2)^2 + (sigma/(2 Omega))^2, sigma = sqrt(2)/T2* and Omega = pi/t_mw: area and detuning of a pi pulse
    losses        atoms that are not seen whatever their state, with the retentions that this run's calibration shots
                  gave; without these the step is left out
A read-out that takes |0> for |1> with probability a and |1> for |0> with b makes E into (1 - a - b)_A (1 - a - b)_B E +
(b - a)_A (b - a)_B where both are unpolarised alone. Left out: T1 (it has no belief; 0.5 s would cost 1e-4) and errors
of the believed phase and pi times. Parts are of first order, in the order of the list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from analysis import budget_atoms, heralding
from analysis.estimates import Estimate
from analysis.heralding import Heralds
from analysis.link import LinkResult
from analysis.load import Run
from atomlink.at_port import belief
from atomlink.topology import LinkSpec

_SHARES = {"p_pumped": 1.0, "p_pushout_f1": 0.0, "pulse_rms": 0.0}  # what a file without this belief is taken to say
_NEEDED = ("t2_star_s", "t2_s")
_DURATIONS = ("t_raman_pi_s", "t_mw_pi_s")


def beliefs(link: LinkSpec) -> tuple[str, ...]:
    """Return the parameters that only the budget needs; a link experiment files them with its results."""
    return (
        *(link.of_channel(end, "efficiency") for end in range(2)),
        *(belief(atom, name) for atom in link.atoms
          for name in (*_NEEDED, *_SHARES, "p_loading", *budget_atoms.BELIEFS)),
    )


@dataclass(frozen=True)
class Part:
    """One line of a budget: what the beliefs predict, what the run measured (None where unknown), and from what."""

    name: str
    predicted: float | None
    measured: Estimate | None
    note: str = ""


@dataclass(frozen=True)
class Step:
    """What a pair looks like after one more imperfection: the two kinds of correlators; `known`: the file says."""

    name: str
    coherence: float
    populations: float
    note: str
    known: bool = True

    @property
    def fidelity(self) -> float:
        """Return F with Psi+."""
        return (1 + 2 * self.coherence - self.populations) / 4


@dataclass(frozen=True)
class Budget:
    """`fidelity`: what each step leaves, from 1 down, the last one as it is read; `sigmas`: by how many standard errors
    that was measured above what is predicted, nan where there is nothing to compare; `probability` per attempt.
    """

    probability: Part
    fidelity: tuple[Part, ...]
    sigmas: float


def budget(run: Run, result: LinkResult) -> Budget | None:
    """Return the budget of a run; None where the file lacks the beliefs it rests on, or these let no photon herald."""
    believed = Believed.of(run)
    if believed is None or not believed.heralds.changed(dark_probability=0.0).probability > 0:
        return None
    probability = believed.heralds.probability
    steps = tuple(_steps(run, result, believed))
    raw, corrected = result.total.raw.fidelity, result.total.corrected
    parts = [Part(step.name, step.fidelity if step.known else None, None, step.note) for step in steps]
    if result.retention is not None:
        parts[-2] = replace(parts[-2], measured=corrected.fidelity if corrected else None)
    parts[-1] = replace(parts[-1], measured=raw)
    return Budget(
        Part("herald probability", probability, result.probability),
        tuple(parts),
        math.nan if raw is None else raw.sigmas_from(steps[-1].fidelity),
    )


@dataclass(frozen=True)
class Believed:
    """The beliefs of a run: the heralds, and by node coherence times, shares and pulse lengths."""

    heralds: Heralds
    nodes: tuple[str, ...]
    of_node: dict[str, dict[str, float]]
    missing: frozenset[str]

    @classmethod
    def of(cls, run: Run) -> Believed | None:
        """Return what the file says; None where it lacks what the link rests on."""
        heralds, nodes = heralding.of_run(run), run.nodes
        keys = (*_NEEDED, *_DURATIONS, *_SHARES, *budget_atoms.BELIEFS)
        found = {node: {key: run.belief(belief(node, key)) for key in keys} for node in nodes}
        if heralds is None or any(found[node][key] is None for node in nodes for key in _NEEDED):
            return None
        missing = frozenset(key for node in nodes for key, value in found[node].items() if value is None)
        standing_in = {**_SHARES, **budget_atoms.BELIEFS, **dict.fromkeys(_DURATIONS, 0.0)}
        of_node = {node: {key: float(standing_in[key] if value is None else value)
                          for key, value in values.items()} for node, values in found.items()}  # fmt: skip
        return cls(heralds, nodes, of_node, missing)

    @property
    def pumped(self) -> Heralds:
        """Return the heralds as they would be if every atom were pumped."""
        photons = self.heralds.photons
        first, second = (max(self.of_node[node]["p_pumped"], 1e-6) for node in self.nodes)
        return self.heralds.changed(eta_a=min(photons.eta_a / first, 1.0), eta_b=min(photons.eta_b / second, 1.0))

    def knows(self, *names: str) -> bool:
        """Return whether the file says these of both nodes."""
        return not self.missing.intersection(names)


def _steps(run: Run, result: LinkResult, believed: Believed) -> Iterator[Step]:
    yield Step("ideal", 1.0, -1.0, "")
    nodes = [believed.of_node[node] for node in believed.nodes]
    moving = budget_atoms.moving_visibility(nodes)
    if moving is not None:
        warm = " and ".join(f"{1e6 * node['temperature_k']:.3g} µK" for node in nodes)
        yield Step("motion of the atoms", moving, -1.0, f"{warm}; a part of the visibility")
    for dark in _photon_steps(believed.pumped, _walk_read(run)):
        yield dark
    wrong = [node["p_wrong_state"] for node in nodes]
    if any(wrong):
        name, note = "returns to a wrong state", f"believed shares {wrong[0]:.3g}, {wrong[1]:.3g} of the photons"
        yield _wrong(replace(dark, name=name, note=note), believed, budget_atoms.left_after_returns)
    shares = [node["p_pumped"] for node in nodes]
    pumped = _heralded("pumping", believed.heralds, f"believed shares {shares[0]:.4g}, {shares[1]:.4g}")
    pumped = _wrong(pumped, believed, budget_atoms.left_in_all)
    yield replace(pumped, known=believed.knows("p_pumped"))
    t_s, said = _time_to_analysis(run)
    kept = 1.0 if t_s is None else math.prod(_kept(t_s, believed.of_node[node]) for node in believed.nodes)
    stored = replace(pumped, name="decoherence until the analysis", coherence=pumped.coherence * kept, note=said,
                     known=t_s is not None)  # fmt: skip
    yield stored
    yield from _read(stored, t_s or 0.0, result, believed)


def _wrong(step: Step, believed: Believed, left: Callable[[dict[str, float]], float]) -> Step:
    """Take away the pairs of photons that leave an atom outside the qubit, by the share that each node is left with."""
    kept = math.prod(left(believed.of_node[node]) for node in believed.nodes)
    told = believed.heralds.scheme != "polarisation"
    return replace(step, coherence=step.coherence * kept, populations=step.populations * (1.0 if told else kept))


def _photon_steps(heralds: Heralds, walk_read: str = "") -> Iterator[Step]:
    """Let in one by one what the heralds of a scheme suffer from, up to its whole closed form."""
    link = heralds.photons
    alone = heralds.changed(visibility=1.0, dark_probability=0.0, phase_sigma_rad=0.0)
    if heralds.bright_fraction is not None:
        yield _heralded("both atoms bright", alone, f"bright fraction {heralds.bright_fraction:.4g}")
    alone = alone.changed(visibility=link.visibility)
    yield _heralded("overlap of the photons", alone, f"believed visibility {link.visibility:.4g}")
    if heralds.scheme != "polarisation":
        alone = alone.changed(phase_sigma_rad=link.phase_sigma_rad)
        yield _heralded("optical phase", alone, f"believed walk: {link.phase_sigma_rad:.3g} rad{walk_read}")
    yield _heralded("dark counts", heralds, f"{link.dark_probability:.3g} a gate and detector")


def _heralded(name: str, heralds: Heralds, note: str) -> Step:
    return Step(name, *heralds.state, note)


def _walk_read(run: Run) -> str:
    """Return what the believed walk is over, and what the run's own readings of the phase say of it."""
    read, n = run.datasets.get("link.phase_walk_rad2_s"), run.datasets.get("link.phase_readings")
    if read is None or not n:
        return " since it was read" if "link.t_phase_s" in run.datasets else " between the rounds"
    sigma = math.sqrt(max(float(read), 0.0) * heralding.phase_age_s(run))
    return f" since it was read; by this run's {int(n)} readings {sigma:.3g} rad ({_walk(float(read), int(n))} rad²/s)"


def _walk(read: float, n: int) -> str:
    return Estimate(read, abs(read) * math.sqrt(2 / n)).number()  # n squares of a Gaussian


def _read(stored: Step, t_s: float, result: LinkResult, believed: Believed) -> Iterator[Step]:
    nodes = [believed.of_node[node] for node in believed.nodes]
    turned = math.prod(
        _kept(t_s + node["t_raman_pi_s"] / math.pi, node) / _kept(t_s, node)
        * (1 - 0.5 * (0.5 * math.pi * node["pulse_rms"]) ** 2)
        for node in nodes
    )  # fmt: skip
    rotated = replace(stored, name="rotations", coherence=stored.coherence * turned,
                      note=f"pulses' spread {nodes[0]['pulse_rms']:.2g}, {nodes[1]['pulse_rms']:.2g}",
                      known=believed.knows("pulse_rms", "t_raman_pi_s"))  # fmt: skip
    yield rotated
    lost, stay = [node["p_pushout_f1"] for node in nodes], [_not_mapped(node) for node in nodes]
    mapped = _through(rotated, lost, stay)
    note = f"F = 1 lost: {lost[0]:.2g}, {lost[1]:.2g}; |1> not mapped: {stay[0]:.1g}, {stay[1]:.1g}"
    known = believed.knows("p_pushout_f1", "pulse_rms", "t_mw_pi_s")
    yield replace(mapped, name="push-out and map", known=known, note=note)
    if result.retention is not None:
        kept = [float(value) for value in result.retention.values]
        gone = [1 - r * (1 - a) for r, a in zip(kept, lost, strict=True)]
        read = _through(rotated, gone, [r * b for r, b in zip(kept, stay, strict=True)])
        note = f"retentions {kept[0]:.4f}, {kept[1]:.4f}, measured in this run"
        yield replace(read, name="atoms lost, as read", note=note)


def _kept(t_s: float, node: dict[str, float]) -> float:
    """Return by how much one atom's coherence has shrunk after t."""
    return math.exp(-((t_s / node["t2_star_s"]) ** 2) - t_s / node["t2_s"])


def _not_mapped(node: dict[str, float]) -> float:
    """Return how often the microwave pulse leaves |1> where it was: its area and its detuning differ shot by shot."""
    detuning = node["t_mw_pi_s"] / (math.sqrt(2) * math.pi * node["t2_star_s"])
    return (0.5 * math.pi * node["pulse_rms"]) ** 2 + detuning**2


def _through(step: Step, lost: list[float], stay: list[float]) -> Step:
    """Return what a read-out makes of the correlators: |0> is taken for |1> with `lost`, |1> for |0> with `stay`."""
    scale = math.prod(1 - a - b for a, b in zip(lost, stay, strict=True))
    offset = math.prod(b - a for a, b in zip(lost, stay, strict=True))
    return replace(step, coherence=scale * step.coherence + offset, populations=scale * step.populations + offset,
                   known=True)  # fmt: skip


def _time_to_analysis(run: Run) -> tuple[float | None, str]:
    """Return the time from the photons to the analysis pulse's light in s, and what it is made of."""
    analysed, wait = run.datasets.get("link.t_analysis_s"), run.datasets.get("link.wait_s")
    after_s = analysed if analysed is not None else wait
    if after_s is None:
        return None, "the file does not say when the atoms were analysed"
    clicks, heralds = run.datasets["shots.t_click_mu"], run.datasets["shots.t_herald_mu"]
    seen = (clicks > 0).all(axis=1)
    since_s = 1e-9 * float(np.mean(heralds[seen] - clicks[seen].mean(axis=1))) if seen.any() else 0.0
    t_s = float(after_s) + since_s
    return t_s, f"{t_s * 1e6:.2f} us after the clicks" + ("" if analysed is not None else ", without writing phases")
