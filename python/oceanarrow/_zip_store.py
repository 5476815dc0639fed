"""Uncompressed ZIP archives with a TACO header as their first entry.

The layout is PKWARE's APPNOTE 6.3 without ZIP64; every entry is stored, so its payload can be
read as a plain byte range.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from oceanarrow.exceptions import InvalidInputError

HEADER_NAME = "TACO_HEADER"
MAX_HEADER_ENTRIES = 7
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_HEADER = struct.Struct("<B3x14Q")
_LIMIT = 0xFFFF_FFFF
_MAX_FILES = 0xFFFF
# 1980-01-01, the earliest date ZIP knows: the same input gives the same bytes.
_DOS_TIME, _DOS_DATE = 0, (1 << 5) | 1
_BLOCK = 1 << 20


class StoredZip:
    """Writes a ZIP of stored entries; a context manager that finishes the archive on exit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO = path.open("wb")
        self._directory: list[bytes] = []
        self._header_at, _ = self.add(HEADER_NAME, bytes(_HEADER.size))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._file.close()

    def add(self, name: str, content: bytes | Path) -> tuple[int, int]:
        """Append an entry; return (offset of its payload, size in bytes)."""
        raw_name = name.encode()
        start = self._file.tell()
        offset = start + _LOCAL.size + len(raw_name)
        self._file.seek(offset)
        size, crc = self._copy(content)
        end = offset + size
        if end >= _LIMIT or len(self._directory) + 1 >= _MAX_FILES:
            raise InvalidInputError(
                f"{self._path}: a ZIP container holds less than 4 GiB and {_MAX_FILES} entries; "
                "write fewer days a container (and join the parts with write_tacocat), "
                'or use container="folder"'
            )
        common = (0, 0, _DOS_TIME, _DOS_DATE, crc, size, size, len(raw_name), 0)
        self._file.seek(start)
        self._file.write(_LOCAL.pack(b"PK\x03\x04", 10, *common) + raw_name)
        self._file.seek(end)
        central = _CENTRAL.pack(b"PK\x01\x02", 10, 10, *common, 0, 0, 0, 0, start)
        self._directory.append(central + raw_name)
        return offset, size

    def set_header(self, entries: Sequence[tuple[int, int]]) -> None:
        """Point the TACO header at the levels and, last, the collection: (offset, size) each."""
        if not 1 <= len(entries) <= MAX_HEADER_ENTRIES:
            raise InvalidInputError(f"a TACO header holds 1 to {MAX_HEADER_ENTRIES} entries")
        padded = [*entries, *[(0, 0)] * (MAX_HEADER_ENTRIES - len(entries))]
        payload = _HEADER.pack(len(entries), *(number for pair in padded for number in pair))
        crc = struct.pack("<I", zlib.crc32(payload))
        here = self._file.tell()
        self._file.seek(self._header_at)
        self._file.write(payload)
        self._file.seek(14)  # the CRC field of the first local header
        self._file.write(crc)
        self._file.seek(here)
        first = self._directory[0]
        self._directory[0] = first[:16] + crc + first[20:]

    def _copy(self, content: bytes | Path) -> tuple[int, int]:
        if isinstance(content, bytes):
            self._file.write(content)
            return len(content), zlib.crc32(content)
        size = crc = 0
        with content.open("rb") as source:
            while block := source.read(_BLOCK):
                self._file.write(block)
                size += len(block)
                crc = zlib.crc32(block, crc)
        return size, crc

    def _finish(self) -> None:
        start = self._file.tell()
        directory = b"".join(self._directory)
        count = len(self._directory)
        self._file.write(directory)
        end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), start, 0)
        self._file.write(end)


def read_header(path: Path) -> list[tuple[int, int]]:
    """The (offset, size) pairs of an archive's TACO header: its levels, then the collection."""
    with path.open("rb") as file:
        start = file.read(_LOCAL.size + len(HEADER_NAME) + _HEADER.size)
    name_end = _LOCAL.size + len(HEADER_NAME)
    if (
        len(start) < name_end + _HEADER.size
        or start[_LOCAL.size : name_end] != HEADER_NAME.encode()
    ):
        raise InvalidInputError(
            f"{path}: not a TACO archive (its first entry is not {HEADER_NAME})"
        )
    count, *numbers = _HEADER.unpack(start[name_end:])
    if not 2 <= count <= MAX_HEADER_ENTRIES:
        raise InvalidInputError(f"{path}: TACO header with {count} entries")
    return list(zip(numbers[0 : 2 * count : 2], numbers[1 : 2 * count : 2], strict=True))
