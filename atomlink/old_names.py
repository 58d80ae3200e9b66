"""What parameters were called while a lab was alice, bob and the midpoint: `param.link.*` for what both shared.

Histories, datasets and results files from then are read under today's names.
"""

from __future__ import annotations

import re

NODES, STATION = ("alice", "bob"), "midpoint"
PAIR = f"{NODES[0]}-{NODES[1]}"
LINK = f"{PAIR}@{STATION}"
_TODAY = (
    (re.compile(r"param\.link\.t_photon_(\w+)_s$"), rf"param.\1.{STATION}.t_photon_s"),
    (re.compile(r"param\.link\.efficiency_(\w+)$"), rf"param.\1.{STATION}.efficiency"),
    (re.compile(r"param\.link\.phase_rad$"), f"param.{PAIR}.{STATION}.phase_rad"),
    (re.compile(r"param\.link\.(\w+)$"), rf"param.{STATION}.\1"),
)
_BEFORE = (
    (re.compile(rf"param\.(\w+)\.{STATION}\.t_photon_s$"), r"param.link.t_photon_\1_s"),
    (re.compile(rf"param\.(\w+)\.{STATION}\.efficiency$"), r"param.link.efficiency_\1"),
    (re.compile(rf"param\.{PAIR}\.{STATION}\.phase_rad$"), "param.link.phase_rad"),
    (re.compile(rf"param\.{STATION}\.(\w+)$"), r"param.link.\1"),
)


def today(name: str) -> str:
    """Return what a parameter is called today; a name in front of it, such as `lab.drifting.`, stays."""
    return _first(name, _TODAY)


def before(name: str) -> str:
    """Return what a parameter was called then, or its own name if that is the same."""
    return _first(name, _BEFORE)


def _first(name: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, replacement in rules:
        changed, found = pattern.subn(replacement, name)
        if found:
            return changed
    return name
