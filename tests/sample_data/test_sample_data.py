"""`oceanarrow sample-data`: one ocean under all sensors, in the published layouts."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

import oceanarrow
from oceanarrow import Catalog
from oceanarrow.cli import main
from oceanarrow.dataset import Query
from oceanarrow.dataset.retrieve import load_bbox_nc
from oceanarrow.exceptions import InvalidInputError, NotFoundError
from oceanarrow.sample_data import write_sample_data
from oceanarrow.taco import REGIONS

DAY = "2023-04-01"
GLOBE = (-180.0, -90.0, 180.0, 90.0)
SCALE = 16


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "ocean"
    status = main(f"sample-data {path} --synthetic --start {DAY} --days 2 --scale {SCALE}".split())
    assert status == 0
    return path


def tile(
    sample: Path, file: str, region: str = "NORTH_ATLANTIC", day: str = "2023_04_01"
) -> xr.Dataset:
    path = sample / "OceanTACO/DATA" / day / region / f"{file}.nc"
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        return opened.load()


def test_what_is_there(sample: Path) -> None:
    catalog = oceanarrow.Catalog(sample / "OceanTACO")
    assert catalog.days[:2] == (DAY, "2023-04-02") and len(catalog) == 2 * 8 * 11
    assert set(catalog.regions) == set(REGIONS) and not catalog.warnings
    text = (sample / "README.md").read_text()
    assert "Nothing here is real" in text and "16 times" in text
    assert not list(sample.parent.glob(".*"))


def test_every_built_in_variable_is_delivered(sample: Path) -> None:
    names = [v.name for v in oceanarrow.variables().values() if v.source in _sources(sample)]
    assert len(names) >= 14
    queries = [Query(-60, -20, 5, 45, DAY, DAY), Query(160, -160, -40, 0, DAY, DAY)]
    loader = oceanarrow.Loader(
        sample / "OceanTACO", queries, names, default_patch_size=(16, 16), batch_size=2
    )
    (batch,) = loader
    found = batch.to_numpy()
    for name in names:
        if oceanarrow.variables()[name].geometry == "grid":
            assert found["inputs"][name].shape == (2, 16, 16)
            assert found["masks"][name].any(), name


def _sources(sample: Path) -> set[str]:
    return set(oceanarrow.Catalog(sample / "OceanTACO").sources)


@pytest.mark.parametrize(
    ("file", "name", "dtype", "packing", "chunks", "level"),
    [
        ("l4_ssh", "sla", "int16", (0.0005, 0.0), (90, 90), 5),
        ("l4_ssh", "ugos", "float32", None, (45, 90), 5),
        ("l4_sst", "analysed_sst", "int16", (0.001, 20.0), (113, 113), 5),
        ("l4_sss", "sos", "int16", (0.002, 30.0), (1, 90, 90), 5),
        ("l4_wind", "eastward_wind", "int16", (0.01, 0.0), (45, 90), 5),
        ("l3_sst", "adjusted_sea_surface_temperature", "int16", (0.001, 20.0), (100, 113), 5),
        ("l3_sss_asc", "Sea_Surface_Salinity", "int16", (0.002, 30.0), (73, 87), 5),
        ("l3_swot", "ssha_filtered", "float32", None, (157, 111), 4),
        ("l3_swot", "primary_track", "int16", None, (157, 222), 4),
        ("l3_ssh", "sla_filtered", "float32", None, (90, 64), 4),
        ("glorys", "uo", "int16", (0.001, 0.0), (68, 135), 5),
    ],
)
def test_published_packing(
    sample: Path,
    file: str,
    name: str,
    dtype: str,
    packing: tuple[float, float] | None,
    chunks: tuple[int, ...],
    level: int,
) -> None:
    path = sample / f"OceanTACO/DATA/2023_04_01/SOUTH_INDIAN/{file}.nc"
    with h5py.File(path) as opened:
        data = opened[name]
        assert data.dtype == dtype and data.compression_opts == level and not data.shuffle
        assert data.chunks == tuple(min(a, b) for a, b in zip(chunks, data.shape, strict=True))
        if packing is not None:
            assert (data.attrs["scale_factor"][0], data.attrs["add_offset"][0]) == packing
            assert data.attrs["_FillValue"][0] == -32767


@pytest.mark.parametrize(
    ("file", "published", "float64"),
    [
        ("l4_ssh", (720, 720), False),
        ("l4_sst", (1800, 1800), False),
        ("l4_wind", (360, 360), False),
        ("l3_sst", (800, 900), False),
        ("l3_sss_asc", (292, 347), False),
        ("l3_swot", (5001, 3549), True),
        ("l3_ssh", (1429, 1014), True),
        ("glorys", (1080, 1080), False),
    ],
)
def test_published_grids(
    sample: Path, file: str, published: tuple[int, int], float64: bool
) -> None:
    found = tile(sample, file)
    shape = found.sizes["lat"], found.sizes["lon"]
    assert all(abs(n * SCALE / due - 1) < 0.08 for n, due in zip(shape, published, strict=True))
    assert found.lat.dtype == ("float64" if float64 else "float32") and found.lon.dtype == "float64"
    for axis, (low, high) in (("lat", (0, 90)), ("lon", (-90, 0))):
        values = found[axis].values
        assert values.min() >= low and values.max() < high and (np.diff(values) > 0).all()


def test_one_ocean(sample: Path) -> None:
    """What the sensors see is what the analyses show."""
    ssh, model = (load_bbox_nc(sample / "OceanTACO", DAY, GLOBE, s) for s in ("l4_ssh", "glorys"))
    assert ssh is not None and model is not None
    at = {"lat": model.lat, "lon": model.lon}
    difference = (model.zos - ssh.adt.interp(at)).values
    # Cells at coasts and poles have no neighbours to interpolate between.
    assert np.isfinite(difference).mean() > 0.4 and np.nanstd(difference) < 0.02
    assert np.nanstd(ssh.adt) > 0.2
    for file, name, size in (("l3_swot", "ssha_filtered", 0.03), ("l3_ssh", "sla_filtered", 0.03)):
        track = load_bbox_nc(sample / "OceanTACO", DAY, GLOBE, file)
        assert track is not None
        due = ssh.sla.interp(lat=track.lat, lon=track.lon)
        error = (track[name] - due).values
        assert np.isfinite(error).sum() > 100 and np.nanstd(error) < size, file


def test_currents_are_geostrophic(sample: Path) -> None:
    """u = -g/f dh/dy with numpy's own differences, away from the equator and coasts."""
    ssh = load_bbox_nc(sample / "OceanTACO", DAY, (-180, 20, 180, 60), "l4_ssh")
    assert ssh is not None
    height, lat = ssh.adt.values.astype(float), ssh.lat.values.astype(float)
    metres = np.radians(lat[1] - lat[0]) * 6371e3
    f = 2 * 7.2921e-5 * np.sin(np.radians(lat))[:, None]
    due = -9.81 / f * np.gradient(height, metres, axis=0)
    inside = np.isfinite(due[1:-1]) & np.isfinite(ssh.ugos.values[1:-1])
    assert inside.mean() > 0.3
    error = (ssh.ugos.values - due)[1:-1][inside]
    assert np.abs(error).max() < 0.02 * np.abs(due[1:-1][inside]).max() + 0.01


