"""Typing rules of calls to kernels, remote procedures and exceptions.

Source: the behaviour of ARTIQ 8's compiler; the built-in functions and system calls are in `infer_builtins.py`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from .embed import Rpc
from .functions import Function
from .infer_builtins import BuiltinCalls
from .types import INT64, STR, Exc, Func, Instance, Type, Var


class Calls(BuiltinCalls):
    """The rules of calls."""

    expr: Callable[[Any], Type]

    def expr_Call(self, node: Any) -> Type:
        self.expr(node.func)
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                raise self.error(arg, "variadic arguments are not supported")
            self.expr(arg)
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.error(node, "variadic arguments are not supported")
            self.expr(keyword.value)
        result: Type = Var()
        node.result = result
        self.solver.when(lambda: self._call(node, result))
        return result

    def _call(self, node: Any, result: Type) -> bool:
        typ = node.func.t.find()
        if isinstance(typ, Var):
            return False
        if isinstance(typ, Exc) and typ.constructor:
            return self._new_exception(node, typ, result)
        if isinstance(typ, Instance) and typ.constructor:
            raise self.error(node, f"objects of class '{typ.name}' cannot be made in a kernel; make them in build()")
        if not isinstance(typ, Func) or typ.kind == "context":
            raise self.error(node.func, f"cannot call this expression of type {typ}")
        if typ.kind == "builtin":
            return self.builtin_call(node, str(typ.info), result)
        if typ.kind == "math":
            return self.math_call(node, typ, result)
        self_type: Type | None = None
        if typ.kind == "method":
            bound, typ = typ.info
            if bound is not None:
                self_type = self.embedding.instance(bound)
            elif isinstance(node.func, ast.Attribute):
                self_type = node.func.value.t.find()  # type: ignore[attr-defined]
            elif typ.kind == "kernel":
                self_type = typ.info.owner
        if typ.kind == "rpc":
            rpc: Rpc = typ.info
            self.same(node, result, rpc.ret)
            return True
        if typ.kind == "syscall":
            return self.syscall_call(node, typ, result)
        return self._kernel_call(node, typ.info, self_type, result)

    def _new_exception(self, node: Any, typ: Exc, result: Type) -> bool:
        if node.keywords or len(node.args) > 4:
            raise self.error(node.func, f"{typ.name} cannot be invoked with these arguments")
        for i, arg in enumerate(node.args):
            self.same(arg, arg.t, STR if i == 0 else INT64)
        if node.args and not (isinstance(node.args[0], ast.Constant) or hasattr(node.args[0], "host")):
            raise self.error(node.args[0], "only constant exception messages are supported")
        self.same(node, result, Exc(typ.cls, False))
        return True

    def _kernel_call(self, node: Any, callee: Function, self_type: Type | None, result: Type) -> bool:
        formal = list(callee.params)
        if self_type is not None:
            if not formal:
                raise self.error(node, f"function '{callee.name}' cannot accept a self argument")
            self.same(node, formal[0].type, self_type)
            formal = formal[1:]
        if len(node.args) > len(formal):
            raise self.error(node.func, f"this function of type {node.func.t} accepts at most {len(formal)} arguments")
        passed = set()
        for arg, param in zip(node.args, formal, strict=False):
            self.same(arg, arg.t, param.type)
            passed.add(param.name)
        by_name = {param.name: param for param in formal}
        for keyword in node.keywords:
            if keyword.arg in passed:
                raise self.error(node, f"the argument '{keyword.arg}' has been passed earlier as positional")
            if keyword.arg not in by_name:
                raise self.error(node, f"this function of type {node.func.t} does not accept argument '{keyword.arg}'")
            self.same(keyword.value, keyword.value.t, by_name[keyword.arg].type)
            passed.add(keyword.arg)
        for param in formal:
            if param.name not in passed and param.default is None:
                raise self.error(node, f"mandatory argument '{param.name}' is not passed")
        self.same(node, result, callee.ret)
        return True
