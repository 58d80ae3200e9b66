"""What the core device's CPU needs for things: it moves the RTIO counter, and so decides about underflow.

One table serves every engine and both sets of drivers: a method listed here costs its total, and the events inside
cost nothing more; all others cost per event. Numbers are published measurements of other people's devices:
parameters, not promises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from atomlink.errors import UsageError


@dataclass(frozen=True)
class Costs:
    """Durations in mu (1 ns)."""

    event_mu: int = 0  # one output event
    input_mu: int = 0  # one input read, once the event is there
    poll_mu: int = 0  # one round of the loop in which `wait_until_mu` reads the counter
    rpc_mu: int = 0  # one synchronous remote procedure call
    async_rpc_mu: int = 0  # handing over an asynchronous one
    kernel_start_mu: int = 0
    dma_event_mu: int = 0  # playback, per event
    dma_playback_mu: int = 0  # starting the playback of a handle
    dma_retrieve_mu: int = 0  # looking a trace up by name
    dma_record_mu: int = 0  # recording, per event
    i2c_half_mu: int = 0  # half a clock period of the I2C bus, which the CPU toggles by hand
    methods: Mapping[tuple[str, str], int] = field(default_factory=dict)


PRESETS: dict[str, Costs] = {
    # Nothing takes time; the underflow line (12 coarse clocks) stays.
    "ideal": Costs(),
    # Kasli (VexRiscv at 125 MHz, no FPU).
    "kasli": Costs(
        event_mu=400,  # 350 to 480 ns, m-labs/artiq#1167; ARTIQ's own tests allow 480
        input_mu=400,  # assumed: a read is one access like a write
        poll_mu=400,  # assumed: so is reading the counter
        rpc_mu=2_500_000,  # 2.4 to 3 ms, m-labs/artiq#1488 and #2601
        async_rpc_mu=20_000,  # assumed: the message is queued, nothing is waited for
        kernel_start_mu=1_000_000,  # 1 ms and up
        dma_event_mu=195,  # release 8, m-labs/artiq#2943 (65 on master)
        dma_playback_mu=4_500,  # at most, ARTIQ's own tests
        dma_retrieve_mu=20_000,  # assumed: one message to the other CPU and back
        dma_record_mu=11_000,  # at most, ARTIQ's own tests
        i2c_half_mu=100_000,  # 5 kHz: ARTIQ 8 firmware, libboard_misoc/i2c.rs
        methods={("AD9910", "set"): 52_000},  # m-labs/artiq#1167
    ),
    # Kasli-SoC (Zynq, FPU).
    "kasli_soc": Costs(
        event_mu=400,  # 280 to 810 ns, m-labs/artiq#1167
        input_mu=400,  # assumed, as above
        poll_mu=400,  # assumed, as above
        rpc_mu=2_500_000,
        async_rpc_mu=20_000,
        kernel_start_mu=1_000_000,
        dma_event_mu=195,
        dma_playback_mu=4_500,
        dma_retrieve_mu=20_000,
        dma_record_mu=11_000,
        i2c_half_mu=100_000,  # assumed, as on Kasli
        methods={("AD9910", "set"): 2_350},  # m-labs/artiq#1167
    ),
}


def preset(name: str) -> Costs:
    """Return the costs called `name`."""
    if name not in PRESETS:
        raise UsageError(f"costs is {name!r}; it must be one of {', '.join(PRESETS)}")
    return PRESETS[name]