def test_tracks(sample: Path) -> None:
    """Each cell's pass is one that the tile names; a pass has one id in every tile."""
    places: dict[str, set[int]] = {}
    for region in REGIONS:
        found = tile(sample, "l3_swot", region)
        ids = [str(text) for text in found.track_ids.values]
        assert len(set(ids)) == len(ids) == found.sizes["track"]
        for index, text in enumerate(ids):
            places.setdefault(text, set()).add(index)
        seen = found.n_obs.fillna(0).values > 0
        assert (seen == found.ssha_filtered.notnull().values).all() and seen.any()
        primary = found.primary_track.values
        assert set(np.unique(primary[seen])) <= set(range(len(ids)))
        assert np.isnan(primary[~seen]).all()
        assert set(found.track_platforms.values.astype(str)) == {"SWOT"}
        assert not found.is_overlap.values[~seen].any()
    assert any(len(indices) > 1 for indices in places.values())
    nadir = tile(sample, "l3_ssh")
    assert {"Sentinel-6A", "SARAL/AltiKa"} <= set(nadir.track_platforms.values.astype(str))


def test_plain_files_are_the_same_ocean(sample: Path, tmp_path: Path) -> None:
    files = sample / "files"
    oceanarrow.write_catalog(
        tmp_path / "ocean.parquet",
        [
            oceanarrow.Files(f"{files}/ssh/*.nc", {"ssh": "sla", "u": "ugos"}),
            oceanarrow.Files(
                f"{files}/ghrsst/*.nc",
                {"sst": "analysed_sst"},
                units={"sst": "degC"},
                valid={"quality_level": (4, 5), "sea_ice_fraction": (None, 0.15)},
            ),
            oceanarrow.Files(
                f"{files}/model/*.nc", {"deep": "thetao"}, select={"depth": [0.5, 318.0]}
            ),
            oceanarrow.Files(f"{files}/wind_*.nc", {"wind": "eastward_wind"}),
        ],
    )
    queries = [Query(-60, -20, 10, 40, DAY, DAY), Query(165, -165, -20, 20, DAY, DAY)]
    shape = {"default_patch_size": (12, 12), "batch_size": 2}
    (batch,) = oceanarrow.Loader(
        tmp_path / "ocean.parquet", queries, ["ssh", "sst", "wind"], **shape
    )
    own = batch.to_numpy()
    published = ["l4_ssh", "l4_sst", "l4_wind"]
    (batch,) = oceanarrow.Loader(sample / "OceanTACO", queries, published, **shape)
    tiles = batch.to_numpy()
    for a, b, size in (("ssh", "l4_ssh", 0.05), ("sst", "l4_sst", 1.0), ("wind", "l4_wind", 1.0)):
        both = own["masks"][a].astype(bool) & tiles["masks"][b].astype(bool)
        difference = (own["inputs"][a] - tiles["inputs"][b])[both]
        assert both.mean() > 0.2 and np.sqrt(np.mean(difference**2)) < size, a
    # Bad quality was left out, though the analysis has a number there.
    assert own["masks"]["sst"].mean() < own["masks"]["ssh"].mean()
    deep = oceanarrow.open_patch(tmp_path / "ocean.parquet", queries[0], ["deep"]).deep
    assert float(deep.isel(depth=0).mean()) > float(deep.isel(depth=1).mean()) + 3


