"""Ray: the slices of a plan on a cluster that people already have.

Tasks are Ray's, and so are their retries: each makes its slice of the same plan, so that what comes
out has the same bytes and digits as on one machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from oceanarrow.exceptions import InvalidInputError
from oceanarrow.loader import Loader
from oceanarrow.optional import require
from oceanarrow.parts import slice_of, tasks_of_cluster
from oceanarrow.request import check_positive

if TYPE_CHECKING:
    import pyarrow
    import ray.data


def read_patches(
    loader: Loader | Mapping[str, Any] | str,
    taco_path: Any = None,
    queries: Any = None,
    *,
    epoch: int = 0,
    parallelism: int | None = None,
    **machine: Any,
) -> ray.data.Dataset:
    """An epoch of a loader as a `ray.data.Dataset` of Arrow blocks, one a global batch.

    The blocks are the loader's batches, byte for byte; they come in their order if Ray is told so
    (`DataContext.get_current().execution_options.preserve_order = True`), else as they are ready. A
    task takes a run of steps, on one core; one whose worker dies is run again by Ray.

    Args:
        loader: a loader, of any rank: all ranks' rows are read. Or a config (`Loader.config`), or a
            JSON file of it, with `taco_path` and `queries`.
        taco_path, queries: of a config.
        epoch: of the loader's order.
        parallelism: read tasks; by default four a core of the cluster, at most one a step.
        machine: of a config, as in `Loader.from_config`.

    Returns:
        A dataset with the columns of a batch (`docs/reference/batch.md`); tensors are Arrow's
        fixed-shape tensors, which `iter_torch_batches` gives as (B, H, W); select the columns that
        torch can take, which dates and lists are not.

    Raises:
        ImportError: ray or pyarrow is not installed.
        InvalidInputError: an argument is wrong, or the loader has no last step.
        otherwise as `Loader`.
    """
    ray_data = require("ray.data", "read_patches", extra="ray")
    require("pyarrow", "read_patches", extra="ray")
    if not isinstance(loader, Loader):
        if taco_path is None or queries is None:
            raise InvalidInputError("a config is read of a dataset: give taco_path and queries")
        loader = Loader.from_config(loader, taco_path, queries, **machine)
    elif taco_path is not None or queries is not None or machine:
        raise InvalidInputError("a loader has its dataset and queries already")
    steps = loader.steps
    if steps is None:
        raise InvalidInputError('an epoch with tail="continue" has no last step')
    check_positive("epoch", epoch, minimum=0)
    if parallelism is not None:
        check_positive("parallelism", parallelism)
    tasks = parallelism or tasks_of_cluster(steps)
    source = _datasource(loader, epoch, steps)
    dataset: ray.data.Dataset = ray_data.read_datasource(source, override_num_blocks=tasks)
    return dataset


def _datasource(loader: Loader, epoch: int, steps: int) -> Any:
    """The steps of an epoch, as Ray wants them."""
    core = require("ray", "read_patches", extra="ray")
    datasource = require("ray.data.datasource", "read_patches", extra="ray")
    blocks = require("ray.data.block", "read_patches", extra="ray")
    rows, size = loader.global_batch_size, loader.row_bytes
    # Of a last batch that may be short, only reading tells.
    exact = loader.config()["tail"] != "partial"

    class Patches(datasource.Datasource):  # type: ignore[misc,name-defined]
        def estimate_inmemory_data_size(self) -> int:
            return steps * rows * size

        def get_read_tasks(self, parallelism: int, *_: Any, **__: Any) -> list[Any]:
            count = max(1, min(parallelism, steps))
            shared = core.put(loader)
            tasks = []
            for mine in (slice_of(steps, own, count) for own in range(count)):
                told = blocks.BlockMetadata(
                    num_rows=len(mine) * rows if exact else None,
                    size_bytes=len(mine) * rows * size,
                    input_files=None,
                    exec_stats=None,
                )
                tasks.append(datasource.ReadTask(_reader(shared, mine, epoch), told))
            return tasks

    return Patches()


def _reader(shared: Any, steps: range, epoch: int) -> Callable[[], Iterator[pyarrow.Table]]:
    """What a read task does."""

    def read() -> Iterator[pyarrow.Table]:
        core = require("ray", "read_patches", extra="ray")
        pa = require("pyarrow", "read_patches", extra="ray")
        loader = core.get(shared)
        for batch in loader.replay(steps, epoch, threads=1):
            table = pa.table(pa.record_batch(batch))
            yield table.replace_schema_metadata(None)

    return read
