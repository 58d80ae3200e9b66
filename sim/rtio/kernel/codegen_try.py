"""Writing a typed kernel as Python: raising and handling exceptions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .codegen_expr import Expressions
from .made import constant
from .types import Exc


class Trying(Expressions):
    """The statements about exceptions."""

    block: Callable[[list[ast.stmt]], list[ast.stmt]]

    def stmt_Assert(self, node: Any) -> list[ast.stmt]:
        text = node.msg.value if node.msg is not None else "AssertionError"
        raised = ast.Raise(exc=self.helper("assertion", constant(text)), cause=None)
        return [ast.If(test=ast.UnaryOp(op=ast.Not(), operand=self.truth(node.test)), body=[raised], orelse=[])]

    def stmt_Raise(self, node: ast.Raise) -> list[ast.stmt]:
        if node.exc is None:
            return [ast.Raise(exc=None, cause=None)]
        typ: Any = node.exc.t.find()  # type: ignore[attr-defined]
        if isinstance(typ, Exc) and typ.constructor:
            return [ast.Raise(exc=self.new_exception(typ.cls, []), cause=None)]
        return [ast.Raise(exc=self.expr(node.exc), cause=None)]

    def stmt_Try(self, node: Any) -> list[ast.stmt]:
        self.unit.handlers += 1
        final = self.unit.handlers
        entered: list[int | list[Any]] = [final] if node.finalbody else []
        classes = [None if handler.cls is Exception else handler.cls for handler in node.handlers]
        entered += [classes] if classes else []
        self.trying += entered
        body = self.block(node.body)
        del self.trying[len(self.trying) - len(entered) :]
        handlers = [self._handler(handler) for handler in node.handlers]
        if classes and not node.finalbody and None not in classes:
            handlers += self._passing()
        orelse = self.block(node.orelse)
        return [ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=self._final(node, final))]

    def _handler(self, node: Any) -> ast.ExceptHandler:
        caught = self._filter(node)
        with self._inside_handler():
            body = self.block(node.body)
        return ast.ExceptHandler(type=caught, name=self.local(node.name) if node.name else None, body=body)

    def _passing(self) -> list[ast.ExceptHandler]:
        """Return the clauses for what ARTIQ's code sends from a `try` straight to an outer one, by every `finally`."""
        out: list[ast.ExceptHandler] = []
        finals: list[int] = []
        for outer in reversed(self.trying):
            if isinstance(outer, int):
                finals.append(outer)
                continue
            for cls in outer if finals else ():
                self.passed.update(finals)
                named = constant(None) if cls is None else self.unit.object(cls)
                numbers = ast.Tuple(elts=[constant(final) for final in finals], ctx=ast.Load())
                again: list[ast.stmt] = [ast.Raise(exc=None, cause=None)]
                out.append(ast.ExceptHandler(type=self.helper("passing", named, numbers), name=None, body=again))
            if None in outer:
                break
        return out

    def _final(self, node: Any, final: int) -> list[ast.stmt]:
        """Return the statements of a `finally`."""
        if not node.finalbody:
            return []
        flying: list[ast.stmt] = [ast.Expr(value=self.helper("in_flight", *self._place_of_handler()))]
        with self._inside_handler():
            body = [*flying, *self.block(node.finalbody)]
        if final not in self.passed:
            return body
        here = ast.UnaryOp(op=ast.Not(), operand=self.helper("passed_by", constant(final)))
        return [ast.If(test=here, body=body, orelse=[])]

    @contextmanager
    def _inside_handler(self) -> Iterator[None]:
        """Write what is in the handler that was begun last."""
        self.around.append(self.unit.handlers)
        yield
        self.around.pop()

    def _place_of_handler(self) -> list[ast.expr]:
        """Return the number of a new handler and those of the handlers around it."""
        around = ast.Tuple(elts=[constant(number) for number in self.around], ctx=ast.Load())
        self.unit.handlers += 1
        return [constant(self.unit.handlers), around]

    def _filter(self, handler: Any) -> ast.expr:
        """Return what an `except` clause catches: exactly the class named, or every exception."""
        if handler.cls is None or handler.cls is Exception:
            return self.helper("anything", *self._place_of_handler())
        return self.catches(handler.cls, self._place_of_handler())
