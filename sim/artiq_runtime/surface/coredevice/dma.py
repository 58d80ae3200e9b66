"""Direct memory access: record a sequence of RTIO outputs once, play it back at the cursor.

Names belong to the core device; a handle is valid until the next record or erase. Source: ARTIQ 8 manual, core DMA.
"""

# ARTIQ's annotations are calls, TList(TInt32), which no type checker takes for types.
# mypy: disable-error-code="valid-type"

from artiq.coredevice.exceptions import DMAError
from artiq.language.core import at_mu, delay_mu, kernel, now_mu, syscall
from artiq.language.types import TBool, TInt32, TInt64, TNone, TStr, TTuple
from numpy import int64


@syscall
def dma_record_start(name: TStr) -> TNone:
    """Begin to record outputs under `name`."""
    raise NotImplementedError("syscall not simulated")


@syscall
def dma_record_stop(duration: TInt64, enable_ddma: TBool) -> TNone:
    """End the recording, which played back advances the cursor by `duration` mu."""
    raise NotImplementedError("syscall not simulated")


@syscall
def dma_erase(name: TStr) -> TNone:
    """Forget the recording `name`."""
    raise NotImplementedError("syscall not simulated")


@syscall
def dma_retrieve(name: TStr) -> TTuple([TInt64, TInt32, TBool]):
    """Return (duration in mu, pointer, uses distributed DMA) of a recording."""
    raise NotImplementedError("syscall not simulated")


@syscall
def dma_playback(timestamp: TInt64, ptr: TInt32, enable_ddma: TBool) -> TNone:
    """Submit a recording's outputs, shifted to `timestamp`."""
    raise NotImplementedError("syscall not simulated")


class DMARecordContextManager:
    """Record the outputs of a `with` block; the cursor runs from 0 inside and is restored after."""

    def __init__(self):
        self.name = ""
        self.saved_now_mu = int64(0)
        self.enable_ddma = False

    @kernel
    def __enter__(self):
        dma_record_start(self.name)
        self.saved_now_mu = now_mu()
        at_mu(0)

    @kernel
    def __exit__(self, type, value, traceback):
        dma_record_stop(now_mu(), self.enable_ddma)
        at_mu(self.saved_now_mu)


class CoreDMA:
    """Record and play back RTIO sequences; its device_db row needs no arguments."""

    kernel_invariants = {"core", "recorder"}

    def __init__(self, dmgr, core_device="core"):
        self.core = dmgr.get(core_device)
        self.recorder = DMARecordContextManager()
        self.epoch = 0

    @kernel
    def record(self, name, enable_ddma=False):
        """Return a context manager that records its block as `name`; a name recorded again is replaced."""
        self.epoch += 1
        self.recorder.name = name
        self.recorder.enable_ddma = enable_ddma
        return self.recorder

    @kernel
    def erase(self, name):
        """Forget the recording `name`."""
        self.epoch += 1
        dma_erase(name)

    @kernel
    def playback(self, name):
        """Play back `name` at the cursor, which advances by the recording's length."""
        advance_mu, ptr, uses_ddma = dma_retrieve(name)
        dma_playback(now_mu(), ptr, uses_ddma)
        delay_mu(advance_mu)

    @kernel
    def get_handle(self, name):
        """Return a handle of `name`, faster to play back than the name."""
        advance_mu, ptr, uses_ddma = dma_retrieve(name)
        return (self.epoch, advance_mu, ptr, uses_ddma)

    @kernel
    def playback_handle(self, handle):
        """Play back a handle at the cursor; a handle older than the last record or erase is refused."""
        epoch, advance_mu, ptr, uses_ddma = handle
        if self.epoch != epoch:
            raise DMAError("Invalid handle")
        dma_playback(now_mu(), ptr, uses_ddma)
        delay_mu(advance_mu)
