"""Small Sinara descriptions with tables of roles: a pair with a midpoint, one node; boards of all kinds."""

import json
from pathlib import Path
from typing import Any

DIO_IN = {"type": "dio", "ports": [0], "edge_counter": True, "bank_direction_low": "input",
          "bank_direction_high": "output"}  # fmt: skip
DIO_OUT = {"type": "dio", "ports": [1], "bank_direction_low": "output", "bank_direction_high": "output"}
URUKULS = [{"type": "urukul", "ports": [k, k + 1], "clk_sel": 2} for k in (2, 4)]
ZOTINO = {"type": "zotino", "ports": [6]}
NODE = [*URUKULS, ZOTINO, DIO_IN, DIO_OUT]


def description(variant: str, role: str, peripherals: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"target": "kasli", "variant": variant, "hw_rev": "v2.0", "base": "use_drtio_role", "drtio_role": role,
            "peripherals": peripherals} | more  # fmt: skip


def roles(first_urukul: int, zotino: int, first_ttl: int) -> str:
    """Return the roles of a node whose boards are numbered from these on; the inputs are the first four TTLs."""
    lights = ("cooling", "repump", "pumping", "excitation", "raman_a", "raman_b", "pushout")
    lines = [f'{role} = "urukul{first_urukul + k // 4}_ch{k % 4}"' for k, role in enumerate(lights)]
    lines += [f'{line} = "ttl{first_ttl + 8 + k}"' for k, line in enumerate(("mot_coil", "mw_switch", "shutter"))]
    return "\n".join([*lines, f'zotino = "zotino{zotino}"', f'fluorescence = "ttl{first_ttl}"']) + "\n"


def write(folder: Path, **files: Any) -> None:
    """Write files: a description as NAME.json, a text as NAME.toml."""
    for name, content in files.items():
        if isinstance(content, str):
            (folder / f"{name}.toml").write_text(content)
        else:
            (folder / f"{name}.json").write_text(json.dumps(content))


PAIR: dict[str, Any] = {
    "master": description("hub", "master", [DIO_IN], core_addr="10.0.0.9"),
    "north": description("north", "satellite", NODE),
    "south": description("south", "satellite", NODE),
    "roles": 'satellites = { 1 = "north.json", 2 = "south.json" }\n'
             f"[nodes.north]\n{roles(0, 0, 8)}[nodes.south]\n{roles(2, 1, 24)}"
             '[stations.hub]\ninputs = { a = ["north.port"], b = ["south.port"] }\nprobe = "ttl4"\n'
             'detectors = { c_h = "ttl0", c_v = "ttl1", d_h = "ttl2", d_v = "ttl3" }\n',
}  # fmt: skip
SOLO: dict[str, Any] = {"master": description("solo", "standalone", NODE, target="kasli_soc", hw_rev="v1.0"),
                        "roles": f"[nodes.solo]\n{roles(0, 0, 0)}"}  # fmt: skip
# Boards with their less usual arguments; for the rows only.
KINDS = description("kinds", "standalone", [
    {"type": "urukul", "ports": [0, 1], "clk_sel": 0, "synchronization": True, "pll_vco": 5},
    {"type": "urukul", "ports": [2], "dds": "ad9912", "pll_n": 10, "refclk": 100e6, "clk_sel": 1, "pll_en": 0},
    {"type": "sampler", "ports": [3], "hw_rev": "v2.1"}, {"type": "fastino", "ports": [4], "log2_width": 5},
    {"type": "grabber", "ports": [5]}, DIO_IN,
    {"type": "dio", "ports": [6], "bank_direction_low": "clkgen", "bank_direction_high": "input"}],
    rtio_frequency=100e6, hw_rev="v1.1")  # fmt: skip
