"""Which labs a service has, whom it trusts and what it takes at most: defaults, or a TOML file, checked."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from atomlink.errors import UsageError, brief
from atomlink.from_tables import Builder, read_toml
from sim import target

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:]+:[0-9A-Fa-f:.]*")  # a name, IPv4 or IPv6
ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})")
SEEN = ("nothing", "lab", "all")  # without a token
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_BUILD = Builder(UsageError).build


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

    def __post_init__(self) -> None:
        """Refuse what a lab cannot be."""
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise UsageError(f"seed is {self.seed}, must be 0 to 2^63 - 1")
        if self.costs is not None and self.costs not in target.COST_PRESETS:
            raise UsageError(f"costs is {brief(self.costs)}, must be one of {', '.join(target.COST_PRESETS)}")
        found = ADDRESS.fullmatch("localhost:1" if self.lab is None else self.lab)
        if found is None or not 0 < int(found["port"]) < 65536:
            raise UsageError(f"lab is {brief(self.lab)}, must be HOST:PORT such as 127.0.0.1:3290")
        if self.hardware or self.lab is not None:
            given = ["lab"] if self.hardware and self.lab is not None else []
            given += [key for key in ("scenario", "seed", "costs") if getattr(self, key) is not None]
            if given:
                kind = "hardware" if self.hardware else "a lab that is kept"
                raise UsageError(f"{given[0]} is for a lab that is simulated job by job, but this one is {kind}: leave "
                                 "it out")  # fmt: skip

    @property
    def core(self) -> tuple[Any, ...]:
        """Return what no two labs may share: the core device, where there is one beyond a job's own process."""
        if self.hardware:
            return "hardware", self.folder
        if self.lab is None:
            return (self.name,)
        host, _, port = self.lab.rpartition(":")
        return ("127.0.0.1" if host.lower() in LOOPBACK else host.lower()), int(port)


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

    def __post_init__(self) -> None:
        """Refuse a limit that nothing keeps, or that nothing passes."""
        for each in fields(self):
            value = getattr(self, each.name)
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{each.name} is {value:g}, must be above 0 and finite")


@dataclass(frozen=True)
class Bearer:
    """Tokens of an identity provider, beside the service's own: its public key, and what the claims are called."""

    public_key: Path
    audience: str
    issuer: str
    user_claim: str = "sub"
    scope_claim: str = "scope"

    def __post_init__(self) -> None:
        """Refuse a claim without a name, or an empty one, which other tokens may have, too."""
        for each in fields(self):
            if not str(getattr(self, each.name)).strip():
                raise UsageError(f"{each.name} is empty: take it from the identity provider")


@dataclass(frozen=True)
class Munge:
    """MUNGE credentials."""

    admins: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        """Refuse what is no uid."""
        for uid in self.admins:
            if not 0 <= uid < 2**32:
                raise UsageError(f"admins has {uid}, must be uids, 0 to 2^32 - 1")


@dataclass(frozen=True)
class Monitor:
    """Who sees what on the monitor's pages."""

    without_token: str = "lab"  # nothing | lab | all

    def __post_init__(self) -> None:
        """Refuse another word."""
        if self.without_token not in SEEN:
            raise UsageError(f"without_token is {brief(self.without_token)}, must be one of {', '.join(SEEN)}")


@dataclass(frozen=True)
class Config:
    """All that a service is told."""

    labs: tuple[LabConfig, ...]
    limits: Limits = Limits()
    bearer: Bearer | None = None
    munge: Munge | None = None
    hosts: tuple[str, ...] = ()   # names under which it is reached beside the loopback's
    monitor: Monitor = Monitor()

    def __post_init__(self) -> None:
        """Refuse names that no request can have, and two labs on one core device: their jobs would meet there."""
        for host in self.hosts:
            if not HOST.fullmatch(host):
                raise UsageError(f"hosts has {brief(host)}, must be names or addresses alone: qpu.site.example")
        seen: dict[tuple[Any, ...], str] = {}
        for lab in self.labs:
            if lab.core in seen:
                raise UsageError(f"labs.{seen[lab.core]} and labs.{lab.name} are the same core device: give their jobs "
                                 "to one lab, whose queue they share")  # fmt: skip
            seen[lab.core] = lab.name


@dataclass(frozen=True)
class _File:
    """The tables of a file; what is in a lab's is checked lab by lab."""

    labs: dict[str, Any]
    limits: Limits = Limits()
    bearer: Bearer | None = None
    munge: Munge | None = None
    monitor: Monitor = Monitor()
    hosts: tuple[str, ...] = ()


OWN = Monitor("all")  # no file, so nobody has said that there are several users: one's own lab on one's own machine


def load(path: Path | None, here: Path) -> Config:
    """Return the configuration in a file; without one a single simulated lab `default` in the folder `here`."""
    if path is None:
        return Config((LabConfig("default", here),), monitor=OWN)
    table = read_toml(path)
    try:
        said: _File = _BUILD(_File, {"labs": {}, **table}, "")
        labs = tuple(_lab(path.parent, name, each) for name, each in (said.labs or {"default": {}}).items())
        bearer = said.bearer and replace(said.bearer, public_key=path.parent / said.bearer.public_key)
        return Config(labs, said.limits, bearer, said.munge, said.hosts, said.monitor)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def _lab(beside: Path, name: str, table: Any) -> LabConfig:
    if not NAME.fullmatch(name):
        raise UsageError(f"a lab is called {brief(name)}, must be a letter, then letters, digits, - and _")
    where = f"labs.{name}"
    if not isinstance(table, Mapping) or "name" in table:
        raise UsageError(f"{where} is {brief(table)}, must be a table [{where}], whose name is the lab's")
    lab: LabConfig = _BUILD(LabConfig, {"folder": ".", **table, "name": name}, where)
    lab = replace(lab, folder=(beside / lab.folder).resolve())
    if not (lab.folder / "device_db.py").is_file():
        raise UsageError(f"{where}.folder is {lab.folder}, must have a device_db.py")
    if lab.scenario is not None and lab.scenario not in target.scenario_files():
        file = lab.folder / lab.scenario
        found = target.scenario({"ATOMLINK_SCENARIO": str(file) if file.is_file() else lab.scenario})
        lab = replace(lab, scenario=found)
    return lab
