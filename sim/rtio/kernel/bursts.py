"""What the engine carries out faster than statement by statement: runs of output events, and counting input events.

Both are recognised by form, in any driver. A run keeps its statements: they are what is carried out whenever the fast
way cannot be sure to do the same, so errors arise at their own lines.
"""

from __future__ import annotations

import ast
from typing import Any

from sim.rtio.burst import Step

from .functions import Function
from .types import Func, is_

_STEADY = ast.Name | ast.Attribute | ast.Constant | ast.BinOp | ast.operator | ast.expr_context


def merged(body: list[ast.stmt], unit: Any) -> list[ast.stmt]:
    """Return a block with its runs of output events, of which every time and word is known, under one call each."""
    out: list[ast.stmt] = []
    run: list[ast.stmt] = []
    steps: list[Step] = []
    for stmt in [stmt for stmt in body if not isinstance(stmt, ast.Pass)] or body[:1]:
        step = _step(stmt)
        if step is None or not _follows(steps, step, unit):
            out += _under_one_call(run, steps, unit)
            run, steps = [], []
        if step is None:
            out.append(stmt)
        else:
            run.append(stmt)
            steps.append(step)
    return out + _under_one_call(run, steps, unit)


def _step(stmt: ast.stmt) -> Step | None:
    """Return what a statement does to the timeline, None where it does something else or something unknown."""
    match stmt:
        case ast.AugAssign(
            target=ast.Attribute(value=ast.Name(id="_Kb"), attr="now"),
            op=ast.Add(),
            value=ast.Constant(value=int(t_mu)),
        ):
            return Step(t_mu)
        case ast.Expr(
            value=ast.Call(
                func=ast.Name(id="_Ksys_rtio_output"),
                args=[ast.Constant(value=int(target)), ast.Constant(value=int(data))],
            )
        ):
            return Step(0, target, data)
    return None


def _follows(steps: list[Step], step: Step, unit: Any) -> bool:
    """Say whether a step can be in one burst with those before: same destination, a later coarse clock."""
    before = [k for k, known in enumerate(steps) if known.target is not None]
    if step.target is None or not before:
        return True
    later_mu = sum(known.delay_mu for known in steps[before[-1] + 1 :])
    destination = steps[before[-1]].target
    assert destination is not None
    multiplier: int = unit.engine.bus.ref_multiplier
    return later_mu >= multiplier and destination >> 24 == step.target >> 24


def _under_one_call(run: list[ast.stmt], steps: list[Step], unit: Any) -> list[ast.stmt]:
    if sum(step.target is not None for step in steps) < 2:
        return run
    done = ast.Call(func=ast.Name(id=unit.burst(steps), ctx=ast.Load()), args=[], keywords=[])
    whole = ast.If(test=ast.UnaryOp(op=ast.Not(), operand=done), body=run, orelse=[])
    for node in (whole, whole.test, done, done.func):
        ast.copy_location(node, run[0])
    return [whole]


def is_count(node: ast.stmt, function: Function) -> bool:
    """Say whether a loop counts input events up to a time, and nobody can see it half done."""
    match node:
        case ast.While(
            test=ast.Compare(left=ast.Call() as read, ops=[ast.GtE()], comparators=[ast.Constant(value=0)]),
            body=[ast.AugAssign(target=ast.Name(id=name) as total, op=ast.Add(), value=ast.Constant(value=1))],
            orelse=[],
        ):
            typ = read.func.t.find()  # type: ignore[attr-defined]
            steady = all(isinstance(n, _STEADY) for arg in read.args for n in ast.walk(arg))
            names = {n.id for arg in read.args for n in ast.walk(arg) if isinstance(n, ast.Name)}
            # A handler in the same function, or a nested function, could read the total when a read has failed.
            seen = function.nested or function.outer or any(isinstance(n, ast.Try) for n in ast.walk(function.node))
            return (
                isinstance(typ, Func) and typ.kind == "syscall" and typ.name == "rtio_input_timestamp"
                and steady and name not in names and not seen and is_("int", total.t)  # type: ignore[attr-defined]
            )  # fmt: skip
    return False
