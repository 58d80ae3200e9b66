"""`atomlink params`: what a lab believes, and how it came to: list, get, set, log, diff, rollback, adopt.

Works on the dataset database; which lab it is say `--scenario`, `--lab` or the environment, as for a run, and the last
line that is printed. An ARTIQ master that runs keeps its own copy in memory: stop it before `set`,
`rollback` and `adopt`, or let an experiment set what is measured.
"""

import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from atomlink.errors import DataError, UsageError
from atomlink.topology import Topology
from drivers import labs, origins, parameters
from drivers.labs import LabName
from drivers.parameter_log import UNKNOWN, Change, Revision
from drivers.parameter_store import ParameterStore
from drivers.parameters import Parameter
from sim.artiq_runtime.dataset_db import DatasetDB
from sim.command.examine import load_device_db, open_dataset_db, save
from sim.command.lab import Lab
from sim.target import of_core, of_lab, resolved, scenario, target

USAGE = """usage: atomlink params list [PATTERN]              every belief, its default, when and by whom it was set
       atomlink params get NAME
       atomlink params set NAME VALUE [UNIT]      1.41 MHz, 80 us, 10 %: the unit is that of the table, prefixes allowed
       atomlink params log [NAME]                 the revisions, newest last
       atomlink params diff [A [B]]               defaults against now; revision A against now; A against B
       atomlink params rollback REVISION          believe again what was believed after that revision (0: before all)
       atomlink params adopt LAB                  believe what another lab believes: default, drifting, hardware …

Each lab has its own beliefs: [--scenario NAME] names the simulated lab (default: `default`), [--lab [HOST:PORT]] the
one that `atomlink lab` keeps; ATOMLINK_TARGET=hardware the real one."""
MASTER_PORT = 3251  # of ARTIQ's master: notifications at 3250, control at 3251


class _LabDatasets:
    """The persistent datasets of a lab, in its database."""

    def __init__(self, database: DatasetDB) -> None:
        self._database = database

    def get(self, key: str) -> Any:
        return self._database.get(key)

    def set(self, key: str, value: float | int, unit: str) -> None:
        metadata = {"unit": unit, "scale": 1.0} if unit else {"scale": 1.0}
        self._database.set(key, value, persist=True, metadata=metadata)


def params(lab: Lab, words: Sequence[str], kept_lab: str) -> list[str]:
    """Carry one command out and return the lines to print; UsageError where it cannot be.

    `kept_lab` is the address that `--lab` alone means.
    """
    words, given = split_off(words, kept_lab)
    name = believing(lab, {**os.environ, **resolved(os.environ, given)})
    command, rest = (words[0], words[1:]) if words else ("list", [])
    database = open_dataset_db(lab)
    try:
        stores = _Stores(database, lab, given)
        lines = _carry_out(stores, stores.of(name), command, rest)
        try:
            save(database)
        except DataError as error:  # what the history has counts: the belief has changed
            lines.append(f"note: {error}")
    finally:
        database.close_db()
    return [*lines, *_whose(lab, name)]


def beliefs(lab: Lab, words: Sequence[str], kept_lab: str) -> dict[str, float]:
    """Return what a lab believes by name; `words` are --scenario or --lab, nothing else."""
    rest, given = split_off(words, kept_lab)
    if rest:
        raise UsageError(f"unexpected {rest[0]!r}: --scenario NAME or --lab [HOST:PORT] may follow")
    name = believing(lab, {**os.environ, **resolved(os.environ, given)})
    database = open_dataset_db(lab)
    try:
        store = _Stores(database, lab, given).of(name)
        return {key: store.get(key) for key in store.rows()}
    finally:
        database.close_db()


def split_off(words: Sequence[str], kept_lab: str) -> tuple[list[str], dict[str, str]]:
    """Return the words without options, and what these say; argparse would take a negative number for an option."""
    rest: list[str] = []
    given: dict[str, str] = {}
    left = [word for word in words if word not in ("-v", "--traceback")]
    while left:
        name, _, value = left.pop(0).partition("=")
        if name == "--scenario":
            given["ATOMLINK_SCENARIO"] = value or (left.pop(0) if left else "")
            if not given["ATOMLINK_SCENARIO"]:
                raise UsageError("--scenario has no value, must have a name or a TOML file: see `atomlink params -h`")
        elif name == "--lab":
            address = left.pop(0) if not value and left and ":" in left[0] else value
            given["ATOMLINK_LAB"] = address or kept_lab
        else:
            rest.append(name + ("=" + value if value else ""))
    return rest, given


