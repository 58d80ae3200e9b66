"""The density matrix of heralded pairs by maximum likelihood. Twin of experiments/link/bell_tomography.py.

Each setting has four outcomes: seen or not seen at either end. Seen means |0> of the rotated basis and kept, with
the retention R of the shots without push-out: E(seen) = R P, E(not seen) = 1 - R P, so read-out loss is part of the
model and nothing has to be inverted. Psi- that was not fed forward has the second end's X and Y axes turned round.
    rho -> R rho R / trace,   R = sum over outcomes of (count / probability) E
climbs the likelihood and keeps rho positive; it ends where N (largest eigenvalue of R/N - 1), a bound on what is left
to climb, is below 0.01. Errors: the same estimate of data sets drawn from the state and the retention of the counts
with 1/2 more in every outcome (parametric bootstrap, fixed seed); the bias that they show is taken off. Sources: J.
Rehacek et al., PRA 75, 042108 (2007), for the iteration; S. Glancy, E. Knill, M. Girard, NJP 14, 095017 (2012), for
the bound; W. Wootters, PRL 80, 2245 (1998), for the concurrence.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from analysis import link
from analysis.estimates import Estimate
from analysis.figures import ACCENT, SIDE_COLOURS, canvas, styled
from analysis.load import Run
from analysis.result import Result
from atomlink.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Complex = npt.NDArray[np.complex128]
Floats = npt.NDArray[np.float64]

REPLICAS = 200  # of the bootstrap: an error is then known to 5 %
SEED = 1
TOLERANCE = 0.01  # of the log likelihood
MOST_STEPS = 20_000
JEFFREYS = 0.5  # counts, added to every outcome of the state that the bootstrap draws from
FEWEST = 5  # shots in each setting
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
PSI_PLUS = np.array([0, 1, 1, 0]) / np.sqrt(2)
LABELS = ("00", "01", "10", "11")


@dataclass(frozen=True)
class Tomogram(Result):
    """A Result with the state: rho (4, 4), and the standard errors of its real and imaginary parts."""

    rho: Complex = field(default_factory=lambda: np.zeros((4, 4), dtype=complex))
    error_real: Floats = field(default_factory=lambda: np.zeros((4, 4)))
    error_imag: Floats = field(default_factory=lambda: np.zeros((4, 4)))


@dataclass(frozen=True)
class Counts:
    """What was counted: axes (k, 2, 3) of both ends, tables (k, 2, 2) by (first seen, second seen), and `unpushed`
    (2, 2), the same of the calibration shots.
    """

    axes: Floats
    tables: Floats
    unpushed: Floats

    @property
    def retention(self) -> Floats:
        """Return how often a bright atom is seen, at either end; 1 without calibration."""
        total = self.unpushed.sum()
        return np.array([self.unpushed[1].sum(), self.unpushed[:, 1].sum()]) / total if total else np.ones(2)

    def smoothed(self) -> Counts:
        """Return the same with half a count more in every cell: what was never seen is not therefore impossible."""
        unpushed = self.unpushed + JEFFREYS if self.unpushed.any() else self.unpushed
        return Counts(self.axes, self.tables + JEFFREYS, unpushed)

    def drawn(self, rho: Complex, retention: Floats, rng: np.random.Generator) -> Counts:
        """Return other data of the same size, from a state and a retention."""
        p = probabilities(rho[None], elements(self.axes, retention))[0].reshape(len(self.axes), 4)
        tables = [rng.multinomial(int(table.sum()), row / row.sum()) for table, row in zip(self.tables, p, strict=True)]
        kept = [np.array([1 - r, r]) for r in retention]
        unpushed = rng.multinomial(int(self.unpushed.sum()), np.outer(*kept).ravel())
        return Counts(self.axes, np.reshape(tables, (-1, 2, 2)).astype(float), unpushed.reshape(2, 2).astype(float))


def counts_of(run: Run) -> Counts:
    """Return the counts of the valid shots, by setting and target; DataError where a direction was not measured."""
    data = run.datasets
    settings = link.settings_of(run)
    fed = run.text("link.feed_forward") == "kernel"
    patterns = link.patterns_of(run)
    valid = np.isin(data["shots.pattern"], list(patterns)) & (data["shots.valid"] == 1)
    target = np.array([1 if fed else patterns.get(int(p), ("", 1))[1] for p in data["shots.pattern"]])
    present = data["shots.present"]
    axes, tables = [], []
    for sign in (1,) if fed else (1, -1):
        for setting in settings:
            chosen = valid & (data["shots.pushout"] == 1) & (data["shots.setting"] == setting.index) & (target == sign)
            axes.append([setting.first, (sign * setting.second[0], sign * setting.second[1], setting.second[2])])
            tables.append(_table(present[chosen]))
    counts = Counts(np.array(axes), np.array(tables), _table(present[valid & (data["shots.pushout"] == 0)]))
    _require(counts, settings)
    return counts


def _table(present: Any) -> Floats:
    cells = np.bincount(2 * present[:, 0] + present[:, 1], minlength=4) if len(present) else np.zeros(4)
    return np.asarray(cells, dtype=float).reshape(2, 2)


def _require(counts: Counts, settings: tuple[link.Setting, ...]) -> None:
    correlations = np.einsum("ka,kb->kab", counts.axes[:, 0], counts.axes[:, 1]).reshape(len(counts.axes), 9)
    if np.linalg.matrix_rank(correlations) < 9:
        raise DataError(f"Tomography needs nine independent settings, but the run has {len(settings)}: "
                        f"{', '.join(setting.name for setting in settings)}.")  # fmt: skip
    shots = counts.tables.sum(axis=(1, 2)).reshape(-1, len(settings)).sum(axis=0)
    if shots.min() < FEWEST:
        name = settings[int(shots.argmin())].name
        raise DataError(f"Setting {name} has {int(shots.min())} shots, must have {FEWEST} or more: take more pairs.")


def elements(axes: Floats, retention: Floats) -> Complex:
    """Return the measurement's elements, shape (4 k, 4, 4): not/not, not/seen, seen/not, seen/seen, by setting."""
    single: list[Complex] = []
    for node in (0, 1):
        seen: Complex = retention[node] * (np.eye(2) + np.einsum("ki,iab->kab", axes[:, node], PAULI)) / 2
        single.append(np.stack([np.eye(2) - seen, seen], axis=1))
    both: Complex = np.einsum("kiab,kjcd->kijacbd", single[0], single[1])
    return both.reshape(-1, 4, 4)


