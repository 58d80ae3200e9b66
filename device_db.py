"""Devices of the lab in ARTIQ's format: a midpoint station (DRTIO master) and two nodes, alice and bob (satellites).

The tables NODES, PORTS, STATIONS, SWITCHES and MEMORIES say which lab it is; all rows follow from them. A simulated lab
with tables of its own (scenarios `chain3`, `star4`, `memory`) takes their place; the hardware's are these.

The rows are the hardware's. ATOMLINK_TARGET=hardware leaves them as they are; by default the last line puts the
simulated core in the place of `core` and opens the instruments over their twins; nothing else changes.
drivers/README.md says what each device, drivers/instruments/README.md what each instrument is for; the row `network`
says what is connected to what (atomlink/topology.py).
"""

from typing import Any

core_addr = "192.168.1.75"  # Kasli-SoC at the midpoint

NODES = {"alice": 0x010000, "bob": 0x020000}  # DRTIO destination 1 and 2, shifted as in RTIO channel numbers
PORTS: dict[str, tuple[str, ...]] = {}  # the photon ports of a node that has others than one called "port"
STATIONS: dict[str, dict[str, Any]] = {
    "midpoint": {
        "scheme": "polarisation",
        "inputs": {"a": ["alice.port"], "b": ["bob.port"]},
        "detectors": {"c_h": "snspd_c_h", "c_v": "snspd_c_v", "d_h": "snspd_d_h", "d_v": "snspd_d_v"},
        "entangler": "entangler",  # its inputs 0 … 3 are the detectors in this order
    },
}
SWITCHES: dict[str, dict[str, Any]] = {}
MEMORIES: dict[str, dict[str, Any]] = {}

from sim.own_lab import tables  # noqa: E402  (behind the tables, so that the file begins with them)

NODES, PORTS, STATIONS, SWITCHES, MEMORIES = TABLES = tables(NODES, PORTS, STATIONS, SWITCHES, MEMORIES)

SATELLITES = [*NODES.values(), *(table["base"] for table in MEMORIES.values())]
URUKUL_ROLES = (
    ("cooling", "repump", "pumping", "excitation"),
    ("raman_a", "raman_b", "pushout", "rydberg_420"),
    ("rydberg_1013", "transfer", "clock"),
)
# Of a port beyond its node's first.
PORT_URUKUL_ROLES = (("pumping", "repump", "excitation", "pushout"), ("raman_a", "raman_b"))

device_db: dict[str, dict[str, Any]] = {
    "core": {
        "type": "local",
        "module": "artiq.coredevice.core",
        "class": "Core",
        "arguments": {
            "host": core_addr,
            "ref_period": 1e-9,
            "ref_multiplier": 8,
            "analyzer_proxy": "core_analyzer",
            "target": "cortexa9",
            "satellite_cpu_targets": {base >> 16: "rv32g" for base in SATELLITES},
        },
    },
    "core_log": {
        "type": "controller",
        "host": "::1",
        "port": 1068,
        "command": "aqctl_corelog -p {port} --bind {bind} " + core_addr,
    },
    "core_moninj": {
        "type": "controller",
        "host": "::1",
        "port_proxy": 1383,
        "port": 1384,
        "command": "aqctl_moninj_proxy --port-proxy {port_proxy} --port-control {port} --bind {bind} " + core_addr,
    },
    "core_analyzer": {
        "type": "controller",
        "host": "::1",
        "port_proxy": 1385,
        "port": 1386,
        "command": "aqctl_coreanalyzer_proxy --port-proxy {port_proxy} --port-control {port} --bind {bind} "
        + core_addr,
    },
    "core_cache": {"type": "local", "module": "artiq.coredevice.cache", "class": "CoreCache"},
    "core_dma": {"type": "local", "module": "artiq.coredevice.dma", "class": "CoreDMA"},
}


def add(name: str, module: str, class_name: str, **arguments: Any) -> None:
    """Add one local device."""
    device_db[name] = {"type": "local", "module": module, "class": class_name, "arguments": arguments}


