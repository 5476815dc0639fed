"""What a frozen set says of itself: whole, or visibly unfinished."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oceanarrow.atomic_file import replace_file
from oceanarrow.dataset.query import QueryArrays
from oceanarrow.exceptions import (
    CorruptGranuleError,
    InvalidInputError,
    NotFoundError,
    PlanMismatchError,
)
from oceanarrow.json_file import read_json, write_json

FORMAT = 1
_KIND = "oceanarrow frozen set"
_MANIFEST = "manifest.json"
_UNFINISHED = "UNFINISHED.json"
_QUERIES = "queries.npz"
_SUFFIXES = {"arrow": ".arrow", "parquet": ".parquet"}


@dataclass(frozen=True)
class FrozenDirectory:
    """A directory with a frozen set, and what its manifest says.

    Attributes:
        path: the directory.
        about: the manifest, or of an unfinished set what will be in it.
        complete: whether all shards are there.
    """

    path: Path
    about: dict[str, Any]
    complete: bool

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> FrozenDirectory:
        """The set in a directory.

        Raises:
            NotFoundError: there is none.
            InvalidInputError: it holds something else, or a set of a later release.
        """
        path = Path(directory).absolute()
        # A set may be completed meanwhile.
        for name in (_MANIFEST, _UNFINISHED, _MANIFEST):
            try:
                about = read_json(path / name, "manifest")
            except NotFoundError:
                continue
            if about.get("kind") != _KIND:
                raise InvalidInputError(f"{path / name} is none of a frozen set")
            if about.get("format") != FORMAT:
                raise InvalidInputError(
                    f"{path} is a frozen set of format {about.get('format')!r}, of another "
                    f"release; this one reads {FORMAT}"
                )
            return cls(path, about, name == _MANIFEST)
        raise NotFoundError(f"there is no frozen set in {path}; oceanarrow.materialize makes one")

    @classmethod
    def begin(
        cls, directory: str | os.PathLike[str], about: Mapping[str, Any], queries: QueryArrays
    ) -> FrozenDirectory:
        """The set of this description: begun now, or before.

        Raises:
            PlanMismatchError: the directory holds another set; the message says what differs.
            InvalidInputError: it holds something else.
        """
        path = Path(directory).absolute()
        wanted = {"kind": _KIND, "format": FORMAT, **about}
        begun = cls(path, wanted, complete=False)
        strange = _strange(path)
        try:
            found = cls.open(path)
        except NotFoundError:
            if strange:
                raise InvalidInputError(
                    f"{path} holds something else ({strange}); name an empty or new directory"
                ) from None
            found = begun
            write_json(path / _UNFINISHED, wanted)
        differing = [
            key
            for key in ("file_format", "compression", "shard_rows")
            if found.about.get(key) != wanted[key]
        ]
        content = [of.about["receipt"]["content"] for of in (found, begun)]
        fields = sorted(set(content[0]) | set(content[1]))
        differing += [field for field in fields if content[0].get(field) != content[1].get(field)]
        if differing:
            raise PlanMismatchError(
                f"{path} holds another frozen set, {found.about['content_id']}; they differ in "
                f"{', '.join(differing)}"
            )
        # Parts of other processes may be at the same point: all write the same.
        if not found.complete and not (path / _QUERIES).exists():
            boxes, days = queries
            replace_file(path / _QUERIES, lambda file: np.savez(file, boxes=boxes, days=days))
        return found

    @property
    def shards(self) -> int:
        """How many shards the whole set has."""
        return -(-int(self.about["rows"]) // int(self.about["shard_rows"]))

    def rows_of(self, shard: int) -> tuple[int, int]:
        """The first row of a shard, and the one after its last."""
        size = self.about["shard_rows"]
        return shard * size, min((shard + 1) * size, self.about["rows"])

    def shard(self, number: int) -> Path:
        """The file of a shard."""
        return self.path / f"shard-{number:05d}{_SUFFIXES[self.about['file_format']]}"

    def is_done(self, number: int) -> bool:
        """Whether a shard is there, as it was written."""
        told = self._told(number)
        return told is not None and _size(self.shard(number)) == told["bytes"]

    def note(self, number: int) -> None:
        """Notes a shard that was written."""
        first, end = self.rows_of(number)
        path = self.shard(number)
        told = {"content_id": self.about["content_id"], "rows": end - first, **_digest(path)}
        write_json(self._note(number), told)

    def finish(self) -> FrozenDirectory:
        """Writes the manifest.

        Raises:
            InvalidInputError: shards are missing; the message says which.
            PlanMismatchError: one is of another set.
        """
        if self.complete:
            return self
        told = [self._told(number) for number in range(self.shards)]
        missing = [n for n, one in enumerate(told) if one is None or not self.is_done(n)]
        if missing:
            shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
            raise InvalidInputError(
                f"{self.path} lacks {len(missing)} of {self.shards} shards: {shown}; run "
                "materialize with the parts that make them"
            )
        shards = [
            {"file": self.shard(n).name, **{k: one[k] for k in ("rows", "bytes", "sha256")}}
            for n, one in enumerate(told)
            if one is not None
        ]
        queries = {"file": _QUERIES, **_digest(self.path / _QUERIES)}
        about = {**self.about, "queries": queries, "shards": shards}
        write_json(self.path / _MANIFEST, about)
        (self.path / _UNFINISHED).unlink(missing_ok=True)
        for number in range(self.shards):
            self._note(number).unlink(missing_ok=True)
        return FrozenDirectory(self.path, about, complete=True)

    def queries(self) -> QueryArrays:
        """The queries, row by row.

        Raises:
            CorruptGranuleError: their file is damaged.
        """
        path = self.path / _QUERIES
        try:
            with np.load(path, allow_pickle=False) as arrays:
                boxes, days = arrays["boxes"], arrays["days"]
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise CorruptGranuleError(f"cannot read the queries: {error}; file: {path}") from error
        return boxes.astype(np.float64), days.astype(np.int32)

    def check(self) -> Iterator[str | None]:
        """Compares every file with the manifest's digests; gives a line for each that differs, and
        None for the others."""
        for told in [self.about["queries"], *self.about["shards"]]:
            path = self.path / told["file"]
            try:
                found = _digest(path)
            except OSError as error:
                yield f"{path}: {error.strerror or error}"
                continue
            same = found == {key: told[key] for key in found}
            digest = found["sha256"]
            yield None if same else f"{path} is not what was written: its sha256 is {digest}"

    def _note(self, number: int) -> Path:
        return self.path / f"shard-{number:05d}.json"

    def _told(self, number: int) -> dict[str, Any] | None:
        try:
            told = read_json(self._note(number), "note of a shard")
        except (NotFoundError, InvalidInputError):
            return None
        if told.get("content_id") != self.about["content_id"]:
            raise PlanMismatchError(
                f"{self._note(number)} is of another set, {told.get('content_id')}, not of "
                f"{self.about['content_id']}: parts of different runs lie in one directory"
            )
        return told


def _strange(path: Path) -> str | None:
    """What is in a place of a new set that no set has; looked at before the marks of one are."""
    if not path.exists():
        return None
    if not path.is_dir():
        return path.name
    own = (".new-", f".{_UNFINISHED}", f".{_QUERIES}", ".shard-", _UNFINISHED, _QUERIES)
    return next((one.name for one in path.iterdir() if not one.name.startswith(own)), None)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return {"bytes": size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