def test_files_of_no_day(sample: Path) -> None:
    with xr.open_dataset(sample / "files/bathymetry.nc", engine="h5netcdf") as opened:
        elevation = opened.elevation.load()
    assert "time" not in elevation.dims and elevation.min() < -3000 and elevation.max() > 0
    with xr.open_dataset(sample / "files/sst_climatology.nc", engine="h5netcdf") as opened:
        sst = opened.sst.load()
        north = sst.sel(latitude=slice(30, 60)).mean(("latitude", "longitude"))
    months = north.values
    assert sst.sizes["time"] == 12 and months.argmax() in (7, 8) and months.argmin() < 4


def test_the_readme_runs(sample: Path) -> None:
    text = (sample / "README.md").read_text()
    shell, code = (
        text.split(f"```{language}\n")[1].split("```")[0] for language in ("sh", "python")
    )
    bin_dir = str(Path(sys.executable).parent)
    environment = {"PATH": f"{bin_dir}:/usr/bin:/bin"}
    subprocess.run(["bash", "-ec", shell], cwd=sample, env=environment, check=True)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=sample, check=True, capture_output=True, text=True
    )
    assert "['ssh', 'sst', 'depth', 'sin_latitude']" in done.stdout


def test_same_arguments_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_sample_data(
            tmp_path / name, synthetic=True, days=1, scale=64, start=date(2024, 2, 29)
        )
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.nc")]
    assert len(files) == 8 * 11 + 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_some_sources_alone(tmp_path: Path) -> None:
    options: dict[str, Any] = {"synthetic": True, "days": 1, "scale": 64, "start": "2024-02-29"}
    some = write_sample_data(tmp_path / "some", sources=["l4_ssh", "argo"], **options)
    every = write_sample_data(tmp_path / "every", **options)
    assert sorted(path.name for path in some.iterdir()) == ["OceanTACO", "README.md"]
    assert Catalog(some / "OceanTACO").sources == ["argo", "l4_ssh"]
    for path in some.glob("OceanTACO/DATA/*/*/*.nc"):
        assert path.read_bytes() == (every / path.relative_to(some)).read_bytes()
    assert "l4_ssh, argo in eight regions" in (some / "README.md").read_text()


