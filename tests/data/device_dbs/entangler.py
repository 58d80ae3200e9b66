"""Two Kaslis with another group's entangler: a driver of the lab's own at an RTIO channel, which is not installed."""

device_db = {
    "core": {
        "type": "local",
        "module": "artiq.coredevice.core",
        "class": "Core",
        "arguments": {"host": "192.168.1.70", "ref_period": 1e-9},
    },
    # A name of before ARTIQ 7: installed nowhere today.
    "i2c_switch0": {
        "type": "local",
        "module": "artiq.coredevice.i2c",
        "class": "PCA9548",
        "arguments": {"address": 0xE0},
    },
    "i2c_switch1": {
        "type": "local",
        "module": "artiq.coredevice.i2c",
        "class": "PCA9548",
        "arguments": {"address": 0xE2},
    },
    "eeprom_urukul0": {
        "type": "local",
        "module": "artiq.coredevice.kasli_i2c",
        "class": "KasliEEPROM",
        "arguments": {"port": "EEM1"},
    },
    "entangler": {
        "type": "local",
        "module": "other_groups_entangler.driver",
        "class": "Entangler",
        "arguments": {"channel": 0x20, "is_master": True, "use_reference": True},
    },
}
for i in range(16):
    device_db[f"ttl{i}"] = {
        "type": "local",
        "module": "artiq.coredevice.ttl",
        "class": "TTLInOut" if i < 8 else "TTLOut",
        "arguments": {"channel": i},
    }
    # One counter too many: the last eight sit where the outputs are.
    device_db[f"ttl{i}_counter"] = {
        "type": "local",
        "module": "artiq.coredevice.edge_counter",
        "class": "EdgeCounter",
        "arguments": {"channel": i + 8 if i >= 8 else i + 0x30},
    }

from sim.target import apply  # noqa: E402

apply(device_db)
