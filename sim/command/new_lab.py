"""`atomlink new-lab SYSTEM.json ROLES.toml`: a device_db.py out of a Sinara system description and a table of roles.

    satellites = { 1 = "north.json" }           descriptions of the satellites by DRTIO destination, beside this file

    [nodes.north]                               what of the boards is what, by the names that artiq_ddb_template gives
    cooling = "urukul0_ch0"                     light: cooling, repump, pumping, excitation on one Urukul; raman_a,
    zotino = "zotino0"                          raman_b, pushout on another
    mot_coil = "ttl8"                           TTL lines: mot_coil, mw_switch, shutter; and fluorescence, an input
    ports = ["port"]                            may be left out

    [stations.midpoint]                         as in the row `network` (atomlink/topology.py), but for the detectors'
    inputs = { a = ["north.port"], b = [] }     rows: TTL inputs with an edge counter, by role
    detectors = { c_h = "ttl0", c_v = "ttl1" }
    probe = "ttl4"                              calibration light on the detectors, may be left out

A row gets the name that drivers and twin look for ("north_dds_cooling", "midpoint_c_h"); the others keep theirs.
"""

from __future__ import annotations

import pprint
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from atomlink.errors import UsageError
from atomlink.files import replacing
from atomlink.from_tables import read_toml
from atomlink.topology import Topology
from sim.command import sinara

BOARDS = (("cooling", "repump", "pumping", "excitation"), ("raman_a", "raman_b", "pushout", "rydberg_420"),
          ("rydberg_1013", "transfer", "clock"))  # fmt: skip
LINES = ("mot_coil", "mw_switch", "shutter", "awg_trigger", "camera_trigger", "hiding")
OPTIONAL = ("rydberg_420", "rydberg_1013", "transfer", "clock", "awg_trigger", "camera_trigger", "hiding", "grabber")
CLASSES = {"zotino": "Zotino", "grabber": "Grabber", "fluorescence": "TTLInOut"}
ROLES = (*(role for board in BOARDS for role in board), *LINES, *CLASSES)
CONTROLLERS = {
    "core_log": {"port": 1068, "command": "aqctl_corelog -p {port} --bind {bind} "},
    "core_moninj": {"port_proxy": 1383, "port": 1384,
                    "command": "aqctl_moninj_proxy --port-proxy {port_proxy} --port-control {port} --bind {bind} "},
    "core_analyzer": {"port_proxy": 1385, "port": 1386, "command":
                      "aqctl_coreanalyzer_proxy --port-proxy {port_proxy} --port-control {port} --bind {bind} "},
}  # fmt: skip


