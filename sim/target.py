"""What a lab's `device_db.py` talks to: the twin by default, the hardware when it is asked for.

`device_db.py` describes the hardware and ends in `sim.target.apply(device_db)`. In simulation exactly one row changes,
`core`; every other row stays as the real lab has it. ARTIQ's own commands have no flags for a scenario or a seed, so
these reach the core through the environment.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from atomlink.errors import UsageError

TARGETS = ("simulation", "hardware")
COST_PRESETS = ("ideal", "kasli", "kasli_soc")
DEFAULTS = {
    "ATOMLINK_TARGET": "simulation",
    "ATOMLINK_SCENARIO": "default",
    "ATOMLINK_SEED": "1",
    "ATOMLINK_COSTS": "kasli_soc",
}
OPTIONS = {"ATOMLINK_SCENARIO": "--scenario", "ATOMLINK_SEED": "--seed", "ATOMLINK_COSTS": "--costs"}


def apply(device_db: MutableMapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
    """Replace the `core` row by the simulated core, unless `ATOMLINK_TARGET` says `hardware`."""
    environment = os.environ if environment is None else environment
    if target(environment) == "hardware":
        return
    row = device_db.get("core")
    if not isinstance(row, Mapping) or "arguments" not in row:
        raise UsageError(f"device_db.py: row `core` is {row!r}, must be a dict with `arguments` (host, ref_period …)")
    stated = row["arguments"]
    device_db["core"] = {
        "type": "local",
        "module": "sim.rtio.core",
        "class": "Core",
        "arguments": {
            "ref_period": stated.get("ref_period", 1e-9),
            "ref_multiplier": stated.get("ref_multiplier", 8),
            "scenario": scenario(environment),
            "seed": seed(environment),
            "costs": costs(environment),
        },
    }


def target(environment: Mapping[str, str]) -> str:
    """Return `simulation` or `hardware`."""
    return _one_of("ATOMLINK_TARGET", environment, TARGETS)


def costs(environment: Mapping[str, str]) -> str:
    """Return the name of the preset of RTIO costs."""
    return _one_of("ATOMLINK_COSTS", environment, COST_PRESETS)


def seed(environment: Mapping[str, str]) -> int:
    """Return the seed of the simulated lab, an integer >= 0."""
    text = _value("ATOMLINK_SEED", environment)
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"seed is {text!r}, must be an integer >= 0 ({_where('ATOMLINK_SEED')})")
    return int(text)


def scenario(environment: Mapping[str, str]) -> str:
    """Return the name of a shipped scenario, or the absolute path of a scenario file."""
    name = _value("ATOMLINK_SCENARIO", environment)
    known = scenario_files()
    if name in known:
        return name
    if Path(name).is_file():
        return str(Path(name).resolve())
    from sim.suggest import closest

    allowed = f"must be one of {', '.join(known)}, or the path of a TOML file"
    raise UsageError(f"unknown scenario `{name}`{closest(name, known)}: {allowed}")


def scenario_files() -> dict[str, Path]:
    """Return the shipped scenarios by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "scenarios").glob("*.toml"))}


def resolved(environment: Mapping[str, str], options: Mapping[str, str]) -> dict[str, str]:
    """Return what a command sets in the environment for a run: its options, checked, paths absolute."""
    merged = {**environment, **options}
    if target(merged) == "hardware":
        for name in options:
            raise UsageError(f"{OPTIONS[name]} is for a simulated lab, but ATOMLINK_TARGET is hardware: leave it out")
        return {}
    return {"ATOMLINK_SCENARIO": scenario(merged), "ATOMLINK_SEED": str(seed(merged)), "ATOMLINK_COSTS": costs(merged)}


def _value(name: str, environment: Mapping[str, str]) -> str:
    return environment.get(name) or DEFAULTS[name]


def _where(name: str) -> str:
    return f"{OPTIONS[name]} or {name}" if name in OPTIONS else name


def _one_of(name: str, environment: Mapping[str, str], allowed: tuple[str, ...]) -> str:
    value = _value(name, environment)
    if value not in allowed:
        what = name.removeprefix("ATOMLINK_").lower()
        raise UsageError(f"{what} is {value!r}, must be one of: {', '.join(allowed)} ({_where(name)})")
    return value
