"""The directory of a download: whose it is, what it is to hold, and what of it is there."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oceanarrow.atomic_file import replace_file
from oceanarrow.exceptions import InvalidInputError
from oceanarrow.subset.rows import MetadataFiles

NAME = ".oceanarrow-download.json"
"""The file that says what a directory is to hold."""

_FORMAT = 2


@dataclass(frozen=True)
class Manifest:
    """What a download is to hold."""

    roots: list[str]
    """Of the dataset it is taken from; a branch by its commit."""
    metadata: str
    """A digest of the dataset's metadata files."""
    sizes: dict[str, int]
    """Bytes of each file, by its place in the directory."""

    def missing(self, directory: Path) -> list[str]:
        """The files that are not there, or not whole."""
        return [place for place, size in self.sizes.items() if _size(directory / place) != size]

    def write(self, directory: Path) -> None:
        """Makes the directory this download's."""
        text = json.dumps({"format": _FORMAT, **asdict(self)}, indent=0)
        replace_file(directory / NAME, lambda file: file.write(text.encode()))


def digest(containers: Sequence[MetadataFiles], catalogues: Sequence[bytes]) -> str:
    """A digest of a dataset's metadata files."""
    hashed = hashlib.sha256()
    files = [content for collection, levels in containers for content in (collection, *levels)]
    for content in (*files, *catalogues):
        hashed.update(len(content).to_bytes(8, "little") + content)
    return hashed.hexdigest()


def find_manifest(directory: Path) -> Manifest | None:
    """What a directory is to hold already; None for an empty or missing one.

    Raises:
        InvalidInputError: it holds something else.
    """
    try:
        content = (directory / NAME).read_bytes()
    except FileNotFoundError:
        # A download that was killed in its first moment leaves a nameless draft of the manifest.
        if directory.exists() and any(NAME not in p.name for p in directory.iterdir()):
            raise InvalidInputError(
                f"{directory} is neither empty nor a download of oceanarrow's; choose another "
                "directory"
            ) from None
        return None
    except NotADirectoryError:
        raise InvalidInputError(f"{directory} is a file; choose a directory") from None
    try:
        return _parse(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(
            f"{directory / NAME} is damaged, or of another version of oceanarrow; delete "
            f"{directory} and begin again"
        ) from error


def _parse(document: Mapping[str, Any]) -> Manifest:
    if document["format"] != _FORMAT:
        raise ValueError(f"format {document['format']}")
    sizes = {str(path): int(size) for path, size in document["sizes"].items()}
    return Manifest([str(root) for root in document["roots"]], str(document["metadata"]), sizes)


def check_same(found: Manifest, directory: Path, wanted: Manifest) -> None:
    """Raises `InvalidInputError` unless the directory was begun for the same files.

    The sizes of `wanted` do not matter.
    """
    if found.roots != wanted.roots:
        why = f"of {', '.join(found.roots)}, not of {', '.join(wanted.roots)}"
    elif found.metadata != wanted.metadata:
        why = "of this dataset before its metadata changed"
    elif found.sizes.keys() != wanted.sizes.keys():
        why = "for other queries or variables"
    else:
        return
    raise InvalidInputError(f"{directory} holds a download {why}; choose another directory")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keeps other downloads out of the directory, which is made as needed."""
    directory.mkdir(parents=True, exist_ok=True)
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInputError(f"another download writes into {directory}") from None
        except OSError:
            # Some network file systems know no locks.
            pass
        yield
    finally:
        os.close(handle)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