def new_lab(system: Path, roles: Path, out: Path) -> list[str]:
    """Write `out`, a device_db.py, and return the lines to print; what is there already is not written over."""
    if out.exists():
        raise UsageError(f"{out} is there already: name another file with --out, or move it away.")
    device_db = rows(system, roles)
    text = (f'"""Devices of this lab, by `atomlink new-lab` from {system.name} and {roles.name}; yours to edit."""\n'
            f"\ndevice_db = {pprint.pformat(device_db, width=116, sort_dicts=False)}\n\n"
            "from sim.target import apply  # noqa: E402  (last, so that the file reads as the hardware's)\n\n"
            "apply(device_db)\n")  # fmt: skip
    with replacing(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    topology = Topology.from_device_db(device_db)
    links = ", ".join(link.name for link in topology.links) or "none"
    return [f"{out}: {len(device_db)} rows; nodes {', '.join(topology.node_names)}; links {links}"]


def rows(system: Path, roles: Path) -> dict[str, Any]:
    """Return the rows of the lab; UsageError names the role, the row and the remedy."""
    table = read_toml(roles)
    _known(table, ("satellites", "nodes", "stations", "switches"), str(roles))
    primary = sinara.read(system)
    satellites = {_destination(key): sinara.read(roles.parent / file)
                  for key, file in table.get("satellites", {}).items()}  # fmt: skip
    boards = sinara.rows(primary, satellites)
    names: dict[str, str] = {}
    for old, new, where in _renamed(table, boards):
        if old in names:
            raise UsageError(f"{where} is {old!r}, which is {names[old]} already: a row has one role.")
        names[old] = new
    network = _network(table)
    Topology.from_arguments(network)
    core = _core(primary, {destination: sinara.cpu(found) for destination, found in satellites.items()})
    return {**core, **{names.get(name, name): _named(row, names) for name, row in boards.items()},
            "network": {"type": "local", "module": "drivers.network", "class": "Network", "arguments": network}}


def _destination(key: str) -> int:
    if not key.isdecimal() or not 0 < int(key) < 256:
        raise UsageError(f"satellites.{key} must be a DRTIO destination, 1 … 255.")
    return int(key)


def _known(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(f"{where}: {key} does not exist; it must be one of {', '.join(known)}.")


def _renamed(table: Mapping[str, Any], boards: sinara.Rows) -> Iterator[tuple[str, str, str]]:
    """Yield (name by the boards, name by its role, where the roles say so)."""
    for node, roles in table.get("nodes", {}).items():
        _known(roles, (*ROLES, "ports"), f"nodes.{node}")
        missing = [role for role in ROLES if role not in roles and role not in OPTIONAL]
        if missing:
            raise UsageError(f"nodes.{node} lacks {', '.join(missing)}: name a row for each.")
        for k, board in enumerate(BOARDS):
            yield from _lights(f"nodes.{node}", node, k, {r: roles[r] for r in board if r in roles}, boards)
        for role in (*LINES, *CLASSES):
            if role in roles:
                yield from _line(f"nodes.{node}.{role}", roles[role], f"{node}_{role}", CLASSES.get(role, "TTLOut"),
                                 boards, role == "fluorescence")  # fmt: skip
    for station, spec in table.get("stations", {}).items():
        for role, row in spec.get("detectors", {}).items():
            yield from _line(f"stations.{station}.detectors.{role}", row, f"{station}_{role}", "TTLInOut", boards, True)
        if "probe" in spec:
            yield from _line(f"stations.{station}.probe", spec["probe"], f"{station}_probe", "TTLOut", boards, False)


def _lights(where: str, node: str, k: int, lights: Mapping[str, str],
            boards: sinara.Rows) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    cplds: dict[str, str] = {}
    for role, row in lights.items():
        dds = _row(f"{where}.{role}", row, "AD9910", boards)["arguments"]
        if "sw_device" not in dds:
            raise UsageError(f"{where}.{role} is {row!r}, whose Urukul has one EEM port and so no RF switches: connect "
                             "both, and say so in `ports` of its peripheral.")  # fmt: skip
        cplds.setdefault(dds["cpld_device"], role)
        yield row, f"{node}_dds_{role}", f"{where}.{role}"
        yield dds["sw_device"], f"{node}_sw_{role}", f"{where}.{role}"
    if len(cplds) > 1:
        (first, one), (second, other) = list(cplds.items())[:2]
        raise UsageError(f"{where}: {one} is on {first}, {other} on {second}, but {', '.join(lights)} must be on one "
                         "Urukul: it is initialised as one board.")  # fmt: skip
    for cpld in cplds:
        yield cpld, f"{node}_urukul{k}_cpld", where


def _line(where: str, row: str, name: str, class_name: str, boards: sinara.Rows,
          counted: bool) -> Iterator[tuple[str, str, str]]:  # fmt: skip
    _row(where, row, class_name, boards)
    yield row, name, where
    if counted:
        if f"{row}_counter" not in boards:
            raise UsageError(f"{where} is {row!r}, which has no edge counter: set edge_counter of its dio, and have "
                             "its gateware built so.")  # fmt: skip
        yield f"{row}_counter", f"{name}_counter", where


def _row(where: str, row: str, class_name: str, boards: sinara.Rows) -> dict[str, Any]:
    fitting = [name for name, other in boards.items() if other["class"] == class_name]
    if row not in boards:
        raise UsageError(f"{where} is {row!r}, which no board has; it must be one of {', '.join(fitting) or '(none)'}.")
    if boards[row]["class"] != class_name:
        raise UsageError(f"{where} is {row!r}, a {boards[row]['class']}, but must be a {class_name}: one of "
                         f"{', '.join(fitting) or '(none)'}.")  # fmt: skip
    return boards[row]


def _named(row: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    arguments = {key: names.get(value, value) if isinstance(value, str) else value
                 for key, value in row["arguments"].items()}  # fmt: skip
    return {**row, "arguments": arguments}


def _network(table: Mapping[str, Any]) -> dict[str, Any]:
    nodes = {node: {"ports": list(roles.get("ports", ["port"]))} for node, roles in table.get("nodes", {}).items()}
    stations = {}
    for station, spec in table.get("stations", {}).items():
        detectors = {role: f"{station}_{role}" for role in spec.get("detectors", {})}
        stations[station] = {**{key: spec[key] for key in spec if key != "probe"}, "detectors": detectors}
    return {"nodes": nodes, "stations": stations, "switches": dict(table.get("switches", {}))}


def _core(primary: Mapping[str, Any], cpus: Mapping[int, str]) -> dict[str, Any]:
    address = primary.get("core_addr", "192.168.1.70")
    core = {"host": address, "ref_period": 1 / (8 * primary.get("rtio_frequency", 125e6)), "ref_multiplier": 8,
            "analyzer_proxy": "core_analyzer", "target": sinara.cpu(primary),
            "satellite_cpu_targets": dict(cpus)}  # fmt: skip
    return {
        "core": {"type": "local", "module": "artiq.coredevice.core", "class": "Core", "arguments": core},
        **{name: {"type": "controller", "host": "::1", **row, "command": f"{row['command']}{address}"}
           for name, row in CONTROLLERS.items()},
        "core_cache": {"type": "local", "module": "artiq.coredevice.cache", "class": "CoreCache"},
        "core_dma": {"type": "local", "module": "artiq.coredevice.dma", "class": "CoreDMA"},
    }  # fmt: skip
