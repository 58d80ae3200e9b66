"""A lab with two core devices, controllers, drivers of its own, and an alias for nearly everything, `core` included."""

crates = {"kasli": "192.168.10.2", "kasli_spare": "192.168.10.3"}

device_db = {
    "core": "main_crate",
    "main_crate": "kasli",
    "moninj": "core_moninj",
    "core_moninj": {
        "type": "controller",
        "host": "::1",
        "port_proxy": 1383,
        "port": 1384,
        "command": "aqctl_moninj_proxy --port-proxy {port_proxy} --port-control {port} " + crates["kasli"],
    },
    "influx_schedule": {
        "type": "controller",
        "host": "::1",
        "port": 3275,
        "command": "artiq_influxdb_schedule --port-control {port} --bind {bind}",
    },
    "wavemeter": {
        "type": "controller",
        "host": "10.0.0.20",
        "port": 3253,
        "target_name": "wavemeter",
        "command": "aqctl_wavemeter -p {port} --bind {bind}",
    },
    "wavemeter_locks": {"type": "controller_aux_target", "controller": "wavemeter", "target_name": "locks"},
    "cooling_laser": {
        "type": "local",
        "module": "groups_own_drivers.laser",
        "class": "Laser",
        "arguments": {"channel": 3, "wavemeter": "wavemeter"},
    },
    "laser_780": "cooling_laser",
    "placeholder": {"type": "dummy"},
    "ttl_spare": {
        "type": "local",
        "module": "artiq.coredevice.ttl",
        "class": "TTLOut",
        "arguments": {"channel": 4, "core_device": "kasli_spare"},
    },
    "shutter_780": "ttl4",
    # The same line under another name, row for row.
    "shutter_mot": {"type": "local", "module": "artiq.coredevice.ttl", "class": "TTLOut", "arguments": {"channel": 4}},
}
for name, address in crates.items():
    device_db[name] = {
        "type": "local",
        "module": "artiq.coredevice.core",
        "class": "Core",
        "arguments": {"host": address, "ref_period": 1e-9},
    }
for i in range(8):
    device_db[f"ttl{i}"] = {
        "type": "local",
        "module": "artiq.coredevice.ttl",
        "class": "TTLOut",
        "arguments": {"channel": i},
    }

from sim.target import apply  # noqa: E402

apply(device_db)
