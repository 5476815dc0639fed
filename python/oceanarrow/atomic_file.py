"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

from oceanarrow.exceptions import UnwritableError

_PERMANENT = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than its file system, or `ulimit -f`, allows",
    errno.EROFS: "the file system is read-only",
}


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Writes a file under a temporary name, then puts it in the place of `path` at once.

    Folders are made as needed. When `write` fails, what was at `path` stays.

    Raises:
        UnwritableError: the disk is full or read-only, or a quota or a limit is reached.
        OSError: it cannot be written for another reason.
    """
    try:
        _replace(path, write)
    except OSError as error:
        if error.errno not in _PERMANENT:
            raise
        raise UnwritableError(f"cannot write: {_PERMANENT[error.errno]}; file: {path}") from error


def _replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
