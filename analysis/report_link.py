"""What the report says about a run of heralded pairs."""

from __future__ import annotations

import math

from analysis import figures, figures_budget, page, published
from analysis.budget import Part, budget
from analysis.budget_time import time_budget
from analysis.estimates import Estimate, binomial
from analysis.link import LinkResult, Row, analyse
from analysis.load import Run

NONE = "–"
ROLE_TEXT = {"fitted": "fitted to it", "predicted": "predicted", "consistency": "bookkeeping only"}


def section(run: Run) -> page.Section:
    """Return tiles, figures and tables of a link run; DataError where it cannot be analysed."""
    result = analyse(run)
    nodes = " – ".join(run.nodes)
    blocks = (
        page.heading("Correlators per herald pattern"),
        page.image(
            figures.correlators(run, result), "Bars: raw, with standard errors. Dots: read-out corrected. Red: ideal."
        ),
        page.heading("Herald patterns and Bell states"),
        _states(result),
        page.pair(_waiting(run, result), _readout(run, result)),
        *_published(run, result),
        *_budget(run, result),
        page.heading("Checks"),
        _checks(result),
        page.small(*_method(run)),
    )
    return page.Section(f"Heralded entanglement, {nodes}", _tiles(run, result), blocks)


def _tiles(run: Run, result: LinkResult) -> tuple[tuple[str, str, str], ...]:
    raw, corrected = result.total.raw, result.total.corrected
    fidelity = corrected.fidelity if corrected else None
    chsh = raw.chsh
    above = f"raw, {_sigmas(chsh.sigmas_from(2.0))} from 2" if chsh else "no CHSH settings"
    also = f"; corrected {corrected.chsh.number()}" if corrected and corrected.chsh else ""
    return (
        ("Heralded pairs", f"{result.heralds}", f"{result.vetoed} vetoed, by {run.text('link.herald', 'unknown')}"),
        ("Herald probability", result.probability.number(), _per_attempt(result)),
        ("Herald rate", _per_second(result.rate_attempting), f"attempting; lab time {_per_second(result.rate_lab)}"),
        ("Bell-state fidelity", number(fidelity), f"read-out corrected; raw {number(raw.fidelity)}"),
        ("CHSH S", number(chsh), above + also),
    )


def _per_attempt(result: LinkResult) -> str:
    if result.share_lost is None:
        return "per attempt, with or without atoms"
    return f"per attempt with both atoms; {result.share_lost.value:.1%} of all were without, as looks found"


def number(estimate: Estimate | None) -> str:
    """Return value ± error, or a dash."""
    return estimate.number() if estimate else NONE


def _per_second(estimate: Estimate | None) -> str:
    return f"{estimate.number()} /s" if estimate else NONE


def _states(result: LinkResult) -> str:
    rows: list[Row] = [*result.patterns, *result.states, result.total]
    head = ("Heralded by", "Target", "Heralds", "Share", "F raw", "F corrected", "S raw", "S corrected")
    names = [row.label for row in result.patterns] + [f"all {row.label} patterns" for row in result.states] + ["all"]
    cells = [
        (name, row.target if row is not result.total else "each its own", row.heralds,
         row.share.number() if row is not result.total else "1",
         number(row.raw.fidelity), number(row.corrected.fidelity if row.corrected else None),
         number(row.raw.chsh), number(row.corrected.chsh if row.corrected else None))
        for name, row in zip(names, rows, strict=True)
    ]  # fmt: skip
    return page.table(head, cells, strong=(len(rows) - 1,))


def _waiting(run: Run, result: LinkResult) -> str:
    check = result.waiting
    fit = f"χ² = {check.chi2:.1f} for {check.dof}, p = {check.p_value:.2g}: " if check.dof else ""
    caption = f"Equal chances in every attempt with both atoms give the geometric law. {fit}{check.verdict}."
    return page.heading("Attempts per herald") + page.image(figures.waiting(run, result), caption)


def _readout(run: Run, result: LinkResult) -> str:
    kept = result.retention
    caption = (
        f"Seen without push-out: retention R, from {kept.n} calibration shots." if kept else "No calibration shots."
    )
    return page.heading("Read-out") + page.image(figures.readout(run, result), caption)


def _published(run: Run, result: LinkResult) -> list[str]:
    scenario = run.text("run.scenario")
    known = published.publication(scenario)
    if not known:
        return []
    rows = [
        (entry.published.observable.replace("_", " "), _value(entry.published), _found(entry), _difference(entry),
         ROLE_TEXT[entry.published.role], entry.published.note)
        for entry in published.compare(scenario, _observables(result))
    ]  # fmt: skip
    return [
        page.heading(f"Published beside simulated: {known.paper}"),
        page.table(("", "Published", "This run", "Difference", "Agreement means", "Note"), rows),
        page.small(f"{known.setup}. Unknown that was fitted: {known.fitted}. What is fitted is not a prediction."),
    ]