def test_bad_arguments(tmp_path: Path) -> None:
    for options, text in (
        ({"days": 0}, "days must be 1 to 366"),
        ({"days": 2.5}, "days must be 1 to 366"),
        ({"scale": 0.5}, "scale must be 1 to 64"),
        ({"scale": float("nan")}, "scale must be 1 to 64"),
        ({"start": "2023-13-01"}, "cannot read"),
        ({"start": "2023-04-01"}, "real sea level is of 2018-12-31 to 2019-01-03 only"),
        ({"days": 5}, "synthetic=True"),
        ({"sources": ["sea"]}, "sources must be some of l4_ssh, .*, not sea"),
        ({"sources": []}, "sources must be some of"),
        ({"sources": "l4_ssh"}, "sources must be a list"),
    ):
        with pytest.raises(InvalidInputError, match=text):
            write_sample_data(tmp_path / "ocean", **options)  # type: ignore[arg-type]
    (tmp_path / "there").mkdir()
    with pytest.raises(InvalidInputError, match="exists"):
        write_sample_data(tmp_path / "there", synthetic=True)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def _archive(folder: Path) -> Path:
    """A source archive with four maps of one height each, land in the north, and an ephemeris."""
    target = folder / "swot_simulator-1.2.1.tar.gz"
    with tarfile.open(target, "w:gz") as tar:
        for n, day in enumerate(("20181231", "20190101", "20190102", "20190103")):
            path = folder / f"dt_global_allsat_phy_l4_{day}_20190515.nc"
            with h5py.File(path, "w") as file:
                raw = np.full((1, 720, 1440), 1000 * (n + 1), np.int32)
                raw[:, 600:] = -2_147_483_647
                # East of Greenwich comes first.
                raw[:, :600, :720] += 5000
                file["adt"] = raw
                file["adt"].attrs["scale_factor"] = 1e-4
            tar.add(path, f"swot_simulator-1.2.1/swot_simulator/data/{path.name}")
        path = folder / "ephemeris_science_sept2015_ell.txt"
        seconds = np.arange(0, 1_814_400, 60.0)
        lat = 77.6 * np.sin(2 * np.pi * seconds / 6174.0)
        lines = [
            f"{t:.0f} {(t / 17) % 360:.6f} {y:.6f} 890000"
            for t, y in zip(seconds, lat, strict=True)
        ]
        path.write_text("# height = 890582\n" + "\n".join(lines))
        tar.add(path, f"swot_simulator-1.2.1/swot_simulator/data/{path.name}")
    return target


def test_real_sea_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from oceanarrow.sample_data import download

    monkeypatch.setattr(download, "_fetch", _archive)
    path = write_sample_data(tmp_path / "ocean", days=2, scale=32)
    ssh = load_bbox_nc(path / "OceanTACO", "2019-01-01", GLOBE, "l4_ssh")
    assert ssh is not None
    east, west = (
        ssh.adt.sel(lon=part, lat=slice(-60, 50)) for part in (slice(10, 170), slice(-170, -10))
    )
    np.testing.assert_allclose(east.values[np.isfinite(east)], 0.7, atol=3e-4)
    np.testing.assert_allclose(west.values[np.isfinite(west)], 0.2, atol=3e-4)
    assert east.notnull().any() and west.notnull().any()
    assert not ssh.adt.sel(lat=slice(62, 90)).notnull().any()
    text = (path / "README.md").read_text()
    assert "SSALTO/DUACS" in text and "Nothing here is real" not in text
    tracks = tile(path, "l3_swot", day="2018_12_31")
    assert tracks.ssha_filtered.notnull().any()


def test_no_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(NotFoundError, match=r"cannot download .*--synthetic"):
        write_sample_data(tmp_path / "ocean")
    assert not list(tmp_path.iterdir())
