"""The core device's configuration: values by key, in memory, and in a file where one is named.

A real device keeps them in its flash, so they outlast a reboot; here they do where there is a file.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import threading
from pathlib import Path

from atomlink.errors import DataError, UsageError
from atomlink.files import write_whole

logger = logging.getLogger(__name__)
_MOST_BYTES = 16 << 20


class Flash:
    """Values by key. `path` is a JSON file of them in base64; it is written whole at each change."""

    def __init__(self, path: Path | None = None) -> None:
        self._path, self._lock = path, threading.Lock()
        self._values: dict[str, bytes] = {}
        if path is not None and path.exists():
            self._values = _read(path)
        elif path is not None and not path.parent.is_dir():
            raise UsageError(f"configuration {path} cannot be kept: {path.parent} is no folder; make it first")

    def get(self, key: str) -> bytes | None:
        """Return a value, None where there is none."""
        return self._values.get(key)

    def put(self, key: str, value: bytes) -> bool:
        """Keep a value; False where there is no room for it."""
        with self._lock:
            values = {**self._values, key: value}
            if sum(len(name) + len(held) for name, held in values.items()) > _MOST_BYTES:
                logger.error("configuration: no room for `%s`, %d bytes; remove another key first", key, len(value))
                return False
            return self._keep(values)

    def remove(self, key: str) -> bool:
        """Remove a value, if there is one."""
        with self._lock:
            return self._keep({name: value for name, value in self._values.items() if name != key})

    def erase(self) -> bool:
        """Remove all values."""
        with self._lock:
            return self._keep({})

    def _keep(self, values: dict[str, bytes]) -> bool:
        if self._path is not None:
            stored = {key: base64.b64encode(value).decode() for key, value in values.items()}
            try:
                write_whole(self._path, json.dumps(stored, indent=1).encode())
            except DataError as error:
                logger.error("%s", error)
                return False
        self._values = values
        return True


def _read(path: Path) -> dict[str, bytes]:
    try:
        stored = json.loads(path.read_text())
        return {key: base64.b64decode(value, validate=True) for key, value in stored.items()}
    except (OSError, ValueError, AttributeError, TypeError, binascii.Error) as error:
        raise UsageError(f"configuration {path} cannot be read ({error}): it must be a file that the virtual core "
                         "wrote; name another, or remove it") from None  # fmt: skip
