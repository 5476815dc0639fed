"""The same FOLDER and ZIP, read by tacoreader (its view of a TacoCat is wrong)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from containers import Tree, tree, write_folder, write_zip

from oceanarrow._engine import Catalog

tacoreader = pytest.importorskip("tacoreader", reason="tacoreader is not installed")
pytestmark = pytest.mark.peer

MISSING = {("2023_03_30", "NORTH_ATLANTIC", "glorys.nc")}


def peer_rows(path: Path) -> list[tuple[str, str, str, str]]:
    """Date, region, file and GDAL path of each granule, padding left out."""
    frame: Any = tacoreader.load(str(path)).sql(
        "SELECT * FROM l2 WHERE \"l2:id\" NOT LIKE '\\_\\_TACOPAD%' ESCAPE '\\'"
    )
    table = frame.to_pandas() if hasattr(frame, "to_pandas") else frame
    columns = ("l0:id", "l1:id", "l2:id", "l2:internal:gdal_vsi")
    return sorted(zip(*(table[column] for column in columns), strict=True))


def our_rows(path: Path) -> list[tuple[str, str, str, str]]:
    rows = []
    for g in Catalog([str(path)]).granules():
        inside = f"/vsisubfile/{g['offset']}_{g['size']}," if g["size"] is not None else ""
        rows.append((g["day"].replace("-", "_"), g["region"], g["file"], inside + g["path"]))
    return sorted(rows)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_the_peer_sees_the_same_files(tmp_path: Path, kind: str) -> None:
    made: Tree = tree(missing=MISSING)
    path = tmp_path / ("ocean" if kind == "folder" else "ocean.tacozip")
    if kind == "folder":
        write_folder(path, made)
    else:
        write_zip(path, made)
    assert our_rows(path) == peer_rows(path)
