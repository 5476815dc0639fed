"""Catalogues of drawn layouts give what xarray finds in the files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st
from layouts import FIRST_DAY, RULES, Layout, axes, expected, layouts, write

from oceanarrow import Files, open_patch, write_catalog
from oceanarrow.dataset import Query

BY_NAME = r"_(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})\.nc$"


def listed(layout: Layout, folder: Path) -> Path:
    path = folder.parent / "files.parquet"
    write_catalog(
        path,
        Files(
            f"{folder}/*.nc",
            {"field": "field"},
            select={"depth": layout.select} if layout.levels else None,
            valid={"quality": RULES[layout.rule][0]} if layout.rule else None,
            day=BY_NAME if layout.time == "name" else None,
        ),
        progress=False,
    )
    return path


def a_box(layout: Layout, draw: st.DataObject) -> tuple[float, float, float, float]:
    """A box that holds cells, not all of a meridian, and has no cell on its edge."""
    lat, lon = (np.sort(axis) for axis in axes(layout))
    south = draw.draw(st.integers(0, lat.size - 2), label="south")
    north = draw.draw(st.integers(south + 1, lat.size - 1), label="north")
    west = draw.draw(st.integers(0, lon.size - 3), label="west")
    width = draw.draw(st.integers(1, min(lon.size - 2, 12)), label="width")
    if layout.regional:
        width = min(width, lon.size - 1 - west)
    step_lat, step_lon = lat[1] - lat[0], lon[1] - lon[0]
    return (
        lon[west] - 0.3 * step_lon,
        lon[west] + (width + 0.3) * step_lon,
        max(-90.0, lat[south] - 0.3 * step_lat),
        min(90.0, lat[north] + 0.3 * step_lat),
    )


def query(box: tuple[float, float, float, float], first: int, last: int) -> Query:
    west, east = ((edge + 180) % 360 - 180 for edge in box[:2])
    return Query(
        west, east, *box[2:], *(str(FIRST_DAY + np.timedelta64(n, "D")) for n in (first, last))
    )


@given(layouts(), st.data())
def test_native_cells_are_those_of_xarray(layout: Layout, data: st.DataObject) -> None:
    event(f"{layout.format}, time {layout.time}, levels {layout.levels}, rule {layout.rule}")
    box = a_box(layout, data)
    days = sum(layout.days)
    first = data.draw(st.integers(0, days - 1), label="first")
    last = data.draw(st.integers(first, days - 1), label="last")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "files")
        folder.mkdir()
        write(layout, folder)
        path = listed(layout, folder)
        due = expected(layout, folder, box).isel(day=slice(first, last + 1))
        found = open_patch(path, query(box, first, last), ["field"], temporal_agg="stack").field
    lat, lon = found.dims[-2:]
    assert found.shape == due.shape
    np.testing.assert_allclose(found[lat], due[due.dims[-2]], atol=1e-4)
    turn = (found[lon].values - due[due.dims[-1]].values + 180) % 360 - 180
    np.testing.assert_allclose(turn, 0, atol=1e-4)
    np.testing.assert_allclose(found.values, due.values, rtol=2e-6, atol=2e-5)


@given(layouts(), st.data())
def test_pixels_are_xarrays_interpolation(layout: Layout, data: st.DataObject) -> None:
    """Bilinear, at pixels whose four cells are valid."""
    box = a_box(layout, data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "files")
        folder.mkdir()
        write(layout, folder)
        path = listed(layout, folder)
        due = expected(layout, folder, (box[0] - 40, box[1] + 40, -90, 90)).isel(day=0)
        found = open_patch(
            path, query(box, 0, 0), ["field"], shape=(9, 7), resample="bilinear", min_support=1.0
        ).field
    lat = found.dims[-2]
    at = {due.dims[-2]: np.linspace(*box[2:], 9), due.dims[-1]: np.linspace(*box[:2], 7)}
    np.testing.assert_allclose(found[lat], at[due.dims[-2]], atol=1e-4)
    wanted = due.interp(at)
    both = np.isfinite(found.values.squeeze()) & np.isfinite(wanted.values.squeeze())
    difference = (found.values.squeeze() - wanted.values.squeeze())[both]
    np.testing.assert_allclose(difference, 0, atol=1e-3)
    # Pixels between valid cells are not lost.
    assert both.sum() >= 0.9 * np.isfinite(wanted.values).sum()
