"""What `atomlink validate` does: evaluate the required rows, print them, write the page."""

from pathlib import Path

from atomlink.files import write_whole
from sim.validation.page import lines, page
from sim.validation.run import chosen, evaluate
from sim.validation.table import required_rows


def validate(ids: list[str], seed: int, output: Path | None) -> list[str]:
    """Return the lines to print; the page is written only when all rows were evaluated, or where `output` asks."""
    rows = required_rows()
    outcomes = evaluate(chosen(rows, ids), seed)
    found = lines(outcomes)
    if output is None:
        return found
    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, page(outcomes, seed).encode())
    return [*found, f"page: {output}"]
