"""What ARTIQ's compiler rejects is refused, with its reason and the line."""

from __future__ import annotations

import importlib.util
import textwrap
from pathlib import Path

import pytest
from rtio_lab import Devices

from sim.rtio.kernel.errors import KernelError

HEAD = """from artiq.experiment import *
from artiq.language.core import kernel as krn
class Lab:
    def __init__(self, devices):
        self.core, self.ttl = devices.core, devices.get("ttl0")
        self.attr, self.items = 1, [1, 2]
    def o(self, *v): pass
"""
REFUSED = {
    "dict": ("x = {1: 2}", "this syntax is not supported", 3),
    "f-string": ('self.o(f"{self.attr}")', "unexpected strbegin", 3),
    "append": ("x = [1]\nx.append(2)", r"type list\(elt=numpy.int\?\) does not have an attribute 'append'", 4),
    "change of type": ("x = 1.0\nx = 2", r"cannot unify float with numpy.int\?", 4),
    "maybe uninitialised": (
        "if self.attr == 1:\n    q = 5\nself.o(q)",
        "variable 'q' is not always initialized here",
        5,
    ),
    "returning a list": ("return [1, 2]", "cannot return an allocated value that does not live forever", 3),
    "storing a list": ("self.items = [3]", "the assigned value does not outlive the assignment target", 3),
    "watchdog": ("with watchdog(1*s):\n    pass", "value of type NoneType cannot act as a context manager", 3),
    "int32 as mu": ("delay_mu(self.attr)", "cannot unify numpy.int64 with numpy.int32 for attribute 'attr'", 3),
    "unknown name": ("nothing_at_all()", "name 'nothing_at_all' is not bound to anything", 3),
    "import": ("import math", "this syntax is not supported", 3),
    "mixed list": ("x = [1.0, 2]", r"cannot unify float with numpy.int\?", 3),
    "bool arithmetic": ("self.o(True + 1)", "cannot coerce bool to a numeric type", 3),
    "missing return": ("if self.attr == 1:\n    return 5", "this function must return a value of type numpy.int32", 2),
    "annotated assignment": ("x: int = 5", "unexpected ::", 3),
    "unknown attribute": ("self.o(self.nowhere)", "host object does not have an attribute 'nowhere'", 3),
    "too many arguments": ("self.ttl.pulse_mu(1, 2)", "accepts at most 1 arguments", 3),
    "interleaved call": (
        "with interleave:\n    self.ttl.pulse_mu(5)\n    delay_mu(3)",
        "it is not possible to interleave this function call",
        4,
    ),
}


def lab(tmp_path: Path, body: str, decorator: str = "kernel", before: str = "") -> object:
    method = f"{before}    @{decorator}\n    def run(self):\n" + textwrap.indent(body, " " * 8)
    path = tmp_path / "refused.py"
    path.write_text(HEAD + method + "\n")
    spec = importlib.util.spec_from_file_location("refused", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Lab(Devices())


@pytest.mark.parametrize("what", REFUSED)
def test_a_kernel_that_the_compiler_rejects_is_refused_with_its_reason_and_line(what: str, tmp_path: Path) -> None:
    body, reason, line = REFUSED[what]
    with pytest.raises(KernelError, match=reason) as caught:
        lab(tmp_path, body).run()  # type: ignore[attr-defined]
    assert caught.value.line == HEAD.count("\n") + line
    assert caught.value.filename == str(tmp_path / "refused.py")


def test_an_aliased_decorator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="decorators are not supported"):
        lab(tmp_path, "pass", "krn").run()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("call", "reason", "line"),
    [
        ("self.far()", "Lab.far is a subkernel for satellite 3, and subkernels are not simulated: .* a @kernel", 1),
        ("subkernel_preload(self.far)", r"subkernel_preload\(\) is about subkernels, which are not simulated", 7),
    ],
)
def test_a_subkernel_is_refused_with_its_file_line_and_what_to_do(
    call: str, reason: str, line: int, tmp_path: Path
) -> None:
    far = "    @subkernel(destination=3)\n    def far(self) -> TInt32:\n        return 3\n"
    made = lab(tmp_path, f"self.ttl.on()\n{call}", before=far)
    with pytest.raises(KernelError, match=reason) as caught:
        made.run()  # type: ignore[attr-defined]
    assert (caught.value.filename, caught.value.line) == (str(tmp_path / "refused.py"), HEAD.count("\n") + line)


def test_a_refused_kernel_has_put_nothing_on_the_bus(tmp_path: Path) -> None:
    made = lab(tmp_path, "self.core.break_realtime()\nself.ttl.on()\nx = {1: 2}")
    with pytest.raises(KernelError):
        made.run()  # type: ignore[attr-defined]
    assert made.core.bus.now == 0  # type: ignore[attr-defined]
