"""What ARTIQ's template writes for a Kasli with the cards that the twin has no model of, and those that it has."""

core_addr = "192.168.1.73"

device_db = {
    "core": {
        "type": "local",
        "module": "artiq.coredevice.core",
        "class": "Core",
        "arguments": {"host": core_addr, "ref_period": 1e-09, "target": "rv32g", "satellite_cpu_targets": {}},
    },
    "core_moninj": {
        "type": "controller",
        "host": "::1",
        "port_proxy": 1383,
        "port": 1384,
        "command": "aqctl_moninj_proxy --port-proxy {port_proxy} --port-control {port} --bind {bind} " + core_addr,
    },
}


def local(module, class_name, **arguments):
    return {"type": "local", "module": f"artiq.coredevice.{module}", "class": class_name, "arguments": arguments}


for i in range(8):
    device_db[f"ttl{i}"] = local("ttl", "TTLInOut" if i < 4 else "TTLOut", channel=i)
for i in range(4):
    device_db[f"ttl{i}_counter"] = local("edge_counter", "EdgeCounter", channel=8 + i)
device_db["grabber0"] = local("grabber", "Grabber", channel_base=0x00000C)
device_db["fastino0"] = local("fastino", "Fastino", channel=0x00000E, log2_width=0)
device_db["phaser0"] = local("phaser", "Phaser", channel_base=0x00000F, miso_delay=1, gw_rev=1)
device_db["spi_novogorny0_adc"] = local("spi2", "SPIMaster", channel=0x000014)
device_db["ttl_novogorny0_cnv"] = local("ttl", "TTLOut", channel=0x000015)
device_db["novogorny0"] = local(
    "novogorny", "Novogorny", spi_adc_device="spi_novogorny0_adc", cnv_device="ttl_novogorny0_cnv"
)
device_db["spi_zotino0"] = local("spi2", "SPIMaster", channel=0x000016)
device_db["ttl_zotino0_ldac"] = local("ttl", "TTLOut", channel=0x000017)
device_db["ttl_zotino0_clr"] = local("ttl", "TTLOut", channel=0x000018)
device_db["zotino0"] = local(
    "zotino", "Zotino", spi_device="spi_zotino0", ldac_device="ttl_zotino0_ldac", clr_device="ttl_zotino0_clr"
)
device_db["led0"] = local("ttl", "TTLOut", channel=0x000019)

# DEST#4 peripherals
device_db["core"]["arguments"]["satellite_cpu_targets"][4] = "rv32g"
device_db["shuttler0_config"] = local("shuttler", "Config", channel=0x040002)
device_db["shuttler0_trigger"] = local("shuttler", "Trigger", channel=0x040003)
for i in range(2):
    device_db[f"shuttler0_dcbias{i}"] = local("shuttler", "DCBias", channel=0x040004 + 2 * i)
    device_db[f"shuttler0_dds{i}"] = local("shuttler", "DDS", channel=0x040005 + 2 * i)
device_db["shuttler0_spi0"] = local("spi2", "SPIMaster", channel=0x040024)
device_db["shuttler0_relay"] = local("shuttler", "Relay", spi_device="shuttler0_spi0")

from sim.target import apply  # noqa: E402

apply(device_db)