def probabilities(rho: Complex, effects: Complex) -> Floats:
    """Return the probability of each outcome within its setting, shape (states, outcomes)."""
    return np.clip(np.einsum("oij,bji->bo", effects, rho).real, 1e-12, None)


def most_likely(tables: Floats, effects: Complex) -> Complex:
    """Return the states (b, 4, 4) of greatest likelihood for counts (b, outcomes); effects (b, outcomes, 4, 4)."""
    shots = tables.sum(axis=1)
    rho: Complex = np.tile(np.eye(4, dtype=np.complex128) / 4, (len(tables), 1, 1))
    flat = effects.reshape(len(tables), -1, 16)
    active = np.arange(len(tables))
    for step in range(MOST_STEPS):
        now = rho[active]
        p = np.clip(np.einsum("boi,bi->bo", flat[active], now.transpose(0, 2, 1).reshape(-1, 16)).real, 1e-12, None)
        gradient = np.einsum("bo,boi->bi", tables[active] / p, flat[active]).reshape(-1, 4, 4)
        gradient /= shots[active, None, None]
        if step % 10 == 0:
            left = shots[active] * (np.linalg.eigvalsh(gradient)[:, -1] - 1)
            active, now, gradient = (part[left > TOLERANCE] for part in (active, now, gradient))
            if not len(active):
                return rho
        new = gradient @ now @ gradient
        rho[active] = new / np.trace(new, axis1=1, axis2=2)[:, None, None]
    raise DataError(f"The most likely state was not found in {MOST_STEPS} steps: check `link.settings`.")


def fidelity(rho: Complex) -> Floats:
    """Return <Psi+| rho |Psi+>."""
    return np.asarray(np.einsum("i,...ij,j->...", PSI_PLUS, rho, PSI_PLUS).real)


def purity(rho: Complex) -> Floats:
    """Return tr rho^2."""
    return np.asarray(np.einsum("...ij,...ji->...", rho, rho).real)


