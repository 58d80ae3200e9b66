"""The core device's cache: integer lists that outlive a kernel. Source: ARTIQ 8 manual, core device cache."""

# ARTIQ's annotations are calls, TList(TInt32), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from artiq.language.core import kernel, syscall
from artiq.language.types import TInt32, TList, TNone, TStr


@syscall(flags={"nounwind"})
def cache_get(key: TStr) -> TList(TInt32):
    """Return the list stored under `key`, or an empty one."""
    raise NotImplementedError("syscall not simulated")


@syscall
def cache_put(key: TStr, value: TList(TInt32)) -> TNone:
    """Store a list under `key`."""
    raise NotImplementedError("syscall not simulated")


class CoreCache:
    """Keep lists of integers between kernels; its device_db row needs no arguments."""

    def __init__(self, dmgr, core_device="core"):
        self.core = dmgr.get(core_device)

    @kernel
    def get(self, key):
        """Return the list stored under `key`, or an empty one.

        It must not be used after the kernel has put to the key.
        """
        return cache_get(key)

    @kernel
    def put(self, key, value):
        """Store `value` under `key`; CacheError if this kernel holds the list from `get`.

        An empty list removes the key.
        """
        cache_put(key, value)
