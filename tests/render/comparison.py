"""What the engine renders beside what the oracle does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import oracle
from hypothesis import assume, event

from oceanarrow.dataset import OceanTACODataset
from oceanarrow.dataset import Query as EngineQuery

TOLERANCE = 1e-5


def sample_of(root: Path, query: oracle.Query, variable: str, shape: Any, **options: Any) -> dict:
    dataset = OceanTACODataset(
        str(root), [EngineQuery(*query)], [variable], [], default_patch_size=shape, **options
    )
    return dataset[0]


def engine_render(
    root: Path, query: oracle.Query, variable: str, shape: tuple[int, int], **options: Any
) -> tuple[np.ndarray | None, np.ndarray | None, bool, int, dict | None]:
    """Values, mask, presence, number of files, and the axes, as the engine has them."""
    sample = sample_of(root, query, variable, shape, **options)
    got, n_files = sample["inputs"][variable], int(sample["metadata"]["n_files"])
    if got is None:
        return None, None, False, n_files, None
    axes = {name: np.asarray(got[name]) for name in ("lats", "lons")}
    return np.asarray(got["data"]), np.asarray(got["mask"]).astype(bool), True, n_files, axes


def check_drawn(
    root: Path, query: oracle.Query, variable: str, shape: tuple[int, int], **options: Any
) -> None:
    if root.suffix == ".parquet" and variable == "l3_sst":
        variable = "l4_sst"  # the catalogue does not list it
    want = oracle.render(root, query, variable, shape, **options)
    # Where rounding alone decides which cells count, either answer is right.
    assume(not want.shaky)
    event(f"present: {want.present}, valid: {bool(want.mask.any())}")
    compare(want, root, query, variable, shape, **options)


def check(
    root: Path, query: oracle.Query, variable: str, shape: tuple[int, int], **options: Any
) -> None:
    want = oracle.render(root, query, variable, shape, **options)
    compare(want, root, query, variable, shape, **options)


def compare(
    want: oracle.Rendered,
    root: Path,
    query: oracle.Query,
    variable: str,
    shape: tuple[int, int],
    **options: Any,
) -> None:
    data, mask, present, n_files, axes = engine_render(root, query, variable, shape, **options)
    assert present == want.present
    assert len(want.files) <= n_files <= len(want.files_at_most)
    if data is None or mask is None or axes is None:
        return
    assert data.shape == want.data.shape and data.dtype == np.float32
    np.testing.assert_array_equal(mask, want.mask)
    np.testing.assert_allclose(data[mask], want.data[mask], rtol=TOLERANCE, atol=TOLERANCE)
    assert (data[~mask] == np.float32(options.get("fill_value", 0.0))).all()
    np.testing.assert_allclose(axes["lats"], want.lats, rtol=0, atol=2e-5)
    np.testing.assert_allclose(axes["lons"], want.lons, rtol=0, atol=4e-5)