def concurrence(rho: Complex) -> Floats:
    """Return Wootters' concurrence of states (..., 4, 4)."""
    flip = np.kron(PAULI[1], PAULI[1])
    roots = np.sqrt(np.clip(np.linalg.eigvals(rho @ flip @ rho.conj() @ flip).real, 0, None))
    roots = np.sort(roots, axis=-1)
    return np.asarray(np.clip(roots[..., 3] - roots[..., :3].sum(axis=-1), 0, None))


def phase(rho: Complex) -> Floats:
    """Return the phase of |01><10| in rad: 0 for Psi+; what pair_phase takes out."""
    return np.asarray(np.angle(rho[..., 1, 2]))


def analyse(run: Run) -> Tomogram:
    """Return the state and what it is worth; DataError where the settings or the shots do not suffice."""
    return reconstruct(counts_of(run))


def reconstruct(counts: Counts) -> Tomogram:
    """Return the state that counts say, with errors."""
    rng = np.random.default_rng(SEED)
    smooth = counts.smoothed()
    rho, source = _states([counts, smooth])
    replicas = _states([counts.drawn(source, smooth.retention, rng) for _ in range(REPLICAS)])
    n = int(counts.tables.sum())
    found = {name: _estimate(of, rho, source, replicas, n) for name, of in QUANTITIES.items()}
    found["phase_rad"] = replace(found["phase_rad"], unit="rad")
    kept = int(counts.unpushed.sum())
    retention = ", ".join(f"{r:.3f}" for r in counts.retention)
    note = (f"Read-out corrected with {kept} shots without push-out: R = {retention}." if kept
            else "No shots without push-out: nothing is read-out corrected.")  # fmt: skip
    return Tomogram("Bell-state tomography", estimates=found, rho=rho, error_real=replicas.real.std(axis=0),
                    error_imag=replicas.imag.std(axis=0),
                    notes=(note,))


def _states(data: list[Counts]) -> Complex:
    tables = np.array([counts.tables.ravel() for counts in data])
    return most_likely(tables, np.array([elements(counts.axes, counts.retention) for counts in data]))


def _estimate(of: Any, rho: Complex, source: Complex, replicas: Complex, n: int) -> Estimate:
    others = of(replicas)
    bias = float(np.mean(others) - of(source))
    return Estimate(float(of(rho)) - bias, float(np.std(others, ddof=1)), n, "maximum likelihood, bias taken off")


QUANTITIES = {"fidelity": fidelity, "concurrence": concurrence, "purity": purity, "phase_rad": phase}


@styled
def figure(run: Run, result: Result) -> Figure:
    """Draw real and imaginary parts of the density matrix, with errors and what Psi+ has."""
    if not isinstance(result, Tomogram):
        raise DataError("The figure of a tomography needs the Result of its analysis.")
    figure, (top, bottom) = canvas(run, 9.6, 4.8, rows=2, share=False)
    ideal = np.outer(PSI_PLUS, PSI_PLUS)
    pairs = [(i, i) for i in range(4)] + [(i, j) for i in range(4) for j in range(i + 1, 4)]
    _bars(top, pairs, result.rho.real, result.error_real, ideal, "Re ρ")
    off_diagonal = [pair for pair in pairs if pair[0] != pair[1]]
    _bars(bottom, off_diagonal, result.rho.imag, result.error_imag, np.zeros_like(ideal), "Im ρ")
    top.set_title("Bars: most likely state. Red: Ψ⁺.", fontsize=8, loc="left")
    return figure


def _bars(axes: Axes, pairs: list[tuple[int, int]], values: Floats, errors: Floats, ideal: Floats, label: str) -> None:
    x = np.arange(len(pairs))
    axes.bar(x, [values[pair] for pair in pairs], 0.6, color=SIDE_COLOURS[0])
    axes.errorbar(x, [values[pair] for pair in pairs], [errors[pair] for pair in pairs], fmt="none", ecolor="black")
    axes.hlines([ideal[pair] for pair in pairs], x - 0.4, x + 0.4, color=ACCENT, lw=1.5)
    axes.axhline(0, color="black", lw=0.6)
    axes.set_xticks(x, [f"|{LABELS[i]}⟩⟨{LABELS[j]}|" for i, j in pairs])
    axes.set(ylabel=label, ylim=(min(-0.15, values.min() - 0.1), max(0.6 if ideal.any() else 0.15, values.max() + 0.1)))
