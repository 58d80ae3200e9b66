"""The system calls for I2C: the CPU toggles the lines by hand, and all the while the RTIO counter goes on.

Source: ARTIQ 8 firmware, libboard_misoc/i2c.rs (half periods per step) and ksupport/nrt_bus.rs (errors).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from artiq.coredevice.exceptions import I2CError

if TYPE_CHECKING:
    from .bus import Bus

START, RESTART, STOP, BYTE = 1, 3, 3, 18  # half periods of the clock


class I2c:
    """I2C on `bus.gateware.i2c`, a dict of buses by number; where a Kasli has a bus and no row a chip, it is empty."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def syscalls(self) -> dict[str, Callable[..., Any]]:
        """Return the system calls by name."""
        names = ("start", "restart", "stop", "write", "read", "switch_select")
        return {f"i2c_{name}": getattr(self, name) for name in names}

    def start(self, busno: int) -> None:
        """Send a start condition."""
        self._at(busno, START).start()

    def restart(self, busno: int) -> None:
        """Send a start condition without a stop before it."""
        self._at(busno, RESTART).start()

    def stop(self, busno: int) -> None:
        """Send a stop condition."""
        self._at(busno, STOP).stop()

    def write(self, busno: int, byte: int) -> bool:
        """Send the low eight bits of `byte`; return whether they were acknowledged."""
        return bool(self._at(busno, BYTE).write(byte & 0xFF))

    def read(self, busno: int, ack: bool) -> int:
        """Return a byte; whether it is acknowledged decides nothing here, for the chips' bytes do not run out."""
        return int(self._at(busno, BYTE).read())

    def switch_select(self, busno: int, address: int, mask: int) -> None:
        """Connect the channels of `mask` of the switch at a 7-bit address; as in the firmware, no stop after a failure.
        """
        self.start(busno)
        if not self.write(busno, address << 1) or not self.write(busno, mask):
            raise I2CError("I2C bus could not be accessed")
        self.stop(busno)

    def _at(self, busno: int, half_periods: int) -> Any:
        bus = self._bus
        bus.spend(half_periods * bus.costs.i2c_half_mu)
        found = getattr(bus.gateware, "i2c", {}).get(busno & 0xFF00FF)
        if found is None:
            raise I2CError("I2C bus could not be accessed")
        return found
