"""Which labs a service has, whom it trusts and what it takes at most: defaults, or a TOML file, checked."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from atomlink.errors import UsageError

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class LabConfig:
    """One lab: a core device, whose jobs are done one after the other."""

    name: str
    folder: Path                # has the lab's device_db.py
    scenario: str | None = None  # simulated lab; None: what the experiment or the environment says
    seed: int | None = None     # None: the number of the job
    costs: str | None = None
    lab: str | None = None      # host:port of a lab that `atomlink lab` keeps
    hardware: bool = False


@dataclass(frozen=True)
class Limits:
    """What the service takes at most."""

    body_bytes: int = 262_144
    requests_per_s: float = 200.0
    burst: int = 400
    queue_per_user: int = 1_000
    streams: int = 50            # open at a time
    streams_per_user: int = 10
    log_bytes: int = 1_000_000   # of a job's log that are sent: its end
    session_idle_s: float = 86_400.0


@dataclass(frozen=True)
class Bearer:
    """Tokens of an identity provider, beside the service's own: its public key, and what the claims are called."""

    public_key: Path
    audience: str
    issuer: str
    user_claim: str = "sub"
    scope_claim: str = "scope"


@dataclass(frozen=True)
class Config:
    """All that a service is told."""

    labs: tuple[LabConfig, ...]
    limits: Limits = Limits()
    bearer: Bearer | None = None
    munge: bool = False
    munge_admins: tuple[int, ...] = (0,)
    hosts: tuple[str, ...] = ()   # names under which it is reached beside the loopback's
    origin: Path = field(default=Path())


def load(path: Path | None, here: Path) -> Config:
    """Return the configuration in a file; without one a single simulated lab `default` in the folder `here`."""
    if path is None:
        return Config((LabConfig("default", here),))
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): name a TOML file with --config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML ({error}): correct it") from None
    return _config(path, table)


def _config(path: Path, table: Mapping[str, Any]) -> Config:
    _known(path, "the file", table, {"labs", "limits", "bearer", "munge", "hosts"})
    labs = tuple(_lab(path, name, each) for name, each in _table(path, "labs", table.get("labs", {})).items())
    munge = _table(path, "munge", table.get("munge", {}))
    _known(path, "[munge]", munge, {"admins"})
    bearer = None if "bearer" not in table else _filled(path, "bearer", Bearer, table["bearer"])
    return Config(
        labs or (LabConfig("default", path.parent.resolve()),),
        _filled(path, "limits", Limits, table.get("limits", {})),
        bearer,
        "munge" in table,
        tuple(munge.get("admins", (0,))),
        tuple(table.get("hosts", ())),
        path,
    )


def _lab(path: Path, name: str, table: Any) -> LabConfig:
    if not NAME.fullmatch(name):
        raise UsageError(f"{path}: a lab is called `{name}`, must be a letter, then letters, digits, - and _")
    where = f"labs.{name}"
    table = _table(path, where, table)
    folder = (path.parent / table.get("folder", ".")).resolve()
    lab: LabConfig = _filled(path, where, LabConfig, {**table, "name": name, "folder": str(folder)})
    if not (folder / "device_db.py").is_file():
        raise UsageError(f"{path}: [{where}] folder is {folder}, must have a device_db.py")
    return lab


def _filled(path: Path, where: str, kind: type, table: Any) -> Any:
    table = _table(path, where, table)
    known = {each.name: each for each in fields(kind)}
    _known(path, f"[{where}]", table, set(known))
    values = {}
    for key, value in table.items():
        wanted = str(known[key].type)
        right = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "Path": (str,)}
        names = [re.sub(r"<class '(.*\.)?(\w+)'>", r"\2", part.strip()) for part in wanted.split("|")]
        if not isinstance(value, tuple(t for n in names for t in right.get(n, ()))) or (
            isinstance(value, bool) and "bool" not in names
        ):
            raise UsageError(f"{path}: [{where}] {key} is {value!r}, must be {' or '.join(names)}")
        values[key] = path.parent / str(value) if "Path" in names else value
    try:
        return kind(**values)
    except TypeError as error:
        raise UsageError(f"{path}: [{where}] {str(error).partition('() ')[2]}") from None


def _table(path: Path, where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{path}: {where} is {value!r}, must be a table [{where}]")
    return value


def _known(path: Path, where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table.keys() - known:
        raise UsageError(f"{path}: {where} has the unknown key `{key}`, known are {', '.join(sorted(known))}")
