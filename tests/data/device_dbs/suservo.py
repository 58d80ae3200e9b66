"""A Kasli with an SU-Servo: a Sampler and an Urukul that a loop in gateware binds together, all DDS by one row."""

device_db = {
    "core": {
        "type": "local",
        "module": "artiq.coredevice.core",
        "class": "Core",
        "arguments": {"host": "kasli-1.lab.example.org", "ref_period": 1e-9, "target": "rv32ima"},
    },
}
device_db.update(
    {
        f"ttl{i}": {
            "type": "local",
            "module": "artiq.coredevice.ttl",
            "class": "TTLInOut" if i < 4 else "TTLOut",
            "arguments": {"channel": i},
        }
        for i in range(8)
    }
)
device_db.update(
    {
        f"suservo0_ch{i}": {
            "type": "local",
            "module": "artiq.coredevice.suservo",
            "class": "Channel",
            "arguments": {"channel": 16 + i, "servo_device": "suservo0"},
        }
        for i in range(4)
    }
)
device_db["suservo0"] = {
    "type": "local",
    "module": "artiq.coredevice.suservo",
    "class": "SUServo",
    "arguments": {
        "channel": 24,
        "pgia_device": "spi_sampler0_pgia",
        "cpld_devices": ["urukul0_cpld"],
        "dds_devices": ["urukul0_dds"],
    },
}
device_db["spi_sampler0_pgia"] = {
    "type": "local",
    "module": "artiq.coredevice.spi2",
    "class": "SPIMaster",
    "arguments": {"channel": 25},
}
device_db["spi_urukul0"] = {
    "type": "local",
    "module": "artiq.coredevice.spi2",
    "class": "SPIMaster",
    "arguments": {"channel": 26},
}
device_db["urukul0_cpld"] = {
    "type": "local",
    "module": "artiq.coredevice.urukul",
    "class": "CPLD",
    "arguments": {"spi_device": "spi_urukul0", "refclk": 100e6, "clk_sel": 0},
}
device_db["urukul0_dds"] = {
    "type": "local",
    "module": "artiq.coredevice.ad9910",
    "class": "AD9910",
    "arguments": {"pll_n": 40, "chip_select": 3, "cpld_device": "urukul0_cpld"},
}

from sim.target import apply  # noqa: E402

apply(device_db)
