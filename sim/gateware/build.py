"""Build the gateware that a device database describes: one peripheral per RTIO channel.

Adding a peripheral touches one file: a module whose `SERVES` maps device classes to builders, named in `_FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atomlink.errors import DeviceError
from sim.gateware import ad9910, ad9912, edge_counter, entangler, fastino, grabber, sampler, spi, ttl, urukul, zotino
from sim.gateware.peripheral import WorldPorts
from sim.gateware.row import Builder, Lab, Row

_FAMILIES = (ttl, edge_counter, spi, urukul, ad9910, ad9912, zotino, sampler, fastino, grabber, entangler)
SERVES: dict[str, Builder] = {name: builder for family in _FAMILIES for name, builder in family.SERVES.items()}

# Services of the core device, and buses of its CPU: nothing of them is on the RTIO bus.
_NOT_ON_THE_BUS = (
    "artiq.coredevice.core.",
    "artiq.coredevice.dma.",
    "artiq.coredevice.cache.",
    "artiq.coredevice.i2c.",
    "artiq.coredevice.kasli_i2c.",
    "artiq.coredevice.spi2.NRTSPIMaster",
    "sim.rtio.",
)


class Gateware:
    """Hold the peripherals of a lab: `channels` by RTIO channel, `names` their device_db keys, `world` behind them."""

    def __init__(self, device_db: Mapping[str, Any], world: WorldPorts) -> None:
        self.world = world
        lab = Lab(device_db, world, SERVES)
        for key, description in device_db.items():
            if isinstance(description, Mapping) and description.get("type") == "local" and _is_served(Row(lab, key)):
                lab.model(key)
        self.channels = lab.channels
        self.names = lab.names


def _is_served(row: Row) -> bool:
    """Return whether a row has a model; refuse one that touches the bus and has none."""
    if row.device_class in SERVES:
        return True
    if row.device_class.startswith(_NOT_ON_THE_BUS):
        return False
    if row.device_class.startswith("artiq.coredevice.") or "channel" in row.arguments:
        raise DeviceError(
            f"device_db row `{row.key}`: class {row.device_class} has no gateware model;"
            f" it must be one of {', '.join(sorted(SERVES))}"
        )
    return False  # a driver of ours above other rows