def believing(lab: Lab, environment: Mapping[str, str]) -> LabName:
    """Return the lab that runs with this environment would be in."""
    if target(environment) == "hardware":
        return labs.HARDWARE
    if target(environment) == "virtual":
        return labs.of_scenario(str(of_core(environment)["scenario"]), lab.root)
    address = environment.get("ATOMLINK_LAB")
    return labs.of_scenario(str(of_lab(address)["scenario"]) if address else scenario(environment), lab.root)


class _Stores:
    """The parameter stores of the labs that share a folder."""

    def __init__(self, database: DatasetDB, lab: Lab, settings: Mapping[str, str]) -> None:
        self.folder = lab.root
        self._datasets = _LabDatasets(database)
        self._table = _table_of(load_device_db(lab, settings).get_device_db())

    def of(self, name: LabName) -> ParameterStore:
        """Return the store of one lab."""
        return ParameterStore(self._datasets, self.folder, f"atomlink params ({_user()})", lab=name, table=self._table)


def _table_of(device_db: dict[str, Any]) -> Mapping[str, Parameter]:
    """Return what a lab can believe; nothing for a device database that has no nodes: then any lab's names will do."""
    try:
        return parameters.table(Topology.from_device_db(device_db))
    except UsageError:
        return {}


def _whose(lab: Lab, name: LabName) -> list[str]:
    """Return which lab this was about, and what runs in it would say of its beliefs."""
    others = ", ".join(other.name for other in origins.in_folder(lab.root) if other != name)
    line = origins.note(name, lab.root)
    return [f"lab {name}" + (f"; others with beliefs of their own: {others}" if others else ""),
            *([f"note: {line}"] if line else [])]  # fmt: skip


def _carry_out(stores: _Stores, store: ParameterStore, command: str, rest: list[str]) -> list[str]:
    takes = {"list": (0, 1), "get": (1, 1), "set": (2, 3), "log": (0, 1), "diff": (0, 2), "rollback": (1, 1),
             "adopt": (1, 1)}  # fmt: skip
    if command not in takes:
        raise UsageError(f"unknown command `params {command}`, must be one of: {', '.join(takes)}")
    least, most = takes[command]
    if not least <= len(rest) <= most:
        raise UsageError(
            f"`params {command}` takes {_words(least, most)}, was given {len(rest)}: see `atomlink params -h`"
        )
    if command in ("set", "rollback", "adopt"):
        _refuse_beside_master()
    if command == "adopt":
        return _adopt(stores, store, rest[0])
    return {"list": _list, "get": _get, "set": _set, "log": _log, "diff": _diff, "rollback": _rollback}[command](
        store, rest
    )


def _words(least: int, most: int) -> str:
    """Return how many words these are: `1 word`, `at most 2 words`, `2 or 3 words`."""
    number = str(most) if least == most else f"at most {most}" if least == 0 else f"{least} or {most}"
    return f"{number} word" + ("s" if most > 1 else "")


def _adopt(stores: _Stores, store: ParameterStore, name: str) -> list[str]:
    known = {lab.name: lab for lab in (labs.HOME, *origins.in_folder(stores.folder))}
    if name not in known:
        raise UsageError(f"lab {name!r} has no beliefs here, must be one of: {', '.join(known)}")
    return _said(store.adopt(stores.of(known[name])), f"nothing to do: lab {name} believes the defaults")


def _list(store: ParameterStore, rest: list[str]) -> list[str]:
    shown = [row for name, row in store.rows().items() if not rest or rest[0] in name]
    if not shown:
        raise UsageError(f"no parameter has {rest[0]!r} in its name: `atomlink params list` shows all")
    last = {name: revision for revision in store.revisions() for name in revision.changes}
    rows = [("parameter", "value", "", "default", "set by")]
    for row in shown:
        value, by = store.get(row.name), last.get(row.name)
        default = "" if value == row.default else _number(row.default)
        rows.append((row.name, _number(value), row.unit, default, _by(by) if by else ""))
    return [*_table(rows, right=(1, 3)), *_edited(store)]


def _get(store: ParameterStore, rest: list[str]) -> list[str]:
    row = store.row(rest[0])
    lines = [f"{row.name} = {_number(store.get(row.name))} {row.unit}", f"  {row.meaning}",
             f"  default {_number(row.default)} {row.unit}: {row.source}"]  # fmt: skip
    changed = [revision for revision in store.revisions() if row.name in revision.changes]
    if changed:
        lines += ["", *_changes(changed, row.name)]
    return lines


def _set(store: ParameterStore, rest: list[str]) -> list[str]:
    name = rest[0]
    number, unit = rest[1], rest[2] if len(rest) == 3 else None
    try:
        value = float(number)
    except ValueError:
        raise UsageError(f"Parameter {name} was given {number!r}, must be a number, then perhaps a blank and "
                         "a unit, as in `2.1 us`") from None
    return _said(store.set(name, value, unit), f"{name} is {_number(store.get(name))} already")