def add_ttl(name: str, channel: int, class_name: str = "TTLOut") -> None:
    """Add one TTL line."""
    add(name, "artiq.coredevice.ttl", class_name, channel=channel)


def add_counter(name: str, channel: int) -> None:
    """Add the edge counter of a TTL input; it has a channel of its own."""
    add(name, "artiq.coredevice.edge_counter", "EdgeCounter", channel=channel)


def add_urukul(node: str, k: int, channel: int, roles: tuple[str, ...], switch: str = "sw") -> None:
    """Add Urukul number `k` of a node, port or memory: SPI, IO_UPDATE, then its RF switches, from `channel` on.

    125 MHz from the Kasli over MMCX (clk_sel 2), divided by 4, times 32: a DDS clock of 1 GHz.
    """
    prefix = f"{node}_urukul{k}"
    add(f"{prefix}_spi", "artiq.coredevice.spi2", "SPIMaster", channel=channel)
    add_ttl(f"{prefix}_io_update", channel + 1)
    add(
        f"{prefix}_cpld", "artiq.coredevice.urukul", "CPLD",
        spi_device=f"{prefix}_spi", io_update_device=f"{prefix}_io_update", refclk=125e6, clk_sel=2,
    )  # fmt: skip
    for i, role in enumerate(roles):
        add_ttl(f"{node}_{switch}_{role}", channel + 2 + i)
        add(
            f"{node}_dds_{role}", "artiq.coredevice.ad9910", "AD9910",
            cpld_device=f"{prefix}_cpld", chip_select=4 + i, sw_device=f"{node}_{switch}_{role}", pll_n=32,
        )  # fmt: skip


def add_node(node: str, base: int) -> None:
    """Add everything that sits on one satellite."""
    for k, roles in enumerate(URUKUL_ROLES):
        add_urukul(node, k, base + 6 * k, roles)
    add(f"{node}_zotino_spi", "artiq.coredevice.spi2", "SPIMaster", channel=base + 18)
    add_ttl(f"{node}_zotino_ldac", base + 19)
    add_ttl(f"{node}_zotino_clr", base + 20)
    add(
        f"{node}_zotino", "artiq.coredevice.zotino", "Zotino",
        spi_device=f"{node}_zotino_spi", ldac_device=f"{node}_zotino_ldac", clr_device=f"{node}_zotino_clr",
    )  # fmt: skip
    for i, line in enumerate(("mot_coil", "mw_switch", "shutter", "awg_trigger", "camera_trigger")):
        add_ttl(f"{node}_{line}", base + 21 + i)
    add_ttl(f"{node}_fluorescence", base + 26, "TTLInOut")
    add_counter(f"{node}_fluorescence_counter", base + 27)
    add(f"{node}_grabber", "artiq.coredevice.grabber", "Grabber", channel_base=base + 28)  # takes two channels
    add_ttl(f"{node}_hiding", base + 30)
    for k, port in enumerate(PORTS.get(node, ())[1:]):
        add_port(f"{node}_{port}", base + 32 + 16 * k)


def add_port(port: str, base: int) -> None:
    """Add what a node's port beyond its first has of its own: light, and a counter. Its voltages are the Zotino's."""
    for k, roles in enumerate(PORT_URUKUL_ROLES):
        add_urukul(port, k, base + 6 * k, roles)
    add_ttl(f"{port}_fluorescence", base + 12, "TTLInOut")
    add_counter(f"{port}_fluorescence_counter", base + 13)


def add_memory(memory: str, base: int) -> None:
    """Add an ensemble memory: its control light, switched by a TTL of its own name, and its MOT."""
    add_urukul(memory, 0, base, ("control",), "ttl")
    add_ttl(f"{memory}_ttl_mot", base + 6)


