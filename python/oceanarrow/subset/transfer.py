"""Fetches what a set of queries needs, as a dataset of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oceanarrow.atomic_file import replace_file
from oceanarrow.dataset.query import Query
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError, UnwritableError
from oceanarrow.optional import require
from oceanarrow.progress import progress_bar
from oceanarrow.request import (
    Rendering,
    StorageOptions,
    TacoPath,
    choose_variables,
    dataset_roots,
    open_engine,
    query_arrays,
)
from oceanarrow.subset.manifest import Manifest, check_same, digest, find_manifest, locked
from oceanarrow.subset.tables import subset_metadata

_THREADS = 8
_SIZES_AT_ONCE = 512


@dataclass(frozen=True)
class Amount:
    """Granules and their bytes."""

    granules: int
    bytes: int


@dataclass(frozen=True)
class DownloadSummary:
    """What a download holds, and what of it had to be fetched."""

    directory: Path
    total: Amount
    fetched: Amount
    """What was not there yet; after a dry run, what is not there."""
    sources: dict[str, Amount]
    """The total by data source; a source without granules has 0."""


class Download:
    """What a set of queries needs of a dataset, ready to be fetched.

    Making one reads the dataset's metadata and the sizes of the granules, and writes nothing.
    Arguments and errors are those of `oceanarrow.download`.
    """

    def __init__(
        self,
        taco_path: TacoPath,
        queries: Iterable[Query],
        variables: Iterable[str],
        directory: str | os.PathLike[str],
        *,
        storage_options: StorageOptions | None = None,
        progress: bool = True,
    ) -> None:
        require("pyarrow.parquet", "download", extra="taco")
        chosen, _ = choose_variables(variables, (), taco_path, storage_options)
        roots = dataset_roots(taco_path)
        self.directory = Path(directory).absolute()
        found = find_manifest(self.directory)
        self._progress = progress
        engine = open_engine(
            taco_path,
            query_arrays(queries),
            chosen,
            [],
            dict.fromkeys((variable.name for variable in chosen), (1, 1)),
            Rendering(),
            on_error="raise",
            cache_bytes=None,
            cache_dir=None,
            disk_cache_bytes=None,
            storage_options=storage_options,
        )
        self._subset = engine.subset()
        self._containers = self._subset.metadata_files(roots)
        self._granules = self._subset.granules()
        self._sources = list(dict.fromkeys(variable.source for variable in chosen))
        if not self._granules:
            raise InvalidInputError(
                f"the dataset has no file of {', '.join(self._sources)} for any of the queries"
            )
        names = [path for path, _, _ in self._granules]
        pinned, metadata = self._subset.pinned(roots), digest(self._containers)
        if found is not None:
            check_same(found, self.directory, Manifest(pinned, metadata, dict.fromkeys(names, 0)))
        self._manifest = found or Manifest(pinned, metadata, self._find_sizes())

    def _find_sizes(self) -> dict[str, int]:
        """The bytes of each granule; the dataset's store is asked for those not in the metadata."""
        sizes = {path: size for path, _, size in self._granules if size is not None}
        unknown = [row for row, (path, _, _) in enumerate(self._granules) if path not in sizes]
        with progress_bar(len(unknown), "size", shown=self._progress) as bar:
            for start in range(0, len(unknown), _SIZES_AT_ONCE):
                rows = unknown[start : start + _SIZES_AT_ONCE]
                for row, size in zip(rows, self._subset.sizes(rows), strict=True):
                    sizes[self._granules[row][0]] = size
                hand_over()
                if bar is not None:
                    bar.update(len(rows))
        return {path: sizes[path] for path, _, _ in self._granules}

    @cached_property
    def summary(self) -> DownloadSummary:
        """What the download holds and what of it is missing, as of the first look."""
        sizes = self._manifest.sizes
        by_source: dict[str, list[int]] = {source: [] for source in self._sources}
        for path, source, _ in self._granules:
            by_source[source].append(sizes[path])
        missing = [sizes[path] for path in self._manifest.missing(self.directory)]
        return DownloadSummary(
            directory=self.directory,
            total=_amount(list(sizes.values())),
            fetched=_amount(missing),
            sources={source: _amount(found) for source, found in by_source.items()},
        )

    def run(self) -> DownloadSummary:
        """Fetches what is missing; the directory is a dataset when this returns."""
        summary = self.summary
        self._check_space(summary.fetched.bytes)
        with locked(self.directory):
            self._manifest.write(self.directory)
            missing = set(self._manifest.missing(self.directory))
            description = self.directory / "COLLECTION.json"
            if missing or not description.exists():
                description.unlink(missing_ok=True)
                self._fetch(missing)
                self._describe(description)
        return summary

    def _check_space(self, needed: int) -> None:
        there = next(p for p in (self.directory, *self.directory.parents) if p.exists())
        free = shutil.disk_usage(there).free
        if needed > free:
            raise UnwritableError(
                f"the download needs {needed:,} bytes more, and the disk of {self.directory} has "
                f"{free:,} bytes left; make room or choose another directory"
            )

    def _fetch(self, missing: set[str]) -> None:
        sizes = self._manifest.sizes
        rows = [
            (row, sizes[path]) for row, (path, _, _) in enumerate(self._granules) if path in missing
        ]
        total = sum(size for _, size in rows)
        transfer = self._subset.copy(self.directory / "DATA", rows, _THREADS)
        try:
            with progress_bar(total, "B", shown=self._progress, unit_scale=True) as bar:
                for _, count in transfer:
                    hand_over()
                    if bar is not None:
                        bar.update(count)
        finally:
            transfer.close()
            hand_over()

    def _describe(self, description: Path) -> None:
        """Writes the metadata: `COLLECTION.json`, by which a dataset is known, last of all."""
        made = subset_metadata(
            self._containers, self._manifest.sizes.keys(), dict(self._subset.regions())
        )
        for place in made.padding:
            path = self.directory / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        for place, content in {**made.metas, **made.levels}.items():
            path = self.directory / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        # Once for thousands of small files.
        os.sync()
        replace_file(description, lambda file: file.write(made.collection))


