"""What a download covers: a loader that needs more is told so, not given gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oceanarrow import Loader, Window, download, variables
from oceanarrow.dataset import OceanTACODataset, Query
from oceanarrow.exceptions import InvalidDatasetError
from oceanarrow.subset.covered import NAME, Covered
from oceanarrow.window import plain

from .conftest import QUERIES

VARIABLES = ["l4_ssh"]
DAY = "2023-04-01"
BOXES = [
    Query(-60, -50, 20, 30, DAY, DAY),
    Query(-50, -40, 20, 30, DAY, "2023-04-02"),
    Query(175, -175, -5, 5, DAY, DAY),
]


@pytest.fixture(scope="module")
def copy(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (found,) = download(
        dataset, BOXES, VARIABLES, tmp_path_factory.mktemp("covered") / "copy"
    ).datasets
    return found


def opens(path: Path, *queries: Query) -> None:
    loader = Loader(path, queries, VARIABLES, batch_size=1, default_patch_size=(4, 4))
    assert sum(1 for _ in loader) == len(queries)


@pytest.mark.parametrize(
    "query",
    [
        *BOXES,
        Query(-58, -52, 22, 28, DAY, DAY),
        # In two boxes together.
        Query(-59, -41, 21, 29, DAY, DAY),
        Query(178, 184, -2, 2, DAY, DAY),
        Query(-182, -176, -2, 2, DAY, DAY),
    ],
)
def test_what_is_covered_opens(copy: Path, query: Query) -> None:
    opens(copy, BOXES[0], query)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query(-60, -50, 20, 31, DAY, DAY), r"lat 20 to 31.*2023-04-01"),
        (Query(-59, -41, 21, 29, DAY, "2023-04-02"), "2023-04-02"),
        (Query(-50, -40, 20, 30, DAY, "2023-04-03"), "2023-04-03"),
        (Query(170, -175, -5, 5, DAY, DAY), "lon 170 to -175"),
        (Query(100, 110, 20, 30, DAY, DAY), "lon 100 to 110"),
    ],
)
def test_what_is_not_names_the_first(copy: Path, query: Query, text: str) -> None:
    with pytest.raises(InvalidDatasetError, match=rf"queries\[1\] .*{text}.*copy"):
        opens(copy, BOXES[0], query)
    with pytest.raises(InvalidDatasetError, match=r"queries\[0\]"):
        OceanTACODataset(str(copy), [query], VARIABLES, [], default_patch_size=(4, 4))


def test_beside_a_dataset_that_is_no_download_all_may_be_asked(
    copy: Path, ocean: Path, ocean_listed: Path
) -> None:
    other = ocean if copy.name == "catalog.parquet" else ocean_listed
    # Either has the files by other products, so that nothing clashes.
    loader = Loader(
        [copy, other],
        [Query(-60, -50, 20, 31, DAY, DAY)],
        ["l4_sst"],
        batch_size=1,
        default_patch_size=(4, 4),
    )
    assert sum(1 for _ in loader) == 1


def test_more_queries_of_the_same_files_widen_it(dataset: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    first, second = Query(-60, -50, 20, 30, DAY, DAY), Query(-56, -46, 21, 31, DAY, DAY)
    (path,) = download(dataset, [first], VARIABLES, target).datasets
    with pytest.raises(InvalidDatasetError):
        opens(path, second)
    assert download(dataset, [second], VARIABLES, target).fetched.files == 0
    opens(path, first, second)


def test_windows_and_masks_are_covered_too(dataset: Path, tmp_path: Path) -> None:
    query = Query(-60, -50, 20, 30, DAY, DAY)
    next_day = Window("l4_ssh", 1, 2, name="next", where="l4_sst")
    (path,) = download(dataset, [query], [next_day], tmp_path / "copy").datasets

    def opens(*wanted: str | Window) -> None:
        loader = Loader(path, [query], wanted, batch_size=1, default_patch_size=(4, 4))
        assert sum(1 for _ in loader) == 1

    opens(next_day)
    opens(Window("l4_ssh", 2), Window("l4_sst", 1, name="sst"))
    for wanted, text in (
        ("l4_ssh", "of l4_ssh.*2023-04-01"),
        (Window("l4_ssh", 1, 3), "of l4_ssh.*2023-04-04"),
        (Window("l4_ssh", 1, where="l3_swot"), "of l3_swot.*2023-04-02"),
    ):
        with pytest.raises(InvalidDatasetError, match=text):
            opens(wanted)


def test_a_damaged_record_says_so(ocean_listed: Path, tmp_path: Path) -> None:
    (path,) = download(ocean_listed, BOXES[:1], VARIABLES, tmp_path / "copy").datasets
    record = path.parent / NAME
    for content in (b"", b"PK\x03\x04", record.read_bytes()[:-30]):
        record.write_bytes(content)
        with pytest.raises(InvalidDatasetError, match=r"cannot be read.*covered\.npz"):
            opens(path, BOXES[0])
    np.savez(record, l4_ssh=np.zeros((3, 2)))
    with pytest.raises(InvalidDatasetError, match=r"covered\.npz"):
        opens(path, BOXES[0])
    record.unlink()
    opens(path, BOXES[0], QUERIES[0])


BOX = st.tuples(st.integers(-20, 19), st.integers(1, 30), st.integers(-9, 8), st.integers(1, 8))


def arrays(boxes: list[tuple[int, int, int, int]]) -> np.ndarray:
    """Edges in degrees, where 40 units are the circle and 20 the way between the poles."""
    found = []
    for west, width, south, height in boxes:
        east = west + width
        found.append([9 * west, 9 * (east if east <= 20 else east - 40), 9 * south,
                      9 * min(10, south + height)])  # fmt: skip
    return np.array(found, np.float64)


@given(st.lists(BOX, min_size=1, max_size=8), BOX)
def test_a_box_is_covered_where_all_of_its_places_are(
    boxes: list[tuple[int, int, int, int]], asked: tuple[int, int, int, int]
) -> None:
    days = np.zeros((len(boxes), 2), np.int32)
    column = plain(variables()["l4_ssh"])
    covered = Covered.of(arrays(boxes), days, [column])

    def places(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
        west, width, south, height = box
        return {
            ((west + i) % 40, j)
            for i in range(width)
            for j in range(south, min(10, south + height))
        }

    due = places(asked) <= set().union(*map(places, boxes))
    assert (covered.first_lacking(arrays([asked]), days[:1], column) is None) == due
