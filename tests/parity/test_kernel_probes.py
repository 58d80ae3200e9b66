"""64 hand-written probes of kernel semantics, and what the real ARTIQ 8 compiler makes of them.

Compared: values, events, result, cursor, attributes written back, printed text, error. Where ARTIQ's compiler itself
crashes, and where its message is a parser's list of tokens, a refusal with the engine's own reason counts.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from bare_bus import Devices, load_module, plain

from sim.rtio.kernel.errors import KernelError

DATA = json.loads((Path(__file__).parents[1] / "data" / "kernel_probes.json").read_text())
PROBES = {probe["name"]: probe for probe in DATA["probes"]}
# An RPC that the data's prelude does not list; what it must be follows from the recorded values.
KWCALL = '    def kwcall(self, x, y=0, z=7): self.out.append(("kw", x, y, z))\n\n'
OWN_REASON = {"p_closure_write", "p_par_exc", "p_fstring"}


def source() -> str:
    """Return a module that holds every probe."""
    probes = "\n".join(probe["source"] for probe in DATA["probes"])
    return DATA["prelude"] + KWCALL + "\n\n".join(DATA["helpers"]) + "\n\n" + probes


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the class of the probes."""
    return load_module(tmp_path_factory.mktemp("probes") / "probe_kernels.py", source()).Probes


def run(probes: Any, name: str, capture: Any) -> dict[str, Any]:
    """Return what one probe does on the engine."""
    devices = Devices()
    host = probes(devices)
    error, returned = None, None
    try:
        returned = getattr(host, name)()
    except KernelError as e:
        error = "CompileError: " + e.reason
    except Exception as e:
        error = f"{type(e).__name__}: {e}"
    out = {"out": plain(host.out), "events": devices.bus.events, "error": error, "returned": plain(returned)}
    return out | {"cursor": devices.bus.now, "attr": plain(host.attr), "lst": plain(host.lst), "printed": capture()}


def same_error(name: str, expected: str | None, found: str | None) -> bool:
    """Say whether two errors are one."""
    if expected is None or found is None:
        return expected == found
    if name in OWN_REASON:
        return found.startswith("CompileError: ")
    # The data leave out addresses, and what a failed RPC returned.
    expected, found = (re.sub(r"0x[0-9a-f]+|(?<=has returned)[^)]*", "", text) for text in (expected, found))
    # The data keep the first 100 characters of a compiler's message.
    return (
        found == expected
        or expected.startswith("CompileError: ")
        and len(expected) > 100
        and found.startswith(expected)
    )


def differences(probes: Any, name: str, capture: Any) -> list[str]:
    """Return what differs between a probe's run on the engine and on the compiled kernel."""
    expected, found = PROBES[name], run(probes, name, capture)
    wrong = [key for key, value in found.items() if key != "error" and value != expected[key]]
    return wrong if same_error(name, expected["error"], found["error"]) else [*wrong, f"error: {found['error']}"]


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_does_what_the_compiled_kernel_does(name: str, probes: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert differences(probes, name, lambda: capsys.readouterr().out) == []


def test_all_probes_are_there() -> None:
    assert len(PROBES) == 64


if __name__ == "__main__":  # with the interpreter of a real ARTIQ: the same engine, its language layer and its drivers
    import contextlib
    import io
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        made = load_module(Path(folder) / "probe_kernels.py", source()).Probes
        for probe in PROBES:
            text = io.StringIO()
            with contextlib.redirect_stdout(text):
                found_wrong = differences(made, probe, text.getvalue)
            if found_wrong:
                sys.stdout.write(f"{probe}: {found_wrong}\n")
    sys.stdout.write(f"{len(PROBES)} probes\n")