def download(
    taco_path: TacoPath,
    queries: Iterable[Query],
    variables: Iterable[str],
    directory: str | os.PathLike[str],
    *,
    storage_options: StorageOptions | None = None,
    dry_run: bool = False,
    progress: bool = True,
) -> DownloadSummary:
    """Copies the files that queries need into a smaller dataset, a TACO folder of its own.

    It gives the same batches for these queries and variables, whatever the options of the loader.
    Files are copied whole. Interrupted and called again, it fetches what is missing; the directory
    can be opened as a dataset once all of it is there. Needs pyarrow.

    Args:
        taco_path: a dataset, as `oceanarrow.Loader` takes it.
        queries: where and when.
        variables: names of the variables, inputs and targets alike.
        directory: where the new dataset will be: missing, empty, or an earlier download of the
            same granules.
        storage_options: {name: value} for a remote dataset, as in `oceanarrow.Loader`.
        dry_run: only find out how much it is; nothing is written.
        progress: a progress bar on terminals, if tqdm is installed.

    Returns:
        The granules and bytes of the download, by source too, and what of them was missing.

    Raises:
        InvalidInputError: an argument is wrong, no file is needed, or `directory` holds something
            else (it is also a ValueError).
        NotFoundError, InvalidDatasetError: there is no sound dataset at `taco_path`, or it lacks a
            file that it lists.
        AccessDeniedError, TransientIoError: its server refuses or cannot be reached; what has come
            stays.
        UnwritableError: the disk is full, or `directory` cannot be written; what has come stays.
        CorruptGranuleError: a file's size has changed since the download began.
    """
    planned = Download(
        taco_path,
        queries,
        variables,
        directory,
        storage_options=storage_options,
        progress=progress,
    )
    return planned.summary if dry_run else planned.run()


def _amount(sizes: list[int]) -> Amount:
    return Amount(len(sizes), sum(sizes))
