"""What decides rows is in the content id; and a config makes the same loader again."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from golden import dataset
from golden.loaders import LOADERS
from own_files import BOX, catalogue, write

from oceanarrow import Augment, Files, Loader, Window, register_variable
from oceanarrow.dataset import Query
from oceanarrow.exceptions import InvalidInputError, NotFoundError
from oceanarrow.variables import variables

DAYS = [f"2023-04-{day:02d}" for day in range(1, 5)]
QUERIES = [
    Query(-70 + 3 * i, -50 + 3 * i, -30, -10, DAYS[i % 3], DAYS[i % 3 + 1]) for i in range(12)
]
BASE: dict[str, Any] = {
    "input_variables": ["l4_sst", "l3_swot"],
    "target_variables": ["l4_ssh"],
    "default_patch_size": (8, 8),
    "batch_size": 4,
}

#: What decides values, each in turn.
VALUES: dict[str, dict[str, Any]] = {
    "another variable": {"input_variables": ["l4_sst", "l4_sss"]},
    "another order of variables": {"input_variables": ["l3_swot", "l4_sst"]},
    "another role": {"input_variables": ["l4_sst"], "target_variables": ["l4_ssh", "l3_swot"]},
    "window": {"input_variables": [Window("l4_sst", -1, 0), "l3_swot"]},
    "name": {"input_variables": [Window("l4_sst", name="sst"), "l3_swot"]},
    "where": {"input_variables": [Window("l4_sst", where="l4_ssh"), "l3_swot"]},
    "its stack": {"input_variables": [Window("l4_sst", temporal_agg="stack"), "l3_swot"]},
    "tensor": {"input_variables": {"x": ["l4_sst", "l3_swot"]}},
    "patch": {"default_patch_size": (8, 9)},
    "patches": {"patch_sizes": {"l4_ssh": (3, 3)}},
    "temporal_agg": {"temporal_agg": "last"},
    "resample": {"resample": {"l3_swot": "area"}},
    "grid": {"grid": {"l4_sst": "crop"}},
    "min_support": {"min_support": 0.5},
    "fill_value": {"fill_value": -1.0},
    "no fill_value": {"fill_value": {"l4_sst": float("nan")}},
    "normalize": {"normalize": {"l4_sst": (10.0, 3.0)}},
    "anomaly": {"anomaly": {"l4_sst": "glorys_sst"}},
    "joint": {
        "input_variables": ["glorys_uo", "glorys_vo"],
        "joint": [("glorys_uo", "glorys_vo")],
    },
    "those without joint": {"input_variables": ["glorys_uo", "glorys_vo"]},
    "augment": {"augment": Augment(flip_lon=True)},
    "another augment": {"augment": Augment(shift=1.0)},
    "augment's seed": {"augment": Augment(flip_lon=True), "seed": 1},
    "on_error": {"on_error": "mask"},
    "support": {"support": True},
}

#: What decides the order alone, or nothing.
ORDER: dict[str, dict[str, Any]] = {
    "batch_size": {"batch_size": 3},
    "global_batch_size": {"batch_size": None, "global_batch_size": 6},
    "lanes": {"lanes": 1},
    "window": {"window": 5},
    "weights": {"weights": np.arange(1.0, 13.0)},
    "shuffle": {"shuffle": False},
    "seed": {"seed": 7},
    "tail": {"tail": "pad"},
    "threads": {"threads": 1},
    "cache_bytes": {"cache_bytes": 0},
    "prefetch_bytes": {"prefetch_bytes": 1},
}


def make(path: Any, changes: dict[str, Any], queries: Iterable[Query] = QUERIES) -> Loader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Loader(path, list(queries), **{**BASE, **changes})


def test_what_decides_values_is_in_the_content_id(ocean: Path) -> None:
    base = make(ocean, {}).content_id
    ids = {name: make(ocean, changes).content_id for name, changes in VALUES.items()}
    ids["queries"] = make(ocean, {}, QUERIES[::-1]).content_id
    ids["a query"] = make(ocean, {}, [*QUERIES[:-1], QUERIES[0]]).content_id
    assert len({base, *ids.values()}) == len(ids) + 1, sorted(ids.items(), key=lambda kv: kv[1])
    for name, changes in ORDER.items():
        assert make(ocean, changes).content_id == base, name


def test_the_dataset_is_in_it_wherever_it_lies(
    ocean: Path, ocean_zip: Path, tmp_path: Path
) -> None:
    base = make(ocean, {}).content_id
    assert make(ocean_zip, {}).content_id == base
    moved = tmp_path / "elsewhere"
    shutil.copytree(ocean, moved)
    assert make(moved, {}).content_id == base


def test_files_of_a_catalogue_are_in_it(tmp_path: Path) -> None:
    days = ["2020-01-01", "2020-01-02", "2020-01-03"]
    queries = [Query(*BOX, day, day) for day in days[:2]]

    def content(folder: Path, files: list[Files]) -> str:
        path = catalogue(folder / "c.parquet", files)
        return Loader(path, queries, ["sla"], batch_size=1, default_patch_size=4).content_id

    def files(folder: Path) -> list[Files]:
        return [Files(str(folder / "*.nc"), {"sla": "sla"})]

    for name, value in zip("abc", (1.0, 2.0, 3.0), strict=True):
        write(tmp_path / "one" / f"{name}.nc", [value], [days["abc".index(name)]])
    first = content(tmp_path / "one", files(tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert content(tmp_path / "two", files(tmp_path / "two")) == first
    # A file of a day that no query asks for counts as little as its absence.
    write(tmp_path / "two" / "c.nc", [3.0, 4.0], [days[2], "2020-01-09"])
    assert content(tmp_path / "two", files(tmp_path / "two")) == first
    write(tmp_path / "two" / "b.nc", [2.0], [days[1]], encoding={"sla": {"scale_factor": 0.5}})
    assert content(tmp_path / "two", files(tmp_path / "two")) != first


@pytest.mark.parametrize("name", sorted({**VALUES, **ORDER}))
def test_a_config_gives_the_same_batches(ocean: Path, name: str) -> None:
    loader = make(ocean, {**VALUES, **ORDER}[name])
    config = json.loads(json.dumps(loader.config(), allow_nan=False))
    again = Loader.from_config(config, ocean, QUERIES)
    assert (again.content_id, again.plan_id) == (loader.content_id, loader.plan_id)
    assert again.config() == loader.config()
    for ours, theirs in zip(loader, again, strict=True):
        assert ours.metadata == theirs.metadata
        assert bytes_of(ours) == bytes_of(theirs)


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset.write(tmp_path_factory.mktemp("config") / "golden")


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_of_the_golden_loaders_too(golden: Path, name: str) -> None:
    queries, inputs, targets, options = LOADERS[name]
    options = {k: v for k, v in options.items() if k != "ranks"}
    if "global_batch_size" not in options:
        options["batch_size"] = 8
    loader = Loader(golden, queries, inputs, targets, **options)
    again = Loader.from_config(loader.config(), golden, queries)
    assert (again.content_id, again.plan_id) == (loader.content_id, loader.plan_id)


def bytes_of(batch: Any) -> list[bytes]:
    record = pa.record_batch(batch)
    return [b.to_pybytes() for column in record for b in column.buffers() if b is not None]


def test_overrides_and_files(ocean: Path, tmp_path: Path) -> None:
    loader = make(ocean, {"seed": 3, "normalize": {"l4_sst": (10.0, 3.0)}})
    file = tmp_path / "config.json"
    file.write_text(json.dumps(loader.config()))
    assert Loader.from_config(file, ocean, QUERIES).plan_id == loader.plan_id
    other = Loader.from_config(file, ocean, QUERIES, seed=4, batch_size=2, threads=1)
    assert other.config()["seed"] == 4
    assert other.config()["global_batch_size"] == 2
    assert other.content_id == loader.content_id
    assert "10.0" in file.read_text(), "numbers, not the name of a file"


def test_variables_of_a_config_are_registered_where_they_are_unknown(
    ocean: Path, tmp_path: Path
) -> None:
    register_variable(
        "good_swot", source="l3_swot", file="l3_swot.nc", netcdf="ssha_filtered", unit="m",
        valid={"ssha_filtered": (-1, None)},
    )  # fmt: skip
    loader = make(ocean, {"input_variables": ["good_swot"]})
    config = json.loads(json.dumps(loader.config()))
    registered = sys.modules["oceanarrow.variables"].__dict__["_registered"]
    known = registered.pop("good_swot")
    again = Loader.from_config(config, ocean, QUERIES)
    assert variables()["good_swot"] == known
    assert again.content_id == loader.content_id
    registered.pop("good_swot")
    register_variable(
        "good_swot", source="l3_swot", file="l3_swot.nc", netcdf="ssha_filtered", unit="m"
    )
    with pytest.raises(InvalidInputError, match=r"'good_swot' is .* there, but .* here"):
        Loader.from_config(config, ocean, QUERIES)


def test_what_is_no_config(ocean: Path, tmp_path: Path) -> None:
    config = make(ocean, {}).config()
    for wrong, why in [
        ({}, "is no config"),
        ({**config, "format": 2}, "is no config"),
        ({k: v for k, v in config.items() if k != "seed"}, "lacks seed"),
        ({**config, "joint": [1]}, "is damaged"),
        ({**config, "augment": {"spin": 1}}, "is damaged"),
        ({**config, "variables": {"l4_sst": {}}}, "is damaged"),
    ]:
        with pytest.raises(InvalidInputError, match=why):
            Loader.from_config(wrong, ocean, QUERIES)
    with pytest.raises(NotFoundError, match="no config"):
        Loader.from_config(tmp_path / "none.json", ocean, QUERIES)
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(InvalidInputError, match="cannot read config"):
        Loader.from_config(tmp_path / "text.json", ocean, QUERIES)
    with pytest.raises(TypeError, match="colour"):
        Loader.from_config(config, ocean, QUERIES, colour="blue")


def test_what_can_be_gone_through_once(ocean: Path) -> None:
    pairs = [("glorys_uo", "glorys_vo")]
    once = make(ocean, {"input_variables": iter(pairs[0]), "joint": iter(pairs)})
    again = make(ocean, {"input_variables": pairs[0], "joint": pairs})
    assert once.config() == again.config()
    assert once.content_id == again.content_id


def test_no_secret_is_in_a_config(ocean: Path) -> None:
    loader = make(ocean, {"storage_options": {"headers": {"Authorization": "Bearer hunter2"}}})
    assert "hunter2" not in json.dumps(loader.config())
    assert str(ocean) not in json.dumps(loader.config())


def test_a_config_is_the_callers_own(ocean: Path) -> None:
    loader = make(ocean, {})
    loader.config()["input_variables"].append("argo")
    assert loader.config()["input_variables"] == ["l4_sst", "l3_swot"]


def test_own_values_of_a_catalogue(tmp_path: Path) -> None:
    """Anomalies from a catalogue's climatology, and static fields, come back by their names."""
    days = ["2020-01-01", "2020-01-02"]
    write(tmp_path / "sla.nc", [1.0, 2.0], days)
    write(tmp_path / "depth.nc", [5.0], None, name="depth", units="m")
    path = catalogue(
        tmp_path / "c.parquet",
        [
            Files(str(tmp_path / "sla.nc"), {"sla": "sla"}),
            Files(str(tmp_path / "depth.nc"), {"depth": "depth"}, static=True),
        ],
    )
    queries = [Query(*BOX, day, day) for day in days]
    loader = Loader(
        path, queries, {"x": ["sla", "depth", "latitude"]}, ["sla"],
        anomaly={"sla": "depth"}, batch_size=2, shuffle=False, default_patch_size=3,
    )  # fmt: skip
    again = Loader.from_config(loader.config(), path, queries)
    (a,), (b,) = loader, again
    np.testing.assert_array_equal(a.to_numpy()["inputs"]["x"], b.to_numpy()["inputs"]["x"])
