"""`verify`: whether a receipt holds of a dataset."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oceanarrow.dataset.query import Query
from oceanarrow.exceptions import InvalidInputError, OceanArrowError
from oceanarrow.frozen.manifest import FrozenDirectory
from oceanarrow.json_file import given_or_read
from oceanarrow.loader import Loader
from oceanarrow.progress import progress_bar
from oceanarrow.receipt import KIND, RECEIPT_FORMAT, replayed
from oceanarrow.roots import StorageOptions, TacoPath


@dataclass(frozen=True)
class Verification:
    """What does not hold.

    Attributes:
        problems: a line each; none if all holds.
        checked: how many rows, or files of a frozen set, were compared.
    """

    problems: list[str]
    checked: int

    def __bool__(self) -> bool:
        """Whether all holds."""
        return not self.problems


def verify(
    receipt: Mapping[str, Any] | str | os.PathLike[str],
    taco_path: TacoPath | None = None,
    queries: Iterable[Query] | None = None,
    *,
    storage_options: StorageOptions | None = None,
    progress: bool = True,
) -> Verification:
    """Replays the steps of a receipt on a dataset, and compares; or compares the files of a frozen
    set with its manifest.

    Args:
        receipt: what `Loader.receipt` gave, a JSON file of it, or the directory of a frozen set.
        taco_path, queries: the dataset, which may lie elsewhere, and the queries; not of a
            directory.
        storage_options: for a remote dataset; see `docs/reference/storage_options.md`.
        progress: a bar on a terminal.

    Returns:
        What differs: the fields of the plan and of the content (rules version, dataset, queries,
        ...), and the first row that does, with its step, variable and files.

    Raises:
        InvalidInputError: it is no receipt.
        NotFoundError: there is no such file.
        otherwise as `Loader.from_config`.
    """
    if isinstance(receipt, str | os.PathLike) and Path(receipt).is_dir():
        return _verify_directory(receipt, progress)
    told = _read(receipt)
    if taco_path is None or queries is None:
        raise InvalidInputError("a receipt is verified on a dataset: give taco_path and queries")
    queries = list(queries)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        loader = Loader.from_config(
            told["config"],
            taco_path,
            queries,
            rank=0,
            world_size=1,
            storage_options=storage_options,
        )
    problems = _differences(told, loader.receipt())
    checked = 0
    with progress_bar(len(told.get("steps", [])), "step", shown=progress) as bar:
        for step in told.get("steps", []):
            number, epoch = int(step["step"]), int(told["epoch"])
            try:
                (again,) = replayed(loader, range(number, number + 1), epoch)
            except OceanArrowError as error:
                problems.append(f"step {number}: {error}")
                break
            found = _first_difference(step, again)
            checked += len(again["queries"])
            if bar is not None:
                bar.update(1)
            if found is not None:
                problems.append(_named(loader, step, found, queries))
                break
    return Verification(problems, checked)


def _verify_directory(directory: str | os.PathLike[str], progress: bool) -> Verification:
    frozen = FrozenDirectory.open(directory)
    if not frozen.complete:
        return Verification([f"{frozen.path} is not finished"], 0)
    total = frozen.shards + 1
    with progress_bar(total, "file", shown=progress) as bar:
        problems = []
        for problem in frozen.check():
            if bar is not None:
                bar.update(1)
            if problem is not None:
                problems.append(problem)
    return Verification(problems, total)


def _read(receipt: Mapping[str, Any] | str | os.PathLike[str]) -> Mapping[str, Any]:
    where, told = given_or_read(receipt, "receipt")
    if told.get("kind") != KIND:
        raise InvalidInputError(f"{where} is no receipt; Loader.receipt() makes one")
    if told.get("format") != RECEIPT_FORMAT:
        raise InvalidInputError(
            f"{where} is a receipt of format {told.get('format')!r}, of another release; this one "
            f"reads {RECEIPT_FORMAT}"
        )
    return told


def _differences(told: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what the loader is another one."""
    problems = []
    if told["rules_version"] != now["rules_version"]:
        problems.append(
            f"the rules version is {now['rules_version']}, not {told['rules_version']}: values may "
            "differ (docs/reference/identity.md)"
        )
    pinned = [[_commit(root) for root in receipt["roots"]] for receipt in (told, now)]
    if any(commit is not None for commit in pinned[0]) and pinned[0] != pinned[1]:
        problems.append(f"the dataset's commits are {pinned[1]}, not {pinned[0]}")
    names = sorted(set(told["content"]) | set(now["content"]))
    differing = [n for n in names if told["content"].get(n) != now["content"].get(n)]
    # What was told already.
    if told["rules_version"] != now["rules_version"] and "delivery" in differing:
        differing.remove("delivery")
    problems += [f"the content differs in {name}" for name in differing]
    if told["plan_id"] != now["plan_id"] and not differing:
        problems.append(f"the plan is {now['plan_id']}, not {told['plan_id']}")
    return problems


def _commit(root: str) -> str | None:
    """The dataset and commit of an address on a hub."""
    prefix = "hf://datasets/"
    return "/".join(root.removeprefix(prefix).split("/")[:2]) if root.startswith(prefix) else None


def _first_difference(told: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[int, int] | None:
    """The first row and variable; a row of another query counts as its first variable."""
    if len(told["queries"]) != len(now["queries"]):
        return 0, 0
    for row, (before, after) in enumerate(zip(told["digests"], now["digests"], strict=False)):
        if told["queries"][row] != now["queries"][row] or len(before) != len(after):
            return row, 0
        for variable, (a, b) in enumerate(zip(before, after, strict=True)):
            if a != b:
                return row, variable
    return None


def _named(
    loader: Loader, told: Mapping[str, Any], found: tuple[int, int], queries: list[Query]
) -> str:
    """The step, row, variable and files of a difference."""
    row, variable = found
    query = int(told["queries"][row])
    if query >= len(queries):
        return f"step {told['step']}, row {row}: there is no query {query}"
    name, files = loader.engine.files_of(query, variable)
    return (
        f"step {told['step']}, row {row} (query {query}: {queries[query]}), variable {name!r} "
        f"differs; its files: {', '.join(files) or 'none'}"
    )
