"""Rows of device_db from a Sinara system description: M-Labs' JSON form of a crate, one file a Kasli.

The rows are those that ARTIQ 8's `artiq_ddb_template` gives, by name, class, channel and argument: peripherals in the
order of the file take RTIO channels one after the other, those of a satellite from its destination << 16 on, and then
come the board's LEDs. Kinds of peripheral that the labs here have no use for are refused by name.
Source of the form: coredevice_generic.schema.json of ARTIQ 8.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from atomlink.errors import UsageError

Rows = dict[str, dict[str, Any]]
DIRECTIONS = {"input": "TTLInOut", "output": "TTLOut", "clkgen": "TTLClockGen"}
LEDS = {("kasli", "v1.0"): 4, ("kasli", "v1.1"): 6, ("kasli", "v2.0"): 3, ("kasli", "v2.1"): 3, ("kasli_soc", ""): 2}
SATELLITE_LEDS = {"v1.0": 1, "v1.1": 3}  # of these boards three show the state of DRTIO instead


def read(path: Path) -> dict[str, Any]:
    """Return a description; UsageError where it cannot be read, or is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {error}.") from None
    if not isinstance(found, dict) or not isinstance(found.get("peripherals"), list):
        raise UsageError(f"{path} has no list `peripherals`, but must be a Sinara system description.")
    if found.get("base", "use_drtio_role") != "use_drtio_role":
        found["drtio_role"] = found["base"]
    if found.get("target") not in ("kasli", "kasli_soc"):
        raise UsageError(f"{path}: target is {found.get('target')!r}, but must be kasli or kasli_soc.")
    return found


def cpu(description: Mapping[str, Any]) -> str:
    """Return the processor that ARTIQ compiles for."""
    if description["target"] == "kasli_soc":
        return "cortexa9"
    return "rv32ima" if description.get("hw_rev") in ("v1.0", "v1.1") else "rv32g"


def rows(primary: Mapping[str, Any], satellites: Mapping[int, Mapping[str, Any]]) -> Rows:
    """Return the rows of the peripherals of a system; `satellites` by DRTIO destination."""
    made = _Rows(primary)
    for destination, description in {0: primary, **satellites}.items():
        channels = itertools.count(destination << 16)
        if destination:
            made.add_switches(destination)
        for k, peripheral in enumerate(description["peripherals"]):
            kind = peripheral.get("type") if isinstance(peripheral, dict) else None
            maker = KINDS.get(kind or "")
            where = f"peripherals[{k}] of {description.get('variant', 'the description')}"
            if maker is None:
                raise UsageError(f"{where} has type {kind!r}, but must be one of {', '.join(KINDS)}: let "
                                 "artiq_ddb_template make the rows, and rename them by hand (docs/your-lab.md).")
            try:
                maker(made, peripheral, channels)
            except KeyError as error:
                raise UsageError(f"{where} ({kind}) lacks {error}: add it to the description.") from None
        for _ in range(_leds(description)):
            made.ttl(made.name("led"), next(channels))
    return made.rows


def _leds(description: Mapping[str, Any]) -> int:
    target, revision = description["target"], description.get("hw_rev", "")
    if description.get("drtio_role", "standalone") != "standalone" and revision in SATELLITE_LEDS:
        return SATELLITE_LEDS[revision] if target == "kasli" else LEDS["kasli_soc", ""]
    found = LEDS.get((target, revision if target == "kasli" else ""))
    if found is None:
        raise UsageError(f"hw_rev is {revision!r}, but must be v1.0, v1.1, v2.0 or v2.1.")
    return found


class _Rows:
    """The rows so far, and how many names of a kind have been given."""

    def __init__(self, primary: Mapping[str, Any]) -> None:
        self.rows: Rows = {}
        self.primary = primary
        self._given: Counter[str] = Counter()
        self.add_switches(0)

    def name(self, kind: str) -> str:
        """Return the next name of a kind: urukul0, urukul1, …"""
        self._given[kind] += 1
        return f"{kind}{self._given[kind] - 1}"

    def add(self, name: str, module: str, class_name: str, **arguments: Any) -> None:
        self.rows[name] = {"type": "local", "module": f"artiq.coredevice.{module}", "class": class_name,
                           "arguments": arguments}  # fmt: skip

    def ttl(self, name: str, channel: int, class_name: str = "TTLOut") -> None:
        self.add(name, "ttl", class_name, channel=channel)

    def spi(self, name: str, channel: int) -> None:
        self.add(name, "spi2", "SPIMaster", channel=channel)

    def add_switches(self, destination: int) -> None:
        """Add the I2C switches of a board, through which the EEPROMs of its Urukuls are read."""
        for k, address in enumerate((0xE0, 0xE2)):
            place = {"busno": destination << 16} if destination else {}
            self.add(f"i2c_switch{k}" + (f"_{destination}" if destination else ""), "i2c", "I2CSwitch",
                     address=address, **place)  # fmt: skip


