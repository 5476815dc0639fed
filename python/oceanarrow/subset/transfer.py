"""Fetches what a set of queries needs, as a dataset of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oceanarrow import _engine
from oceanarrow.atomic_file import replace_file
from oceanarrow.dataset.query import Query, query_arrays
from oceanarrow.events import hand_over
from oceanarrow.exceptions import InvalidInputError, UnwritableError
from oceanarrow.optional import require
from oceanarrow.progress import progress_bar
from oceanarrow.request import Rendering, choose_variables, open_engine
from oceanarrow.roots import StorageOptions, TacoPath, dataset_roots
from oceanarrow.subset.covered import CATALOGUE, Covered
from oceanarrow.subset.listing import catalogue_of_copies, places
from oceanarrow.subset.manifest import Manifest, check_same, digest, find_manifest, locked
from oceanarrow.subset.tables import subset_metadata
from oceanarrow.variables import dataset_variables
from oceanarrow.window import Window

_THREADS = 8
_SIZES_AT_ONCE = 512


@dataclass(frozen=True)
class Amount:
    """Files and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True)
class DownloadSummary:
    """What a download holds, and what of it had to be fetched."""

    directory: Path
    total: Amount
    fetched: Amount
    """What was not there yet; after a dry run, what is not there."""
    sources: dict[str, Amount]
    """The total by data source; a source without files has 0."""
    datasets: list[Path]
    """What to give `oceanarrow.Loader` once all is there: the directory, its catalogue, or both."""


