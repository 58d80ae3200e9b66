"""Arguments of every experiment, spoiled in every way that came to mind: refused in one line, quickly, or taken.

What is taken is built and prepared with the lab's own devices; nothing is run. A scan that is refused in `prepare` is
one of a value that only the experiment can judge. The long form (slow) gives every argument every value.
"""

import importlib
import random
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from artiq.language.environment import NumberValue
from artiq.language.scan import Scannable
from artiq.master.databases import DeviceDB
from artiq.master.worker_db import DeviceManager
from test_experiments import built, experiments

from atomlink.errors import LabError, UsageError
from experiments.sequences.scan import Axis, Scan, check_values
from sim.command.arguments import CheckedArguments
from sim.command.written import parse

ROOT = Path(__file__).resolve().parents[2]
SEED = 12
LONGEST_S = 10.0  # of one argument; nearly all take some milliseconds
DEEP = "[" * 500 + "]" * 500
ENDLESS = '{"ty": "RangeScan", "start": 1e-5, "stop": 1e-5, "npoints": 1000000000000}'

PLAIN = (
    "", " ", "x", "true", "null", "nan", "inf", "-inf", "-1", "0", "1", "2.5", "1e-9", "1e308", "-1e308", "9" * 25,
    "9" * 400, "9" * 5000, "-" + "9" * 400, f"0x{'f' * 5000}", "3.3.3us", "1..us", ".us", "1e999us", "5us", "1e5e5",
    "us", '""', '"x"', '"é\\n"', '"\\ud800"', '"' + "x" * 3000 + '"', "[]", '["a"]', "[[1]]", "{}", '{"ty": 3}',
    "(1, 2)", "1j", "None", "...", "lambda: 0", "1+" * 500 + "1", DEEP, "[" * 90_000, "-" * 3000 + "1", "{" * 300,
    '{"a": ' * 400,
    'Fraction("1e999999999")', '{"__jsonclass__": ["Fraction", ["1e999999999", 1]]}', 'npscalar("<f8", b"")',
    '{"__jsonclass__": ["npscalar", ["<m8", "AAAAAAAAAAA="]]}', '{"__jsonclass__": ["nparray", [[1e99], "<f8", ""]]}',
    '{"__jsonclass__": [[], []]}', '{"__jsonclass__": ["npscalar", ["<f8", "AAAAAAAA+H8="]]}', '"[["', '"9e99999"',
    "ExplicitScan([1e999])", "RangeScan(0, 1)", "RangeScan(0, 1, 1000000000000)", "CenterScan(0, 1e300, 1e-300)",
)  # fmt: skip
SCANS = (
    '{"ty": "NoScan"}', '{"ty": "NoScan", "value": true}', '{"ty": "NoScan", "value": %s}' % ("9" * 400),
    '{"ty": "NoScan", "value": "a"}', '{"ty": "NoScan", "value": 1e-6, "repetitions": 1000000000000}',
    '{"ty": "NoScan", "value": 1e-6, "repetitions": "a"}', '{"ty": "NoScan", "value": 1e-6, "repetitions": -1}',
    '{"ty": "ExplicitScan", "sequence": ["a"]}', '{"ty": "ExplicitScan", "sequence": [true]}',
    '{"ty": "ExplicitScan", "sequence": [1e-5, null]}', '{"ty": "ExplicitScan", "sequence": [[1e-5]]}',
    '{"ty": "ExplicitScan", "sequence": "abc"}', '{"ty": "ExplicitScan", "sequence": {"a": 1}}',
    '{"ty": "ExplicitScan", "sequence": 3}', '{"ty": "ExplicitScan", "sequence": []}', '{"ty": "ExplicitScan"}',
    '{"ty": "ExplicitScan", "sequence": [NaN, 1e-6]}', '{"ty": "ExplicitScan", "sequence": [%s]}' % ("9" * 400),
    '{"ty": "ExplicitScan", "sequence": {"__jsonclass__": ["complex", [1, 1]]}}',
    '{"ty": "ExplicitScan", "sequence": null}',
    '{"ty": "RangeScan", "start": 0, "stop": 1e-6, "npoints": 1000000000000}',
    '{"ty": "RangeScan", "start": 0, "stop": 1e-6, "npoints": 2.5}',
    '{"ty": "RangeScan", "start": 0, "stop": 1e-6, "npoints": true}',
    '{"ty": "RangeScan", "start": 0, "stop": 1e-6, "npoints": 0}',
    '{"ty": "RangeScan", "start": 0, "stop": 1e-6, "npoints": -3}',
    '{"ty": "RangeScan", "start": -Infinity, "stop": Infinity, "npoints": 3}',
    '{"ty": "RangeScan", "start": 0, "stop": 1e-6, "npoints": 3, "randomize": true, "seed": []}',
    '{"ty": "RangeScan", "start": "a", "stop": [], "npoints": 3}', '{"ty": "RangeScan", "start": 0}',
    '{"ty": "CenterScan", "center": 0, "span": Infinity, "step": 1}',
    '{"ty": "CenterScan", "center": 0, "span": 1e300, "step": 1e-300}',
    '{"ty": "CenterScan", "center": 1e-6, "span": 1e-6, "step": 0}',
    '{"ty": "CenterScan", "center": 1e-6, "span": -1e-6, "step": 1e-7}',
    '{"ty": "CenterScan", "center": "a", "span": true, "step": null}', '{"ty": "CenterScan", "center": {}, "span": 1}',
    '{"ty": "MultiScan"}', '{"ty": []}', '{"ty": {}}', '["RangeScan"]', '"RangeScan"',
)  # fmt: skip


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Give the lab's simulated devices; they are made when asked for, and serve all experiments."""
    patch = pytest.MonkeyPatch()
    patch.chdir(tmp_path_factory.mktemp("run"))  # opened instruments write their log where the run is
    for name in ("ATOMLINK_TARGET", "ATOMLINK_SEED", "ATOMLINK_COSTS", "ATOMLINK_LAB"):
        patch.delenv(name, raising=False)
    patch.setenv("ATOMLINK_SCENARIO", "array")
    scheduler = SimpleNamespace(rid=0, expid={}, priority=0, pipeline_name="main", check_pause=lambda: False)
    manager = DeviceManager(DeviceDB(str(ROOT / "device_db.py")), virtual_devices={"scheduler": scheduler, "ccb": None})
    yield manager
    manager.close_devices()
    patch.undo()


