"""The datasets that experiments share, in LMDB and ARTIQ 8's own format, safe for several processes at once.

ARTIQ has one process, the master, that holds them; here every command opens the file, and runs last for hours. So the
file is what counts: what others have written to it is taken over before anything is read or changed, and a dataset
that is set goes to it at once. The last set wins, whichever process it comes from, as under a master. Only what is
changed in part (`append`, `mutate`), or more often than writing can follow, waits for the next save; where another
process has written the dataset meanwhile, its value stays, and a warning says so.
"""

import logging
import os
import time
from typing import Any

from atomlink.errors import DataError
from sim.artiq_runtime import pyon
from sim.artiq_runtime.sync_struct import Notifier, process_mod

logger = logging.getLogger(__name__)

_MAP_SIZE = 2**30  # ARTIQ's; the file is sparse and grows as needed

# Setting a dataset writes it at once while that has taken less than so many seconds, and so much of the time since the
# file was opened: a disk forces some hundred datasets a second, and a loop may set more.
_WRITING_S, _WRITING_SHARE = 1.0, 0.05

# Types whose values nobody can change, so that they need no copy.
_IMMUTABLE = (bool, int, float, complex, str, bytes, type(None))


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
        self.data = Notifier({})
        self.pending_keys: set[str] = set()  # changed here and not in the file yet
        self._texts: dict[str, bytes] = {}  # what the file held when this process last looked
        self._transaction: int | None = None  # of the file, then; None: it is closed, or was never looked at
        self._opened_at = self._saved_at = time.monotonic()
        self._writing_s = 0.0
        self._warned = False
        self._look()

    def close_db(self) -> None:
        """Close the file without saving."""
        self._transaction = None
        self.lmdb.close()

    def save(self) -> None:
        """Write the persistent datasets that changed since the last time, all of them or none."""
        if self.pending_keys:
            began = time.monotonic()
            lost = self._write()
            self.pending_keys.clear()
            self._follow()
            self._writing_s += time.monotonic() - began
            for key in lost:
                logger.warning("dataset `%s`: another process has written it since this one changed it: that value "
                               "stays; this run's own is in its results file", key)  # fmt: skip
        self._saved_at = time.monotonic()

    def get(self, key: str) -> Any:
        """Return the value of a dataset; KeyError if there is none."""
        self._follow()
        return self.data.raw_view[key][1]

    def get_metadata(self, key: str) -> dict[str, Any]:
        """Return unit, scale and precision of a dataset; KeyError if there is none."""
        self._follow()
        return self.data.raw_view[key][2]

    def update(self, mod: dict[str, Any]) -> None:
        """Apply a change that an experiment made to its broadcast datasets."""
        key = mod["path"][0] if mod["path"] else mod["key"]
        self._check_key(key)
        self._follow()
        # The experiment goes on changing its own object: the database must hold another.
        process_mod(self.data, {name: _detached(item) for name, item in mod.items()})
        self._changed(key, whole=not mod["path"])

    def set(self, key: str, value: Any, persist: bool | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Set a dataset; what is left out stays as it is, or is not persistent and has no metadata."""
        self._check_key(key)
        self._follow()
        old_persist, _, old_metadata = self.data.raw_view.get(key, (False, None, {}))
        self.data[key] = (
            old_persist if persist is None else persist,
            _detached(value),
            old_metadata if metadata is None else metadata,
        )
        self._changed(key)

    def delete(self, key: str) -> None:
        """Remove a dataset; KeyError if there is none."""
        self._follow()
        del self.data[key]
        self._changed(key)

    # -- parts

    def _follow(self) -> None:
        """Take over what other processes have written since; next to nothing where they have not."""
        if self._transaction is not None and self.lmdb.info()["last_txnid"] != self._transaction:
            self._look()

    def _look(self) -> None:
        with self.lmdb.begin() as transaction:
            self._transaction = transaction.id()
            now = {key.decode(): bytes(text) for key, text in transaction.cursor()}
        for key in self._texts.keys() - now.keys() - self.pending_keys:
            del self._texts[key], self.data[key]
        for key, text in now.items():
            if text != self._texts.get(key) and key not in self.pending_keys:
                self.data[key] = self._entry(key, text)
                self._texts[key] = text

    def _entry(self, key: str, text: bytes) -> tuple[bool, Any, dict[str, Any]]:
        try:
            value, metadata = pyon.decode(text.decode())
        except (ValueError, TypeError) as error:
            raise DataError(
                f"Dataset `{key}` in {self.persist_file} is not PYON text of a value and its metadata "
                f"({error}); restore the file from a copy, or move it away to start with an empty one."
            ) from error
        if pyon.is_version_1(text.decode()):
            self.pyon_version = 1
        return True, value, metadata

    def _write(self) -> list[str]:
        """Write what is pending; return what others have written meanwhile, which stays."""
        lost = []
        with self.lmdb.begin(write=True) as transaction:
            texts = {key: self._text(key) for key in self.pending_keys}
            for key, text in texts.items():
                on_disk = transaction.get(key.encode())
                if on_disk == text:
                    continue
                if on_disk != self._texts.get(key):
                    lost.append(key)
                elif text is None:
                    transaction.delete(key.encode())
                else:
                    transaction.put(key.encode(), text)
        for key in texts.keys() - set(lost):
            text = texts[key]
            if text is None:
                self._texts.pop(key, None)
            else:
                self._texts[key] = text
        return lost

    def _text(self, key: str) -> bytes | None:
        """Return what the file has to hold, None for what it must not."""
        persist, value, metadata = self.data.raw_view.get(key, (False, None, None))
        return pyon.encode((value, metadata), version=self.pyon_version).encode() if persist else None

    def _check_key(self, key: str) -> None:
        longest, length = self.lmdb.max_key_size(), len(key.encode())
        if not 0 < length <= longest:
            raise ValueError(f"A dataset's name must have 1 to {longest} bytes, but {key[:40]!r}… has {length}.")

    def _changed(self, key: str, whole: bool = True) -> None:
        now = time.monotonic()
        if self.data.raw_view.get(key, (False,))[0] or key in self._texts:
            self.pending_keys.add(key)
            whole = whole and self._writing_s < _WRITING_S + _WRITING_SHARE * (now - self._opened_at)
        else:
            whole = False  # the file has nothing of it, nor shall it
        if whole or now - self._saved_at > self.autosave_period:
            self._save_if_it_can()

    def _save_if_it_can(self) -> None:
        """Save; where the disk refuses, the change stays pending and the experiment goes on: it is saved at the end."""
        import lmdb

        try:
            self.save()
        except lmdb.Error as error:
            if not self._warned:
                logger.warning("the persistent datasets cannot be saved yet (%s): free the disk", error)
            self._warned = True


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
