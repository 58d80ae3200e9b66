"""The real core device needs real ARTIQ; this module says so, and names the calls that other drivers import from it."""

from artiq.language.core import syscall
from artiq.language.types import TBool, TInt32, TInt64, TNone

from atomlink.errors import DeviceError


class CompileError(Exception):
    """Raised when a kernel is not in the language that the core device accepts."""


@syscall
def rtio_init() -> TNone:
    """Reset the RTIO core (firmware call)."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def rtio_get_destination_status(linkno: TInt32) -> TBool:
    """Return whether a DRTIO destination is up (firmware call)."""
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nounwind", "nowrite"})
def rtio_get_counter() -> TInt64:
    """Return the RTIO counter (firmware call)."""
    raise NotImplementedError("syscall not simulated")


class Core:
    """Refuse to be built: without real ARTIQ there is no compiler and no link to a core device."""

    def __init__(self, dmgr, *args, **kwargs):
        raise DeviceError(
            "Device class artiq.coredevice.core.Core drives a real core device and needs the real ARTIQ, which is not"
            " installed; install ARTIQ 8 for hardware, or take the simulation's core, sim.rtio.core.Core."
        )
