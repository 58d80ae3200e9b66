"""The coredevice drivers put the same events on the bus as ARTIQ's own, compiled by the real compiler.

The rows of driver_events.json are replayed in order on one set of devices, each call from the host as a kernel of the
engine; inputs answer 0 at once, as they did when the rows were recorded.
"""

from __future__ import annotations

import ast
import importlib
import json
import operator
from pathlib import Path
from typing import Any

import pytest
from artiq.language import units

from sim.gateware.peripheral import Peripheral
from sim.rtio.core import Core

RECORD = json.loads((Path(__file__).parents[1] / "data" / "driver_events.json").read_text())
START_MU = 2_000_000_000


class Zeros(Peripheral):
    """A channel that takes every output and answers every read with 0."""

    def write(self, t_mu: int, address: int, data: int) -> None:
        pass

    def write_wide(self, t_mu: int, address: int, data: list[int]) -> None:
        pass

    def poll(self, t_mu: int) -> None:
        if not self.fifo:
            self.fifo.append((0, 0))


class _EveryChannel(dict[int, Zeros]):
    def get(self, channel: int, default: Any = None) -> Any:
        return self.setdefault(channel, Zeros())


class AnyGateware:
    """Gateware in which every channel is there."""

    def __init__(self) -> None:
        self.channels: Any = _EveryChannel()


class Devices:
    """The devices of the record, made when asked for, as a device manager does."""

    def __init__(self) -> None:
        self.core = Core(self, costs="ideal", gateware=AnyGateware())
        self._made: dict[str, Any] = {"core": self.core}

    def get(self, name: str) -> Any:
        if name not in self._made:
            arguments = dict(RECORD["devices"][name])
            module, class_name = arguments.pop("class").rsplit(".", 1)
            self._made[name] = getattr(importlib.import_module(module), class_name)(self, **arguments)
        return self._made[name]


def value(node: ast.expr) -> Any:
    """Return the value of an argument: a number, a list, `1*us`, `[1 for _ in range(64)]`."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return getattr(units, node.id)
    if isinstance(node, ast.BinOp):
        assert isinstance(node.op, ast.Mult)
        return operator.mul(value(node.left), value(node.right))
    if isinstance(node, ast.List):
        return [value(element) for element in node.elts]
    assert isinstance(node, ast.ListComp) and isinstance(node.generators[0].iter, ast.Call), ast.dump(node)
    return [value(node.elt)] * value(node.generators[0].iter.args[0])


def call(devices: Devices, text: str) -> None:
    """Carry out a row's call, `device.method(arguments)`."""
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
    method = getattr(devices.get(node.func.value.id), node.func.attr)
    method(*[value(arg) for arg in node.args], **{str(k.arg): value(k.value) for k in node.keywords})


@pytest.fixture(scope="module")
def replayed() -> list[dict[str, Any]]:
    """Return what each row of the record does here, in the record's form."""
    devices = Devices()
    for name in RECORD["devices"]:
        devices.get(name)
    bus = devices.core.bus
    rows = []
    for row in RECORD["rows"]:
        bus.reset()
        bus.counter, bus.now = 0, START_MU
        events: list[list[Any]] = []

        def note(t_mu: int, target: int, data: Any, events: list[list[Any]] = events) -> None:
            words = data if isinstance(data, list) else [data]
            events.append([t_mu - START_MU, target, [word & 0xFFFFFFFF for word in words]])

        bus.on_event = note
        call(devices, row["call"])
        rows.append({"call": row["call"], "advance_mu": int(bus.now) - START_MU, "events": events, "error": None})
    return rows


@pytest.mark.parametrize("index", range(len(RECORD["rows"])), ids=[row["call"] for row in RECORD["rows"]])
def test_driver_call_puts_the_recorded_events_on_the_bus(replayed, index):
    assert replayed[index] == RECORD["rows"][index]
