"""A Kasli with TTLs, a Mirny and its Almazny, as ARTIQ's template writes them; no experiment needs the synthesiser."""

core_addr = "192.168.1.75"

device_db = {
    "core": {
        "type": "local",
        "module": "artiq.coredevice.core",
        "class": "Core",
        "arguments": {
            "host": core_addr,
            "ref_period": 1e-09,
            "analyzer_proxy": "core_analyzer",
            "target": "rv32g",
            "satellite_cpu_targets": {},
        },
    },
    "core_log": {
        "type": "controller",
        "host": "::1",
        "port": 1068,
        "command": "aqctl_corelog -p {port} --bind {bind} " + core_addr,
    },
    "core_cache": {"type": "local", "module": "artiq.coredevice.cache", "class": "CoreCache"},
    "core_dma": {"type": "local", "module": "artiq.coredevice.dma", "class": "CoreDMA"},
}
for i in range(8):
    device_db[f"ttl{i}"] = {
        "type": "local",
        "module": "artiq.coredevice.ttl",
        "class": "TTLInOut" if i < 4 else "TTLOut",
        "arguments": {"channel": i},
    }
device_db["spi_mirny0"] = {
    "type": "local",
    "module": "artiq.coredevice.spi2",
    "class": "SPIMaster",
    "arguments": {"channel": 0x000008},
}
for i in range(4):
    device_db[f"ttl_mirny0_sw{i}"] = {
        "type": "local",
        "module": "artiq.coredevice.ttl",
        "class": "TTLOut",
        "arguments": {"channel": 0x000009 + i},
    }
    device_db[f"mirny0_ch{i}"] = {
        "type": "local",
        "module": "artiq.coredevice.adf5356",
        "class": "ADF5356",
        "arguments": {"channel": i, "sw_device": f"ttl_mirny0_sw{i}", "cpld_device": "mirny0_cpld"},
    }
device_db["mirny0_cpld"] = {
    "type": "local",
    "module": "artiq.coredevice.mirny",
    "class": "Mirny",
    "arguments": {"spi_device": "spi_mirny0", "refclk": 125e6, "clk_sel": "mmcx"},
}
device_db["mirny0_almazny"] = {
    "type": "local",
    "module": "artiq.coredevice.almazny",
    "class": "AlmaznyLegacy",
    "arguments": {"host_mirny": "mirny0_cpld"},
}

from sim.target import apply  # noqa: E402

apply(device_db)