class Datasets:
    """A dataset manager without datasets: every belief is its default."""

    def get(self, key: str, archive: bool = False) -> Any:
        """Know nothing."""
        raise KeyError(key)

    def set(self, *_: Any) -> None:
        """Keep nothing."""


def asked_for(module: str, name: str) -> dict[str, Any]:
    """Return the processor of every argument of an experiment."""
    found: dict[str, Any] = built(getattr(importlib.import_module(module), name)).processors
    return found


def cases() -> list[tuple[str, str, str]]:
    """Return (module, class, ARG=VALUE) of every argument with every value that concerns its kind."""
    made = []
    for module, name in experiments():
        for key, processor in asked_for(module, name).items():
            values = [*PLAIN, *_edges(processor), *(SCANS if isinstance(processor, Scannable) else ())]
            made += [(module, name, f"{key}={value}") for value in values]
    return made


def _edges(processor: Any) -> list[str]:
    """Return numbers at the ends of what a NumberValue allows, and beyond."""
    if not isinstance(processor, NumberValue):
        return []
    ends = [end for end in (processor.min, processor.max) if end is not None]
    return [repr(value) for end in ends for value in (end, end - 1, end + 1, end * (1 + 1e-12), float(end), -end)]


def outcome(devices: Any, module: str, name: str, *words: str) -> str:
    """Return what is said of an argument, "" where it is taken."""
    begun = time.monotonic()
    try:
        arguments = CheckedArguments(parse(list(words)))
        made = getattr(importlib.import_module(module), name)((devices, Datasets(), arguments, {}))
        arguments.check_all_used(name)
        made.prepare()
        return ""
    except LabError as error:
        return str(error)
    finally:
        assert time.monotonic() - begun < LONGEST_S, (name, [word[:200] for word in words])