class Download:
    """What a set of queries needs of a dataset, ready to be fetched.

    Making one reads the dataset's metadata and the sizes of the files, and writes nothing.
    Arguments and errors are those of `oceanarrow.download`.
    """

    def __init__(
        self,
        taco_path: TacoPath,
        queries: Iterable[Query],
        variables: Iterable[str | Window],
        directory: str | os.PathLike[str],
        *,
        storage_options: StorageOptions | None = None,
        progress: bool = True,
    ) -> None:
        require("pyarrow.parquet", "download", extra="taco")
        chosen, _ = choose_variables(variables, (), taco_path, storage_options, channels=True)
        roots = dataset_roots(taco_path)
        self.directory = Path(directory).absolute()
        found = find_manifest(self.directory)
        self._progress = progress
        arrays = query_arrays(queries)
        engine = open_engine(
            taco_path,
            arrays,
            chosen,
            [],
            [(1, 1)] * len(chosen),
            Rendering(),
            on_error="raise",
            cache_bytes=None,
            cache_dir=None,
            disk_cache_bytes=None,
            storage_options=storage_options,
        )
        self._subset = engine.subset()
        catalogues = [root for root in roots if root.lower().endswith(".parquet")]
        containers = [root for root in roots if root not in catalogues]
        self._containers = self._subset.metadata_files(containers) if containers else []
        self._listings = self._subset.listings(catalogues)
        self._files = self._subset.files()
        self._places = places(self._files)
        self._covered = Covered.of(*arrays, chosen)
        self._sources = list(self._covered.rows)
        if not self._files:
            raise InvalidInputError(
                f"the dataset has no file of {', '.join(self._sources)} for any of the queries"
            )
        pinned = self._subset.pinned(roots)
        metadata = digest(self._containers, [content for content, _ in self._listings])
        if found is not None:
            wanted = Manifest(pinned, metadata, dict.fromkeys(self._places, 0))
            check_same(found, self.directory, wanted)
        self._manifest = found or Manifest(pinned, metadata, self._find_sizes())

    def _find_sizes(self) -> dict[str, int]:
        """The bytes of each file; the dataset's store is asked for those not in the metadata."""
        known = [size for _, _, size, _ in self._files]
        sizes = {p: size for p, size in zip(self._places, known, strict=True) if size is not None}
        unknown = [row for row, size in enumerate(known) if size is None]
        with progress_bar(len(unknown), "size", shown=self._progress) as bar:
            for start in range(0, len(unknown), _SIZES_AT_ONCE):
                rows = unknown[start : start + _SIZES_AT_ONCE]
                for row, size in zip(rows, self._subset.sizes(rows), strict=True):
                    sizes[self._places[row]] = size
                hand_over()
                if bar is not None:
                    bar.update(len(rows))
        return {place: sizes[place] for place in self._places}

    @cached_property
    def summary(self) -> DownloadSummary:
        """What the download holds and what of it is missing, as of the first look."""
        sizes = self._manifest.sizes
        by_source: dict[str, list[int]] = {source: [] for source in self._sources}
        for place, (_, source, _, _) in zip(self._places, self._files, strict=True):
            by_source[source].append(sizes[place])
        missing = [sizes[place] for place in self._manifest.missing(self.directory)]
        return DownloadSummary(
            directory=self.directory,
            total=_amount(list(sizes.values())),
            fetched=_amount(missing),
            sources={source: _amount(found) for source, found in by_source.items()},
            datasets=self._datasets(),
        )

    def run(self) -> DownloadSummary:
        """Fetches what is missing; the directory is a dataset when this returns."""
        summary = self.summary
        self._check_space(summary.fetched.bytes)
        with locked(self.directory):
            self._manifest.write(self.directory)
            missing = set(self._manifest.missing(self.directory))
            marks = [self._mark(dataset) for dataset in summary.datasets]
            before = Covered.load(self.directory)
            covered = self._covered if before is None else self._covered.joined(before)
            is_new = before is None or len(covered) > len(before)
            if missing or is_new or not all(mark.exists() for mark in marks):
                for mark in marks:
                    mark.unlink(missing_ok=True)
                self._fetch(missing)
                covered.write(self.directory)
                for dataset in summary.datasets:
                    if dataset == self.directory:
                        self._describe(self._mark(dataset))
                    else:
                        self._list(dataset, covered.days())
        return summary

    def _datasets(self) -> list[Path]:
        """The directory as a TACO folder, its catalogue, or both."""
        listed = [address is not None for _, _, _, address in self._files]
        folder = [] if all(listed) else [self.directory]
        return folder + ([self.directory / CATALOGUE] if any(listed) else [])

    def _mark(self, dataset: Path) -> Path:
        """The file that says that a dataset is whole."""
        return dataset / "COLLECTION.json" if dataset == self.directory else dataset

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
            (row, sizes[place], self.directory / place)
            for row, place in enumerate(self._places)
            if place in missing
        ]
        total = sum(size for _, size, _ in rows)
        transfer = self._subset.copy(rows, _THREADS)
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
        tiles = [path for path, _, _, address in self._files if address is None]
        made = subset_metadata(self._containers, tiles, dict(self._subset.regions()))
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

    def _list(self, target: Path, days: set[int]) -> None:
        """Writes the catalogue of the copies, and an index of their chunks beside it."""
        place_of = {
            address: place
            for place, (_, _, _, address) in zip(self._places, self._files, strict=True)
            if address is not None
        }
        content = catalogue_of_copies(self._listings, place_of, days)
        os.sync()
        draft = target.with_name(f".{target.name}")
        replace_file(draft, lambda file: file.write(content))
        variables = dataset_variables([str(draft)]).values()
        written = [
            (variable.source, variable.file, name)
            for variable in variables
            if variable.file == ""
            for name in (variable.netcdf, *(flag for flag, _, _ in variable.valid))
        ]
        _engine.write_index(
            [str(draft)],
            target.with_suffix(".index.parquet"),
            written,
            days=None,
            storage_options=None,
            progress=lambda done, total: hand_over(),
        )
        draft.replace(target)


def download(
    taco_path: TacoPath,
    queries: Iterable[Query],
    variables: Iterable[str | Window],
    directory: str | os.PathLike[str],
    *,
    storage_options: StorageOptions | None = None,
    dry_run: bool = False,
    progress: bool = True,
) -> DownloadSummary:
    """Copies the files that queries need into a smaller dataset.

    It gives the same batches for these queries and variables, whatever the options of the loader;
    queries that need other days or places raise InvalidDatasetError there (`covered.npz` in the
    directory says what it covers).
    Files are copied whole. Tiles of containers make a TACO folder, `directory`; files that
    catalogues list lie in `directory/files`, and `directory/catalog.parquet` lists the copies for
    the days of the queries. Interrupted and called again, it fetches what is missing; the dataset
    can be opened once all of it is there. Needs pyarrow.

    Args:
        taco_path: a dataset, as `oceanarrow.Loader` takes it.
        queries: where and when.
        variables: names of the variables, or windows of them, inputs and targets alike.
        directory: where the new dataset will be: missing, empty, or an earlier download of the
            same files.
        storage_options: {name: value} for a remote dataset, as in `oceanarrow.Loader`.
        dry_run: only find out how much it is; nothing is written.
        progress: a progress bar on terminals, if tqdm is installed.

    Returns:
        The files and bytes of the download, by source too, what of them was missing, and what to
        open: `datasets`, the directory, its catalogue, or both.

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