def _observables(result: LinkResult) -> dict[str, Estimate | None]:
    """Return what publications may have published; fidelities corrected where there is a calibration."""
    psi_minus = result.states[1]
    return {
        "herald_probability": result.probability,
        "herald_probability_psi_minus": binomial(psi_minus.heralds, result.probability.n),
        "rate_lab": result.rate_lab,
        "fidelity": (result.total.corrected or result.total.raw).fidelity,
        "fidelity_psi_minus": (psi_minus.corrected or psi_minus.raw).fidelity,
        "chsh": result.total.raw.chsh,
    }


def _value(value: published.Value) -> str:
    text = Estimate(value.value, value.error).number() if value.error else f"{value.value:.3g}"
    return f"{text} {value.unit}".strip()


def _found(entry: published.Comparison) -> str:
    return f"{entry.found.number()} {entry.published.unit}".strip()


def _difference(entry: published.Comparison) -> str:
    ratio = f"× {entry.found.value / entry.published.value:.3g}"
    return ratio if math.isnan(entry.sigmas) else _sigmas(entry.sigmas)


def _sigmas(sigmas: float) -> str:
    return NONE if math.isnan(sigmas) else f"{sigmas:+.1f} σ".replace("-", "−")


def _budget(run: Run, result: LinkResult) -> list[str]:
    found = budget(run, result)
    if found is None:
        return []
    time = time_budget(run, result, found)
    rows = [(part.name, _time(part.predicted), _time(part.measured.value if part.measured else None))
            for part in time]  # fmt: skip
    steps = [(part.name, _lost(before, part), _plain(part.predicted), number(part.measured), part.note)
             for before, part in zip((None, *found.fidelity), found.fidelity, strict=False)]  # fmt: skip
    probability = found.probability
    return [
        page.heading("Where time and fidelity go"),
        page.image(figures_budget.parts(run, found, time), "Predicted from what the lab believes, beside measured."),
        page.table(("Fidelity left after", "Lost", "Predicted", "Measured", "From"), steps, strong=(len(steps) - 1,)),
        page.table(("Time", "Predicted", "Measured"), rows, strong=(len(rows) - 1,)),
        page.small(
            f"Fidelity measured − predicted: {_sigmas(found.sigmas)}, without the beliefs' own errors. A dash: this "
            "run does not measure it. Visibility comes from HomInterference, dark counts from "
            "DetectorCharacterisation, the pumped share from OpticalPumping, T2* and T2 from Ramsey and SpinEcho, "
            "push-out from PushoutFidelity, tries that load from TweezerLoading.",
            f"Believed herald probability {_plain(probability.predicted)}, measured {number(probability.measured)}; "
            "predicted attempts and recoolings follow from the believed one. Recooling measured: how often it was, "
            "each as long as believed. The rest measured holds slack, looks at the atoms, RPCs and shutters, which "
            "nothing predicts.",
        ),
    ]


def _lost(before: Part | None, part: Part) -> str:
    if before is None or before.predicted is None or part.predicted is None:
        return NONE
    return f"{before.predicted - part.predicted:.4f}"


def _time(seconds: float | None) -> str:
    return NONE if seconds is None else f"{seconds:.3g} s"


def _plain(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}" if value < 0.1 else f"{value:.4f}"


def _checks(result: LinkResult) -> str:
    accidental = result.accidentals
    rows = [
        _check("Accidental heralds, predicted", accidental.predicted, "no beliefs in the file"),
        _check("Accidental heralds, measured", accidental.measured, accidental.unmeasured),
        _check("Fidelity that the beliefs allow", accidental.fidelity, "no beliefs in the file"),
        ("Waits for a herald", _p_value(result), result.waiting.verdict),
        ("Patterns that herald nothing", f"{result.other_patterns} shots", "left out"),
    ]
    return page.table(("", "Value", "From"), rows)


def _p_value(result: LinkResult) -> str:
    return f"p = {result.waiting.p_value:.2g}" if result.waiting.dof else NONE


def _check(name: str, estimate: Estimate | None, otherwise: str) -> tuple[str, str, str]:
    return name, number(estimate), estimate.source if estimate else otherwise


def _method(run: Run) -> tuple[str, ...]:
    frame = (
        "The kernel fed forward: every pattern was rotated to Ψ+, its target."
        if run.text("link.feed_forward") == "kernel"
        else "No feed-forward in the kernel: each pattern has its target; the row `all` flips Ψ− into the frame of Ψ+."
    )
    return (
        f"{frame} F = (1 ± ⟨XX⟩ ± ⟨YY⟩ − ⟨ZZ⟩)/4, upper signs Ψ+; S from its own four settings.",
        "An atom still there after push-out counts +1, one that is gone −1. Corrected: "
        "E = ⟨(2a/R_A − 1)(2b/R_B − 1)⟩ with a, b = 1 for seen, R the "
        "retention without push-out, losses independent; |1⟩ atoms that survive push-out stay an error of the pair.",
        "Errors are one standard deviation: counting (Jeffreys) and, where corrected, the calibration that "
        "all settings share. Vetoed shots count for rates, not for states.",
    )  # fmt: skip
