"""The RTIO system calls: the lowest functions that a driver calls, and the seam at which the twin begins.

An engine recognises these very objects and puts the bus in their place.
"""

# mypy: disable-error-code="valid-type"
# ARTIQ's annotations are values: TList(TInt32) is a call.

from typing import NoReturn

from artiq.language.core import syscall
from artiq.language.types import TInt32, TInt64, TList, TNone, TTuple


def _outside_an_engine() -> NoReturn:
    raise NotImplementedError("syscall not simulated")


@syscall(flags={"nowrite"})
def rtio_output(target: TInt32, data: TInt32) -> TNone:
    """Submit one output event at the timeline cursor; `target` is channel << 8 | address."""
    _outside_an_engine()


@syscall(flags={"nowrite"})
def rtio_output_wide(target: TInt32, data: TList(TInt32)) -> TNone:
    """Submit one output event whose data are several 32-bit words, least significant first."""
    _outside_an_engine()


@syscall(flags={"nowrite"})
def rtio_input_timestamp(timeout_mu: TInt64, channel: TInt32) -> TInt64:
    """Wait for an input event until `timeout_mu`; return its time stamp, or -1 at the time-out."""
    _outside_an_engine()


@syscall(flags={"nowrite"})
def rtio_input_data(channel: TInt32) -> TInt32:
    """Wait for an input event without a time-out and return its data."""
    _outside_an_engine()


@syscall(flags={"nowrite"})
def rtio_input_timestamped_data(timeout_mu: TInt64, channel: TInt32) -> TTuple([TInt64, TInt32]):
    """Wait for an input event until `timeout_mu`; return (time stamp, data), or (-1, 0) at the time-out."""
    _outside_an_engine()
