"""A KC705 with NIST's clock and QC2 hardware: AD9914 behind one bus channel, an I2C expander, many aliases."""

device_db = {
    "core": {
        "type": "local",
        "module": "artiq.coredevice.core",
        "class": "Core",
        "arguments": {"host": "192.168.1.50", "ref_period": 1e-9, "analyzer_proxy": "core_analyzer"},
    },
    "core_cache": {"type": "local", "module": "artiq.coredevice.cache", "class": "CoreCache"},
    "core_dma": {"type": "local", "module": "artiq.coredevice.dma", "class": "CoreDMA"},
    "i2c_switch": {"type": "local", "module": "artiq.coredevice.i2c", "class": "I2CSwitch"},
    "tca6424a0": {
        "type": "local",
        "module": "artiq.coredevice.i2c",
        "class": "TCA6424A",
        "arguments": {"address": 0x44},
    },
    "ttl0": {
        "type": "local",
        "module": "artiq.coredevice.ttl",
        "class": "TTLOut",
        "arguments": {"channel": 0},
        "comment": "This is a comment, shown as tooltip.",
    },
    "ttl3": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLInOut", "arguments": {"channel": 3}},
    "led": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut", "arguments": {"channel": 19}},
    "ttl_clock": {
        "type": "local",
        "module": "artiq.coredevice.ttl",
        "class": "TTLClockGen",
        "arguments": {"channel": 21},
    },
    "ad9914dds0": {
        "type": "local",
        "module": "artiq.coredevice.ad9914",
        "class": "AD9914",
        "arguments": {"sysclk": 3e9, "bus_channel": 27, "channel": 0},
    },
    "ad9914dds1": {
        "type": "local",
        "module": "artiq.coredevice.ad9914",
        "class": "AD9914",
        "arguments": {"sysclk": 3e9, "bus_channel": 27, "channel": 1},
    },
    "ttl_out": "ttl0",
    "loop_out": "ttl_out",
    "pmt": "ttl3",
    "bd_dds": "ad9914dds0",
    "bd_sw": "ttl0",
}

from sim.target import apply  # noqa: E402

apply(device_db)
