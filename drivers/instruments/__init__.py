"""Drivers of the instruments that are not on RTIO, one file per kind.

A file `KIND.py` here has one class `Driver(name, transport)`, a subclass of `instrument.Instrument`; its twin is the
class `Twin(element, rng)` of `sim/instruments/KIND.py`. docs/adding-an-instrument.md walks through one.
"""

import importlib
import pkgutil

from atomlink.errors import DeviceError

from .instrument import Instrument

BASES = ("instrument", "miniconf", "replies", "spcm_cards", "transport", "visa", "zeromq")


def kinds() -> list[str]:
    """Return the kinds of instruments that have a driver."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in BASES)


def driver_class(kind: str) -> type[Instrument]:
    """Return the driver of a kind of instrument."""
    if kind not in kinds():
        raise DeviceError(f"There is no driver `{kind}`: it must be one of {', '.join(kinds())}.")
    found: type[Instrument] = importlib.import_module(f"{__name__}.{kind}").Driver
    return found
