"""Sound containers of every kind give the granules they were made of."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from containers import (
    DATES,
    FILES,
    REGIONS,
    Flavour,
    Tree,
    payload,
    split,
    tree,
    write_cat,
    write_folder,
    write_zip,
)

from oceanarrow._engine import Catalog

Key = tuple[str, str, str, str]
FLAVOURS: list[Flavour] = ["published", "default", "large"]
MISSING = {("2023_03_30", "NORTH_ATLANTIC", "glorys.nc"), ("2023_03_31", "SOUTH_INDIAN", "argo.nc")}


def expected(missing: set[tuple[str, str, str]] = frozenset()) -> list[Key]:  # type: ignore[assignment]
    """Day, region, source and file of every granule, in the promised order."""
    return sorted(
        (date.replace("_", "-"), region, FILES[file][0], file)
        for date, region, file in itertools.product(DATES, REGIONS, FILES)
        if (date, region, file) not in missing
    )


def keys(catalog: Catalog) -> list[Key]:
    return [(g["day"], g["region"], g["source"], g["file"]) for g in catalog.granules()]


def check_bytes(catalog: Catalog) -> None:
    """Each location holds the bytes of its own file."""
    for index, g in enumerate(catalog.granules()):
        with Path(g["path"]).open("rb") as file:
            file.seek(g["offset"] or 0)
            data = file.read(-1 if g["size"] is None else g["size"])
        assert data == payload(f"{g['day'].replace('-', '_')}/{g['region']}/{g['file']}")
        catalog.check_zip_entry(index)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("padded", [True, False])
def test_folder(tmp_path: Path, flavour: Flavour, padded: bool) -> None:
    root = write_folder(tmp_path / "ocean", tree(missing=MISSING, padded=padded), flavour)
    catalog = Catalog([str(root)])
    assert keys(catalog) == expected(MISSING)
    assert len(catalog) == 16
    assert catalog.days[:2] == ("2023-03-29", "2023-03-31")
    assert catalog.regions == REGIONS
    assert catalog.sources == ["argo", "glorys", "l3_sss_smos_asc"]
    assert catalog.warnings == []
    check_bytes(catalog)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_zip(tmp_path: Path, flavour: Flavour) -> None:
    path = tmp_path / "ocean.tacozip"
    write_zip(path, tree(missing=MISSING), flavour)
    catalog = Catalog([str(path)])
    assert keys(catalog) == expected(MISSING)
    assert all(g["path"] == str(path) for g in catalog.granules())
    check_bytes(catalog)


def test_zip_without_a_telling_name(tmp_path: Path, made: Tree) -> None:
    write_zip(tmp_path / "ocean.dat", made)
    assert keys(Catalog([str(tmp_path / "ocean.dat")])) == expected()


def test_zip_parts_in_any_order(tmp_path: Path, made: Tree) -> None:
    parts = split(made)
    for name, part in parts.items():
        write_zip(tmp_path / name, part)
    catalog = Catalog([str(tmp_path / name) for name in reversed(parts)])
    assert keys(catalog) == expected()
    assert {g["path"] for g in catalog.granules()} == {str(tmp_path / name) for name in parts}
    check_bytes(catalog)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("given", ["cat", "around"])
def test_tacocat_ids_restart_in_each_part(
    tmp_path: Path, made: Tree, flavour: Flavour, given: str
) -> None:
    cat = write_cat(tmp_path, split(made), flavour)
    catalog = Catalog([str(cat if given == "cat" else tmp_path)])
    assert keys(catalog) == expected()
    assert len({g["path"] for g in catalog.granules()}) == 3
    check_bytes(catalog)


def test_resolution_is_nan_where_null_or_nan(opened: Callable[[Tree], Catalog], made: Tree) -> None:
    for row in made.levels[2]:
        if row["id"] == "glorys.nc" and row["internal:parent_id"] == 0:
            row["res_deg_lat"] = math.nan
    found = {(g["day"], g["region"], g["file"]): g["res_deg_lat"] for g in opened(made).granules()}
    assert math.isnan(found["2023-03-29", "NORTH_ATLANTIC", "glorys.nc"])
    assert math.isnan(found["2023-03-29", "NORTH_ATLANTIC", "argo.nc"])
    assert found["2023-03-30", "SOUTH_INDIAN", "glorys.nc"] == pytest.approx(1 / 12)


def test_rows_in_any_order(opened: Callable[[Tree], Catalog], made: Tree) -> None:
    for rows in made.levels:
        rows.reverse()
    assert keys(opened(made)) == expected()


def test_paths_are_rebuilt_when_the_column_is_missing(
    opened: Callable[[Tree], Catalog], made: Tree
) -> None:
    made.drop(2, "internal:relative_path")
    catalog = opened(made)
    assert keys(catalog) == expected()
    check_bytes(catalog)


@pytest.mark.parametrize("name", ["it's", "a b", "100%", "#1?", "größe", 'quo"te'])
def test_odd_characters_in_the_root(tmp_path: Path, made: Tree, name: str) -> None:
    root = write_folder(tmp_path / name, made)
    catalog = Catalog([str(root) + "/"])
    assert keys(catalog) == expected()
    check_bytes(catalog)
    write_zip(tmp_path / f"{name}.tacozip", made)
    check_bytes(Catalog([str(tmp_path / f"{name}.tacozip")]))


def test_relative_roots_outlive_the_working_directory(
    tmp_path: Path, made: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path / "ocean", made)
    monkeypatch.chdir(tmp_path)
    catalog = Catalog(["ocean"])
    monkeypatch.chdir("/")
    check_bytes(catalog)


def test_rows_that_are_not_files_are_skipped(opened: Callable[[Tree], Catalog], made: Tree) -> None:
    made.row(2, id="argo.nc")["type"] = "FOLDER"
    assert keys(opened(made)) == expected({("2023_03_29", "NORTH_ATLANTIC", "argo.nc")})


def test_footprints_from_the_table_when_level1_has_none(
    opened: Callable[[Tree], Catalog], made: Tree
) -> None:
    made.drop(1, "istac:geometry")
    assert opened(made).regions == REGIONS


def test_footprints_of_regions_of_ones_own(tmp_path: Path) -> None:
    regions = {"BALTIC": (9.0, 30.0, 53.5, 66.0)}
    root = write_folder(tmp_path / "baltic", tree(regions=regions))
    assert Catalog([str(root)]).regions == regions


def test_a_dataset_without_granules_is_empty(tmp_path: Path) -> None:
    missing = set(itertools.product(DATES, REGIONS, FILES))
    catalog = Catalog([str(write_folder(tmp_path / "empty", tree(missing=missing)))])
    assert (len(catalog), catalog.days, catalog.granules()) == (0, None, [])


def test_a_link_out_of_the_root_is_a_warning(
    folder: Callable[[Tree], Path], made: Tree, tmp_path: Path
) -> None:
    root = folder(made)
    date = root / "DATA" / "2023_03_30"
    date.rename(tmp_path / "elsewhere")
    date.symlink_to(tmp_path / "elsewhere")
    catalog = Catalog([str(root)])
    assert len(catalog.warnings) == 1
    assert "links to somewhere outside" in catalog.warnings[0]
    assert str(date) in catalog.warnings[0]
    check_bytes(catalog)


def test_a_link_within_the_root_is_none(folder: Callable[[Tree], Path], made: Tree) -> None:
    root = folder(made)
    (root / "DATA" / "2023_03_30").rename(root / "moved")
    (root / "DATA" / "2023_03_30").symlink_to(root / "moved")
    assert Catalog([str(root)]).warnings == []
