"""A distributed program as text: a line per node, a column per step that has to do with pairs."""

from atomlink.circuits.program import Program

_SIGNS = {"open": "o", "close": "x", "home": "h"}


def draw(program: Program, most: int = 100) -> str:
    """Return lines of `most` steps: O at the source of a copy, o where it arrives, x closed, h new home, digits: gates.

    A digit is the number of two-qubit gates at the node between two such steps (9: nine or more).
    """
    rows: list[list[str]] = [[] for _ in range(program.nodes.count)]
    gates = [0] * program.nodes.count

    def column(marks: dict[int, str]) -> None:
        for node, row in enumerate(rows):
            row.append(marks.get(node, "."))

    for step in program.steps:
        if step.kind == "gate":
            gates[step.node] += 1
        elif step.kind in _SIGNS:
            if any(gates):
                column({node: str(min(9, count)) for node, count in enumerate(gates) if count})
                gates = [0] * program.nodes.count
            column({step.node: _SIGNS[step.kind]} | ({step.source: "O"} if step.kind == "open" else {}))
    if any(gates):
        column({node: str(min(9, count)) for node, count in enumerate(gates) if count})
    length = len(rows[0])
    blocks = ["\n".join(f"node {node}  {''.join(row[at : at + most])}" for node, row in enumerate(rows))
              for at in range(0, length, most)]  # fmt: skip
    return "\n\n".join(blocks)
