"""Own probes of kernel semantics by class, and what the real ARTIQ 8.9 compiler makes of them.

Literals and wrap-around, floats, order of evaluation, functions as values, unpacking, inference, exceptions, conversion
of RPC results, strings, lists, ranges, arrays, timeline, and random programs. Compared as in `test_kernel_probes_2.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from bare_bus import START_MU
from test_kernel_probes_2 import DATA, REFUSED, run_probe

PROBES = json.loads((Path(__file__).parents[1] / "data" / "kernel_probes_own.json").read_text())["probes"]
CHUNK = 100
EMPTY: dict[str, Any] = {"out": [], "ret": None, "events": [], "std": "", "now": START_MU}


def differences(name: str, folder: Path) -> list[str]:
    """Return what differs between a probe's run on the engine and on the compiled kernel."""
    probe = {"class": "", "module": "", **PROBES[name]}
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        found = run_probe(name, probe, folder, text.getvalue)
    if found["err"] == REFUSED or found["kind"] != probe["kind"]:
        return [] if found["kind"] == probe["kind"] else [f"{name}: {probe['kind']} became {found['kind']}"]
    # As text, in which NaN is NaN.
    return [f"{name}: {key}" for key, e in EMPTY.items() if json.dumps(found[key]) != json.dumps(probe.get(key, e))]


@pytest.mark.parametrize("first", range(0, len(PROBES), CHUNK))
def test_probes_do_what_the_compiled_kernels_do(first: int, tmp_path: Path) -> None:
    names = list(PROBES)[first : first + CHUNK]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        assert [text for name in names for text in differences(name, tmp_path)] == []


def test_the_probes_are_those_of_one_class() -> None:
    assert "class Probes" in DATA["class_head"]
    assert len(PROBES) > 900