def check(devices: Any, chosen: list[tuple[str, str, str]]) -> None:
    """Each refusal is one line of bearable length that names argument or scan; both kinds of outcomes are there."""
    said = {case: outcome(devices, *case) for case in chosen}
    refused = {case: line for case, line in said.items() if line}
    assert len(chosen) / 2 < len(refused) < len(chosen)
    odd = [(case, line) for case, line in refused.items() if "\n" in line or len(line) > 600]
    assert odd == []
    elsewhere = {name for module, name, _ in refused if outcome(devices, module, name)}  # this lab lacks what they need
    unnamed = [(case, line) for case, line in refused.items()
               if case[2].partition("=")[0] not in line.lower() and case[1] not in elsewhere]  # fmt: skip
    assert len(unnamed) < len(chosen) / 50, unnamed[:10]


def test_spoiled_arguments_are_refused_in_one_line(devices: Any) -> None:
    check(devices, random.Random(SEED).sample(cases(), 400))


@pytest.mark.slow
def test_all_spoiled_arguments_are_refused_in_one_line(devices: Any) -> None:
    chosen = cases()
    assert len(chosen) > 7900
    check(devices, chosen)


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("t_wait=3.3.3us", "argument `t_wait`: '3.3.3us' is not PYON; text needs its own quotes"),
        (f"shots={'9' * 400}", "argument `shots` is 9999"),
        (f"t_wait={SCANS[7]}", "argument `t_wait` has the value 'a' in its scan, must be finite numbers"),
        (f"t_wait={SCANS[8]}", "argument `t_wait` has the value True in its scan, must be finite numbers"),
        (f"t_wait={SCANS[9]}", "argument `t_wait` has the value None in its scan"),
        (f"t_wait={SCANS[10]}", "argument `t_wait` has the value [1e-05] in its scan"),
        (f"t_wait={SCANS[11]}", "argument `t_wait` has sequence 'abc', must be a list of numbers"),
        (f"t_wait={ENDLESS}", "is a scan of 1e+12 points, must be 1,000,000 at most"),
        ('t_wait={"ty": "CenterScan", "center": 1e-5, "span": 1e300, "step": 1e-300}', "is a scan of inf points"),
        (f"t_wait={DEEP}", "argument `t_wait` is [[["),
    ],
)
def test_the_kinds_that_once_ended_in_a_traceback_are_named(devices: Any, word: str, says: str) -> None:
    assert says in outcome(devices, "experiments.atoms.ramsey", "Ramsey", word)


def test_a_scan_that_comes_from_elsewhere_is_checked_as_well() -> None:
    """Under ARTIQ's own master no command has looked at the arguments."""
    axis = Axis("t", Scannable(global_min=0.0, global_max=1.0))
    for bad in (True, "a", None, [1.0], float("nan"), 10**400, 1j):
        with pytest.raises(UsageError, match="Scan t has the value .* must be finite numbers"):
            check_values(axis, [0.5, bad])
    check_values(axis, [0, 1.0])


def test_axes_that_make_too_many_points_together_are_refused() -> None:
    scan = Scan.__new__(Scan)
    scan.axes = (Axis("a", Scannable()), Axis("b", Scannable()))
    scan.scans = [range(2000), range(2000)]
    with pytest.raises(UsageError, match="Scan b makes 4,000,000 points, must be 1,000,000 at most together"):
        scan.prepare()
