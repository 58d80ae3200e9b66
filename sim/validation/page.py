"""The page docs/validation.md, and the lines that the command prints, out of the outcomes."""

from __future__ import annotations

import math
from collections import Counter

from sim.validation import outcome
from sim.validation.outcome import Finding, Outcome
from sim.validation.table import Quantity

_MEANING = (
    (outcome.REPRODUCED, "within two sigma of both errors, or within the published rounding"),
    (outcome.BOUND_HOLDS, "on the side of the published bound where it must be"),
    (outcome.NOT_REPRODUCED, "further away; the difference is stated"),
    (outcome.FITTED, "a parameter was chosen so that this number comes out: it tests nothing"),
    (outcome.CIRCULAR, "follows from inputs that were derived from it: it tests bookkeeping"),
    (outcome.NOT_PREDICTED, "depends on what is not in the table; both numbers side by side"),
    (outcome.COMPARED, "two different methods side by side"),
)


def lines(outcomes: list[Outcome]) -> list[str]:
    """Return one line per finding, and a last one that counts the verdicts."""
    table = [f"{result.row.id}  {finding.published.name:44s} {published(finding.published):>18s}  "
             f"{simulated(finding):>22s}  {finding.verdict}" for result in outcomes for finding in result.findings]
    return [*table, _count(outcomes)]


def page(outcomes: list[Outcome], seed: int) -> str:
    """Return the whole page as Markdown."""
    head = ["# Validation", "",
            f"Written by `atomlink validate --seed {seed}`; do not edit. Published numbers and inputs: "
            "`sim/validation/validation.json`. A simulated error is the standard error of sampling; without one the "
            "number has no statistics.", "",
            "No published fidelity follows from the published inputs alone, so each row says what was fitted.", "",
            *(f"- *{verdict}*: {meaning}" for verdict, meaning in _MEANING), "", f"**{_count(outcomes)}**", "",
            "| row | output | published | simulated | verdict |", "|---|---|---|---|---|"]
    table = [f"| {result.row.id} | {_words(finding.published.name)} | {published(finding.published)} | "
             f"{simulated(finding)} | {finding.verdict} |" for result in outcomes for finding in result.findings]
    return "\n".join([*head, *table, "", *(line for result in outcomes for line in _section(result))])


def published(quantity: Quantity) -> str:
    """Return a published number with its error and unit."""
    value = quantity.value if isinstance(quantity.value, str) else f"{quantity.value:.7g}"
    error = "" if quantity.error is None else f" ± {quantity.error:g}"
    return f"{value}{error}{' ' + quantity.unit if quantity.unit else ''}"


def simulated(finding: Finding) -> str:
    """Return a simulated number and its unit, to two digits of its error, or to four digits where it has none."""
    unit = f" {finding.published.unit}" if finding.published.unit else ""
    if not finding.error:
        return f"{finding.simulated:.4g}{unit}"
    decimals = max(0, 1 - math.floor(math.log10(finding.error)))
    return f"{finding.simulated:.{decimals}f} ± {finding.error:.{decimals}f}{unit}"


def _section(result: Outcome) -> list[str]:
    row = result.row
    inputs = ", ".join(f"{_words(quantity.name)} {published(quantity)} ({quantity.certainty})"
                       for quantity in row.inputs)
    remarks = [f"- {_words(finding.published.name)}: {finding.remark}" for finding in result.findings if finding.remark]
    return [f"## {row.id}: {row.paper}", "", f"Kind: {row.kind}. {row.note}".rstrip(), "",
            f"- inputs: {inputs}", f"- simulated with: {result.method}", f"- fitted: {result.fitted}", *remarks, ""]


def _count(outcomes: list[Outcome]) -> str:
    tally = Counter(finding.verdict for result in outcomes for finding in result.findings)
    counted = ", ".join(f"{tally[verdict]} {verdict}" for verdict, _ in _MEANING if tally[verdict])
    return f"{len(outcomes)} rows, {tally.total()} outputs: {counted}"


def _words(name: str) -> str:
    return name.replace("_", " ")
