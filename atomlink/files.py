"""Write a file whole or not at all: aside first, then renamed, so that a name that exists is a whole file."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atomlink.errors import DataError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path, remedy: str = "") -> Iterator[Path]:
    """Give a temporary path; it becomes `path` where the block ends well, and is removed where it does not.

    DataError for what the operating system refuses, with its reason and the remedy.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise not_written(path, error, remedy) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes, remedy: str = "") -> None:
    """Write bytes whole or not at all; DataError as above."""
    with replacing(path, remedy) as temporary:
        temporary.write_bytes(content)


def not_written(path: Path, error: OSError, remedy: str = "") -> DataError:
    """Return what to raise where a file cannot be written."""
    do = remedy or ("free the disk" if error.errno in FULL else "make its folder one that can be written to")
    return DataError(f"File `{path}` cannot be written ({error.strerror or error}): {do}.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
