"""What no reader can avoid for a cold sample: read, inflate and convert each chunk that it touches.

In an epoch, where samples may share chunks, each chunk counts once. One thread; finding out which
chunks these are does not count, nor is anything rendered. A chunk is read together with its
neighbours where they lie together. Inflating makes a new buffer for each chunk, as the package
offers nothing else; the values go to memory that is used again.
"""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import h5py
import numpy as np
from tasks import Task, Where

from contenders import Result, Work

#: Chunks with no more than this between them are read at once.
GAP = 4 << 10

Inflate = Callable[[memoryview, int], bytes | bytearray]
#: Files, and of each the chunks to read, those that lie together together.
Reads = list[tuple[str, list[list["Chunk"]]]]


@dataclass(frozen=True)
class Chunk:
    """One stored chunk: where it lies, and what it becomes."""

    address: int
    stored: int
    raw: int
    dtype: np.dtype
    shuffled: bool
    scale: np.float32 | None
    shift: np.float32


def inflater() -> tuple[Inflate, str]:
    """The fastest inflate at hand, and its name."""
    try:
        import deflate
    except ImportError:
        return (lambda data, length: zlib.decompress(data, bufsize=length)), "zlib"
    return deflate.zlib_decompress, "libdeflate"


def prepare(task: Task) -> Work:
    inflate, _ = inflater()
    reads: Reads = [read for query in task.queries for read in plan(task, query)]
    if task.any_order:
        reads = each_once(reads)

    def work() -> Result:
        decode(reads, inflate)
        return {
            "samples": len(task.queries),
            "chunks": sum(len(chunks) for _, runs in reads for chunks in runs),
        }

    return work


def plan(task: Task, query: Where) -> Reads:
    """What a query touches."""
    found: dict[str, dict[int, Chunk]] = {}
    for variable in task.variables:
        for file in query.files[variable]:
            with h5py.File(file) as opened:
                stored = opened[task.netcdf[variable]]
                rows = _span(opened["lat"][:], query.lat_min, query.lat_max)
                columns = _span(opened["lon"][:], query.lon_min, query.lon_max)
                _collect(stored, rows, columns, found.setdefault(file, {}))
    return [(file, _runs(chunks)) for file, chunks in found.items() if chunks]


def each_once(reads: Reads) -> Reads:
    """The same chunks, none of them twice."""
    found: dict[str, dict[int, Chunk]] = {}
    for file, runs in reads:
        found.setdefault(file, {}).update({c.address: c for run in runs for c in run})
    return [(file, _runs(chunks)) for file, chunks in found.items()]


def decode(reads: Reads, inflate: Inflate) -> None:
    """The work; lean, because whatever Python adds here makes the floor look higher than it is."""
    size = max(chunk.raw for _, runs in reads for run in runs for chunk in run)
    values = np.empty(size, np.float32)
    for file, runs in reads:
        descriptor = os.open(file, os.O_RDONLY)
        for run in runs:
            start, last = run[0].address, run[-1]
            data = memoryview(os.pread(descriptor, last.address + last.stored - start, start))
            for chunk in run:
                at = chunk.address - start
                raw = inflate(data[at : at + chunk.stored], chunk.raw)
                if chunk.shuffled:
                    raw = np.frombuffer(raw, np.uint8).reshape(chunk.dtype.itemsize, -1).T.tobytes()
                cells = np.frombuffer(raw, chunk.dtype)
                out = values[: cells.size]
                if chunk.scale is None:
                    out[:] = cells
                else:
                    np.multiply(cells, chunk.scale, out=out)
                    if chunk.shift:
                        out += chunk.shift
        os.close(descriptor)


def _span(axis: np.ndarray, low: float, high: float) -> tuple[int, int]:
    """The first and the last cell with a weight: those in the box, and one more on either side,
    because the outermost pixels lie on its edges."""
    inside = np.flatnonzero((axis >= low) & (axis <= high))
    if not inside.size:
        return 0, -1
    return max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, axis.size - 1)


def _collect(
    stored: h5py.Dataset, rows: tuple[int, int], columns: tuple[int, int], found: dict[int, Chunk]
) -> None:
    height, width = stored.chunks[-2:]
    raw = int(np.prod(stored.chunks)) * stored.dtype.itemsize
    scale, shift = stored.attrs.get("scale_factor"), stored.attrs.get("add_offset", 0.0)
    scale = None if scale is None else np.float32(scale)

    def visit(chunk: h5py.h5d.StoreInfo) -> None:
        top, left = chunk.chunk_offset[-2:]
        if rows[0] - height < top <= rows[1] and columns[0] - width < left <= columns[1]:
            found[chunk.byte_offset] = Chunk(
                chunk.byte_offset,
                chunk.size,
                raw,
                stored.dtype,
                stored.shuffle,
                scale,
                np.float32(shift),
            )

    stored.id.chunk_iter(visit)


def _runs(chunks: dict[int, Chunk]) -> list[list[Chunk]]:
    runs: list[list[Chunk]] = []
    for _, chunk in sorted(chunks.items()):
        last = runs[-1][-1] if runs else None
        if last and chunk.address - last.address - last.stored <= GAP:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    return runs
