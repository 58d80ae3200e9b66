"""376 more probes of kernel semantics, and what the real ARTIQ 8 compiler makes of them.

Each probe is a class of its own in a module of its own. Compared: values and their types, events, result, cursor,
attributes written back, printed text, and the exception's kind and text; of a refusal only that it is one. What the
device leaves undefined is named in `UNDEFINED`, and in docs/real-artiq.md.
"""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bare_bus import Devices, load_module

from sim.rtio.kernel.errors import CompilerFailure, KernelError

DATA = json.loads((Path(__file__).parents[1] / "data" / "kernel_probes_2.json").read_text())
PROBES = DATA["probes"]
REFUSED = "refused"
UNDEFINED = {"i32_min", "mod_min", "list_mul2"}


def source(probe: dict[str, Any]) -> str:
    """Return the module of one probe."""
    head = f"{DATA['prelude']}{probe['module']}\n{DATA['class_head']}\n{textwrap.indent(probe['class'], ' ' * 4)}\n"
    return head + f"    @kernel\n    def probe(self):\n{textwrap.indent(probe['body'], ' ' * 8)}\n"


def plain(value: Any) -> Any:
    """Return a value, with its type, as the data hold it."""
    if isinstance(value, np.ndarray):
        return ["arr", str(value.dtype), value.tolist()]
    if isinstance(value, tuple):
        return ["tuple", *map(plain, value)]
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, np.generic):
        return [f"np.{type(value).__name__}", str(value)]
    if type(value) in (int, float):
        return [type(value).__name__, repr(value)]
    if isinstance(value, bytes):
        return ["bytes", repr(value)]
    return repr(value) if isinstance(value, str) else f"<{type(value).__name__}>"


def state(host: Any, names: list[str]) -> dict[str, Any]:
    """Return the attributes after the run."""
    found = {}
    for name in names:
        value = getattr(host, name)
        parts = (value.n, value.lst, value.f, value.flag) if name in ("child", "child2") else None
        found[name] = [plain(part) for part in parts] if parts else plain(value)
    return found


def run(name: str, folder: Path, capture: Any) -> dict[str, Any]:
    """Return what one probe of the data does on the engine."""
    return run_probe(name, PROBES[name], folder, capture)


def run_probe(name: str, probe: dict[str, Any], folder: Path, capture: Any) -> dict[str, Any]:
    """Return what one probe does on the engine."""
    devices = Devices()
    host = load_module(folder / f"pr_{name}.py", source(probe)).Probes(devices)
    kind, text, returned = None, None, None
    try:
        returned = host.probe()
    except KernelError:
        kind, text = "compile", REFUSED
    except CompilerFailure as e:
        kind, text = type(e).__name__, REFUSED
    except Exception as e:
        kind, text = type(e).__name__, str(e)
    found = {"kind": kind, "err": text, "out": plain(host.out), "ret": plain(returned), "events": devices.bus.events}
    names = list(probe["truth"]["state"]) if "truth" in probe else []
    return found | {"now": devices.bus.now, "state": state(host, names), "std": capture()}


def differences(name: str, folder: Path, capture: Any) -> list[str]:
    """Return what differs between a probe's run on the engine and on the compiled kernel."""
    expected, found = PROBES[name]["truth"], run(name, folder, capture)
    if expected["kind"] == "compile" or found["err"] == REFUSED:
        same = found["err"] == REFUSED and found["kind"] == expected["kind"]
        return [] if same else [f"{expected['kind']} became {found['kind']}: {found['err']}"]
    # The data leave out addresses, and what a failed RPC returned.
    for text in (expected, found):
        text["err"] = text["err"] and re.sub(r" at 0x[0-9a-f]+| at(?=>)|(?<=has returned)[^)]*", "", text["err"])
    return [f"{key}: {value}, not {expected[key]}" for key, value in found.items() if value != expected[key]]


@pytest.mark.parametrize("name", [name for name in PROBES if name not in UNDEFINED])
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_a_probe_does_what_the_compiled_kernel_does(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert differences(name, tmp_path, lambda: capsys.readouterr().out) == []


def test_all_probes_are_there() -> None:
    assert len(PROBES) == 376
    assert len(UNDEFINED) == 3
