"""Small JSON files: read with errors that name them, written at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oceanarrow.atomic_file import replace_file
from oceanarrow.exceptions import InvalidInputError, NotFoundError


def read_json(path: str | os.PathLike[str], what: str) -> dict[str, Any]:
    """The object in a file; `what` it is, an error says.

    Raises:
        NotFoundError: there is no such file.
        InvalidInputError: it cannot be read, or holds no JSON object.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"no {what} {os.fspath(path)}") from error
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"cannot read {what} {os.fspath(path)}: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"{os.fspath(path)} is no {what}: it holds no JSON object")
    return content


def given_or_read(
    given: Mapping[str, Any] | str | os.PathLike[str], what: str
) -> tuple[str, Mapping[str, Any]]:
    """An object that was given, or that of the file that was; and what an error calls it.

    Raises:
        as `read_json`.
    """
    if isinstance(given, Mapping):
        return f"the {what}", given
    return os.fspath(given), read_json(given, what)


def write_json(path: str | os.PathLike[str], value: Mapping[str, Any]) -> None:
    """Writes an object, in the order of its keys, at once.

    Raises:
        UnwritableError, OSError: it cannot be written.
    """
    text = json.dumps(value, indent=1) + "\n"
    replace_file(Path(path), lambda file: file.write(text.encode()))
