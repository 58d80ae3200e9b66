"""What a lab's `device_db.py` talks to: the twin by default, the hardware when it is asked for.

`device_db.py` describes the hardware and ends in `sim.target.apply(device_db)`. In simulation `core` becomes the
simulated core and instruments are opened over their twins; the controllers that connect to the core device (its log,
MonInj, analyzer) are left out, so that nothing acts on the real one, or get the virtual core's address; ARTIQ's
devices that have no model get stand-ins, which refuse once they are used; every other row stays as the real lab has it.
ARTIQ's own commands have no flags for a scenario or a seed, so these reach the core through the environment.
"""

import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from atomlink.errors import UsageError

TARGETS = ("simulation", "virtual", "hardware")
COST_PRESETS = ("ideal", "kasli", "kasli_soc")
DEFAULTS = {
    "ATOMLINK_TARGET": "simulation",
    "ATOMLINK_SCENARIO": "default",
    "ATOMLINK_SEED": "1",
    "ATOMLINK_COSTS": "kasli_soc",
    "ATOMLINK_CORE": "127.0.0.1",
}
OPTIONS = {"ATOMLINK_SCENARIO": "--scenario", "ATOMLINK_SEED": "--seed", "ATOMLINK_COSTS": "--costs",
           "ATOMLINK_LAB": "--lab"}

# ARTIQ's controllers that connect to the core device by its address, by the names that the dashboard looks for.
CORE_CONTROLLERS = {
    "core_log": "aqctl_corelog",
    "core_moninj": "aqctl_moninj_proxy",
    "core_analyzer": "aqctl_coreanalyzer_proxy",
}


