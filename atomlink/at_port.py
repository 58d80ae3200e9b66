"""What belongs to the atom at a port: its rows of device_db and its beliefs.

An atom is called as its node where it is at the node's first port, "charlie", and by its port beyond: "charlie.east".
A port has light of its own (`PORT_ROLES`), its cavity, its fibre and its counter; cooling light with its repump light,
microwave, field and trap are the node's, whichever atom asks. So the first port keeps the names of a node of one port:

    row("charlie", "dds_excitation")           charlie_dds_excitation
    row("charlie.east", "dds_excitation")      charlie_east_dds_excitation
    row("charlie.east", "mw_switch")           charlie_mw_switch
    belief("charlie.east", "a_excitation")     param.charlie.east.a_excitation
    belief("charlie.east", "f_larmor_hz")      param.charlie.f_larmor_hz
"""

from __future__ import annotations

# Light that each port has of its own. The first port's repump light goes with cooling light, too, and is everywhere.
PORT_ROLES = ("pumping", "repump", "excitation", "raman_a", "raman_b", "pushout")
# Rows of device_db, besides those of its light, and beliefs, besides those of its light, that each port has of its own.
_ROWS = ("fluorescence", "fluorescence_counter", "power_meter", "cavity_lock", "piezo")
_BELIEFS = ("t_raman_pi_s", "t_pump_s", "t_excitation_s", "image_threshold", "t_pushout_s", "v_piezo_v",
            "cavity_hz_per_v", "f_kappa_hz", "v_paddle_turn_v", "v_paddle_phase_v", "turn_rad_per_v",
            "phase_rad_per_v", "p_excitation_w", "port_row", "port_column", "v_transmitted_v", "p_pumped",
            "p_pushout_f1", "t_wavepacket_s", "transfer_rate")  # fmt: skip

_FIRST_DAC = 4  # channel of the node's Zotino


def dac_channels(number: int) -> tuple[int, int, int]:
    """Return the channels of the node's Zotino that serve its port of this number, from 0: piezo, rotator, retarder."""
    piezo = _FIRST_DAC + 3 * number
    return piezo, piezo + 1, piezo + 2


def node_of(atom: str) -> str:
    """Return the node that an atom is at."""
    return atom.partition(".")[0]


def row(atom: str, name: str) -> str:
    """Return the row of device_db of this name that acts on an atom: its port's own, or its node's."""
    own = name in _ROWS or name.removeprefix("dds_").removeprefix("sw_") in PORT_ROLES
    return f"{atom.replace('.', '_') if own else node_of(atom)}_{name}"


def belief(atom: str, key: str) -> str:
    """Return the name of the parameter that holds for an atom: its port's own, or its node's."""
    return f"param.{atom if is_of_a_port(key) else node_of(atom)}.{key}"


def is_of_a_port(key: str) -> bool:
    """Say whether a belief (the last part of its name) is one that each port has of its own."""
    return key in _BELIEFS or any(key in (f"f_{role}_hz", f"a_{role}", f"att_{role}_db") for role in PORT_ROLES)