def add_station(station: str, base: int) -> None:
    """Add the detectors, the heralding gateware, if any, and the calibration light of a station, on the master."""
    detectors = list(STATIONS[station]["detectors"].values())
    for i, detector in enumerate(detectors):
        add_ttl(detector, base + i, "TTLInOut")
        add_counter(f"{detector}_counter", base + 4 + i)
    if entangler := STATIONS[station].get("entangler"):
        add(entangler, "drivers.rtio.entangler", "Entangler", channel=base + 9, inputs=detectors, reference_output=1)
    add_ttl(f"{station}_probe", base + 10)


def add_instrument(name: str, kind: str, address: str, port: int) -> None:
    """Add one instrument that is not on RTIO: its driver, its address, and the port of its controller."""
    device_db[name] = {
        "type": "controller",
        "host": "::1",
        "port": port,
        "target_name": name,
        "command": f"aqctl_atomlink -p {{port}} --bind {{bind}} --driver {kind} --device {address} {name}",
        "driver": kind,
        "device": address,
    }


def add_instruments() -> None:
    """Add the instruments of every node and those that all share."""
    for i, node in enumerate(NODES):
        net, base = f"192.168.1.{80 + 10 * i}", 3300 + 10 * i + (10 if i > 1 else 0)  # 3320 … are shared
        add_instrument(f"{node}_laser", "dlc_pro", f"{net}:1998", base)
        add_instrument(f"{node}_microwave", "microwave", f"TCPIP::192.168.1.{81 + 10 * i}::5025::SOCKET", base + 1)
        add_instrument(f"{node}_power_meter", "pm100d", f"USB0::0x1313::0x8078::P{12345 + i:07d}::INSTR", base + 2)
        mac = f"80-34-28-00-00-{1 + i:02x}"
        add_instrument(f"{node}_cavity_lock", "stabilizer", f"192.168.1.70:1883/dt/sinara/dual-iir/{mac}", base + 3)
        add_instrument(f"{node}_awg", "spectrum_awg", f"/dev/spcm{2 * i},/dev/spcm{2 * i + 1}", base + 4)
        add_instrument(f"{node}_camera", "camera", f"dcam:{i}", base + 5)
        add_instrument(f"{node}_piezo", "mdt693b", f"ASRL/dev/ttyUSB{i}::INSTR", base + 6)
    add_instrument("wavemeter", "wavemeter", "192.168.1.71:1234", 3320)
    add_instrument("fibre_switch", "polatis", "TCPIP::192.168.1.72::5025::SOCKET", 3321)
    add_instrument("snspd_electronics", "websq", "192.168.1.73:12000", 3322)
    add_instrument("tagger", "id900", "192.168.1.74:5555", 3323)


def add_port_instruments() -> None:
    """Add what a port beyond a node's first has of its own; the laser is the node's."""
    ports = [f"{node}_{port}" for node in NODES for port in PORTS.get(node, ())[1:]]
    for i, port in enumerate(ports):
        base = 3500 + 3 * i
        add_instrument(f"{port}_power_meter", "pm100d", f"USB0::0x1313::0x8078::P{12395 + i:07d}::INSTR", base)
        mac = f"80-34-28-00-01-{1 + i:02x}"
        add_instrument(f"{port}_cavity_lock", "stabilizer", f"192.168.1.70:1883/dt/sinara/dual-iir/{mac}", base + 1)
        add_instrument(f"{port}_piezo", "mdt693b", f"ASRL/dev/ttyUSB{50 + i}::INSTR", base + 2)


def add_network() -> None:
    """Say what is connected to what, as the tables above have it."""
    add("network", "drivers.network", "Network", **TABLES.network())


for number, station_name in enumerate(STATIONS):
    add_station(station_name, 16 * number)
add_ttl("port_switch", 8)
add_network()
add_instruments()
add_port_instruments()
for node_name, node_base in NODES.items():
    add_node(node_name, node_base)

for memory_name, memory_table in MEMORIES.items():
    add_memory(memory_name, memory_table["base"])

from sim.target import apply  # noqa: E402  (last, so that the file reads as the hardware's)

apply(device_db)