def apply(device_db: MutableMapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
    """Replace the `core` row by the simulated core, unless `ATOMLINK_TARGET` says `hardware`.

    With `virtual` it stays ARTIQ's, which compiles kernels, and gets the address of the virtual core, and so do its
    controllers.
    """
    environment = os.environ if environment is None else environment
    which = target(environment)
    if which == "hardware":
        return
    if which == "simulation":
        _refuse_core_tools(sys.argv)
    from sim.gateware.build import inert
    from sim.gateware.row import resolved

    lab = environment.get("ATOMLINK_LAB", "")
    core = _virtual_core(device_db, environment) if which == "virtual" else _simulated_core(device_db, environment, lab)
    real = str(device_db[resolved(device_db, "core")]["arguments"].get("host", ""))
    device_db.update(inert(device_db, resolved(device_db, "core")))
    _put_core(device_db, core)
    for name, instrument in device_db.items():
        if isinstance(instrument, Mapping) and {"driver", "device"} <= instrument.keys():
            if lab:
                device_db[name] = _at_a_lab(instrument)
            else:
                device_db[name] = _in_process(name, instrument) if which == "simulation" else _nowhere(name, instrument)
    if which == "virtual":
        _move_controllers(device_db, real, core["arguments"]["host"])
    else:
        _leave_out(device_db, [name for name, row in device_db.items() if _asks_the_core(name, row)])


def _simulated_core(device_db: Mapping[str, Any], environment: Mapping[str, str], lab: str) -> dict[str, Any]:
    """Return the row of the simulated core, which runs kernels on the host engine."""
    return {
        "type": "local",
        "module": "sim.rtio.core",
        "class": "Core",
        "arguments": {
            **_clock(device_db),
            **({"lab": lab, **of_lab(lab)} if lab else {"scenario": scenario(environment), "seed": seed(environment)}),
            "costs": costs(environment),
        },
    }


def _virtual_core(device_db: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the row of ARTIQ's own core device with the virtual core's address.

    `simulated`, which ARTIQ does not look at, says to which lab it belongs: what the core at that address answers.
    """
    from sim.gateware.row import resolved

    _clock(device_db)
    row = device_db[resolved(device_db, "core")]
    host = _value("ATOMLINK_CORE", environment)
    arguments = {**row["arguments"], "host": host}
    return {**row, "arguments": arguments, "simulated": of_core(environment)}


def _nowhere(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an instrument for which there is no lab: it refuses once it is used."""
    from sim.gateware.unmodelled import replaced

    return replaced(name, {"module": "instrument", "class": row["driver"]}, "beside the virtual core it needs a "
                    "lab: start `atomlink lab`, then `atomlink virtual-core --lab`, and set ATOMLINK_LAB")  # fmt: skip


def _clock(device_db: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the row of the core device says about its clock; `core` may be an alias."""
    from sim.gateware.row import resolved

    key = resolved(device_db, "core")
    row = device_db.get(key)
    if not isinstance(row, Mapping) or not isinstance(row.get("arguments"), Mapping):
        raise UsageError(f"device_db.py: row `{key}` is {row!r}, must be a dict with `arguments` (host, ref_period …), "
                         "or the name of such a row")
    stated = row["arguments"]
    return {"ref_period": stated.get("ref_period", 1e-9), "ref_multiplier": stated.get("ref_multiplier", 8)}


def _put_core(device_db: MutableMapping[str, Any], core: dict[str, Any]) -> None:
    """Make `core` the simulated core, and what it was an alias of an alias of it."""
    name: Any = "core"
    while isinstance(name, str):
        device_db[name], name = (core if name == "core" else "core"), device_db[name]


def _move_controllers(device_db: MutableMapping[str, Any], real: str, host: str) -> None:
    """Let the controllers of the core device at the address `real` ask the virtual core at `host` instead.

    Those that cannot be told so are left out. With `--no-localhost-bind` a proxy does not want the virtual core's port.
    """
    left = []
    for name, row in list(device_db.items()):
        if not _asks_the_core(name, row):
            continue
        words = str(row.get("command", "")).split(" ")
        if real in words:
            moved = [host if word == real else word for word in words]
            device_db[name] = {**row, "command": " ".join([*moved, "--no-localhost-bind"])}
        else:
            left.append(name)
    _leave_out(device_db, left)
    arguments = device_db["core"]["arguments"]
    if arguments.get("analyzer_proxy") not in device_db:
        arguments.pop("analyzer_proxy", None)


def _leave_out(device_db: MutableMapping[str, Any], names: Sequence[str]) -> None:
    """Take rows out, their aliases and the further targets of their controllers with them."""
    for name in names:
        del device_db[name]
    follow = [key for key, row in device_db.items()
              if (row.get("controller") if isinstance(row, Mapping) else row) in names]  # fmt: skip
    if follow:
        _leave_out(device_db, follow)


def _asks_the_core(name: str, row: Any) -> bool:
    """Say whether a row is a controller of the core device: beside the twin it would act on the real one."""
    if not isinstance(row, Mapping) or row.get("type") != "controller":
        return False
    command = str(row.get("command", ""))
    return name in CORE_CONTROLLERS or any(proxy in command for proxy in CORE_CONTROLLERS.values())


def _refuse_core_tools(argv: Sequence[str]) -> None:
    """Refuse ARTIQ's commands that ask the core device itself; the analyzer's may read a file instead."""
    tool = Path(argv[0] if argv else "").stem
    from_file = any(word.startswith(("-r", "--r")) for word in argv[1:])
    if tool == "artiq_coremgmt" or tool == "artiq_coreanalyzer" and not from_file:
        raise UsageError(
            f"{tool} asks the core device itself, and the lab is simulated: there is none; set ATOMLINK_TARGET=hardware"
            " to reach the real one"
        )


def without_controllers(device_db: MutableMapping[str, Any], environment: Mapping[str, str]) -> None:
    """Open the instruments of a kept lab over their own wires: `atomlink run` has no controller manager beside it."""
    lab = environment.get("ATOMLINK_LAB", "")
    if not lab or target(environment) != "simulation":
        return
    for name, row in device_db.items():
        if isinstance(row, Mapping) and {"driver", "device"} <= row.keys():
            arguments = {"name": name, "driver": row["driver"], "lab": lab}
            device_db[name] = {"type": "local", "module": "sim.daemon.in_lab", "class": "open_in_lab",
                               "arguments": arguments}  # fmt: skip


def _in_process(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an instrument that is opened over its twin in the experiment's own process."""
    arguments = {"name": name, "driver": row["driver"], "device": row["device"]}
    return {"type": "local", "module": "sim.instruments.in_process", "class": "open_row", "arguments": arguments}


def _at_a_lab(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of an instrument whose controller talks to a lab that `atomlink lab` keeps."""
    return {**row, "command": f"{row['command']} --simulation"}


def of_core(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return scenario, seed and costs of the virtual core."""
    from sim.virtual_core.identity import ask

    return ask(_value("ATOMLINK_CORE", environment))


def of_lab(address: str) -> dict[str, Any]:
    """Return scenario and seed of a lab that `atomlink lab` keeps; a run in it has no say in them."""
    from sim.daemon.remote import Connection

    with Connection(address) as connection:
        hello = connection.ask(op="hello")
    return {"scenario": hello["scenario"], "seed": hello["seed"]}


def target(environment: Mapping[str, str]) -> str:
    """Return `simulation`, `virtual` or `hardware`."""
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


def scenario_is_chosen(environment: Mapping[str, str]) -> bool:
    """Say whether the environment says in which lab to run: a scenario, a kept lab, the hardware."""
    return bool(environment.get("ATOMLINK_SCENARIO") or environment.get("ATOMLINK_LAB")) or (
        target(environment) != "simulation"
    )


def scenario_of(experiment: type) -> str | None:
    """Return the scenario in which an experiment runs where none is chosen, its class attribute `simulated_in`."""
    name: str | None = getattr(experiment, "simulated_in", None)
    if name is not None and name not in scenario_files():
        raise UsageError(
            f"{experiment.__name__}.simulated_in is {name!r}, must be one of {', '.join(scenario_files())}: correct it "
            "in the experiment's class"
        )
    return name


def scenario_files() -> dict[str, Path]:
    """Return the shipped scenarios by name."""
    return {path.stem: path for path in sorted((Path(__file__).parent / "scenarios").glob("*.toml"))}


def resolved(environment: Mapping[str, str], options: Mapping[str, str]) -> dict[str, str]:
    """Return what a command sets in the environment for a run: its options, checked, paths absolute."""
    merged = {**environment, **options}
    if target(merged) != "simulation":
        for name in options:
            raise UsageError(f"{OPTIONS[name]} is for a simulated lab, but ATOMLINK_TARGET is {target(merged)}: leave "
                             "it out")  # fmt: skip
        return {}
    if merged.get("ATOMLINK_LAB"):
        for name in options.keys() & {"ATOMLINK_SCENARIO", "ATOMLINK_SEED"}:
            raise UsageError(f"{OPTIONS[name]} cannot be chosen in the lab at {merged['ATOMLINK_LAB']}: leave it out, "
                             "or start `atomlink lab` with it")
        return {"ATOMLINK_LAB": merged["ATOMLINK_LAB"], "ATOMLINK_COSTS": costs(merged)}
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
