"""Gateware models: what the registers of each RTIO peripheral do to signals."""

from sim.gateware.build import Gateware
from sim.gateware.peripheral import Peripheral

__all__ = ["Gateware", "Peripheral"]
