"""What a patch of a variable costs, from where its chunks lie."""

from __future__ import annotations

from dataclasses import dataclass

from oceanarrow.dataset.query import Query
from oceanarrow.loader import Loader
from oceanarrow.roots import StorageOptions, TacoPath

_SPENDTHRIFT = 16
"""A patch that has so many times as many bytes decoded as it has cells is worth a word."""


@dataclass(frozen=True)
class Cost:
    """What one patch decodes.

    Attributes:
        chunks: how many.
        decoded: their bytes, decoded.
        read: what is read of the file for them.
        cells: bytes of the cells in the box, 4 each.
    """

    chunks: int
    decoded: int
    read: int
    cells: int

    @property
    def advice(self) -> str:
        """What to do, if the chunks are much larger than the patch."""
        if self.cells == 0 or self.decoded < _SPENDTHRIFT * self.cells:
            return ""
        return (
            f"decodes {self.decoded / self.cells:.0f} times the cells of a patch; smaller chunks "
            "help: nccopy -c time/1,lat/100,lon/100 file.nc new.nc"
        )


def cost_of(
    taco_path: TacoPath,
    variable: str,
    query: Query,
    cells: int,
    storage_options: StorageOptions | None,
) -> Cost:
    """What a patch of a gridded variable decodes; its file is opened, but no data are read."""
    loader = Loader(
        taco_path, [query], [variable], batch_size=1, default_patch_size=(8, 8), shuffle=False,
        cache_dir=None, storage_options=storage_options,
    )  # fmt: skip
    found = loader.explain()
    loader.close()
    return Cost(found.distinct, found.distinct_bytes, found.read_bytes, 4 * cells)
