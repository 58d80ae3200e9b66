"""A Kasli with a satellite, an Urukul on each, whose SYNC delays are kept in the EEPROM of the card."""

device_db = {
    "core": {
        "type": "local",
        "module": "artiq.coredevice.core",
        "class": "Core",
        "arguments": {"host": "10.0.0.4", "ref_period": 1 / (8 * 125e6), "satellite_cpu_targets": {1: "rv32g"}},
    },
}


def local(module, class_name, **arguments):
    return {"type": "local", "module": f"artiq.coredevice.{module}", "class": class_name, "arguments": arguments}


for dest in range(2):
    suffix, base, busno = f"_{dest}" if dest else "", dest << 16, dest << 16
    for i, address in enumerate((0xE0, 0xE2)):
        device_db[f"i2c_switch{i}{suffix}"] = local("i2c", "I2CSwitch", address=address, busno=busno)
    for i in range(4):
        device_db[f"ttl{4 * dest + i}"] = local("ttl", "TTLOut", channel=base + i)
    name = f"urukul{dest}"
    device_db[f"eeprom_{name}"] = local(
        "kasli_i2c",
        "KasliEEPROM",
        port="EEM1" if dest == 0 else "EEM9",
        busno=busno,
        sw0_device=f"i2c_switch0{suffix}",
        sw1_device=f"i2c_switch1{suffix}",
    )
    device_db[f"spi_{name}"] = local("spi2", "SPIMaster", channel=base + 4)
    device_db[f"ttl_{name}_sync"] = local("ttl", "TTLClockGen", channel=base + 5, acc_width=4)
    device_db[f"ttl_{name}_io_update"] = local("ttl", "TTLOut", channel=base + 6)
    device_db[f"{name}_cpld"] = local(
        "urukul",
        "CPLD",
        spi_device=f"spi_{name}",
        sync_device=f"ttl_{name}_sync",
        io_update_device=f"ttl_{name}_io_update",
        refclk=125e6,
        clk_sel=2,
        clk_div=0,
    )
    for i in range(4):
        device_db[f"ttl_{name}_sw{i}"] = local("ttl", "TTLOut", channel=base + 7 + i)
        device_db[f"{name}_ch{i}"] = local(
            "ad9910",
            "AD9910",
            pll_n=32,
            pll_en=1,
            chip_select=4 + i,
            cpld_device=f"{name}_cpld",
            sw_device=f"ttl_{name}_sw{i}",
            sync_delay_seed=f"eeprom_{name}:{64 + 4 * i}",
            io_update_delay=f"eeprom_{name}:{64 + 4 * i}",
        )

from sim.target import apply  # noqa: E402

apply(device_db)
