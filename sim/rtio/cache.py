"""The core device's cache: rows of 32-bit integers that persist from kernel to kernel.

What a kernel got is not a copy: changing it changes the row, and until the kernel ends the row cannot be put again.
"""

from __future__ import annotations

from artiq.coredevice.exceptions import CacheError


class Cache:
    """The rows, by key."""

    def __init__(self) -> None:
        self.rows: dict[str, list[int]] = {}
        self._borrowed: set[str] = set()

    def get(self, key: str) -> list[int]:
        """Return a row, empty where there is none."""
        if key not in self.rows:
            return []
        self._borrowed.add(key)
        return self.rows[key]

    def put(self, key: str, value: list[int]) -> None:
        """Store a copy of a row; an empty one removes it."""
        if key in self._borrowed:
            raise CacheError("cannot put into a busy cache row")
        self.rows[key] = list(value)

    def end_kernel(self) -> None:
        """Let every row be put again."""
        self._borrowed.clear()
