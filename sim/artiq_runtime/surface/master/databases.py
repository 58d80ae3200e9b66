"""The device database (a Python file) and the dataset database (LMDB, in ARTIQ 8's own format)."""

import os
import time
from typing import Any

from artiq.tools import file_import

from atomlink.errors import DataError
from sim.artiq_runtime import pyon
from sim.artiq_runtime.sync_struct import Notifier, process_mod, update_from_dict

_MAP_SIZE = 2**30  # ARTIQ's; the file is sparse and grows as needed

# Types whose values nobody can change, so that they need no copy.
_IMMUTABLE = (bool, int, float, complex, str, bytes, type(None))


def device_db_from_file(filename: str | os.PathLike[str]) -> dict[str, Any]:
    """Return `device_db` of a Python file; KeyError if the file does not define it."""
    return vars(file_import(filename))["device_db"]


class DeviceDB:
    """The devices of a laboratory: name to description, or name to another name (an alias)."""

    def __init__(self, backing_file: str | os.PathLike[str]) -> None:
        self.backing_file = backing_file
        self.data = Notifier(device_db_from_file(backing_file))

    def scan(self) -> None:
        """Read the file again."""
        update_from_dict(self.data, device_db_from_file(self.backing_file))

    def get_device_db(self) -> dict[str, Any]:
        """Return all descriptions."""
        return self.data.raw_view

    def get(self, key: str, resolve_alias: bool = False) -> Any:
        """Return the description of a device, following aliases if asked to; KeyError if there is none."""
        desc = self.data.raw_view[key]
        seen = {key}
        while resolve_alias and isinstance(desc, str):
            if desc in seen:
                raise KeyError(f"{desc}: alias of itself")
            seen.add(desc)
            desc = self.data.raw_view[desc]
        return desc

    def get_satellite_cpu_target(self, destination: int) -> Any:
        """Return which CPU the satellite of that number has."""
        return self.data.raw_view["satellite_cpu_targets"][destination]


class DatasetDB:
    """The datasets that experiments share: broadcast ones in memory, persistent ones also on disk.

    An entry is (persist, value, metadata). On disk each key holds the PYON text of (value, metadata). A file written
    by an ARTIQ whose PYON is still version 1 is kept in version 1, so that this ARTIQ can go on reading it.
    """

    def __init__(self, persist_file: str | os.PathLike[str], autosave_period: float = 30) -> None:
        self.persist_file = os.fspath(persist_file)
        self.autosave_period = autosave_period
        self.lmdb = _open_lmdb(self.persist_file)
        self.pyon_version = 2
        self.data = Notifier(self._read_all())
        self.pending_keys: set[str] = set()
        self._saved_at = time.monotonic()

    def _read_all(self) -> dict[str, tuple[bool, Any, dict[str, Any]]]:
        entries = {}
        with self.lmdb.begin() as transaction:
            for key, text in transaction.cursor():
                try:
                    value, metadata = pyon.decode(text.decode())
                except (ValueError, TypeError) as error:
                    raise DataError(
                        f"Dataset `{key.decode()}` in {self.persist_file} is not PYON text of a value and its metadata "
                        f"({error}); restore the file from a copy, or move it away to start with an empty one."
                    ) from error
                if pyon.is_version_1(text.decode()):
                    self.pyon_version = 1
                entries[key.decode()] = (True, value, metadata)
        return entries

    def close_db(self) -> None:
        """Close the file without saving."""
        self.lmdb.close()

    def save(self) -> None:
        """Write the persistent datasets that changed since the last time, all of them or none."""
        with self.lmdb.begin(write=True) as transaction:
            for key in self.pending_keys:
                persist, value, metadata = self.data.raw_view.get(key, (False, None, None))
                if persist:
                    text = pyon.encode((value, metadata), version=self.pyon_version)
                    transaction.put(key.encode(), text.encode())
                else:
                    transaction.delete(key.encode())
        self.pending_keys.clear()
        self._saved_at = time.monotonic()

    def get(self, key: str) -> Any:
        """Return the value of a dataset; KeyError if there is none."""
        return self.data.raw_view[key][1]

    def get_metadata(self, key: str) -> dict[str, Any]:
        """Return unit, scale and precision of a dataset; KeyError if there is none."""
        return self.data.raw_view[key][2]

    def update(self, mod: dict[str, Any]) -> None:
        """Apply a change that an experiment made to its broadcast datasets."""
        key = mod["path"][0] if mod["path"] else mod["key"]
        self._check_key(key)
        # The experiment goes on changing its own object: the database must hold another.
        process_mod(self.data, {name: _detached(item) for name, item in mod.items()})
        self._changed(key)

    def set(self, key: str, value: Any, persist: bool | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Set a dataset; what is left out stays as it is, or is not persistent and has no metadata."""
        self._check_key(key)
        old_persist, _, old_metadata = self.data.raw_view.get(key, (False, None, {}))
        self.data[key] = (
            old_persist if persist is None else persist,
            _detached(value),
            old_metadata if metadata is None else metadata,
        )
        self._changed(key)

    def delete(self, key: str) -> None:
        """Remove a dataset; KeyError if there is none."""
        del self.data[key]
        self._changed(key)

    def _check_key(self, key: str) -> None:
        longest, length = self.lmdb.max_key_size(), len(key.encode())
        if not 0 < length <= longest:
            raise ValueError(f"A dataset's name must have 1 to {longest} bytes, but {key[:40]!r}… has {length}.")

    def _changed(self, key: str) -> None:
        self.pending_keys.add(key)
        if time.monotonic() - self._saved_at > self.autosave_period:
            self.save()


def _open_lmdb(path: str) -> Any:
    import lmdb  # here, because most uses of this package need no database

    try:
        return lmdb.open(path, subdir=False, map_size=_MAP_SIZE)
    except lmdb.Error as error:
        raise DataError(
            f"The dataset database {path} cannot be opened ({error}); it must be a file that ARTIQ 8 or atomlink "
            "wrote, in a folder that can be written to. Move it away to start with an empty one."
        ) from error


def _detached(value: Any) -> Any:
    """Return a copy as a master in another process would get it: through PYON, which refuses what it cannot write."""
    if type(value) in _IMMUTABLE:
        return value
    return pyon.decode(pyon.encode(value))
