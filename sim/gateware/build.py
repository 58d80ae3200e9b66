"""Build the gateware that a device database describes: one peripheral per RTIO channel, the chips on the I2C buses.

Adding a peripheral touches one file: a module whose `SERVES` maps device classes to builders, named in `_FAMILIES`.
A row that has no model, or a faulty one, is inert: it is refused, by name, where it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from atomlink.errors import DeviceError
from sim.gateware import (
    ad9910,
    ad9912,
    edge_counter,
    entangler,
    fastino,
    grabber,
    i2c,
    sampler,
    spi,
    ttl,
    urukul,
    zotino,
)
from sim.gateware.peripheral import WorldPorts
from sim.gateware.row import Builder, Lab, resolved
from sim.gateware.unmodelled import RENAMED, not_modelled, replaced

_FAMILIES = (ttl, edge_counter, spi, urukul, ad9910, ad9912, zotino, sampler, fastino, grabber, entangler, i2c)
SERVES: dict[str, Builder] = {name: builder for family in _FAMILIES for name, builder in family.SERVES.items()}

# Services of the core device: nothing of them is on a bus.
_SERVICES = ("artiq.coredevice.dma.CoreDMA", "artiq.coredevice.cache.CoreCache")
_KNOWN = {name.rpartition(".")[0] for name in (*SERVES, *_SERVICES)}
_CHANNEL = ("channel", "channel_base", "bus_channel")


class Gateware:
    """Hold the peripherals of a lab: `channels` by RTIO channel, `names` their device_db keys, `world` behind them.

    `i2c` are the CPU's I2C buses by number, `refused` says by key what is wrong with rows that cannot be modelled, and
    `unmodelled` which refusal a channel gives that belongs to a device without a model. Where two rows want the same
    channel, those come first whose descriptions are in `made`, the devices that the experiment has made.
    """

    def __init__(self, device_db: Mapping[str, Any], world: WorldPorts, made: Sequence[Any] = ()) -> None:
        self.world = world
        lab = Lab(device_db, world, SERVES)
        lab.i2c[0] = i2c.I2cBus()  # the core device has one, whatever hangs at it
        self.channels, self.names, self.i2c, self.refused = lab.channels, lab.names, lab.i2c, lab.refused
        self.unmodelled: dict[int, DeviceError] = {}
        rows = dict(_local(device_db))
        served = (key for key, row in rows.items() if _class(row) in SERVES)
        for key in sorted(served, key=lambda key: rows[key] not in made):
            with contextlib.suppress(DeviceError):  # it is in `refused`
                lab.model(key)
        for key, row in rows.items():
            if _class(row) not in SERVES:
                self._note(key, row, lab)

    def refusal(self, description: Any, device_db: Mapping[str, Any]) -> DeviceError | None:
        """Return what is wrong with the row of a device that an experiment has made, by its description."""
        return next((error for key, error in self.refused.items() if device_db.get(key) == description), None)

    def _note(self, key: str, row: Mapping[str, Any], lab: Lab) -> None:
        """Note the channels and SPI buses of a device that has no model."""
        row = row.get("instead_of", row)
        refusal = not_modelled(key, _class(row))
        for name, value in _arguments(row).items():
            if name in _CHANNEL and isinstance(value, int) and value not in self.channels:
                self.unmodelled.setdefault(value, refusal)
            bus = lab.models.get(resolved(lab.device_db, value)) if isinstance(value, str) else None
            if isinstance(bus, spi.SpiBus):
                bus.unmodelled = bus.unmodelled or refusal


def inert(device_db: Mapping[str, Any], core: str) -> dict[str, dict[str, Any]]:
    """Return the rows that must not reach anything beside the twin, each with its stand-in.

    They are ARTIQ's devices without a model, further core devices, and what hangs at those. `core` is the key of the
    core device that is simulated. A driver of the lab's own stays: it is refused at its channel.
    """
    rows = dict(_local(device_db))
    cores = {key for key, row in rows.items() if _class(row).endswith("coredevice.core.Core")} - {core}
    stand_ins = {}
    for key, row in rows.items():
        why = _why_inert(key, row, core, cores, device_db)
        if why is not None:
            stand_ins[key] = replaced(key, row, why)
    return stand_ins


def _why_inert(
    key: str, row: Mapping[str, Any], core: str, cores: Collection[str], device_db: Mapping[str, Any]
) -> str | None:
    """Return why a row is inert, "" where its class says it all; None: it is not."""
    if key == core:
        return None
    if key in cores:
        return f"the twin has one core device, `{core}`"
    asked = (_arguments(row).get(name) for name in ("core_device", "core"))
    other = next((at for at in (resolved(device_db, name) for name in asked) if at in cores), None)
    if other is not None:
        return f"it hangs at `{other}`, and the twin has one core device, `{core}`"
    # An unknown class of a module that has models is misspelt: its import says so.
    foreign = row["module"].startswith("artiq.") and row["module"] not in _KNOWN
    return "" if foreign or _class(row) in RENAMED else None


def _local(device_db: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Go through the rows of type "local" that say what class they are."""
    for key, row in device_db.items():
        said = [row.get(name) for name in ("module", "class")] if isinstance(row, Mapping) else [None]
        if all(isinstance(name, str) for name in said) and row.get("type") == "local":
            yield key, row


def _arguments(row: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments = row.get("arguments", {})
    return arguments if isinstance(arguments, Mapping) else {}


def _class(row: Mapping[str, Any]) -> str:
    return f"{row.get('module')}.{row.get('class')}"
