"""Devices that the twin does not model: they are there, and refuse by name once something is asked of them.

A lab's `device_db.py` has rows that no experiment of the day asks for: they must not keep the others from running.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atomlink.errors import DeviceError

# What a device manager looks for at the end of a run, and an embedding of kernels in every object: no use of a device.
_ASKED_OF_ALL = ("close", "close_rpc", "notify_run_end", "kernel_invariants", "artiq_embedded")


# What ARTIQ 8 calls what it called otherwise before; labs' databases keep such rows for years.
RENAMED = {"artiq.coredevice.i2c.PCA9548": "artiq.coredevice.i2c.I2CSwitch"}


def not_modelled(name: str, device_class: str, why: str = "") -> DeviceError:
    """Return the refusal of a device, one line."""
    if device_class in RENAMED:
        return DeviceError(
            f"device `{name}`: ARTIQ has no class {device_class} since release 7; in its row write"
            f" {RENAMED[device_class]}"
        )
    return DeviceError(
        f"device `{name}` ({device_class}) is not modelled by the twin{why and ': ' + why}; leave out what uses it, or"
        " set ATOMLINK_TARGET=hardware for the real one"
    )


class Unmodelled:
    """Stand in an experiment for a device without a model: made freely, refused where it is used."""

    def __init__(self, dmgr: Any, name: str, device_class: str, why: str = "") -> None:
        self._refusal = name, device_class, why

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_") or attribute in _ASKED_OF_ALL:
            raise AttributeError(attribute)
        raise not_modelled(*self._refusal)


def replaced(name: str, row: Mapping[str, Any], why: str = "") -> dict[str, Any]:
    """Return a row that makes the stand-in; what the lab's row said is kept in `instead_of`."""
    device_class = f"{row.get('module')}.{row.get('class')}"
    return {
        "type": "local",
        "module": __name__,
        "class": "Unmodelled",
        "arguments": {"name": name, "device_class": device_class, "why": why},
        "instead_of": dict(row),
    }