def _log(store: ParameterStore, rest: list[str]) -> list[str]:
    name = store.row(rest[0]).name if rest else None
    revisions = [row for row in store.revisions() if name is None or name in row.changes]
    if not revisions:
        return [f"no change of {name} yet" if name else "no change yet: all beliefs are the defaults of the table"]
    return [*_changes(revisions, name), *_edited(store)]


def _diff(store: ParameterStore, rest: list[str]) -> list[str]:
    now = {name: store.get(name) for name in store.rows()}
    defaults = {name: row.default for name, row in store.rows().items()}
    sides = [{**now, **store.at(_revision(word))} for word in rest]
    before = sides[0] if sides else defaults
    after = sides[1] if len(sides) == 2 else now
    titles = [f"revision {word}" for word in rest] + ["default", "now"][len(rest) :]
    titles = [titles[0], "now"] if len(rest) == 1 else titles
    rows = [("parameter", titles[0], titles[1], "", "change")]
    for name, row in store.rows().items():
        if before[name] != after[name]:
            share = f"{100 * (after[name] / before[name] - 1):+.3g} %" if before[name] else ""
            rows.append((name, _number(before[name]), _number(after[name]), row.unit, share))
    return _table(rows, right=(1, 2, 4)) if len(rows) > 1 else [f"no difference between {titles[0]} and {titles[1]}"]


def _rollback(store: ParameterStore, rest: list[str]) -> list[str]:
    return _said(store.rollback(_revision(rest[0])), f"nothing to do: beliefs are those of revision {rest[0]}")


def _revision(word: str) -> int:
    if not word.isdigit():
        raise UsageError(f"Revision {word!r} does not exist, must be a number of `atomlink params log`")
    return int(word)


def _said(revision: Revision | None, otherwise: str) -> list[str]:
    return [otherwise] if revision is None else _changes([revision], None)


def _changes(revisions: list[Revision], name: str | None) -> list[str]:
    lines = []
    for row in revisions:
        lines.append(f"{row.revision:>4}  {_by(row)}: {row.why}")
        for key, change in row.changes.items():
            if name is None or key == name:
                error = f" ± {change.error:.2g}" if change.error is not None else ""
                unit = f" {change.unit}" if change.unit != "1" else ""
                lines.append(f"      {key} = {_number(change.value)}{error}{unit}, was {_number(change.previous)}"
                             f"{_origin(change)}")  # fmt: skip
        lines += [f"      fit {key}: {_fit(fit)}" for key, fit in row.fits.items()]
    return lines


def _origin(change: Change) -> str:
    if not change.origin:
        return ""
    return f" ({origins.OLDER})" if change.origin == UNKNOWN else f" (of lab {change.origin})"


def _fit(fit: Any) -> str:
    errors = fit.get("errors", {})
    values = ", ".join(f"{key} {value:.5g}" + (f" ± {errors[key]:.2g}" if errors.get(key) is not None else "")
                       for key, value in fit.get("values", {}).items() if value is not None)  # fmt: skip
    return f"{fit.get('model')}, {values}, chi2/dof {fit.get('chi2') or 0.0:.1f}/{fit.get('dof')}"


def _edited(store: ParameterStore) -> list[str]:
    return [f"note: {name} was edited without the store: {_number(change.previous)} -> {_number(change.value)}"
            for name, change in store.edited_without().items()]  # fmt: skip


def _by(row: Revision) -> str:
    run = f", RID {row.rid}" if row.rid >= 0 else ""
    return f"{row.time[:10]} {row.time[11:19]} UTC {row.who}{run}"


def _number(value: float) -> str:
    return f"{value:.8g}"


def _table(rows: Sequence[tuple[str, ...]], right: tuple[int, ...]) -> list[str]:
    columns = range(len(rows[0]))
    widths = [max(len(row[k]) for row in rows) for k in columns]
    aligned = [[row[k].rjust(widths[k]) if k in right else row[k].ljust(widths[k]) for k in columns] for row in rows]
    return ["  ".join(cells).rstrip() for cells in aligned]


def _refuse_beside_master() -> None:
    """Refuse to write beneath a master that runs here: it would not see the change and could write over it."""
    for host in ("::1", "127.0.0.1"):
        try:
            socket.create_connection((host, MASTER_PORT), timeout=0.2).close()
        except OSError:
            continue
        raise UsageError(f"an ARTIQ master answers at {host}:{MASTER_PORT} and keeps its own copy of the datasets, but "
                         "none must run: stop it first, or set the dataset in the dashboard")  # fmt: skip


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