def _dio(made: _Rows, peripheral: Mapping[str, Any], channels: Iterator[int]) -> None:
    classes = []
    for bank in ("low", "high"):
        direction = peripheral[f"bank_direction_{bank}"]
        if direction not in DIRECTIONS:
            raise UsageError(f"bank_direction_{bank} is {direction!r}, but must be one of {', '.join(DIRECTIONS)}.")
        classes += [DIRECTIONS[direction]] * 4
    names = [made.name("ttl") for _ in classes]
    for name, class_name in zip(names, classes, strict=True):
        made.ttl(name, next(channels), class_name)
    if peripheral.get("edge_counter", False):
        for name, class_name in zip(names, classes, strict=True):
            if class_name == "TTLInOut":
                made.add(f"{name}_counter", "edge_counter", "EdgeCounter", channel=next(channels))


def _urukul(made: _Rows, peripheral: Mapping[str, Any], channels: Iterator[int]) -> None:
    name, ports, synchronised = made.name("urukul"), peripheral["ports"], peripheral.get("synchronization", False)
    pll_en = peripheral.get("pll_en", 1)
    spi_channel = next(channels)
    destination = spi_channel >> 16
    board = f"_{destination}" if destination else ""
    made.add(f"eeprom_{name}", "kasli_i2c", "KasliEEPROM", port=f"EEM{ports[0]}", busno=destination << 16,
             sw0_device=f"i2c_switch0{board}", sw1_device=f"i2c_switch1{board}")  # fmt: skip
    made.spi(f"spi_{name}", spi_channel)
    if synchronised:
        made.add(f"ttl_{name}_sync", "ttl", "TTLClockGen", channel=next(channels), acc_width=4)
    made.ttl(f"ttl_{name}_io_update", next(channels))
    if len(ports) > 1:
        for i in range(4):
            made.ttl(f"ttl_{name}_sw{i}", next(channels))
    made.add(f"{name}_cpld", "urukul", "CPLD", spi_device=f"spi_{name}",
             sync_device=f"ttl_{name}_sync" if synchronised else None, io_update_device=f"ttl_{name}_io_update",
             refclk=peripheral.get("refclk", made.primary.get("rtio_frequency", 125e6)),
             clk_sel=peripheral.get("clk_sel", 0), clk_div=peripheral.get("clk_div", 0 if pll_en else 1))  # fmt: skip
    dds = peripheral.get("dds", "ad9910")
    if dds not in ("ad9910", "ad9912"):
        raise UsageError(f"dds of {name} is {dds!r}, but must be ad9910 or ad9912.")
    for i in range(4):
        more: dict[str, Any] = {"sw_device": f"ttl_{name}_sw{i}"} if len(ports) > 1 else {}
        if "pll_vco" in peripheral:
            more["pll_vco"] = peripheral["pll_vco"]
        if synchronised and dds == "ad9910":
            more |= dict.fromkeys(("sync_delay_seed", "io_update_delay"), f"eeprom_{name}:{64 + 4 * i}")
        made.add(f"{name}_ch{i}", dds, dds.upper(), pll_n=peripheral.get("pll_n", 32 if dds == "ad9910" else 8),
                 pll_en=pll_en, chip_select=4 + i, cpld_device=f"{name}_cpld", **more)  # fmt: skip


def _zotino(made: _Rows, peripheral: Mapping[str, Any], channels: Iterator[int]) -> None:
    name = made.name("zotino")
    made.spi(f"spi_{name}", next(channels))
    made.ttl(f"ttl_{name}_ldac", next(channels))
    made.ttl(f"ttl_{name}_clr", next(channels))
    made.add(name, "zotino", "Zotino", spi_device=f"spi_{name}", ldac_device=f"ttl_{name}_ldac",
             clr_device=f"ttl_{name}_clr")  # fmt: skip


def _sampler(made: _Rows, peripheral: Mapping[str, Any], channels: Iterator[int]) -> None:
    name = made.name("sampler")
    made.spi(f"spi_{name}_adc", next(channels))
    made.spi(f"spi_{name}_pgia", next(channels))
    made.ttl(f"ttl_{name}_cnv", next(channels))
    made.add(name, "sampler", "Sampler", spi_adc_device=f"spi_{name}_adc", spi_pgia_device=f"spi_{name}_pgia",
             cnv_device=f"ttl_{name}_cnv", hw_rev=peripheral.get("hw_rev", "v2.2"))  # fmt: skip


def _fastino(made: _Rows, peripheral: Mapping[str, Any], channels: Iterator[int]) -> None:
    made.add(made.name("fastino"), "fastino", "Fastino", channel=next(channels),
             log2_width=peripheral.get("log2_width", 0))  # fmt: skip


def _grabber(made: _Rows, peripheral: Mapping[str, Any], channels: Iterator[int]) -> None:
    made.add(made.name("grabber"), "grabber", "Grabber", channel_base=next(channels))
    next(channels)  # regions, then the gate


KINDS: dict[str, Callable[[_Rows, Mapping[str, Any], Iterator[int]], None]] = {
    "dio": _dio, "urukul": _urukul, "zotino": _zotino, "sampler": _sampler, "fastino": _fastino, "grabber": _grabber,
}  # fmt: skip
