"""384 random kernels compiled by the real ARTIQ 8, and the host engine: the same events, values and cursor."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from bare_bus import Devices, load_module, plain

CORPUS = json.loads((Path(__file__).parents[1] / "data" / "kernel_corpus.json").read_text())["kernels"]
HEAD = '''"""Kernels of the corpus."""
from artiq.experiment import *


class Corpus:
    def __init__(self, devices):
        self.core = devices["core"]
        self.a, self.b, self.c, self.pmt = devices["ttl0"], devices["ttl1"], devices["ttl2"], devices["pmt"]
        self.attr = 1
        self.out = []

    @rpc(flags={"async"})
    def o(self, *values):
        self.out.append(values)

    @kernel
    def sub(self, ttl, t_mu):
        with parallel:
            ttl.pulse_mu(t_mu)
            self.c.pulse_mu(2 * t_mu)
'''


def source() -> str:
    """Return a module that holds every kernel of the corpus."""
    parts = [HEAD]
    for entry in CORPUS:
        body = textwrap.indent("\n".join(entry["body"]), " " * 8)
        parts.append(f"\n    @kernel\n    def {entry['name']}(self):\n{body}\n")
    return "".join(parts)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return the class of the corpus's kernels."""
    return load_module(tmp_path_factory.mktemp("corpus") / "corpus_kernels.py", source()).Corpus


def differences(corpus: Any, entry: dict[str, Any]) -> list[str]:
    """Return what differs between the engine's run of a kernel and the compiled one."""
    devices = Devices()
    host = corpus(devices)
    getattr(host, entry["name"])()
    events = [[t_mu, target, data[0]] for t_mu, target, data in devices.bus.events]
    found = {"events": events, "out": plain(host.out), "now": devices.bus.now}
    return [f"{entry['name']}.{key}" for key, value in found.items() if value != entry[key]]


def test_every_kernel_of_the_corpus_gives_the_compiled_trace_values_and_cursor(corpus: Any) -> None:
    different = [text for entry in CORPUS for text in differences(corpus, entry)]
    assert len(CORPUS) == 384
    assert different == [], f"{len(different)} differences"


def test_the_comparison_sees_a_single_changed_event(corpus: Any) -> None:
    entry = json.loads(json.dumps(next(entry for entry in CORPUS if entry["events"])))
    entry["events"][-1][0] += 1
    assert differences(corpus, entry) == [f"{entry['name']}.events"]


if __name__ == "__main__":  # with the interpreter of a real ARTIQ: the same engine, its language layer and its drivers
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        kernels = load_module(Path(folder) / "corpus_kernels.py", source()).Corpus
        wrong = [text for entry in CORPUS for text in differences(kernels, entry)]
    sys.stdout.write(f"{len(CORPUS)} kernels, {len(wrong)} differences {wrong[:10]}\n")
